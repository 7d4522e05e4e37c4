//! `--on-failure` of a build: what it is told of steps that fail, and the shell that is opened in one.

use std::sync::mpsc::{Receiver, Sender, channel};

use solver::FailedStep;
use store::KeptId;

use super::enter::Visit;
use crate::args::OnFailureArgument;
use crate::command::failure::chain;
use crate::command::resources;
use crate::command::run::show_all;
use crate::command::transfer::Surroundings;
use crate::options::BuildOptions;
use crate::report::{self, Kind, Report};
use crate::workshop;

/// What a build is told of steps that fail.
#[derive(Debug)]
pub(crate) struct Watch {
    failed: Receiver<FailedStep>,
}

impl Watch {
    /// Begins, and returns whom steps are to tell; nobody where they are not kept.
    pub(crate) fn begin(options: &BuildOptions) -> (Self, Option<Sender<FailedStep>>) {
        let (sender, failed) = channel();
        let keeps = options.failure.what != OnFailureArgument::Remove;
        (Self { failed }, keeps.then_some(sender))
    }

    /// Opens a shell in the step that a report names, if the build asks for one, and says before why. Returns whether the
    /// report was told.
    pub(crate) fn open_shell(
        self,
        report: &Report,
        options: &BuildOptions,
        around: Surroundings<'_>,
    ) -> bool {
        if options.failure.what != OnFailureArgument::Shell {
            return false;
        }
        let failed: Vec<FailedStep> = self.failed.try_iter().collect();
        let named = failed.iter().find(|failed| names(report, failed));
        let Some(named) = named else {
            return false;
        };
        report::print(report);
        let removed = failed.iter().map(|failed| &failed.id);
        if let Err(report) = visit(named, options, around) {
            report::print(&report);
        }
        remove(removed, around);
        true
    }
}

/// Says in a report that what a step left is kept.
pub(crate) fn note_kept(report: &mut Report, id: &KeptId) {
    report
        .notes
        .push(format!("what the step left is kept as `{id}`"));
    let way_in = format!("`careen debug {id}` opens a shell in it");
    report.help.get_or_insert(way_in);
}

fn names(report: &Report, failed: &FailedStep) -> bool {
    let id = failed.id.as_str();
    report.notes.iter().any(|note| note.contains(id))
}

/// Opens the shell, with all that the build gave to the step.
fn visit(
    failed: &FailedStep,
    options: &BuildOptions,
    around: Surroundings<'_>,
) -> Result<(), Box<Report>> {
    let Surroundings {
        builder, places, ..
    } = around;
    let (workshop, events) = workshop::open(builder, places, &options.sandbox.resolver)?;
    let mut given = failed.given.clone();
    given.limits = resources::settle(&options.sandbox.resources, &workshop);
    // The build has said all of that already.
    for _ in events.try_iter() {}
    let signals = builder
        .relay_signals()
        .map_err(|error| Report::new(Kind::Host, &error))?;
    let shell = failed.step.shell();
    report::print_text(&format!(
        "`{shell}` in {}, in what it left; `exit` ends it, and what it changes goes with it\n",
        failed.step.label
    ));
    let visit = Visit {
        workshop: &workshop,
        id: &failed.id,
        step: &failed.step,
        given: &given,
        argv: &[],
        has_terminal: true,
        is_interactive: true,
    };
    let entered = visit.run(&signals);
    show_all(&events);
    entered.map(drop)
}

/// Removes the steps that were kept for the shell alone.
fn remove<'i, I: Iterator<Item = &'i KeptId>>(ids: I, around: Surroundings<'_>) {
    let store = match workshop::open_store(around.builder, around.places) {
        Ok(store) => store,
        Err(report) => return report::print(&report),
    };
    for id in ids {
        if let Err(error) = store.kept().remove(id) {
            report::print_text(&format!("warning: {}\n", chain(&error)));
        }
    }
}
