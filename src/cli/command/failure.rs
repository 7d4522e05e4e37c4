//! What went wrong → what the user is told: kind, place, notes and help, which only the command knows.

mod cache;
mod disk;
mod mount;
mod network;
pub(crate) mod registry;
pub(crate) mod remote;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use dockerfile::source::{SourceFile, Span};
use dockerfile::stage::BaseRequest;
use export::ExportError;
use oci::Platform;
use runtime::{CancelReason, ExecError, SpecificationError};
use solver::base::BaseError;
use solver::emulation::EmulationError;
use solver::ops::copy::CopyError;
use solver::ops::exec::{CommandFailure, EmulatorCrash, FailureStatus};
use solver::{Job, SolveError, StepError};
use store::TagError;
use transport::StorePlaceError;

use super::debug::note_kept;
use crate::options::{BuildOptions, DockerfileSource};
use crate::report::{Kind, Place, Report};
pub(crate) use cache::{cache_interrupted, chain, of_cache};

/// A file of the user's that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {what} `{}`", path.display())]
pub(crate) struct Unreadable {
    what: &'static str,
    path: PathBuf,
    source: Box<dyn Error + Send + Sync>,
}

impl Unreadable {
    /// Makes the error of a file of a context.
    pub(crate) fn new(what: &'static str, path: &Path, source: rootfs::FsError) -> Self {
        Self {
            what,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// A file of the user's that is too large to be what it should be.
#[derive(Debug, thiserror::Error)]
#[error("the {what} `{}` is larger than {limit_bytes} bytes", path.display())]
struct TooLarge {
    what: &'static str,
    path: PathBuf,
    limit_bytes: u64,
}

/// Something failed and did not say why.
#[derive(Debug, thiserror::Error)]
#[error("something is wrong with the Dockerfile, and nobody said what")]
struct WithoutReason;

/// Reports a fault that nobody explained: ours.
pub(crate) fn without_reason() -> Report {
    Report::new(Kind::Internal, &WithoutReason)
}

/// Reports a file of the user's that cannot be read.
pub(crate) fn unreadable(
    what: &'static str,
    path: &Path,
    error: &io::Error,
    options: &BuildOptions,
) -> Box<Report> {
    let source = io::Error::new(error.kind(), error.to_string()).into();
    let mut report = Report::new(
        Kind::User,
        &Unreadable {
            what,
            path: path.to_owned(),
            source,
        },
    );
    let is_dockerfile = what == "Dockerfile";
    if is_dockerfile
        && options.file == DockerfileSource::Usual
        && error.kind() == io::ErrorKind::NotFound
    {
        report.help = Some("`-f PATH` names another file".to_owned());
    }
    Box::new(report)
}

/// Reports a file of the user's that is too large.
pub(crate) fn too_large(what: &'static str, path: &Path, limit_bytes: u64) -> Box<Report> {
    Box::new(Report::new(
        Kind::User,
        &TooLarge {
            what,
            path: path.to_owned(),
            limit_bytes,
        },
    ))
}

/// What ends the processes of a terminal that is gone (signal(7)).
const SIGHUP: i32 = 1;

/// Reports that the build was interrupted, whatever failed because of that.
pub(crate) fn interrupted(reason: CancelReason) -> Box<Report> {
    let (signal, title) = match reason {
        CancelReason::Signal(signal) => (signal as i32, format!("interrupted by {signal}")),
        CancelReason::Orphaned | CancelReason::Abandoned => (
            SIGHUP,
            "the process that started the build is gone".to_owned(),
        ),
    };
    Box::new(Report {
        kind: Kind::Interrupted(u8::try_from(signal).unwrap_or_default()),
        title,
        place: None,
        causes: Vec::new(),
        notes: Vec::new(),
        help: None,
        solve: None,
    })
}

/// Reports a base image that cannot be used.
pub(crate) fn of_base(
    error: &BaseError,
    request: &BaseRequest,
    source: &SourceFile,
) -> Box<Report> {
    let mut report = Report::new(Kind::User, error);
    let mut label = String::new();
    match error {
        BaseError::NotFound { name } | BaseError::NotAsked { name } => {
            label.push_str("not in the store");
            if matches!(error, BaseError::NotAsked { .. }) {
                let note = "`--pull=never` forbids to ask a registry for it";
                report.notes.push(note.to_owned());
            }
            report.help = Some(match request.similar_stage() {
                Some(stage) => similar_stage(stage),
                None => format!("`careen pull {name}` puts it there"),
            });
        }
        BaseError::Unknown { .. } | BaseError::Registry { .. } => {
            label.push_str("the registry does not give it");
            report.help = request.similar_stage().map(similar_stage);
        }
        BaseError::NoPlatform { available, .. } => {
            label = ["asked for ", &request.platform.to_string()].concat();
            report.notes.push(it_has(available));
        }
        _ => {}
    }
    if matches!(error, BaseError::Unknown { .. }) {
        report.kind = Kind::Remote;
    }
    registry::explain(&mut report, error);
    report.place = Some(Place {
        source: source.clone(),
        span: request.span,
        label,
    });
    Box::new(report)
}

/// Says which platforms an image is for.
pub(super) fn it_has(available: &[Platform]) -> String {
    let names: Vec<_> = available.iter().map(ToString::to_string).collect();
    format!("it has {}", names.join(", "))
}

fn similar_stage(stage: &str) -> String {
    format!("a stage with a similar name exists: `{stage}`")
}

/// Reports an output that cannot be written.
pub(crate) fn of_export(error: &ExportError) -> Box<Report> {
    let kind = match error {
        ExportError::Invalid(_) | ExportError::Assemble(_) => Kind::Internal,
        _ => Kind::User,
    };
    let mut report = Report::new(kind, error);
    report.help = help_of_tags(error);
    if registry::explain(&mut report, error) && matches!(error, ExportError::Push { .. }) {
        report
            .notes
            .push("what was built is in the store: the same command goes on from there".to_owned());
    }
    Box::new(report)
}

/// Returns the way out where the names of the store's images cannot be read.
pub(crate) fn help_of_tags(error: &(dyn Error + 'static)) -> Option<String> {
    // An error that adds nothing to another hides it from the causes.
    let place = || match fetch::nearest_cause::<StorePlaceError>(error)? {
        StorePlaceError::Tags(error) => Some(error),
        _ => None,
    };
    match fetch::nearest_cause::<TagError>(error).or_else(place)? {
        TagError::Damaged { .. } => {
            Some("`careen fsck --repair` lists the images anew, without names".to_owned())
        }
        _ => None,
    }
}

/// Reports a build that did not come to a result.
pub(crate) fn of_solve(
    error: SolveError,
    job: &Job,
    source: &SourceFile,
    options: &BuildOptions,
) -> Box<Report> {
    let (vertex, error) = match error {
        SolveError::Step { vertex, error } => (vertex, error),
        SolveError::Keep(_) => return Box::new(Report::new(Kind::Host, &error)),
        SolveError::OutOfReach | SolveError::Stalled { .. } | SolveError::NoResult { .. } => {
            let mut report = Report::new(Kind::Internal, &error);
            report.help = Some("this is a bug in careen; please report it".to_owned());
            return Box::new(report);
        }
    };
    let label = &job.definition.vertex(vertex).label;
    let error = mount::of_copy(*error, label);
    let mut report = of_step(&error, options);
    if is_linked(&job.definition.vertex(vertex).op)
        && let StepError::Copy(CopyError::Owner { .. }) = &error
    {
        let note = "`--link` copies without a look at the image, so it knows none of its names";
        report.notes.insert(0, note.to_owned());
        report.help = Some("use numbers, or leave `--link` out".to_owned());
    }
    // The image has the text of a trigger, and the Dockerfile only the `FROM` line that it is run for.
    let is_trigger = label.text.starts_with("ONBUILD ");
    if is_trigger {
        report
            .notes
            .insert(0, format!("in the trigger `{}`", label.text));
    }
    if label.line > 0 {
        let whole = instruction_span(source, label.line);
        let word = wrong_words(&error).into_iter().find_map(|word| {
            let (span, written) = find_written(source, whole, &word)?;
            report.title = report
                .title
                .replace(&format!("`{word}`"), &format!("`{written}`"));
            mount::say_as_written(&mut report.title, written);
            Some(span)
        });
        let text = place_label(&error).filter(|_| !is_trigger);
        let text = text.unwrap_or_else(|| step_text(label));
        report.place = Some(Place {
            source: source.clone(),
            span: word.unwrap_or_else(|| first_line(source, whole)),
            label: text,
        });
    }
    Box::new(report)
}

/// Tells whether an op is a copy with `--link`.
fn is_linked(op: &graph::Op) -> bool {
    let graph::Op::File(file) = op else {
        return false;
    };
    matches!(&file.action, graph::FileAction::Copy(copy) if copy.link)
}

fn of_step(error: &StepError, options: &BuildOptions) -> Report {
    let mut report = of_known_step(error, options);
    registry::explain(&mut report, error);
    disk::explain(&mut report, error);
    report
}

fn of_known_step(error: &StepError, options: &BuildOptions) -> Report {
    match error {
        StepError::Command(failure) => of_command(failure),
        StepError::Copy(failure) => of_copy(failure),
        StepError::Remote(failure) => remote::of(failure),
        StepError::Mount(failure) => mount::report(failure),
        StepError::Emulation(failure) => of_emulation(failure),
        StepError::Exec(failure) => of_exec(failure),
        StepError::Overlay(_) => {
            let mut report = Report::new(Kind::Host, error);
            report.notes.push(
                "the file system of the store may be one that overlays cannot write to, as another overlay is"
                    .to_owned(),
            );
            report.help =
                Some("`--store DIR` or `CAREEN_STORE` names another directory".to_owned());
            report
        }
        StepError::HostFiles(_)
        | StepError::Thread(_)
        | StepError::NothingMounts
        | StepError::InPlace(_) => Report::new(Kind::Host, error),
        StepError::MissingInput { .. } | StepError::Panicked => Report::new(Kind::Internal, error),
        StepError::Context(_) => {
            let mut report = Report::new(Kind::User, error);
            report
                .notes
                .push(format!("build context: {}", options.context));
            report
        }
        _ => Report::new(Kind::User, error),
    }
}

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

/// Reports a platform whose programs do not run here.
pub(crate) fn of_emulation(failure: &EmulationError) -> Report {
    let mut report = Report::new(Kind::Host, failure);
    report.help = match failure {
        EmulationError::NotFound { source, .. } if source.uninstalled => Some(format!(
            "`careen binfmt --install {}` brings it back",
            source.architecture
        )),
        EmulationError::NotFound { .. } => {
            Some("apt-get install --no-install-recommends qemu-user-static".to_owned())
        }
        EmulationError::Kernel { .. } | EmulationError::NotRegistered { .. } => Some(
            "the machine's owner can register emulators that work in images (flag `F`): \
             `sudo apt-get install qemu-user-static binfmt-support`"
                .to_owned(),
        ),
        _ => None,
    };
    report
}

/// How to look into what a command left.
const WAY_IN: &str =
    "`--on-failure=shell` opens a shell in what the step left, `--on-failure=keep` keeps that";

/// What a note begins with that has the last lines of a command.
pub(crate) const LAST_OUTPUT: &str = "last output:\n";

fn of_command(failure: &CommandFailure) -> Report {
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

fn of_copy(failure: &CopyError) -> Report {
    let mut report = Report::new(Kind::User, failure);
    match failure {
        CopyError::NotFound { place, similar, .. } => {
            report.notes.push(place.clone());
            report.help = similar
                .as_ref()
                .map(|similar| format!("a path with a similar name exists: `{similar}`"));
        }
        CopyError::Ignored { place, .. } => report.notes.push(place.clone()),
        _ => {}
    }
    report
}

/// Returns the word of the instruction that is wrong, if it is one, in the spellings that it may have.
fn wrong_words(error: &StepError) -> Vec<String> {
    match error {
        StepError::Mount(failure) => mount::wrong_words(failure),
        StepError::Exec(ExecError::Mount { target, .. }) => mount::target_words(target),
        StepError::Copy(CopyError::NotFound { path, .. } | CopyError::Ignored { path, .. }) => {
            vec![path.clone()]
        }
        StepError::Copy(CopyError::Owner { owner, .. }) => vec![owner.clone()],
        StepError::Copy(CopyError::Mode { mode }) => vec![mode.clone()],
        StepError::Remote(failure) => remote::wrong_word(failure).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn place_label(error: &StepError) -> Option<String> {
    match error {
        StepError::Mount(failure) => mount::place_label(failure),
        StepError::Copy(CopyError::NotFound { .. }) => Some("no such path".to_owned()),
        StepError::Copy(CopyError::Ignored { .. }) => Some("ignored".to_owned()),
        StepError::Remote(failure) => Some(remote::label(failure).to_owned()),
        _ => None,
    }
}

/// Names a step: `step 2/3 [build linux/arm64]`. What is done for another step has no number.
fn step_text(label: &graph::StepLabel) -> String {
    if label.count == 0 {
        return String::new();
    }
    let stage = (!label.stage.is_empty()).then_some(label.stage.as_str());
    let words: Vec<_> = stage.into_iter().chain(label.platform.as_deref()).collect();
    let step = format!("step {}/{}", label.index, label.count);
    if words.is_empty() {
        step
    } else {
        format!("{step} [{}]", words.join(" "))
    }
}

/// Returns the span of the instruction that begins on a line, with its continuation lines.
pub(crate) fn instruction_span(source: &SourceFile, line: usize) -> Span {
    let parsed = dockerfile::parse::parse(source);
    let begins = |instruction: &&dockerfile::ast::Instruction| instruction.lines.first == line;
    let found = parsed
        .ast
        .instructions
        .iter()
        .find(begins)
        .map(|instruction| instruction.span);
    found.unwrap_or_else(|| source.line_span(line))
}

pub(crate) fn first_line(source: &SourceFile, span: Span) -> Span {
    let text = source.slice(span);
    let length = text.find('\n').unwrap_or(text.len());
    Span {
        start: span.start,
        end: span.start + length,
    }
}

/// Finds a word, or a path as the user wrote it: in the graph all paths count from the root.
fn find_written<'a>(source: &SourceFile, span: Span, word: &'a str) -> Option<(Span, &'a str)> {
    let relative = word.strip_prefix('/').filter(|path| !path.is_empty());
    let mut spellings = std::iter::once(word).chain(relative);
    spellings.find_map(|written| Some((find_word(source, span, written)?, written)))
}

fn find_word(source: &SourceFile, span: Span, word: &str) -> Option<Span> {
    let start = span.start + source.slice(span).find(word)?;
    Some(Span {
        start,
        end: start + word.len(),
    })
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
