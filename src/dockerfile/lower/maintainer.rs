//! `MAINTAINER name`

use crate::ast::Word;
use crate::lower::stage_lowering::StageLowering;

/// Sets the image's author. Variables in the name are not expanded.
pub(super) fn lower(stage: &mut StageLowering<'_>, name: &Word) {
    stage
        .state
        .record(format!("MAINTAINER {}", name.value), true);
    stage.state.config.author = Some(name.value.clone());
}
