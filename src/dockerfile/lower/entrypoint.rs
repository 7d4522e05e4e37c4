//! `ENTRYPOINT command`

use crate::ast::CommandForm;
use crate::lower::format;
use crate::lower::stage_lowering::StageLowering;

/// Sets the entry point. An inherited `CMD` was meant for another one and goes away.
pub(super) fn lower(stage: &mut StageLowering<'_>, command: &CommandForm) {
    let argv = stage.command(command);
    stage
        .state
        .record(format!("ENTRYPOINT {}", format::quoted_list(&argv)), true);
    let has_cmd = stage.has_cmd;
    let config = stage.config();
    config.entrypoint = argv;
    if !has_cmd {
        config.cmd.clear();
    }
}
