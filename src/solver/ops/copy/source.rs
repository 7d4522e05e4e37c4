//! What a copy copies from.

use std::sync::Arc;

use graph::PatternSet;
use rootfs::Root;

use crate::context::{KnownDigests, LocalDirectory};
use crate::error::StepError;
use crate::realise::{self, View};
use crate::result::Output;
use crate::worker::Step;

/// A tree that a copy reads.
pub(crate) enum SourceTree {
    /// The copy has no source but texts of the Dockerfile, or an empty file system.
    Empty,
    /// A directory of the user's: owners mean nothing in an image, unless an archive says them.
    Local(Arc<LocalDirectory>),
    /// The file system of another stage or image: owners are kept.
    Stage(View),
}

impl SourceTree {
    /// Returns the root that is read.
    pub(crate) fn root(&self) -> Option<&Arc<Root>> {
        match self {
            Self::Empty => None,
            Self::Local(directory) => Some(&directory.root),
            Self::Stage(view) => view.root(),
        }
    }

    /// Returns what of it is not seen.
    pub(crate) fn ignore(&self) -> Option<&PatternSet> {
        match self {
            Self::Local(directory) => Some(&directory.ignore),
            Self::Empty | Self::Stage(_) => None,
        }
    }

    /// Returns what is known of the bytes of its files from earlier builds.
    pub(crate) fn known(&self) -> Option<&KnownDigests> {
        match self {
            Self::Local(directory) => directory.known.as_ref(),
            Self::Empty | Self::Stage(_) => None,
        }
    }

    /// Returns how the tree is called in messages.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Empty => "an empty file system".to_owned(),
            Self::Local(directory) => format!("build context: {}", directory.shown),
            Self::Stage(_) => "the file system of the stage".to_owned(),
        }
    }
}

/// Opens what a step copies from.
pub(crate) fn open(step: &Step<'_>) -> Result<SourceTree, StepError> {
    match step.inputs.get(1) {
        None => Ok(SourceTree::Empty),
        // Only files of a server: no path is read.
        Some(Some(Output::Fetched(_))) => Ok(SourceTree::Empty),
        Some(Some(Output::Local(directory))) => Ok(SourceTree::Local(Arc::clone(directory))),
        Some(Some(Output::Files(stack))) => {
            let view = realise::view(step.workshop, step.step_id(), stack)?;
            Ok(SourceTree::Stage(view))
        }
        Some(None) => Err(StepError::MissingInput { index: 1 }),
    }
}
