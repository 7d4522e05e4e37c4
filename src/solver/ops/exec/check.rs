//! The content key of a command that mounts files of stages or images.

use graph::{CacheKey, CacheMap, ExecMount, ExecOp, KeyInput};

use super::bind;
use super::error::MountError;
use crate::error::StepError;
use crate::ops::copy::{self, CopyError};
use crate::worker::Step;

/// Returns the key in which the mounted files stand in the place of the keys of what they are of.
///
/// # Errors
///
/// Fails when a path that is mounted is not there, or cannot be read.
pub(crate) fn check(
    step: &Step<'_>,
    op: &ExecOp,
    key_inputs: &[KeyInput],
) -> Result<CacheKey, StepError> {
    let map = CacheMap::of(step.vertex).ok_or(StepError::MissingInput { index: 0 })?;
    let mut inputs = key_inputs.to_vec();
    for (index, path) in op.mounts.iter().filter_map(ExecMount::content) {
        let stack = bind::stack(step, index)?;
        let content = copy::read_path(step, stack, path).map_err(as_mount)?;
        let input = inputs
            .get_mut(index)
            .ok_or(StepError::MissingInput { index })?;
        *input = KeyInput::Content(content.digest.clone());
    }
    Ok(map.key(&inputs))
}

/// Says of a path what it was for.
pub(super) fn as_mount(error: StepError) -> StepError {
    match error {
        StepError::Copy(CopyError::NotFound {
            path,
            place,
            similar,
        }) => MountError::SourceNotFound {
            path,
            place,
            similar,
        }
        .into(),
        other => other,
    }
}
