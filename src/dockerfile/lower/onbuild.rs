//! `ONBUILD instruction`

use crate::ast::OnbuildInstruction;
use crate::lower::stage_lowering::StageLowering;

/// Keeps the trigger in the image; it leaves no entry in the history.
pub(super) fn lower(stage: &mut StageLowering<'_>, onbuild: &OnbuildInstruction) {
    stage.config().on_build.push(onbuild.expression.clone());
}
