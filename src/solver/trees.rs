//! Layers as one file system where no overlay can be mounted: as directories of their own.
//!
//! | For | What is made | Until |
//! | --- | --- | --- |
//! | what is only read | a directory in which the files of the layers have second names | the build ends |
//! | a command | a copy of the files, which the command changes in place | the next command takes it over, or the build ends |
//!
//! A chain of commands copies what is below it once: each takes the tree that the one before left, with what is between
//! the two put onto it. Of two that want the same tree, the second one copies.
//!
//! All of it is in unfinished snapshots of the store, which go with this process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use layer::TreeForm;
use rootfs::{Root, RootPath};
use store::ActiveSnapshot;

use crate::event::StepId;
use crate::job::Workshop;
use crate::owners;
use crate::realise::{self, RealiseError};
use crate::result::Stack;

/// How many trees of commands are kept for the next: more than there are stages at work at a time, as a rule.
const KEPT: usize = 4;

/// The directories that layers of a build became.
pub(crate) struct Trees {
    form: TreeForm,
    /// What the user is told.
    notice: Notice,
    /// By the inodes of the layers. Guards that each is made once: whoever wants the same waits, instead of making it a
    /// second time.
    merged: Mutex<BTreeMap<Vec<(u64, u64)>, Merged>>,
    /// Steps run in several threads, and hold it for a moment.
    left: Mutex<VecDeque<(Stack, Tree)>>,
    /// Whether the user was told.
    told: AtomicBool,
}

/// Layers as one directory, which goes with its snapshot.
struct Merged {
    root: Arc<Root>,
    _files: ActiveSnapshot,
}

/// A file system of one command's own.
#[derive(Debug)]
pub(crate) struct Tree {
    files: ActiveSnapshot,
}

/// What commands lack that change copies of their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Namespaces, too.
    LessIsolated,
    /// Room in the store's file system, for a reason.
    NoOverlays(String),
}

impl fmt::Debug for Trees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trees").finish_non_exhaustive()
    }
}

impl Tree {
    /// Returns the files.
    pub(crate) fn root(&self) -> &Root {
        self.files.fs()
    }

    /// Returns an empty directory beside them, on the same file system.
    pub(crate) fn aside(&self) -> &Root {
        self.files.work()
    }
}

impl Trees {
    /// Begins without any.
    pub(crate) fn new(form: TreeForm, notice: Notice) -> Self {
        Self {
            form,
            notice,
            merged: Mutex::default(),
            left: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// Returns what the files of the trees are.
    pub(crate) fn form(&self) -> TreeForm {
        self.form
    }

    /// Returns layers as one directory that is only read, the lowest first.
    pub(crate) fn merged(
        &self,
        workshop: &Workshop,
        layers: &[Arc<Root>],
    ) -> Result<Arc<Root>, RealiseError> {
        let key = layers.iter().map(|layer| {
            let top = layer.metadata(&RootPath::root())?;
            Ok(top.map_or((0, 0), |top| (top.dev, top.ino)))
        });
        let key = key.collect::<Result<Vec<_>, RealiseError>>()?;
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = merged.get(&key) {
            return Ok(Arc::clone(&found.root));
        }
        let files = workshop.store.snapshots().prepare(&workshop.lease)?;
        layer::flatten(layers, files.fs())?;
        let root = Arc::new(files.fs().try_clone()?);
        let made = Merged {
            root: Arc::clone(&root),
            _files: files,
        };
        merged.insert(key, made);
        Ok(root)
    }

    /// Returns the files of a stack for a command to change: what an earlier command left of it or of a stack below,
    /// or copies. `lowers` are the directories of the stack.
    pub(crate) fn take(
        &self,
        workshop: &Workshop,
        step: StepId,
        (stack, lowers): (&Stack, &[Arc<Root>]),
    ) -> Result<Tree, RealiseError> {
        if let Some((tree, kept)) = self.nearest(stack) {
            for layer in realise::parts_above(workshop, step, stack, kept)? {
                layer::lay(&layer, tree.root(), self.form)?;
            }
            return Ok(tree);
        }
        self.copy(workshop, lowers)
    }

    /// Returns a copy of layers, the lowest first.
    pub(crate) fn copy(
        &self,
        workshop: &Workshop,
        layers: &[Arc<Root>],
    ) -> Result<Tree, RealiseError> {
        let files = workshop.store.snapshots().prepare(&workshop.lease)?;
        owners::inherit_top(workshop, files.fs(), None)?;
        for layer in layers {
            layer::lay(layer, files.fs(), self.form)?;
        }
        Ok(Tree { files })
    }

    /// Takes the tree of a stack, or of the nearest one below it, with the number of its layers.
    fn nearest(&self, stack: &Stack) -> Option<(Tree, usize)> {
        let mut left = self.left();
        let mut rest = stack.clone();
        loop {
            if let Some(at) = left.iter().position(|(known, _)| known.is(&rest)) {
                let (_, tree) = left.remove(at)?;
                return Some((tree, rest.layers().len()));
            }
            (_, rest) = rest.split_top()?;
        }
    }

    /// Keeps what a command left as the files of a stack.
    pub(crate) fn keep(&self, stack: Stack, tree: Tree) {
        let mut left = self.left();
        left.push_front((stack, tree));
        left.truncate(KEPT);
    }

    /// Tells the user, once, what commands lack here.
    pub(crate) fn tell(&self, workshop: &Workshop) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        workshop.events.warn(self.notice.text(workshop));
    }

    fn left(&self) -> MutexGuard<'_, VecDeque<(Stack, Tree)>> {
        // Every change of it leaves a list.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notice {
    fn text(&self, workshop: &Workshop) -> String {
        match self {
            Self::LessIsolated => less_isolated(workshop.executor.protections().writing),
            Self::NoOverlays(cause) => format!(
                "each command runs on a copy of its files, which takes time and room, since the store `{}` cannot hold the \
                 changes of an overlay: {cause}; `--store DIR` or `CAREEN_STORE` names a directory on another file \
                 system",
                workshop.store.path().display()
            ),
        }
    }
}

fn less_isolated(has_wall: bool) -> String {
    let wall = if has_wall {
        "what keeps them from its files is Landlock"
    } else {
        "and nothing keeps one that is root from its files, since this kernel has no Landlock"
    };
    format!(
        "commands are less isolated here: nothing lets namespaces be made or file systems be mounted, so that \
         each runs on a copy of its files, as root of this container, with its network and its processes; {wall}"
    )
}
