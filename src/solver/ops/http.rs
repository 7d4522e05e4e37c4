//! A file that a server has.

use std::sync::Arc;

use graph::HttpSource;

use crate::error::StepError;
use crate::remote;
use crate::result::Output;
use crate::worker::Step;

/// Fetches the file.
pub(crate) fn run(step: &Step<'_>, source: &HttpSource) -> Result<Output, StepError> {
    let file = remote::fetch_http(step.workshop, source)?;
    Ok(Output::Fetched(Arc::new(file)))
}
