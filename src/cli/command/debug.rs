//! `careen debug`: what steps that failed left, and the shell of a build that asks for one.

mod enter;
mod kept;
mod shell;

use std::io;

use runtime::{SignalsAre, TerminalSettings};
use solver::KeptStep;
use store::{KeptError, KeptId, KeptSteps};

use super::transfer::Surroundings;
use crate::args::{
    Arguments, BuildArguments, Command, DebugArguments, DebugCommand, OnFailureArgument,
};
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

pub(crate) use shell::{Watch, note_kept};

/// Why a kept step cannot be worked with, beyond what is wrong with its command.
#[derive(Debug, thiserror::Error)]
enum DebugError {
    /// A shell cannot be talked to through something that is no terminal.
    #[error("standard input is no terminal, and a shell needs one")]
    NoTerminal,
    /// The same, of a build.
    #[error("`--on-failure=shell` needs a terminal, and {stream} is none")]
    NoTerminalOfBuild { stream: &'static str },
    /// There is none of this name.
    #[error("there is no kept step `{text}`")]
    Unknown { text: String },
    /// The name is the beginning of several.
    #[error("`{text}` is the beginning of {count} kept steps")]
    Several { text: String, count: usize },
    /// Somebody has it open.
    #[error("the kept step `{id}` is in use")]
    InUse { id: KeptId },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] KeptError),
}

impl From<DebugError> for Box<Report> {
    fn from(error: DebugError) -> Self {
        let (kind, help) = match &error {
            DebugError::NoTerminal => (
                Kind::Usage,
                Some("`careen debug ID -- COMMAND` runs a command without one"),
            ),
            DebugError::NoTerminalOfBuild { .. } => (
                Kind::Usage,
                Some(
                    "`--on-failure=keep` needs none, and neither does `careen debug ID -- COMMAND` later",
                ),
            ),
            DebugError::Unknown { .. } | DebugError::Several { .. } => {
                (Kind::User, Some("`careen debug ls` lists them"))
            }
            DebugError::InUse { .. } => (Kind::User, None),
            DebugError::Store(_) => (Kind::Host, None),
        };
        Self::new(Report {
            help: help.map(str::to_owned),
            ..Report::new(kind, &error)
        })
    }
}

/// Runs `debug` in the builder.
pub(crate) fn run(arguments: &DebugArguments, around: Surroundings<'_>) -> Outcome {
    match &arguments.command {
        Some(DebugCommand::Ls(ls)) => {
            let store = workshop::open_store(around.builder, around.places)?;
            kept::list(ls, &store.kept())
        }
        Some(DebugCommand::Rm(rm)) => {
            let store = workshop::open_store(around.builder, around.places)?;
            kept::remove(rm, &store.kept())
        }
        None => enter::run(arguments, around),
    }
}

/// Says what is wrong before a process is started.
pub(crate) fn check(parsed: &Arguments) -> Result<(), Box<Report>> {
    let error = match &parsed.command {
        Command::Debug(debug) if has_terminal(debug) && is_interactive(debug) => {
            (!is_terminal(Stream::In)).then_some(DebugError::NoTerminal)
        }
        Command::Build(build) if opens_shell(build) => {
            let streams = [
                (Stream::In, "standard input"),
                (Stream::Out, "standard output"),
            ];
            let none = streams
                .into_iter()
                .find(|(stream, _)| !is_terminal(*stream));
            none.map(|(_, stream)| DebugError::NoTerminalOfBuild { stream })
        }
        _ => None,
    };
    error.map_or(Ok(()), |error| Err(error.into()))
}

/// Returns how the user's terminal is, if the command may change that.
///
/// # Errors
///
/// Fails when the terminal does not say.
pub(crate) fn terminal_settings(
    command: &Command,
) -> Result<Option<TerminalSettings>, runtime::CallError> {
    match command {
        Command::Debug(debug) if has_terminal(debug) => TerminalSettings::of(io::stdin()),
        Command::Build(build) if opens_shell(build) => TerminalSettings::of(io::stdin()),
        _ => Ok(None),
    }
}

/// Returns what signals mean to a command of ours that is entered.
pub(crate) fn signals(arguments: &DebugArguments) -> SignalsAre {
    match arguments.command {
        None => SignalsAre::Messages,
        Some(_) => SignalsAre::Wishes,
    }
}

fn opens_shell(build: &BuildArguments) -> bool {
    // What else it may be was refused.
    build.failure.on_failure == Some(OnFailureArgument::Shell) || build.failure.invoke.is_some()
}

/// Tells whether the command has a terminal: a shell has one without being asked.
fn has_terminal(arguments: &DebugArguments) -> bool {
    arguments.command.is_none() && (arguments.tty || arguments.argv.is_empty())
}

fn is_interactive(arguments: &DebugArguments) -> bool {
    arguments.interactive || arguments.argv.is_empty()
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    In,
    Out,
}

fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::In => runtime::terminal_size(io::stdin()),
        Stream::Out => runtime::terminal_size(io::stdout()),
    }
    .is_some()
}

/// Returns the kept step whose id begins like this.
fn find(steps: &KeptSteps, text: &str) -> Result<KeptId, DebugError> {
    let ids = steps.ids()?;
    let mut found = ids.into_iter().filter(|id| id.as_str().starts_with(text));
    let text = text.to_owned();
    match (found.next(), found.count()) {
        (Some(id), 0) => Ok(id),
        (Some(_), others) => Err(DebugError::Several {
            text,
            count: others + 1,
        }),
        (None, _) => Err(DebugError::Unknown { text }),
    }
}

/// Returns what is known of a kept step.
fn known(steps: &KeptSteps, id: &KeptId) -> Result<KeptStep, DebugError> {
    let text = id.to_string();
    steps.get(id)?.ok_or(DebugError::Unknown { text })
}
