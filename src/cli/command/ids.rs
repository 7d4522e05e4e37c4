//! What is done where an image has an id that the range of the user does not reach: the command is begun again with one
//! id, if nothing else was asked for and nothing is lost.

use std::path::Path;

use runtime::probe::Wish;
use runtime::userns::SandboxId;
use runtime::{Builder, ExecutorMode};
use solver::UsersBeyond;

use crate::args::{Arguments, BuildArguments, Command};
use crate::exit;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// The name of standard input, which cannot be read a second time.
const STDIN: &str = "-";

/// Returns what is done about users that the range does not reach: they are refused where the command can be begun again.
pub(crate) fn users_beyond(parsed: &Arguments, wish: Wish) -> UsersBeyond {
    let can_begin_again = match &parsed.command {
        Command::Build(build) => !reads_stdin(build),
        Command::Run(_) => true,
        _ => false,
    };
    match wish {
        Wish::Best if can_begin_again => UsersBeyond::Refused,
        _ => UsersBeyond::Kept,
    }
}

fn reads_stdin(build: &BuildArguments) -> bool {
    let given = [&build.context, &build.file];
    given
        .into_iter()
        .any(|path| path.as_deref() == Some(Path::new(STDIN)))
}

/// Has the first process begin again if that is what helps; else says what does.
pub(crate) fn give_way(mut report: Box<Report>, builder: &Builder, users: UsersBeyond) -> Outcome {
    let is_range = builder.ids().mode() == ExecutorMode::UsernsMulti;
    let Kind::LacksId(id) = report.kind else {
        return Err(report);
    };
    if !is_range {
        return Err(report);
    }
    if users == UsersBeyond::Refused && builder.lacks_id(SandboxId(id)).is_ok() {
        // The first process knows more than a code.
        return Ok(exit::HOST);
    }
    let help =
        "`--executor userns-single` keeps owners beside the files, and needs no range of ids";
    report.help.get_or_insert_with(|| help.to_owned());
    Err(report)
}
