//! Base images: what the plan asks for, resolved side by side.

use std::collections::BTreeMap;
use std::thread::ScopedJoinHandle;

use dockerfile::source::SourceFile;
use dockerfile::stage::{BaseRequest, ResolvedBase, StagePlan};
use graph::SourcePolicy;
use oci::Platform;
use solver::Workshop;
use solver::base::{self, BaseError, Labels, Named, ResolvedImage};
use store::LayoutLocation;

use super::policy;
use crate::command::failure;
use crate::command::said::Said;
use crate::options::{BuildOptions, NamedContext};
use crate::report::Report;

/// What came of each request; none where another platform of the same image failed.
type Answers = Vec<Option<Result<ResolvedBase, BaseError>>>;

/// Resolves base images until the plan asks for no more.
pub(in crate::command) fn resolve_bases(
    plan: &mut StagePlan,
    wanted: (&BuildOptions, &SourcePolicy),
    workshop: &Workshop,
    source: &SourceFile,
) -> Result<(), Box<Report>> {
    loop {
        let requests = plan.unresolved();
        if requests.is_empty() {
            return Ok(());
        }
        resolve_requests(plan, &requests, wanted, (workshop, source))?;
    }
}

/// Resolves some base images.
pub(in crate::command) fn resolve_requests(
    plan: &mut StagePlan,
    requests: &[BaseRequest],
    (options, sources): (&BuildOptions, &SourcePolicy),
    (workshop, source): (&Workshop, &SourceFile),
) -> Result<(), Box<Report>> {
    let admit = |request| policy::admit(request, sources, source);
    let admitted: Vec<_> = requests.iter().map(admit).collect::<Result<_, _>>()?;
    let answers = look_up(&admitted, options, workshop);
    for ((request, admitted), answer) in requests.iter().zip(&admitted).zip(answers) {
        let Some(answer) = answer else { continue };
        let resolved = answer.map_err(|error| {
            let report = failure::of_base(&error, admitted, source);
            policy::explained(report, request, admitted)
        })?;
        plan.resolve(request, resolved)
            .map_err(|faults| Said::new(source, &workshop.events).refuse(&faults))?;
    }
    Ok(())
}

/// Where the image of a request is looked for.
pub(super) enum Place<'a> {
    /// In a layout of the user's.
    Layout(&'a LayoutLocation),
    /// In the store or a registry, by its name.
    Named(&'a str),
}

impl<'a> Place<'a> {
    /// Returns that of a request. What is no image is never asked for as one.
    pub(super) fn of(request: &'a BaseRequest, options: &'a BuildOptions) -> Self {
        let context = request.context.as_ref();
        match context.and_then(|name| options.contexts.get(name)) {
            Some(NamedContext::Layout(location)) => Self::Layout(location),
            Some(NamedContext::Image(name)) => Self::Named(name),
            Some(_) | None => Self::Named(&request.name),
        }
    }
}

/// Looks the images up: those of different names side by side, and what several platforms have in common once.
fn look_up(requests: &[BaseRequest], options: &BuildOptions, workshop: &Workshop) -> Answers {
    let mut answers: Answers = requests.iter().map(|_| None).collect();
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, request) in requests.iter().enumerate() {
        match Place::of(request, options) {
            Place::Layout(location) => {
                let found = base::resolve_layout(&workshop.store, location, &request.platform);
                answers[at] = Some(found.map(resolved));
            }
            Place::Named(name) => by_name.entry(name).or_default().push(at),
        }
    }
    std::thread::scope(|scope| {
        let pull = options.policy.pull;
        let labels = labels(options);
        let ask = |(name, places): (&'_ str, Vec<usize>)| {
            let platforms = places.iter().map(|at| requests[*at].platform.clone());
            let platforms: Vec<Platform> = platforms.collect();
            let name = name.to_owned();
            let asking = move || {
                let wanted = Named {
                    name: &name,
                    platforms: &platforms,
                    pull,
                    labels,
                };
                base::resolve_named(workshop, &wanted)
            };
            (places, asking)
        };
        let mut asked = by_name.into_iter().map(ask);
        // The first one is asked for in this thread: mostly there is no other.
        let first = asked.next();
        let others: Vec<_> = asked
            .map(|(places, asking)| (places, scope.spawn(asking)))
            .collect();
        if let Some((places, asking)) = first {
            take(&mut answers, &places, asking());
        }
        for (places, asking) in others {
            take(&mut answers, &places, joined(asking));
        }
    });
    answers
}

/// Tells whether the steps of the build say for which platform they are.
fn labels(options: &BuildOptions) -> Labels {
    match options.platforms.as_slice() {
        [] | [_] => Labels::Plain,
        _ => Labels::Platforms,
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Notes what came of a name for its requests.
fn take(
    answers: &mut Answers,
    places: &[usize],
    found: Result<Vec<ResolvedImage>, (usize, BaseError)>,
) {
    match found {
        Ok(images) => {
            for (at, image) in places.iter().zip(images) {
                answers[*at] = Some(Ok(resolved(image)));
            }
        }
        Err((place, error)) => {
            if let Some(at) = places.get(place) {
                answers[*at] = Some(Err(error));
            }
        }
    }
}

fn resolved(image: ResolvedImage) -> ResolvedBase {
    ResolvedBase {
        config: image.config,
        source: image.source,
    }
}
