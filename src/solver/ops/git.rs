//! Files of a git repository that a server has.

use std::sync::Arc;

use graph::userinfo::without_secret;
use graph::{GitSource, PatternSet};

use crate::context::LocalDirectory;
use crate::error::StepError;
use crate::remote;
use crate::result::Output;
use crate::worker::Step;

/// Fetches the files. In the store they belong to the builder, as those of a directory of the user's belong to
/// somebody who means nothing in an image.
pub(crate) fn run(step: &Step<'_>, source: &GitSource) -> Result<Output, StepError> {
    let checkout = remote::fetch_git(step.workshop, source)?;
    Ok(Output::Local(Arc::new(LocalDirectory {
        root: checkout.root,
        shown: without_secret(&source.remote),
        ignore: PatternSet::default(),
        owners: None,
        known: None,
    })))
}
