//! `JSONArgsRecommended`: a shell between the program and its signals.

use crate::ast::{CommandForm, Instruction};
use crate::check::{Rule, Site};

/// Finds a `CMD` or an `ENTRYPOINT` in shell form. Where a shell was set, by `SHELL` or the base image, it is meant.
pub(crate) fn json_args(
    instruction: &Instruction,
    command: &CommandForm,
    shell: &[String],
    at: &mut Site<'_>,
) {
    if let CommandForm::Shell(text) = command
        && shell.is_empty()
    {
        let detail = format!(
            "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
            instruction.keyword.value
        );
        at.find(Rule::JsonArgsRecommended, detail, text.span);
    }
}
