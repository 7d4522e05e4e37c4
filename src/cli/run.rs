//! From the command line to an exit code.
//!
//! The first process understands the command line and stays single-threaded; what touches the store
//! runs in the builder, a copy of it in a user namespace of its own.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use runtime::probe::Choice;
use runtime::userns;
use runtime::{Builder, BuilderExit, BuilderRole, TerminalSettings};
use solver::UsersBeyond;

use crate::args::{Arguments, BuilderCommand, Command, DockerArguments};
use crate::command;
use crate::command::build::{Carried, Tried, try_build};
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::host::Host;
use crate::options::{Places, reach};
use crate::report::{self, Kind, Report};
use crate::spelling;
use crate::workshop;

/// What a command ends with: an exit code, or a report of why not.
pub(crate) type Outcome = Result<u8, Box<Report>>;

/// Runs careen with these arguments, the program's name first; returns the exit code.
pub fn run(arguments: &[OsString]) -> ExitCode {
    if let Some(role) = runtime::role(arguments) {
        return role.take();
    }
    let again = userns::begun_again(arguments);
    let (arguments, start) = match &again {
        Some(arguments) => (arguments.as_slice(), Start::Again),
        None => (arguments, Start::First),
    };
    let line = CommandLine {
        arguments,
        start,
        is_run: command::run::is_asked(arguments),
    };
    ExitCode::from(told(line.is_run, first(&line)))
}

/// What the program was started with.
struct CommandLine<'a> {
    arguments: &'a [OsString],
    start: Start,
    /// Whether it is `run`, whose exit codes are the command's.
    is_run: bool,
}

/// Whether this is the first attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    First,
    /// The process had a thread that did not end when it was to be copied.
    Again,
}

impl CommandLine<'_> {
    /// Tells how a command has ended that needs no builder, or begins again.
    fn alone(&self, tried: Tried, env: &Environment) -> Alone {
        let outcome = match tried {
            Tried::GoesOn(carried) => return Ok(carried),
            Tried::Ended(outcome) => outcome,
            Tried::Crowded(alone) => {
                let error = alone.begin_again(self.arguments, env.everything());
                Err(Box::new(Report::new(Kind::Host, &error)))
            }
        };
        Err(told(self.is_run, outcome))
    }
}

/// What a builder goes on with, or the exit code if none is needed.
type Alone = Result<Carried, u8>;

/// What carries a command out.
struct Ways<'a> {
    /// Tries to do without a builder.
    alone: &'a dyn Fn(&Choice, &Places) -> Alone,
    /// What the builder does.
    builder: &'a dyn Fn(BuilderRole, &Places, &Carried) -> u8,
}

/// Returns the code that a process ends with, and says why where it is not the command's own.
fn told(is_run: bool, outcome: Outcome) -> u8 {
    outcome.unwrap_or_else(|report| {
        report::print(&report);
        if is_run {
            report.kind.exit_code_of_run()
        } else {
            report.kind.exit_code()
        }
    })
}

/// The first process: understands the arguments and starts the builder.
fn first(line: &CommandLine<'_>) -> Outcome {
    let mut parsed = match parse(line.arguments) {
        Ok(parsed) => parsed,
        Err(code) => return Ok(code),
    };
    parsed.command = parsed.command.unspelled();
    spelling::check(&parsed.client).map_err(|error| Report::new(Kind::Usage, &error))?;
    if let Some(outcome) = without_builder(&parsed) {
        return outcome;
    }
    let (mut env, config) = surroundings(&parsed)?;
    command::builders::settle(&mut parsed, &env)?;
    let options = command::check(&parsed, &env, &config)?;
    env.hide(&command::secret_variables(&parsed, &env));
    // Before anything is tried in a process of its own.
    userns::wipe_environment(&env.hidden());
    let _terminal = kept_terminal(&parsed)?;
    let mut host = Host::look(&env);
    let places = Places::find(&parsed.global, &env, &config)
        .map_err(|error| Report::new(Kind::Usage, &error))?
        .of_builder(command::builders::of(&parsed));
    let alone = |choice: &Choice, places: &Places| match &options {
        Some(options) if line.start == Start::First => {
            line.alone(try_build(options.clone(), choice, (places, &env)), &env)
        }
        _ => Ok(Carried::default()),
    };
    let builder = |role: BuilderRole, places: &Places, carried: &Carried| {
        let surroundings = (&env, places, carried);
        told(line.is_run, builder(role, &parsed, surroundings, &config))
    };
    let ways = Ways {
        alone: &alone,
        builder: &builder,
    };
    let exit = attempts(&parsed, (&env, &mut host), places, &ways);
    if !matches!(exit, Ok(BuilderExit::Code(code)) if code != i32::from(exit::HOST)) {
        host.forget();
    }
    match exit? {
        BuilderExit::Code(code) => Ok(u8::try_from(code).unwrap_or(exit::INTERNAL)),
        BuilderExit::Signal(signal) => Err(command::builder_ended(signal)),
        BuilderExit::LacksId(_) => Ok(exit::HOST),
    }
}

/// Carries a command out that needs no builder; none where one is needed.
fn without_builder(parsed: &Arguments) -> Option<Outcome> {
    Some(match &parsed.command {
        Command::Registry { command } => command::registry::run(command),
        Command::Doctor(doctor) => {
            command::doctor::run(doctor, &parsed.global, &environment(parsed))
        }
        Command::Login(login) => {
            surroundings(parsed).and_then(|(env, _)| command::login::login(login, &env))
        }
        Command::Logout(logout) => command::login::logout(logout, &environment(parsed)),
        Command::Binfmt(binfmt) => command::binfmt::run(binfmt, parsed, &environment(parsed)),
        Command::History(history) => command::history::run(history, parsed, &environment(parsed)),
        Command::Version(version) => command::version::run(version),
        Command::Completion(completion) => command::pages::complete(completion),
        Command::Man(man) => command::pages::man(man),
        Command::Other(words) => Err(command::other::refuse(words)),
        Command::Builders(BuilderCommand::Rm(_)) => return None,
        Command::Builders(builders) => {
            command::builders::run(builders, parsed, &environment(parsed))
        }
        _ => return None,
    })
}

/// Carries the command out with the best ids that there are, and again with one if an image needs more than those.
fn attempts(
    parsed: &Arguments,
    (env, host): (&Environment, &mut Host),
    mut places: Places,
    ways: &Ways<'_>,
) -> Result<BuilderExit, Box<Report>> {
    places.users = command::users_beyond(parsed, places.executor);
    let (choice, chosen) = choose(parsed, host, &places)?;
    let mut carried = match (ways.alone)(&choice, &chosen) {
        Ok(carried) => carried,
        Err(code) => return Ok(BuilderExit::Code(code.into())),
    };
    let signals = (command::signals(parsed), carried.noted.take());
    let exit = workshop::run_builder(env, (host, &choice), signals, |role| {
        (ways.builder)(role, &chosen, &carried)
    })?;
    let BuilderExit::LacksId(id) = exit else {
        return Ok(exit);
    };
    host.lacks(id);
    places.users = UsersBeyond::Kept;
    let (choice, chosen) = choose(parsed, host, &places)?;
    let signals = (command::signals(parsed), None);
    workshop::run_builder(env, (host, &choice), signals, |role| {
        (ways.builder)(role, &chosen, &Carried::default())
    })
}

/// Chooses what commands are run with, and says so where it is not what one would expect.
fn choose(
    parsed: &Arguments,
    host: &mut Host,
    places: &Places,
) -> Result<(Choice, Places), Box<Report>> {
    let choice = host.choose(&places.store, places.executor)?;
    command::tell_choice(parsed, host, &choice);
    let places = places.clone().with_choice(host, &choice);
    Ok((choice, places))
}

/// Reads the environment and the configuration, and how servers are reached by both and the command line.
fn surroundings(parsed: &Arguments) -> Result<(Environment, Config), Box<Report>> {
    let mut env = environment(parsed);
    let config = Config::load(&env).map_err(|error| Report::new(Kind::Usage, &error))?;
    let settled = reach::settle(&mut env, &parsed.global, &config);
    settled.map_err(|error| Report::new(Kind::Usage, &error))?;
    Ok((env, config))
}

/// The builder: carries the command out.
fn builder(
    role: BuilderRole,
    parsed: &Arguments,
    (env, places, carried): (&Environment, &Places, &Carried),
    config: &Config,
) -> Outcome {
    // No thread exists yet: the kernel refuses a user namespace to a process that has several.
    let builder = workshop::enter(role)?;
    let _watch = builder
        .watch()
        .map_err(|error| Report::new(Kind::Host, &error))?;
    carry_out(parsed, &builder, (env, places, carried), config)
        .or_else(|report| command::give_way(report, &builder, places.users))
}

fn carry_out(
    parsed: &Arguments,
    builder: &Builder,
    (env, places, carried): (&Environment, &Places, &Carried),
    config: &Config,
) -> Outcome {
    let around = command::transfer::Surroundings {
        builder,
        places,
        env,
    };
    match &parsed.command {
        Command::Build(build) => {
            command::build::run(build, (builder, carried), places, env, config)
        }
        Command::CheckBase(check) => command::check_base::run(check, around),
        Command::Diff(diff) => command::diff::run(diff, around),
        Command::Unpack(unpack) => command::unpack::run(unpack, around),
        Command::Repack(repack) => command::repack::run(repack, around),
        Command::Export(export) => command::export::run(export, around),
        Command::Run(run) => command::run::run(run, around),
        Command::Debug(debug) => command::debug::run(debug, around),
        Command::Transfer(command) => command::transfer::run_images(command, around),
        Command::Places(command) => command::transfer::run_places(command, around),
        Command::Image { command } => command::image::run(command, around),
        Command::Disk(command) => command::disk::run(command, around),
        Command::Imagetools { command } => command::index::run_imagetools(command, around),
        Command::Manifest { command } => command::index::run_manifest(command, around),
        Command::Merge(merge) => command::index::run_merge(merge, around),
        Command::Images(ls) => command::image::ls::run(ls, builder, places),
        Command::Rmi(rm) => command::image::rm::run(rm, builder, places),
        Command::Tag(tag) => command::image::tag::run(tag, builder, places),
        Command::Registry { command } => command::registry::run(command),
        Command::Login(login) => command::login::login(login, env),
        Command::Logout(logout) => command::login::logout(logout, env),
        Command::Doctor(doctor) => command::doctor::run(doctor, &parsed.global, env),
        Command::Fsck(fsck) => command::fsck::run(fsck, builder, places),
        Command::Builders(BuilderCommand::Rm(rm)) => command::builders::remove(rm, around),
        Command::Builders(builders) => command::builders::run(builders, parsed, env),
        Command::History(history) => command::history::run(history, parsed, env),
        Command::Version(version) => command::version::run(version),
        Command::Completion(completion) => command::pages::complete(completion),
        Command::Man(man) => command::pages::man(man),
        Command::Binfmt(binfmt) => command::binfmt::run(binfmt, parsed, env),
        Command::Buildx(_) => Ok(exit::DONE),
        Command::Other(words) => Err(command::other::refuse(words)),
    }
}

/// Reads the environment, with what docker's own arguments say in its place.
fn environment(parsed: &Arguments) -> Environment {
    let mut env = Environment::read();
    if let Some(directory) = &parsed.client.config {
        env.docker_config = Some(env.current_directory.join(directory));
    }
    env
}

/// Puts the terminal back when the builder, which changes it, has ended in whatever way.
struct KeptTerminal(Option<TerminalSettings>);

impl Drop for KeptTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        drop(self.0.as_ref().map(TerminalSettings::restore));
    }
}

fn kept_terminal(parsed: &Arguments) -> Result<KeptTerminal, Box<Report>> {
    let settings = match &parsed.command {
        Command::Run(run) if run.tty => TerminalSettings::of(io::stdin()),
        command => command::debug::terminal_settings(command),
    };
    let settings = settings.map_err(|error| Report::new(Kind::Host, &error))?;
    Ok(KeptTerminal(settings))
}

/// Parses the arguments, in docker's words where the program goes by its name; what clap itself answers (`--help`, a
/// mistake) ends with its code.
fn parse(arguments: &[OsString]) -> Result<Arguments, u8> {
    let parsed = if spelling::is_docker(arguments) {
        DockerArguments::try_parse_from(arguments).map(Arguments::from)
    } else {
        Arguments::try_parse_from(arguments)
    };
    let parsed = parsed.and_then(Arguments::with_binfmt);
    parsed.map_err(|error| {
        let is_answer = spelling::is_answer(&error, arguments);
        let text = error.render();
        // Whoever closes our output has read what they wanted.
        let written = if is_answer {
            write!(io::stdout(), "{text}")
        } else {
            write!(io::stderr(), "{text}")
        };
        drop(written);
        match is_answer {
            true => exit::DONE,
            false if command::run::is_asked(arguments) => exit::RUN_FAILED,
            false => exit::USAGE,
        }
    })
}
