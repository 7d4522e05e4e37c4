//! Running a command in what a step left.

use std::io;
use std::os::fd::AsFd as _;

use runtime::{ExecError, ExitStatus, SignalInbox, Talk};
use solver::kept::{EnterError, Entry};
use solver::{Given, KeptStep, StepError, Workshop};
use store::KeptId;

use super::{DebugError, find, has_terminal, is_interactive, known};
use crate::args::DebugArguments;
use crate::command::failure;
use crate::command::run::{Streams, code_of, raw_terminal, show_all, size_of_terminal};
use crate::command::transfer::Surroundings;
use crate::exit;
use crate::options::{Resolver, debug, reach};
use crate::report::{self, Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// Runs `debug ID` in the builder.
pub(super) fn run(arguments: &DebugArguments, around: Surroundings<'_>) -> Outcome {
    let Surroundings {
        builder,
        places,
        env,
    } = around;
    let usage = |error: &dyn std::error::Error| Box::new(Report::new(Kind::Usage, error));
    let mut given = debug::given(env).map_err(|error| usage(&error))?;
    given.authorities = reach::read(&env.reach).map_err(|error| usage(&error))?;
    let (workshop, events) = workshop::open(builder, places, &Resolver::default())?;
    let steps = workshop.store.kept();
    let id = find(&steps, arguments.id.as_deref().unwrap_or_default())?;
    let step = known(&steps, &id)?;
    for missing in step.missing(&given) {
        report::print_text(&format!("warning: {missing} is not kept, and not there\n"));
    }
    let signals = builder.relay_signals();
    let signals = signals.map_err(|error| Report::new(Kind::Host, &error))?;
    let visit = Visit {
        workshop: &workshop,
        id: &id,
        step: &step,
        given: &given,
        argv: &arguments.argv,
        has_terminal: has_terminal(arguments),
        is_interactive: is_interactive(arguments),
    };
    let entered = visit.run(&signals);
    show_all(&events);
    match (entered, workshop.cancel.reason()) {
        (Ok(status), _) => Ok(code_of(status)),
        (Err(_), Some(reason)) => Err(failure::interrupted(reason)),
        (Err(report), None) => Err(report),
    }
}

/// A command in what a step left.
pub(super) struct Visit<'v> {
    pub(super) workshop: &'v Workshop,
    pub(super) id: &'v KeptId,
    pub(super) step: &'v KeptStep,
    pub(super) given: &'v Given,
    /// The command; the step's shell if there is none.
    pub(super) argv: &'v [String],
    pub(super) has_terminal: bool,
    pub(super) is_interactive: bool,
}

impl Visit<'_> {
    /// Runs it to its end, on the user's streams.
    pub(super) fn run(&self, signals: &SignalInbox) -> Result<ExitStatus, Box<Report>> {
        let stdin = io::stdin();
        let terminal = self.has_terminal && runtime::terminal_size(&stdin).is_some();
        let raw = (terminal && self.is_interactive)
            .then(raw_terminal)
            .transpose()?;
        let talk = Talk {
            input: self.is_interactive.then(|| stdin.as_fd()),
            terminal: terminal.then(|| stdin.as_fd()),
            signals: Some(signals),
        };
        let entry = Entry {
            command: self.command(),
            terminal: self.has_terminal.then(size_of_terminal),
        };
        let what = (self.id, self.step, self.given);
        let mut streams = Streams::default();
        let status = solver::kept::enter(self.workshop, what, &entry, talk, &mut streams);
        // What is said next is said to a terminal that is as it was.
        drop(raw);
        status.map_err(|error| Box::new(self.report(&error)))
    }

    fn command(&self) -> Vec<String> {
        if self.argv.is_empty() {
            vec![self.step.shell().to_owned()]
        } else {
            self.argv.to_vec()
        }
    }

    fn report(&self, error: &EnterError) -> Report {
        match error {
            EnterError::Step(StepError::Exec(source)) => self.of_exec(source),
            EnterError::Step(StepError::Emulation(source)) => failure::of_emulation(source),
            EnterError::Gone { .. } => Report::new(Kind::User, error),
            EnterError::Definition { .. } => Report::new(Kind::Internal, error),
            EnterError::Open { .. } => Report::new(Kind::Host, error),
            EnterError::Step(step) => Report::new(Kind::User, step),
        }
    }

    /// Reports a command that did not come to run, as `careen run` does.
    fn of_exec(&self, source: &ExecError) -> Report {
        let command = self.command();
        let command = command.first().map_or("", String::as_str);
        let (code, title) = match source {
            ExecError::CommandNotFound { .. } => {
                (exit::NOT_FOUND, format!("the step has no `{command}`"))
            }
            ExecError::CommandNotExecutable { .. } => (
                exit::NOT_EXECUTABLE,
                format!("the step's `{command}` cannot be executed"),
            ),
            _ => return failure::of_exec(source),
        };
        let mut report = Report::new(Kind::Code(code), source);
        report.title = title;
        if self.argv.is_empty() {
            let id = self.id;
            report.help = Some(format!(
                "`careen debug {id} -- COMMAND` runs another program"
            ));
        }
        report
    }
}

impl From<DebugError> for Report {
    fn from(error: DebugError) -> Self {
        *Box::<Self>::from(error)
    }
}
