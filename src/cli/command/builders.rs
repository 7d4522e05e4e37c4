//! `careen create`, `use`, `ls`, `inspect`, `rm` and `stop`: the builders of `docker buildx`.
//!
//! What does not remove a store runs in the first process: it looks at files of the user's and at the machine.

mod create;
mod inspect;
mod ls;
pub(crate) mod platforms;
mod rm;
mod rules;

use crate::args::{
    Arguments, BuildArguments, BuilderCommand, BuilderStopArguments, BuilderUseArguments, Command,
    DiskCommand,
};
use crate::builders::{BuilderName, Builders, Chosen, ChosenError, Driver};
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::options::Places;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;

pub(crate) use rm::run as remove;

/// Runs a command about builders, but for `rm`.
pub(crate) fn run(command: &BuilderCommand, parsed: &Arguments, env: &Environment) -> Outcome {
    match command {
        BuilderCommand::Create(create) => create::run(create, env),
        BuilderCommand::Use(arguments) => take(arguments, env),
        BuilderCommand::Ls(ls) => ls::run(ls, &places(parsed, env)?, env),
        BuilderCommand::Inspect(inspect) => inspect::run(inspect, &places(parsed, env)?, env),
        BuilderCommand::Stop(stop) => halt(stop, env),
        // It removes files that only the builder's process can.
        BuilderCommand::Rm(_) => Ok(exit::DONE),
    }
}

fn places(parsed: &Arguments, env: &Environment) -> Result<Places, Box<Report>> {
    let config = Config::load(env).map_err(|error| Report::new(Kind::Usage, &error))?;
    let places = Places::find(&parsed.global, env, &config);
    places.map_err(|error| Box::new(Report::new(Kind::Usage, &error)))
}

/// Reports that there is no such builder, or that it is of no use.
pub(super) fn refused(error: &ChosenError) -> Box<Report> {
    let kind = match error {
        ChosenError::State(_) | ChosenError::Elsewhere { .. } => Kind::Host,
        ChosenError::Name(_) | ChosenError::Unknown { .. } => Kind::Usage,
    };
    let mut report = Report::new(kind, error);
    if let ChosenError::Unknown { name, .. } = error {
        report.help = Some(format!("`careen buildx create --name {name}` makes it"));
    }
    Box::new(report)
}

/// `use`: takes a builder for the builds to come.
fn take(arguments: &BuilderUseArguments, env: &Environment) -> Outcome {
    let taken = || -> Result<(), ChosenError> {
        let builders = Builders::find(env)?;
        let chosen = Chosen::named(&builders, &arguments.name)?;
        Ok(builders.change()?.take(&chosen.builder.name)?)
    };
    taken().map_err(|error| refused(&error))?;
    Ok(exit::DONE)
}

/// `stop`: nothing runs between builds.
fn halt(arguments: &BuilderStopArguments, env: &Environment) -> Outcome {
    Chosen::find(env, arguments.name.as_deref()).map_err(|error| refused(&error))?;
    Ok(exit::DONE)
}

/// Says in a line that there is nothing to be started.
fn tell_bootstrap(name: &BuilderName) {
    let text = format!("builder `{name}` is ready: there is no container to start\n");
    report::print_text(&text);
}

/// Finds the builder of a build, and fills in what it means: where the build's store is, and whether an image with a name
/// is kept without being asked for.
pub(crate) fn settle(parsed: &mut Arguments, env: &Environment) -> Result<(), Box<Report>> {
    if let Command::Disk(command) = &mut parsed.command {
        return settle_disk(command, env);
    }
    if let Command::Debug(debug) = &mut parsed.command {
        // What it looks into is in the store of the builder that built.
        let chosen = Chosen::find(env, debug.builder.as_deref());
        debug.chosen = Some(chosen.map_err(|error| refused(&error))?);
    }
    let Command::Build(build) = &mut parsed.command else {
        return Ok(());
    };
    let buildx = &build.policy.buildx;
    let given = buildx.builder.as_deref();
    let chosen = find(env, given, buildx.passes_over_current)?;
    chosen.check_here().map_err(|error| refused(&error))?;
    if chosen.builder.driver == Driver::Docker && keeps_by_itself(build, env) {
        build.result.load = true;
    }
    if let (true, Ok(builders)) = (chosen.is_made, Builders::find(env)) {
        builders.note_use(&chosen.builder.name);
    }
    build.policy.buildx.chosen = Some(chosen);
    Ok(())
}

/// Finds the builder whose build cache a command is about.
fn settle_disk(command: &mut DiskCommand, env: &Environment) -> Result<(), Box<Report>> {
    if let Some(of) = command.of_mut() {
        let chosen = find(env, of.builder.as_deref(), of.passes_over_current)?;
        chosen.check_here().map_err(|error| refused(&error))?;
        of.chosen = Some(chosen);
    }
    Ok(())
}

fn find(
    env: &Environment,
    given: Option<&str>,
    passes_over_current: bool,
) -> Result<Chosen, Box<Report>> {
    let chosen = if passes_over_current {
        let default = || Chosen::this_machine(BuilderName::of_default());
        Chosen::of_environment(env, given).map(|chosen| chosen.unwrap_or_else(default))
    } else {
        Chosen::find(env, given)
    };
    chosen.map_err(|error| refused(&error))
}

/// Returns the builder of a build, once it is settled.
pub(crate) fn of(parsed: &Arguments) -> Option<&Chosen> {
    match &parsed.command {
        Command::Build(build) => build.policy.buildx.chosen.as_ref(),
        Command::Disk(command) => command.of()?.chosen.as_ref(),
        Command::Debug(debug) => debug.chosen.as_ref(),
        _ => None,
    }
}

/// Tells whether an image is kept though nothing says where the result goes: it was given a name, or its id is asked for, as in
/// `docker run $(docker build -q .)`. Docker's own builder keeps every image.
fn keeps_by_itself(build: &BuildArguments, env: &Environment) -> bool {
    let result = &build.result;
    let says_where = result.push
        || result.append
        || !result.outputs.is_empty()
        || build.call.is_some()
        || build.check;
    let is_wanted = !build.tags.is_empty() || result.quiet || result.iidfile.is_some();
    is_wanted && !says_where && !env.buildx.no_default_load
}
