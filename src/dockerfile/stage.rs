//! Stages: their names, what they are built from, and which of them the target needs.
//!
//! ```text
//! Parsed + PlanOptions ─► StagePlan ─► unresolved() ─► BaseRequest …      the caller looks them up
//!                             ▲                             │
//!                             └── resolve(request, base) ◄──┘
//!                             └─► lower(platform, graph) ─► Target       see [`lower`](crate::lower)
//! ```
//!
//! A stage that the target does not need is no part of the plan: its instructions are not looked at, and
//! its base is never asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use oci::Platform;

use crate::ast::{Ast, InstructionKind};
use crate::check::{self, IgnoreFile, Settings};
use crate::diagnostic::Diagnostic;
use crate::parse::Parsed;
use crate::source::Span;

mod arguments;
mod context;
mod detect;
mod entitlement;
mod environment;
mod epoch;
mod expand;
mod from;
mod names;
mod options;
mod request;
mod resolve;
mod syntax;
mod target;
mod triggers;

pub(crate) use arguments::declarations as global_declarations;
pub use context::{ContextNameError, context_name};
pub use entitlement::Entitlement;
pub(crate) use environment::Environment;
pub use epoch::{EpochOrigin, EpochSource, EpochValue, SourceDateEpoch, source_date_epoch};
pub(crate) use expand::{expand, fault};
pub use options::{PlanOptions, StageScope};
pub(crate) use request::RequestKey;
pub use request::{BaseRequest, ResolvedBase};

/// The place of a stage in the file, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StageId(pub(crate) usize);

/// From one `FROM` to the next.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// Its place in the file, from 0.
    pub(crate) number: usize,
    /// Its name in lower case.
    pub(crate) name: Option<String>,
    /// The index of its `FROM` in [`Ast::instructions`].
    pub(crate) from: usize,
    /// The indices of the instructions after it.
    pub(crate) body: Range<usize>,
    /// The indices of what its base leaves to it with `ONBUILD`, carried out before the body; none as long
    /// as the base is not known. They stand behind the file's own instructions.
    pub(crate) triggers: Option<Range<usize>>,
    /// What it starts from.
    pub(crate) base: StageBase,
    /// The arguments that its `FROM` uses and that are set.
    pub(crate) arguments: BTreeSet<String>,
    /// The platform whose programs its commands run.
    pub(crate) platform: Platform,
    /// What each `COPY --from` of it copies from, by the instruction's index.
    pub(crate) copies: BTreeMap<usize, CopyFrom>,
    /// What the mounts of each `RUN` of it that say `from` are of, by the instruction's index and the
    /// mount's place in it.
    pub(crate) mounts: BTreeMap<(usize, usize), CopyFrom>,
}

/// What a stage starts from.
#[derive(Debug, Clone)]
pub(crate) enum StageBase {
    /// The empty file system.
    Scratch,
    /// The result of an earlier stage.
    Stage(StageId),
    /// An image, maybe one given as a named context.
    Image(BaseRequest),
    /// A context that has the name of the stage: it stands in the place of all its instructions.
    Replaced(BaseRequest),
    /// A named context that has files and no configuration, or nothing at all.
    Bare(BareContext),
}

/// A named context that is no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BareContext {
    /// The entry of `--build-context` whose directory it is; none for the empty file system.
    pub(crate) directory: Option<String>,
    /// What it stands for.
    pub(crate) stands_for: StandsFor,
}

/// What a named context stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandsFor {
    /// The image that a `FROM` names: the instructions of the stage follow.
    Base,
    /// The stage of that name, with all its instructions.
    Stage,
}

/// What a `COPY --from` or the `from` of a `RUN --mount` names.
#[derive(Debug, Clone)]
pub(crate) enum CopyFrom {
    /// The empty file system.
    Scratch,
    /// The result of an earlier stage.
    Stage(StageId),
    /// An image, maybe one given as a named context.
    Image(BaseRequest),
    /// A directory of the user's, given as a named context.
    Directory(String),
    /// A stage that is not there yet: an error, if the instruction is needed.
    Unavailable(Box<Diagnostic>),
}

/// The stages for one target platform.
#[derive(Debug, Clone)]
pub(crate) struct PlatformPlan {
    /// The platform that an image is wanted for.
    pub(crate) platform: Platform,
    /// The arguments that stages may declare.
    pub(crate) globals: Environment,
    /// All stages of the file.
    pub(crate) stages: Vec<Stage>,
    /// The stage that is wanted.
    pub(crate) target: StageId,
    /// The stages that it needs, itself included.
    pub(crate) needed: BTreeSet<StageId>,
}

/// What is to be built, before anything is known of the base images.
#[derive(Debug, Clone)]
pub struct StagePlan {
    pub(crate) ast: Ast,
    pub(crate) options: PlanOptions,
    pub(crate) platforms: Vec<PlatformPlan>,
    pub(crate) bases: BTreeMap<RequestKey, ResolvedBase>,
    /// The texts of the triggers among the instructions.
    trigger_texts: BTreeMap<usize, String>,
    pub(crate) settings: Settings,
    pub(crate) ignore: IgnoreFile,
    warnings: Vec<Diagnostic>,
}

impl StagePlan {
    /// Plans the stages of a Dockerfile for every target platform.
    ///
    /// # Errors
    ///
    /// Fails when the file is meant for another frontend, and with malformed options of the checks; then with
    /// every error of the parser; then with what is wrong with `ARG` before the first `FROM`, with the `FROM` and
    /// `--from` of any stage, and with `--target` and the target platforms. Warnings of what was found so far
    /// stand before the errors.
    pub fn new(parsed: &Parsed, options: PlanOptions) -> Result<Self, Vec<Diagnostic>> {
        let ast = &parsed.ast;
        syntax::check(ast, &options)?;
        let (settings, warnings) = Settings::read(ast, &options.build_args, first_span(ast))?;
        let mut plan = Self {
            ast: ast.clone(),
            ignore: IgnoreFile::new(&options.ignore),
            options,
            platforms: Vec::new(),
            bases: BTreeMap::new(),
            settings,
            trigger_texts: BTreeMap::new(),
            warnings,
        };
        plan.warnings
            .extend(check::of_lines(parsed, &plan.settings));
        plan.warnings
            .extend(check::of_instructions(ast, &plan.settings));
        let errors = parsed.diagnostics.iter().filter(|one| one.is_error());
        let errors: Vec<Diagnostic> = errors.cloned().collect();
        if !errors.is_empty() {
            return Err(plan.refused(errors));
        }
        plan.warnings.extend(check::of_file(ast, &plan.settings));
        for platform in plan.options.target_platforms.clone() {
            match plan.plan_platform(platform) {
                Ok(planned) => plan.platforms.push(planned),
                Err(faults) => return Err(plan.refused(faults)),
            }
        }
        match plan.add_triggers() {
            Ok(()) => Ok(plan),
            Err(faults) => Err(plan.refused(faults)),
        }
    }

    /// Returns what there is to say when there is no plan.
    fn refused(self, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut said = self.warnings;
        said.extend(faults);
        said
    }

    fn plan_platform(&mut self, platform: Platform) -> Result<PlatformPlan, Vec<Diagnostic>> {
        let globals = arguments::global(&self.ast, &self.options, &platform)?;
        let defaults = arguments::with_defaults(&self.ast, &self.options, &platform);
        let resolved = resolve::resolve(resolve::Scope {
            ast: &self.ast,
            options: &self.options,
            platform: &platform,
            globals: &globals,
            defaults: defaults.as_ref(),
            settings: &self.settings,
        });
        for warning in resolved.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        if !resolved.faults.is_empty() {
            return Err(resolved.faults);
        }
        let target = target::find(&resolved.stages, self.options.target.as_deref(), &self.ast)?;
        let needed = target::wanted(&resolved.stages, target, &self.options);
        Ok(PlatformPlan {
            platform,
            globals,
            stages: resolved.stages,
            target,
            needed,
        })
    }

    /// Returns the base images that are not known yet, each once, in the order in which the Dockerfile
    /// names them.
    pub fn unresolved(&self) -> Vec<BaseRequest> {
        let mut seen = BTreeSet::new();
        let mut requests = Vec::new();
        for request in self.platforms.iter().flat_map(PlatformPlan::requests) {
            let key = request.key();
            if !self.bases.contains_key(&key) && seen.insert(key) {
                requests.push(request.clone());
            }
        }
        requests
    }

    /// Takes note of what a base image is. Its `ONBUILD` triggers may ask for more bases.
    ///
    /// # Errors
    ///
    /// Fails when a trigger of the image is no instruction, or copies from what is not there.
    pub fn resolve(
        &mut self,
        request: &BaseRequest,
        base: ResolvedBase,
    ) -> Result<(), Vec<Diagnostic>> {
        self.take_platform(request, &base.config.platform());
        self.bases.insert(request.key(), base);
        self.add_triggers()
    }

    /// Returns the base images that are taken for the target platform, each once: not those behind a
    /// `FROM --platform`, nor those copied from.
    pub fn target_bases(&self) -> Vec<BaseRequest> {
        let mut bases: Vec<BaseRequest> = Vec::new();
        let needed = self.platforms.iter().flat_map(|plan| {
            let ids = plan.needed.iter();
            ids.filter_map(|id| plan.stages.get(id.0))
        });
        for stage in needed.filter(|stage| !detect::names_platform(&self.ast, stage)) {
            let (StageBase::Image(base) | StageBase::Replaced(base)) = &stage.base else {
                continue;
            };
            if bases.iter().all(|known| known.key() != base.key()) {
                bases.push(base.clone());
            }
        }
        bases
    }

    /// Returns the platform that an image of a stage is wanted for, given the one that it is for.
    pub(crate) fn wanted_platform(
        &self,
        stage: &Stage,
        request: &BaseRequest,
        found: &Platform,
    ) -> Platform {
        detect::wanted(&self.options, stage, request, found)
    }

    /// Tells whether the steps of a stage are carried out again, whatever the cache has.
    pub(crate) fn is_renewed(&self, stage: &Stage) -> bool {
        let renewed = &self.options.renewed_stages;
        let has_name = |name: &String| renewed.contains(name);
        stage.name.as_ref().is_some_and(has_name) || renewed.contains(&stage.number.to_string())
    }

    /// Returns the warnings of parsing and planning. Those of lowering are in [`Target`](crate::lower::Target).
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Returns the variables that every command sees and that leave no trace in keys, configuration and
    /// history, as `NAME=value`: the proxy settings among the build arguments.
    pub fn untracked_env(&self) -> Vec<String> {
        arguments::proxies(&self.options.build_args)
    }
}

impl PlatformPlan {
    /// Returns what the needed stages are built and copied from, in the order of the file.
    fn requests(&self) -> impl Iterator<Item = &BaseRequest> {
        self.needed
            .iter()
            .filter_map(|id| self.stages.get(id.0))
            .flat_map(Stage::requests)
    }
}

impl Stage {
    fn requests(&self) -> impl Iterator<Item = &BaseRequest> {
        let base = match &self.base {
            StageBase::Image(request) | StageBase::Replaced(request) => Some(request),
            StageBase::Scratch | StageBase::Stage(_) | StageBase::Bare(_) => None,
        };
        let copies = self.sources().filter_map(|from| match from {
            CopyFrom::Image(request) => Some(request),
            CopyFrom::Scratch
            | CopyFrom::Stage(_)
            | CopyFrom::Directory(_)
            | CopyFrom::Unavailable(_) => None,
        });
        base.into_iter().chain(copies)
    }

    /// Tells whether a named context stands in the place of all its instructions.
    pub(crate) fn is_replaced(&self) -> bool {
        match &self.base {
            StageBase::Replaced(_) => true,
            StageBase::Bare(context) => context.stands_for == StandsFor::Stage,
            StageBase::Scratch | StageBase::Stage(_) | StageBase::Image(_) => false,
        }
    }

    /// Returns the indices of what is carried out, in order; nothing when a context stands in its place.
    pub(crate) fn instructions(&self) -> impl Iterator<Item = usize> + use<> {
        let body = if self.is_replaced() {
            0..0
        } else {
            self.body.clone()
        };
        self.triggers.clone().unwrap_or_default().chain(body)
    }

    /// Returns what it copies and mounts from; nothing when a context stands in its place.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &CopyFrom> {
        let replaced = self.is_replaced();
        self.copies
            .values()
            .chain(self.mounts.values())
            .filter(move |_| !replaced)
    }
}

/// Returns the number of stages of the file.
pub(crate) fn stage_count(ast: &Ast) -> usize {
    let is_from = |kind: &InstructionKind| matches!(kind, InstructionKind::From(_));
    ast.instructions
        .iter()
        .filter(|instruction| is_from(&instruction.kind))
        .count()
}

/// Returns where faults are shown that are no word's: the first keyword.
fn first_span(ast: &Ast) -> Span {
    let is_from = |kind: &InstructionKind| matches!(kind, InstructionKind::From(_));
    let from = ast
        .instructions
        .iter()
        .find(|instruction| is_from(&instruction.kind));
    from.or(ast.instructions.first())
        .map_or(Span::default(), |first| first.keyword.span)
}

#[cfg(test)]
mod tests;
