//! A command that failed, or that nobody could run → what the user is told.

use runtime::{ExecError, SpecificationError};
use solver::ops::exec::{CommandFailure, EmulatorCrash, FailureStatus};

use super::super::debug::note_kept;
use super::{disk, mount, network};
use crate::report::{Kind, Report};

/// How to look into what a command left.
const WAY_IN: &str =
    "`--on-failure=shell` opens a shell in what the step left, `--on-failure=keep` keeps that";

/// What a note begins with that has the last lines of a command.
pub(crate) const LAST_OUTPUT: &str = "last output:\n";

/// Reports a command that ended with a failure.
pub(super) fn of_failed(failure: &CommandFailure) -> Report {
    let mut report = Report::new(Kind::User, failure);
    let words = failure.in_buildkits_words();
    report.solve = Some(match failure.status {
        FailureStatus::Code(_) => words,
        FailureStatus::Signal(_) => format!("{words}: {}", failure.status),
    });
    if !failure.last_output.is_empty() {
        report
            .notes
            .push([LAST_OUTPUT, &failure.last_output.join("\n")].concat());
    }
    if failure.ran_out_of_memory {
        let told = "the kernel ended a process of this step: it had used up the memory that `--memory` gives";
        report.notes.push(told.to_owned());
    }
    match &failure.kept {
        Some(id) => note_kept(&mut report, id),
        None => report.help = Some(WAY_IN.to_owned()),
    }
    if let Some(store) = &failure.full_store {
        disk::tell_full(&mut report, store);
    }
    if let Some(emulator) = &failure.emulator {
        report
            .notes
            .push(format!("this step ran under emulation ({emulator})"));
        if let Some(crash) = &failure.crash {
            tell_crash(&mut report, emulator, crash);
        }
    }
    report
}

/// Says that a fault may be the emulator's, and which one it was.
fn tell_crash(report: &mut Report, emulator: &str, crash: &EmulatorCrash) {
    let version = crash.version.as_ref();
    let version = version.map_or_else(String::new, |version| format!(" ({version})"));
    report.notes.push(format!(
        "`{emulator}`, or the program that it ran, crashed with {}{version}",
        crash.signal
    ));
    let help = "if the program runs on such a processor, another version of the emulator may run it: \
                `emulators` in the configuration names its directory";
    report.help = Some(help.to_owned());
}

/// Reports a command that did not come to an end of its own.
pub(crate) fn of_exec(failure: &ExecError) -> Report {
    match failure {
        ExecError::CommandNotFound { command, .. } => {
            let mut report = Report::new(Kind::User, failure);
            report.title = format!("RUN failed: the image has no `{command}`");
            report
        }
        ExecError::Mount {
            target, obstacle, ..
        } => mount::of_target(failure, target, *obstacle),
        ExecError::Specification(SpecificationError::NeedsNamespace { .. }) => {
            Report::new(Kind::Host, failure)
        }
        ExecError::Nothing { obstacles } => {
            let mut report = Report::new(Kind::Host, failure);
            report.notes.clone_from(obstacles);
            report.help = Some("`careen doctor` tells what this machine allows".to_owned());
            report
        }
        ExecError::CommandNotExecutable { .. }
        | ExecError::Specification(_)
        | ExecError::Lost
        | ExecError::OutOfMemory
        | ExecError::Talk(_)
        | ExecError::Cancelled => Report::new(Kind::User, failure),
        ExecError::Network(cause) => network::report(failure, cause),
        ExecError::Namespace(_)
        | ExecError::Starter(_)
        | ExecError::Start(_)
        | ExecError::Watch(_)
        | ExecError::CleanUp(_)
        | ExecError::Group(_)
        | ExecError::Setup { .. } => Report::new(Kind::Host, failure),
    }
}
