//! The root of a command in namespaces: an overlay, or a copy where the store can hold none.
//!
//! ```text
//! overlay:  active snapshot     ──written by the command──►  the layer
//!           what is below
//!           mount points
//!
//! copy:     mount points, what is below ──laid──► tree ──changed by the command──► tree
//!                                                   └────── what differs ──────────► active snapshot: the layer
//! ```
//!
//! Both have the mount points of every sandbox below all else, so that what `init` makes and takes away is the same, and
//! both hold files as the store does: with owners of the user namespace, or with records of them.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use layer::Baseline;
use rootfs::Root;
use runtime::{OverlayOptions, Upper};
use store::ActiveSnapshot;

use super::furniture::Furniture;
use super::in_place::trusted;
use super::trust::Trust;
use crate::error::StepError;
use crate::event::StepId;
use crate::host_files::Prepared;
use crate::job::Workshop;
use crate::owners;
use crate::result::Stack;
use crate::trees::{Tree, Trees};

/// The root of a command.
#[derive(Debug)]
pub(crate) struct Ground<'w> {
    mount: OwnedFd,
    view: Root,
    copy: Option<Copy<'w>>,
}

/// Files that the command changes in place.
#[derive(Debug)]
struct Copy<'w> {
    trees: &'w Trees,
    tree: Tree,
    /// What they were, once that was noted.
    before: Option<Baseline>,
    /// What stands in for files of them as long as the command runs.
    furniture: Furniture,
}

impl<'w> Ground<'w> {
    /// Puts a stack together, of which the directories are given, the lowest first. What the command changes goes to
    /// `active`: at once, or later ([`Self::put_changes`]). `above` is above all of the stack, for this command alone.
    pub(crate) fn make(
        workshop: &'w Workshop,
        step: StepId,
        (stack, lowers): (&Stack, &[Arc<Root>]),
        above: Option<&Root>,
        (host_files, active): (&Prepared, &ActiveSnapshot),
    ) -> Result<Self, StepError> {
        owners::inherit_top(workshop, active.fs(), lowers.last())?;
        let Some(trees) = workshop.unions.trees(workshop) else {
            let mount = mount_overlay(workshop, host_files, (lowers, above), active)?;
            let view = mount.try_clone().map_err(StepError::Descriptor)?;
            let view = Root::from_fd(view, "/");
            return Ok(Self {
                mount,
                view,
                copy: None,
            });
        };
        trees.tell(workshop);
        let stubs = Arc::new(host_files.stubs().try_clone()?);
        let all: Vec<_> = [stubs].into_iter().chain(lowers.iter().cloned()).collect();
        let tree = trees.take(workshop, step, (stack, &all))?;
        let mount = runtime::bind_root(tree.root().as_fd()).map_err(StepError::Bind)?;
        let view = tree.root().try_clone()?;
        let copy = Some(Copy {
            trees,
            tree,
            before: None,
            furniture: Furniture::default(),
        });
        Ok(Self { mount, view, copy })
    }

    /// Notes what the files are. What is changed from now on is a change of the command's.
    pub(crate) fn note(mut self) -> Result<Self, StepError> {
        if let Some(copy) = &mut self.copy {
            let before = Baseline::record(copy.tree.root(), copy.tree.aside());
            copy.before = Some(before.map_err(StepError::InPlace)?);
        }
        Ok(self)
    }

    /// Lets the command see the certificates that it is to trust in the files of the image.
    pub(super) fn furnish(&mut self, trust: &Trust) -> Result<(), StepError> {
        let Some(copy) = &mut self.copy else {
            return Ok(());
        };
        let wanted = trusted(trust);
        if !wanted.is_empty() {
            copy.furniture = Furniture::place(&copy.tree, wanted)?;
            layer::next_grain(copy.tree.aside())?;
        }
        Ok(())
    }

    /// Returns what is mounted as the root of the command.
    pub(crate) fn mount(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }

    /// Returns the files, as the command sees them.
    pub(crate) fn view(&self) -> &Root {
        &self.view
    }

    /// Puts what changed since it was noted into `upper`, unless the kernel did, without what the command was only to
    /// see.
    pub(super) fn put_changes(
        &mut self,
        lowers: &[Arc<Root>],
        trust: &Trust,
        upper: &Root,
    ) -> Result<(), StepError> {
        let Some(copy) = &mut self.copy else {
            return Ok(trust.take_out(upper)?);
        };
        let Some(mut before) = copy.before.take() else {
            return Ok(());
        };
        let furniture = std::mem::take(&mut copy.furniture);
        let apart = furniture.remove(&copy.tree, &mut before)?;
        trust.take_out(copy.tree.root())?;
        let tree = (copy.tree.root(), copy.trees.form());
        let put = before.extract(tree, &apart, (lowers, upper));
        put.map_err(StepError::InPlace)
    }

    /// Returns the files that the command changed in place, for the next one.
    pub(super) fn into_tree(self) -> Option<Tree> {
        self.copy.map(|copy| copy.tree)
    }
}

/// Mounts the overlay, detached: what is below, the mount points, and the active snapshot on top.
fn mount_overlay(
    workshop: &Workshop,
    host_files: &Prepared,
    (lowers, above): (&[Arc<Root>], Option<&Root>),
    active: &ActiveSnapshot,
) -> Result<OwnedFd, StepError> {
    let lowers = lowers.iter().rev().map(|root| root.as_fd());
    let mut layers: Vec<_> = above.map(Root::as_fd).into_iter().chain(lowers).collect();
    layers.push(host_files.stubs().as_fd());
    let upper = Some(Upper {
        upper: active.fs().as_fd(),
        work: active.work().as_fd(),
    });
    // Whoever dies before the commit leaves nothing that is used: the kernel need not sync.
    let options = OverlayOptions { volatile: true };
    Ok(runtime::mount_overlay(
        &layers,
        upper,
        options,
        &workshop.features,
    )?)
}
