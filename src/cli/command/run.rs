//! `careen run`: a command on an image, to try it.
//!
//! Its exit codes are those of `docker run`: the command's own, 127 and 126 for one that is not there or cannot be
//! executed, 128 and the number of the signal that ended it, and 125 for everything that careen itself says.

mod stream;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use oci::{Digest, ImageConfig, Platform};
use runtime::{
    Access, Builder, DEFAULT_SHARED_MEMORY_BYTES, ExecError, ExitStatus, Hostname, RawTerminal,
    SignalInbox, Talk, TerminalSettings, TerminalSize,
};
use solver::base::{BaseError, ResolvedImage};
use solver::{Event, Launch, StepError, TimedEvent, Workshop};
use store::SnapshotId;

use super::failure;
use super::located::Finder;
use super::resources;
use super::transfer::Surroundings;
use super::workspace;
use crate::args::RunArguments;
use crate::exit;
use crate::options::run::{RunOptions, detected_platform};
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

pub(super) use stream::Streams;

/// Why a command cannot be run on an image, beyond what is wrong with the image.
#[derive(Debug, thiserror::Error)]
enum RunError {
    /// Nothing says what to run.
    #[error("`{image}` has no command, and none was given")]
    NoCommand { image: String },
    /// A terminal cannot be talked to through something that is none.
    #[error("standard input is no terminal, and `-t` with `-i` needs one")]
    NoTerminal,
    /// The image is for something else.
    #[error("`{image}` is for {found}, and {wanted} was asked for")]
    Platform {
        image: String,
        found: Box<Platform>,
        wanted: Box<Platform>,
    },
    /// A file of the machine is not there.
    #[error("cannot use the volume `{}`", path.display())]
    Volume { path: PathBuf, source: io::Error },
}

/// Tells whether a command line is one of `run`, even if it is wrong in other ways.
pub(crate) fn is_asked(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--store") => drop(words.next()),
            Some(word) if word.starts_with('-') => {}
            word => return word == Some("run"),
        }
    }
    false
}

/// Runs `run` in the builder.
pub(crate) fn run(arguments: &RunArguments, around: Surroundings<'_>) -> Outcome {
    let Surroundings {
        builder,
        places,
        env,
    } = around;
    let options =
        RunOptions::new(arguments, env).map_err(|error| Report::new(Kind::Usage, &error))?;
    check(&options).map_err(|error| Report::new(Kind::User, &error))?;
    let registry = workspace::client((around, &arguments.registry), &[&options.image])?;
    let (workshop, events) = workshop::open(builder, places, &options.sandbox.resolver)?;
    for warning in options.sandbox.warnings.iter().chain(&options.warnings) {
        workshop.events.warn(warning.clone());
    }
    let limits = resources::settle(&options.sandbox.resources, &workshop);
    let finder = Finder {
        workshop: &workshop,
        registry: &registry,
        host: &options.host,
        directory: &env.current_directory,
    };
    let prepared = prepare(&options, &finder);
    // What the command says comes after all that is said before it.
    show_all(&events);
    let launched = prepared.and_then(|mut launch| {
        launch.limit(&limits);
        let signals = signals(arguments, builder)?;
        start(&workshop, &launch, &options, signals.as_ref())
    });
    match (launched, workshop.cancel.reason()) {
        (Ok(status), _) => Ok(code_of(status)),
        (Err(_), Some(reason)) => Err(failure::interrupted(reason)),
        (Err(report), None) => Err(report),
    }
}

/// Shows the warnings that there are.
pub(super) fn show_all(events: &Receiver<TimedEvent>) {
    for timed in events.try_iter() {
        if let Event::Warning { text } = timed.event {
            eprint(&format!("warning: {text}\n"));
        }
    }
}

/// Says what is wrong before anything is looked for.
fn check(options: &RunOptions) -> Result<(), RunError> {
    if options.terminal && options.interactive && runtime::terminal_size(io::stdin()).is_none() {
        return Err(RunError::NoTerminal);
    }
    for volume in &options.volumes {
        let path = &volume.host;
        std::fs::metadata(path).map_err(|source| RunError::Volume {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Finds the image, and works out what is to be run on it.
fn prepare(options: &RunOptions, finder: &Finder<'_>) -> Result<Launch, Box<Report>> {
    let image = finder.image_to_run(&options.image, options.platform.as_ref(), options.pull)?;
    let platform = image.config.platform();
    check_platform(options, &platform)?;
    let command = options.argv(&image.config);
    if command.is_empty() {
        let image = options.image.clone();
        let error = RunError::NoCommand { image };
        return Err(Box::new(Report::new(Kind::User, &error)));
    }
    let hostname = match &options.hostname {
        Some(name) => Hostname::Asked(name.clone()),
        None => Hostname::Usual(made_up_name()?),
    };
    Ok(launch(options, image, command, hostname))
}

/// Warns as docker does of an image that nobody asked for, and refuses one that is not what was asked for.
fn check_platform(options: &RunOptions, found: &Platform) -> Result<(), Box<Report>> {
    match &options.platform {
        Some(wanted) if !wanted.can_run(&found.normalized()) => {
            let error = RunError::Platform {
                image: options.image.clone(),
                found: Box::new(found.clone()),
                wanted: Box::new(wanted.clone()),
            };
            Err(Box::new(Report::new(Kind::User, &error)))
        }
        None if !options.host.can_run(&found.normalized()) => {
            let host = detected_platform(&options.host);
            eprint(&format!(
                "WARNING: The requested image's platform ({found}) does not match the detected host platform \
                 ({host}) and no specific platform was requested\n"
            ));
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn launch(
    options: &RunOptions,
    ResolvedImage { source, config }: ResolvedImage,
    command: Vec<String>,
    hostname: Hostname,
) -> Launch {
    let image = &config.config;
    let settings = &options.sandbox.settings;
    let own = |given: &Option<String>, image: &Option<String>, usual: &str| {
        let text = given.as_ref().or(image.as_ref());
        text.map_or_else(|| usual.to_owned(), Clone::clone)
    };
    Launch {
        platform: config.platform(),
        env: options.environment(&config, hostname.name()),
        user: own(&options.user, &image.user, ""),
        working_directory: own(&options.working_directory, &image.working_dir, "/"),
        extra_hosts: settings.extra_hosts.clone(),
        network: options.network,
        volumes: options.volumes.clone(),
        memory: options.memory.clone(),
        image_volumes: image_volumes(&config),
        root_access: if options.is_read_only {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        },
        shared_memory_bytes: settings
            .shared_memory_bytes
            .unwrap_or(DEFAULT_SHARED_MEMORY_BYTES),
        limits: options.limits(),
        group: None,
        terminal: options.terminal.then(size_of_terminal),
        image: source,
        command,
        hostname,
    }
}

/// Returns the volumes of an image that can be directories below its root.
fn image_volumes(config: &ImageConfig) -> Vec<String> {
    let volumes = config.config.volumes.iter();
    volumes
        .filter(|path| path.starts_with('/') && path.as_str() != "/")
        .cloned()
        .collect()
}

/// Returns how large the user's terminal is, whichever stream it is.
pub(super) fn size_of_terminal() -> TerminalSize {
    runtime::terminal_size(io::stdin())
        .or_else(|| runtime::terminal_size(io::stdout()))
        .unwrap_or_default()
}

/// Returns twelve digits that nobody else has, as docker names a container.
fn made_up_name() -> Result<String, Box<Report>> {
    let name = SnapshotId::random("host");
    let name = name.map_err(|error| Report::new(Kind::Internal, &error))?;
    let digest = Digest::of(name.as_str().as_bytes());
    Ok(digest.encoded().chars().take(12).collect())
}

/// Has signals passed on to the command, unless they are to end careen.
fn signals(
    arguments: &RunArguments,
    builder: &Builder,
) -> Result<Option<SignalInbox>, Box<Report>> {
    let inbox = arguments.sig_proxy.then(|| builder.relay_signals());
    inbox
        .transpose()
        .map_err(|error| Box::new(Report::new(Kind::Host, &error)))
}

fn start(
    workshop: &Workshop,
    launch: &Launch,
    options: &RunOptions,
    signals: Option<&SignalInbox>,
) -> Result<ExitStatus, Box<Report>> {
    let stdin = io::stdin();
    let terminal = options.terminal && runtime::terminal_size(&stdin).is_some();
    let raw = (terminal && options.interactive)
        .then(raw_terminal)
        .transpose()?;
    let talk = Talk {
        input: options.interactive.then(|| stdin.as_fd()),
        terminal: terminal.then(|| stdin.as_fd()),
        signals,
    };
    let status = solver::launch(workshop, launch, talk, &mut Streams::default());
    // What is said next is said to a terminal that is as it was.
    drop(raw);
    status.map_err(|error| Box::new(of_step(&error, launch)))
}

pub(super) fn raw_terminal() -> Result<Option<RawTerminal>, Box<Report>> {
    let settings = TerminalSettings::of(io::stdin());
    let raw = settings.and_then(|settings| settings.map(TerminalSettings::into_raw).transpose());
    raw.map_err(|error| Box::new(Report::new(Kind::Host, &error)))
}

pub(super) fn code_of(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => u8::try_from(code).unwrap_or(exit::INTERNAL),
        ExitStatus::Signal(number) => {
            exit::SIGNAL.saturating_add(u8::try_from(number).unwrap_or_default())
        }
    }
}

/// Reports a command that did not come to run.
fn of_step(error: &StepError, launch: &Launch) -> Report {
    let command = launch.command.first().map_or("", String::as_str);
    match error {
        StepError::Emulation(source) => failure::of_emulation(source),
        StepError::Exec(source @ ExecError::CommandNotFound { .. }) => {
            let mut report = Report::new(Kind::Code(exit::NOT_FOUND), source);
            report.title = format!("the image has no `{command}`");
            report
        }
        StepError::Exec(source @ ExecError::CommandNotExecutable { .. }) => {
            let mut report = Report::new(Kind::Code(exit::NOT_EXECUTABLE), source);
            report.title = format!("the image's `{command}` cannot be executed");
            report
        }
        StepError::Exec(source @ ExecError::Nothing { .. }) => failure::of_exec(source),
        StepError::Base(BaseError::NotFound { .. }) => Report::new(Kind::User, error),
        StepError::Exec(source) => Report::new(Kind::Host, source),
        _ => Report::new(Kind::User, error),
    }
}

/// Writes to standard error. Who closed it does not want to know.
fn eprint(text: &str) {
    use std::io::Write as _;
    drop(io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_of_run_is_known_by_its_first_word() {
        let cases: [(&[&str], bool); 5] = [
            (&["careen", "run", "--bogus"], true),
            (&["careen", "--store", "build", "run"], true),
            (&["careen", "--store=x", "run"], true),
            (&["careen", "build", "run"], false),
            (&["careen"], false),
        ];
        for (words, expected) in cases {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(is_asked(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn a_signal_is_told_as_a_shell_tells_it() {
        assert_eq!(code_of(ExitStatus::Code(7)), 7);
        assert_eq!(code_of(ExitStatus::Signal(9)), 137);
        assert_eq!(code_of(ExitStatus::Signal(64)), 192);
    }
}
