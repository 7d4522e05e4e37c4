//! A build in the first process, as long as nothing has to be made: a build of which everything is known starts no process.
//!
//! ```text
//! plan, resolve bases ──► look everything up ──► write the outputs ──► tell      in the first process
//!        │ a registry refuses: told    │ something is not known, or does not go here
//!        ▼                             ▼
//!       end                     the builder begins the build anew; what is to be shown was held back
//! ```
//!
//! Records and blobs are the user's own files. Into the directories of layers, whose files have other owners, nothing
//! looks here ([`solver::Reach::Known`]). What was found out about base images is taken along, with the lease that keeps it.
//! What goes wrong is not told: the builder finds it too, or does better, since it may write to a directory of the
//! user's whose mode forbids it. Only a registry is not asked twice.
//!
//! It is tried where the last such build ended with everything known ([`note`]); what reads something that can be read
//! once only, writes where it cannot be begun anew, or is recorded while it runs, is left to the builder.

use std::io;
use std::path::Path;
use std::sync::Arc;

use export::OutputSpec;
use export::output::{Destination, ImageOptions, Push, Squash};
use oci::{Clock, Digest};
use runtime::CancelReason;
use runtime::probe::Choice;
use runtime::userns::{Alone, IdPlan, NotedSignals};
use serde::{Deserialize, Serialize};
use solver::base::FoundImages;
use solver::{BaseLayers, Workshop};
use store::Lease;
use tracing::debug;

use super::attempt::{Built, Stop};
use super::ending::{self, Ended, Ending};
use super::{build, check, mode, prepare_workshop, warning};
use crate::command::failure;
use crate::env::Environment;
use crate::history::BuildId;
use crate::options::{
    BuildOptions, ContextSource, DockerfileSource, NamedContext, Places, ProgressOptions,
};
use crate::progress::Display;
use crate::report::Kind;
use crate::run::Outcome;
use crate::workshop;

/// How a build ended the last time.
#[derive(Debug, Serialize, Deserialize)]
struct LastTime {
    is_known: bool,
}

/// What a builder goes on with.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Signals that nobody has acted on yet, if the first process was at work before.
    pub(crate) noted: Option<NotedSignals>,
    /// What names of images were found to be.
    pub(super) found: Arc<FoundImages>,
    /// What keeps that in the store.
    _lease: Option<Lease>,
}

/// What came of it.
pub(crate) enum Tried {
    /// The build is over.
    Ended(Outcome),
    /// A builder is needed.
    GoesOn(Carried),
    /// A builder is needed, and this process has a thread that does not end, so that it cannot be copied.
    Crowded(Alone),
}

/// Builds in the first process, if everything seems to be known.
pub(crate) fn try_build(
    mut options: BuildOptions,
    choice: &Choice,
    (places, env): (&Places, &Environment),
) -> Tried {
    let has_namespaces = matches!(choice.plan, IdPlan::Multi { .. } | IdPlan::Single { .. });
    let is_made = || is_file(&places.store.join("VERSION"));
    if !has_namespaces || places.users_store.is_some() || !fits(&options) || !is_made() {
        return Tried::GoesOn(Carried::default());
    }
    let (Ok(()), Ok(alone)) = (check(&mut options, env), Alone::begin(&env.hidden())) else {
        return Tried::GoesOn(Carried::default());
    };
    match attempt(&options, (&alone, choice), (places, env)) {
        Tried::GoesOn(carried) => match alone.end() {
            Ok(noted) => Tried::GoesOn(Carried {
                noted: Some(noted),
                ..carried
            }),
            Err(alone) => Tried::Crowded(alone),
        },
        tried => tried,
    }
}

fn attempt(
    options: &BuildOptions,
    (alone, choice): (&Alone, &Choice),
    (places, env): (&Places, &Environment),
) -> Tried {
    let start = Clock::System.now();
    let ids = choice.plan.id_map();
    // What another process left may be for the builder to remove.
    let Ok((mut workshop, events)) = workshop::open_alone(alone.cancel(), ids, places) else {
        return Tried::GoesOn(Carried::default());
    };
    let watch = is_noted(options, &workshop).then(|| alone.watch());
    let Some(Ok(watch)) = watch else {
        return Tried::GoesOn(Carried::default());
    };
    prepare_workshop(&mut workshop, (options, places));
    warning::of_options(options, env, &workshop.events);
    let Ok(ending) = Ending::of(options, places, &workshop) else {
        return Tried::GoesOn(Carried::default());
    };
    mode::tell(ids.mode(), &workshop);
    let built = build(options, env, &mut workshop);
    let cancelled = alone.cancel().reason();
    let carried = Carried {
        noted: None,
        found: Arc::clone(&workshop.found),
        _lease: Some(workshop.lease.clone()),
    };
    drop((workshop, watch));
    let images = match &built {
        Ok(built) => ending::images(&built.exported),
        Err(_) => Vec::new(),
    };
    match outcome(built, cancelled, (options, ending.id())) {
        Some(outcome) => {
            let started = (start, ending.keeping());
            let chronicle = Display::show(&options.progress, started, &events);
            let outcome = ending.carry_out(outcome, Ended { chronicle, images });
            let told = |report| ending::tell_failure(report, &options.progress);
            Tried::Ended(outcome.or_else(told))
        }
        None => Tried::GoesOn(carried),
    }
}

/// Returns how the build has ended; none if that is for the builder to say.
fn outcome(
    built: Result<Built, Stop>,
    cancelled: Option<CancelReason>,
    (options, id): (&BuildOptions, &BuildId),
) -> Option<Outcome> {
    match (built, cancelled) {
        (Ok(built), reason) => built.tell((options, id), reason).ok().map(Ok),
        (Err(_), Some(reason)) => Some(Err(failure::interrupted(reason))),
        (Err(Stop::Failed(report)), None) if report.kind == Kind::Remote => Some(Err(report)),
        (Err(_), None) => None,
    }
}

/// Tells whether a build is one that can be begun twice, and that may need nothing but what is known.
fn fits(options: &BuildOptions) -> bool {
    let is_plain = options.call.is_none()
        && !options.all_platforms
        && !options.result.save_stages
        && options.contexts.values().all(is_of_machine)
        && options.secrets.is_empty()
        && options.ssh.is_empty()
        && options.sandbox.resources.flags.is_empty()
        && options.policy.source_policy.is_none()
        && options.cache.from.is_empty()
        && options.cache.to.is_empty()
        && !is_recorded(&options.progress);
    let reuses =
        !options.no_cache && options.renewed_stages.is_empty() && !options.policy.nothing_counts();
    is_plain && reuses && reads_again(options) && options.result.outputs.iter().all(writes_known)
}

/// Tells whether what happens is written into files while it does.
fn is_recorded(progress: &ProgressOptions) -> bool {
    progress.event_log.is_some() || progress.log_directory.is_some() || progress.timeline.is_some()
}

/// Tells whether the Dockerfile and the context can be read twice: neither is a pipe.
fn reads_again(options: &BuildOptions) -> bool {
    matches!(options.context, ContextSource::Directory(_))
        && match &options.file {
            DockerfileSource::Usual => true,
            DockerfileSource::Path(path) => is_file(&options.current_directory.join(path)),
            DockerfileSource::Stdin | DockerfileSource::Http(_) => false,
        }
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// Tells whether a named context is there without being brought.
fn is_of_machine(context: &NamedContext) -> bool {
    match context {
        NamedContext::Empty
        | NamedContext::Directory(_)
        | NamedContext::Image(_)
        | NamedContext::Layout(_) => true,
        NamedContext::Git(_) | NamedContext::Http(_) => false,
    }
}

/// Tells whether an output is made of blobs alone, and can be written once more.
fn writes_known(output: &OutputSpec) -> bool {
    match output {
        OutputSpec::CacheOnly => true,
        OutputSpec::Oci {
            destination: Destination::Path(path),
            image,
            ..
        }
        | OutputSpec::Docker {
            destination: Destination::Path(path),
            image,
        } => is_replaced(path) && is_of_blobs(image),
        OutputSpec::Image { publication, image } => {
            publication.push == Push::No && !publication.unpack && is_of_blobs(image)
        }
        OutputSpec::Oci { .. }
        | OutputSpec::Docker { .. }
        | OutputSpec::Local { .. }
        | OutputSpec::Tar { .. } => false,
    }
}

/// Tells whether what is written there takes the place of what was written before: no pipe, no device.
fn is_replaced(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(found) => found.is_file() || found.is_dir(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn is_of_blobs(image: &ImageOptions) -> bool {
    image.squash == Squash::None && image.pack_plan().base == BaseLayers::AsTheyAre
}

/// Notes whether the next build like this one will find everything known.
pub(super) fn note(options: &BuildOptions, workshop: &Workshop, is_known: bool) {
    let is_different = fits(options) && is_noted(options, workshop) != is_known;
    if is_different
        && let Err(error) = workshop
            .store
            .records()
            .put(&name_of(options), &LastTime { is_known })
    {
        // The next build is as quick as this one was.
        debug!(%error, "not noted");
    }
}

fn is_noted(options: &BuildOptions, workshop: &Workshop) -> bool {
    let records = workshop.store.records();
    let ended = records.get::<LastTime>(&name_of(options));
    ended.is_ok_and(|ended| ended.is_some_and(|ended| ended.is_known))
}

/// Names what is built. Two builds of one name are no harm: nothing depends on it but who is asked first.
fn name_of(options: &BuildOptions) -> Digest {
    let BuildOptions {
        current_directory,
        context,
        contexts,
        file,
        target,
        platforms,
        ..
    } = options;
    let current_directory = current_directory.display();
    let text = format!(
        "ended\0{current_directory}\0{context}\0{contexts:?}\0{file:?}\0{target:?}\0{platforms:?}"
    );
    Digest::of(text.as_bytes())
}
