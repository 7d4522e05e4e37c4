//! A stack as one tree that is read from its top to its bottom: what exporters of files write.

use std::fmt;

use layer::{Changes, DiffError};

use crate::event::StepId;
use crate::job::Workshop;
use crate::realise::{self, RealiseError, View};
use crate::result::Stack;

/// The files of a stack, as a container would see them.
pub struct Tree {
    view: View,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").finish_non_exhaustive()
    }
}

impl Tree {
    /// Makes directories of the layers of a stack, where they are missing, and puts them together.
    ///
    /// # Errors
    ///
    /// Fails when a layer cannot be read, is damaged, or the store cannot hold it.
    pub fn open(workshop: &Workshop, step: StepId, stack: &Stack) -> Result<Self, RealiseError> {
        let view = realise::view(workshop, step, stack)?;
        Ok(Self { view })
    }

    /// Returns everything that is in the tree, each directory before what is in it. Nothing is
    /// removed and no directory is opaque; the top itself is left out.
    ///
    /// # Errors
    ///
    /// Fails when the tree cannot be read.
    pub fn changes(&self) -> Result<impl Changes + use<>, DiffError> {
        realise::changes(&self.view)
    }
}
