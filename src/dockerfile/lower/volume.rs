//! `VOLUME path …`

use crate::ast::VolumeInstruction;
use crate::diagnostic::Diagnostic;
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, format};

/// Names directories in the configuration. What later steps write there stays in the image.
pub(super) fn lower(stage: &mut StageLowering<'_>, volume: &VolumeInstruction) -> Lowered {
    let paths = stage.texts(&volume.paths)?;
    for (path, word) in paths.iter().zip(&volume.paths) {
        if path.is_empty() {
            let title = format!("the path of a volume is empty: `{}`", word.value);
            return Err(vec![Diagnostic::error(title, word.span)]);
        }
    }
    stage
        .state
        .record(format!("VOLUME {}", format::list(&paths)), true);
    stage.config().volumes.extend(paths);
    Ok(())
}
