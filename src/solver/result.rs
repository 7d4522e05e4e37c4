//! What a build leads to: a stack of change sets for each platform.
//!
//! A result is not a snapshot and a layer is not an upper directory: a [`Stack`] is an ordered list of
//! change sets, each *held* in one of four ways. A directory is made of one when a command or a look-up
//! needs it ([`crate::realise`]), a blob when it is exported.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use graph::{ImageSource, Op};
use layer::{ChangeSet, Lookups};
use oci::config::ImageConfig;
use oci::{DiffId, Digest, Platform, Timestamp};
use runtime::CancelToken;
use store::SnapshotId;

use crate::base::{BaseStep, BaseWork};
use crate::context::LocalDirectory;
use crate::event::{Events, StepId};
use crate::import::RemoteLayer;
use crate::remote::FetchedFile;

/// A layer of a base image, as its manifest and configuration describe it.
#[derive(Debug, Clone)]
pub struct BaseLayer {
    /// The image that it is part of.
    pub image: Arc<ImageSource>,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob, in bytes.
    pub size_bytes: u64,
    /// The media type of the blob.
    pub media_type: String,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The step that is shown while it is fetched or unpacked, where there is one.
    pub step: Option<Arc<BaseStep>>,
}

impl BaseLayer {
    /// Returns what is shown of the work on it: as its base's, or else as that of the step that needs it.
    pub(crate) fn shown<'a>(
        &'a self,
        needed_by: Option<&'a StepId>,
        with: (&Events, &CancelToken),
    ) -> (Option<BaseWork>, Option<&'a StepId>) {
        match &self.step {
            Some(step) => (Some(step.work(with)), Some(step.id())),
            None => (None, needed_by),
        }
    }
}

/// How a change set is held.
#[derive(Debug, Clone)]
pub enum Held {
    /// As a blob of a base image, maybe not unpacked.
    Base(BaseLayer),
    /// As what an earlier or this build left under the layer's name: a directory, or a packed blob.
    Stored,
    /// As a blob of a cache elsewhere, maybe not fetched.
    Remote(RemoteLayer),
    /// As the list of the files that a copy copies, in memory.
    Recipe(Arc<Recipe>),
}

/// A change set that is not on disk, or is there only because somebody needed it.
#[derive(Debug)]
pub struct Recipe {
    changes: Arc<ChangeSet>,
    /// What the change sets of one copy have in common, however often the files change: its name.
    pub(crate) lineage: Option<SnapshotId>,
}

impl Recipe {
    /// Makes a recipe of a copy that may have been carried out before with other files.
    pub(crate) fn of_lineage(changes: ChangeSet, lineage: SnapshotId) -> Self {
        Self {
            changes: Arc::new(changes),
            lineage: Some(lineage),
        }
    }

    /// Returns the change set.
    pub(crate) fn changes(&self) -> &Arc<ChangeSet> {
        &self.changes
    }
}

impl From<ChangeSet> for Recipe {
    fn from(changes: ChangeSet) -> Self {
        Self {
            changes: Arc::new(changes),
            lineage: None,
        }
    }
}

impl Deref for Recipe {
    type Target = ChangeSet;

    fn deref(&self) -> &ChangeSet {
        &self.changes
    }
}

/// One change set of a stack.
#[derive(Debug, Clone)]
pub struct StackLayer {
    /// Its name: that of the snapshot that holds or would hold it.
    pub id: SnapshotId,
    /// How it is held.
    pub held: Held,
    /// When it was made; none for a base's, whose own history says so.
    pub created: Option<Timestamp>,
}

/// What made a change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MadeBy {
    /// A command, which may make something else the next time.
    Command,
    /// A base, or a copy: the same again.
    Other,
}

/// The ordered change sets that make a file system; the lowest first.
///
/// A stack shares what is below with the stack that it was put onto, so that one of ten thousand layers does not hold
/// ten thousand lists.
#[derive(Clone, Default)]
pub struct Stack {
    top: Option<Arc<Level>>,
}

/// A change set and all below it.
struct Level {
    layer: Arc<StackLayer>,
    below: Option<Arc<Self>>,
    by: MadeBy,
    /// Names all results of commands in it; none if there are none.
    commands: Option<Digest>,
    /// All of them, the lowest first, if somebody asked.
    list: OnceLock<Box<[Arc<StackLayer>]>>,
    /// All of them as what names are looked up in, if somebody did.
    lookups: OnceLock<Lookups>,
}

impl Drop for Level {
    /// Goes down in a loop: what is left of a deep stack must not end ours.
    fn drop(&mut self) {
        let mut below = self.below.take();
        while let Some(level) = below {
            below = Arc::into_inner(level).and_then(|mut level| level.below.take());
        }
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers()).finish()
    }
}

impl Stack {
    /// Returns the empty file system.
    pub fn scratch() -> Self {
        Self::default()
    }

    /// Returns this stack with one change set more.
    #[must_use]
    pub fn with(&self, layer: Arc<StackLayer>) -> Self {
        let commands = self.commands_digest().cloned();
        self.with_level(layer, MadeBy::Other, commands)
    }

    /// Returns this stack with the result of a command on top.
    #[must_use]
    pub fn with_command(&self, layer: Arc<StackLayer>) -> Self {
        let below = self.commands_digest().map_or("", Digest::as_str);
        let commands = Digest::of(format!("{below}\0{}", layer.id).as_bytes());
        self.with_level(layer, MadeBy::Command, Some(commands))
    }

    /// Returns this stack with the result of an operation on top.
    #[must_use]
    pub(crate) fn with_result_of(&self, op: &Op, layer: Arc<StackLayer>) -> Self {
        match op {
            Op::Exec(_) => self.with_command(layer),
            Op::Source(_) | Op::File(_) => self.with(layer),
        }
    }

    fn with_level(&self, layer: Arc<StackLayer>, by: MadeBy, commands: Option<Digest>) -> Self {
        let level = Level {
            layer,
            below: self.top.clone(),
            by,
            commands,
            list: OnceLock::new(),
            lookups: OnceLock::new(),
        };
        Self {
            top: Some(Arc::new(level)),
        }
    }

    /// Returns the digest of the names of all results of commands in it; none if there are none.
    pub(crate) fn commands_digest(&self) -> Option<&Digest> {
        self.top.as_ref()?.commands.as_ref()
    }

    /// Returns the results of commands in it, the uppermost first.
    pub fn commands(&self) -> impl Iterator<Item = &Arc<StackLayer>> {
        let levels = std::iter::successors(self.top.as_ref(), |level| level.below.as_ref());
        let commands = levels.filter(|level| level.by == MadeBy::Command);
        commands.map(|level| &level.layer)
    }

    /// Returns the uppermost change set.
    pub fn top(&self) -> Option<&Arc<StackLayer>> {
        self.top.as_ref().map(|level| &level.layer)
    }

    /// Returns the uppermost change set and the stack below it.
    pub(crate) fn split_top(&self) -> Option<(&Arc<StackLayer>, Self)> {
        let top = self.top.as_ref()?;
        let below = Self {
            top: top.below.clone(),
        };
        Some((&top.layer, below))
    }

    /// Returns what names of the lower layers are looked up in, as far up as somebody did, and the layers above, the
    /// lowest first.
    pub(crate) fn lookups(&self) -> (Lookups, Vec<Arc<StackLayer>>) {
        let mut above = Vec::new();
        let mut next = self.top.as_ref();
        let mut known = None;
        while let Some(level) = next {
            known = level.lookups.get();
            if known.is_some() {
                break;
            }
            above.push(Arc::clone(&level.layer));
            next = level.below.as_ref();
        }
        above.reverse();
        (known.cloned().unwrap_or_default(), above)
    }

    /// Keeps what names of all layers are looked up in, for this stack and those on it.
    pub(crate) fn keep_lookups(&self, lookups: Lookups) {
        if let Some(top) = &self.top {
            // Whoever was quicker knows the same.
            drop(top.lookups.set(lookups));
        }
    }

    /// Tells whether this is the very stack that another one is, or a clone of it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.top, &other.top) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Returns the change sets, the lowest first.
    pub fn layers(&self) -> &[Arc<StackLayer>] {
        let Some(top) = &self.top else { return &[] };
        top.list.get_or_init(|| {
            let levels = std::iter::successors(Some(top), |level| level.below.as_ref());
            let mut layers: Vec<_> = levels.map(|level| Arc::clone(&level.layer)).collect();
            layers.reverse();
            layers.into_boxed_slice()
        })
    }
}

impl FromIterator<Arc<StackLayer>> for Stack {
    fn from_iter<I: IntoIterator<Item = Arc<StackLayer>>>(layers: I) -> Self {
        let layers = layers.into_iter();
        layers.fold(Self::scratch(), |stack, layer| stack.with(layer))
    }
}

/// The result of a vertex.
#[derive(Debug, Clone)]
pub enum Output {
    /// A file system.
    Files(Stack),
    /// A directory of the user's.
    Local(Arc<LocalDirectory>),
    /// A file that was fetched.
    Fetched(Arc<FetchedFile>),
}

/// One entry of an image's history, on top of its base's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// The instruction, as BuildKit writes it.
    pub created_by: String,
    /// The `comment` of the entry.
    pub comment: String,
    /// Whether the step has no layer.
    pub empty_layer: bool,
}

/// What was built for one platform.
#[derive(Debug, Clone)]
pub struct PlatformResult {
    /// The platform.
    pub platform: Platform,
    /// The file system.
    pub stack: Stack,
    /// The base's configuration with all that the Dockerfile changes; its root file system and
    /// history are still the base's.
    pub config: ImageConfig,
    /// What the Dockerfile adds to the history.
    pub history: Vec<HistoryStep>,
}

/// What a job built, one result for each platform in the order that was asked for.
#[derive(Debug, Clone, Default)]
pub struct BuildResult {
    /// The results.
    pub platforms: Vec<PlatformResult>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(number: usize) -> Arc<StackLayer> {
        let name = Digest::of(&number.to_le_bytes());
        Arc::new(StackLayer {
            id: SnapshotId::from_digest("layer", &name).unwrap(),
            held: Held::Stored,
            created: None,
        })
    }

    #[test]
    fn a_stack_and_those_on_it_are_each_their_own() {
        let [one, two, three] = [1, 2, 3].map(layer);
        let below = Stack::scratch().with(Arc::clone(&one));
        let stacks = [&two, &three].map(|layer| below.with(Arc::clone(layer)));
        let names = |stack: &Stack| {
            let layers = stack.layers().iter();
            layers.map(|layer| layer.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&Stack::scratch()), []);
        assert_eq!(names(&stacks[0]), [one.id.clone(), two.id.clone()]);
        assert_eq!(names(&stacks[1]), [one.id.clone(), three.id.clone()]);
        assert_eq!(stacks[1].top().map(|layer| &layer.id), Some(&three.id));
    }

    #[test]
    fn what_commands_left_in_a_stack_is_told_whatever_else_is_in_it() {
        let [one, two, three] = [1, 2, 3].map(layer);
        let copied = Stack::scratch().with(Arc::clone(&one));
        assert_eq!(copied.commands_digest(), None);
        assert_eq!(copied.commands().count(), 0);
        let ran = copied.with_command(Arc::clone(&two));
        let other = copied.with_command(Arc::clone(&three));
        assert_ne!(ran.commands_digest(), other.commands_digest());
        let above = ran.with(Arc::clone(&three));
        assert_eq!(above.commands_digest(), ran.commands_digest());
        let twice = above.with_command(three);
        assert_ne!(twice.commands_digest(), other.commands_digest());
        let ids: Vec<_> = twice.commands().map(|layer| &layer.id).collect();
        assert_eq!(ids, [&layer(3).id, &two.id]);
    }

    #[test]
    fn what_names_are_looked_up_in_is_known_from_the_nearest_stack_below() {
        let [one, two, three] = [1, 2, 3].map(layer);
        let below = Stack::scratch().with(one);
        let above = below.with(Arc::clone(&two)).with(Arc::clone(&three));
        let names = |stack: &Stack| {
            let (_, above) = stack.lookups();
            above
                .iter()
                .map(|layer| layer.id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&above).len(), 3);
        below.keep_lookups(Lookups::default());
        assert_eq!(names(&above), [two.id.clone(), three.id.clone()]);
        assert_eq!(names(&below), []);
        assert_eq!(names(&Stack::scratch()), []);
    }

    #[test]
    fn a_deep_stack_is_given_up_level_by_level() {
        let layer = layer(1);
        let levels = std::iter::repeat_n(Arc::clone(&layer), 200_000);
        let stack: Stack = levels.collect();
        assert_eq!(stack.layers().len(), 200_000);
        drop(stack);
        assert_eq!(Arc::strong_count(&layer), 1);
    }
}
