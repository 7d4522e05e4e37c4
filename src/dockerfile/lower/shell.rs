//! `SHELL ["program", "argument", …]`

use crate::ast::ShellInstruction;
use crate::lower::format;
use crate::lower::stage_lowering::StageLowering;

pub(super) fn lower(stage: &mut StageLowering<'_>, shell: &ShellInstruction) {
    let words: Vec<String> = shell.words.iter().map(|word| word.value.clone()).collect();
    stage
        .state
        .record(format!("SHELL {}", format::list(&words)), true);
    stage.config().shell = words;
}
