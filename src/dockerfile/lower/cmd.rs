//! `CMD command`

use crate::ast::CommandForm;
use crate::lower::format;
use crate::lower::stage_lowering::StageLowering;

pub(super) fn lower(stage: &mut StageLowering<'_>, command: &CommandForm) {
    let argv = stage.command(command);
    stage
        .state
        .record(format!("CMD {}", format::quoted_list(&argv)), true);
    stage.has_cmd = true;
    let config = stage.config();
    config.cmd = argv;
    // Docker's field for Windows; `BuildKit` sets it everywhere.
    config.args_escaped = true;
}
