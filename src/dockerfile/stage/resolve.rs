//! What `FROM` and `--from` name: an earlier stage, a context, an image, or nothing at all.
//!
//! Stages are resolved in the order of the file, so that a name can only mean what stands above it. What
//! a name means can depend on the platform (`FROM base-$TARGETARCH`), so this is done for each one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use oci::{Platform, Reference};

use crate::ast::{
    Ast, CopyInstruction, FromInstruction, Instruction, InstructionKind, RunInstruction,
    StageAlias, Word,
};
use crate::check::{self, PlatformFlag, Settings, Site};
use crate::diagnostic::Diagnostic;
use crate::stage::environment::Environment;
use crate::stage::expand::expand;
use crate::stage::options::PlanOptions;
use crate::stage::request::{BaseRequest, StagesAbove};
use crate::stage::{BareContext, CopyFrom, Stage, StageBase, StageId, StandsFor};
use crate::stage::{arguments, context, from, names};
use crate::suggest;
use crate::words::Expanded;

/// The name of the empty file system.
const SCRATCH: &str = "scratch";

/// The stages of a file for one platform, and what was found to say about them.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) stages: Vec<Stage>,
    pub(super) faults: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// What names are resolved against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) ast: &'a Ast,
    pub(super) options: &'a PlanOptions,
    /// The target platform.
    pub(super) platform: &'a Platform,
    /// The arguments that `FROM` lines see.
    pub(super) globals: &'a Environment,
    /// What they would be if nobody gave a build argument.
    pub(super) defaults: Option<&'a Environment>,
    /// Which checks are wanted.
    pub(super) settings: &'a Settings,
}

/// Resolves all stages, those with faults too.
pub(super) fn resolve(scope: Scope<'_>) -> Resolved {
    let mut resolver = Resolver::new(scope);
    for (index, instruction) in scope.ast.instructions.iter().enumerate() {
        resolver.instruction(index, instruction);
        resolver.extend(index + 1);
    }
    resolver.finish()
}

/// Resolves what the triggers of one stage name: what stands above that stage.
///
/// # Errors
///
/// Fails with what is wrong in them.
pub(super) fn resolve_triggers(
    scope: Scope<'_>,
    stages: &mut Vec<Stage>,
    stage: StageId,
    triggers: Range<usize>,
) -> Result<(), Vec<(usize, Diagnostic)>> {
    let below = stages.split_off((stage.0 + 1).min(stages.len()));
    let mut resolver = Resolver::new(scope);
    let mut faults = Vec::new();
    for above in stages.drain(..) {
        resolver.name_previous();
        resolver.resolved.stages.push(above);
    }
    for index in triggers.clone() {
        if let Some(instruction) = scope.ast.instructions.get(index) {
            resolver.instruction(index, instruction);
        }
        let found = resolver.resolved.faults.drain(..);
        faults.extend(found.map(|fault| (index, fault)));
    }
    *stages = resolver.resolved.stages;
    if let Some(last) = stages.last_mut() {
        last.triggers = Some(triggers);
    }
    stages.extend(below);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

struct Resolver<'a> {
    scope: Scope<'a>,
    /// The stages above the current line by name; of two with one name the later.
    earlier: BTreeMap<String, StageId>,
    /// The names of all stages of the file, by their numbers.
    stages: Arc<[Option<String>]>,
    /// All names of the file with the first stage of each, for messages.
    names: BTreeMap<String, usize>,
    /// How many stages stand above the current one.
    above: usize,
    /// The arguments that are declared before the first `FROM`, with or without a value.
    declared: BTreeSet<&'a str>,
    /// The instruction that is looked at.
    index: usize,
    /// The arguments that the current `FROM` uses.
    used: BTreeSet<String>,
    resolved: Resolved,
}

impl<'a> Resolver<'a> {
    fn new(scope: Scope<'a>) -> Self {
        let stages = names::of_stages(scope.ast);
        Self {
            scope,
            earlier: BTreeMap::new(),
            names: names::first_of_each(&stages),
            stages,
            above: 0,
            declared: arguments::declared(scope.ast),
            index: 0,
            used: BTreeSet::new(),
            resolved: Resolved::default(),
        }
    }

    fn instruction(&mut self, index: usize, instruction: &Instruction) {
        self.index = index;
        match &instruction.kind {
            InstructionKind::From(from) => self.begin(index, from),
            InstructionKind::Copy(copy) => self.copy(index, copy),
            InstructionKind::Run(run) => self.mounts(index, run),
            _ => {}
        }
    }

    fn begin(&mut self, index: usize, from: &FromInstruction) {
        self.name_previous();
        let platform = self.platform(from);
        let name = from.alias.as_ref().map(StageAlias::lower_name);
        self.check_defaults(from);
        let base = self.base(from, name.as_deref(), &platform);
        let platform = match &base {
            // An empty file system is of whatever platform is wanted.
            StageBase::Scratch => self.scope.platform.clone(),
            StageBase::Stage(id) => self.resolved.stages[id.0].platform.clone(),
            StageBase::Image(_) | StageBase::Replaced(_) | StageBase::Bare(_) => platform,
        };
        self.resolved.stages.push(Stage {
            number: self.resolved.stages.len(),
            name,
            from: index,
            body: index + 1..index + 1,
            triggers: None,
            base,
            arguments: std::mem::take(&mut self.used),
            platform,
            copies: BTreeMap::new(),
            mounts: BTreeMap::new(),
        });
    }

    fn check_defaults(&mut self, from: &FromInstruction) {
        let escape = self.scope.ast.escape;
        if let (Some(defaults), Some(mut at)) = (self.scope.defaults, self.site()) {
            check::default_arg(from, defaults, escape, &mut at);
        }
    }

    /// Returns where checks tell what they find in the current instruction.
    fn site(&mut self) -> Option<Site<'_>> {
        let instruction = self.scope.ast.instructions.get(self.index)?;
        Some(Site::new(
            self.scope.settings,
            &instruction.comments,
            Some(instruction.lines),
            &mut self.resolved.warnings,
        ))
    }

    /// Makes the stage above known by its name: a stage does not know itself.
    fn name_previous(&mut self) {
        self.above = self.resolved.stages.len();
        if let Some(stage) = self.resolved.stages.last()
            && let Some(name) = &stage.name
        {
            self.earlier.insert(name.clone(), StageId(stage.number));
        }
    }

    fn extend(&mut self, end: usize) {
        if let Some(stage) = self.resolved.stages.last_mut() {
            stage.body.end = end;
        }
    }

    fn finish(mut self) -> Resolved {
        self.name_previous();
        self.resolved
    }

    fn platform(&mut self, from: &FromInstruction) -> Platform {
        let Some(word) = &from.platform else {
            return self.scope.platform.clone();
        };
        let name = from.alias.as_ref().map(StageAlias::lower_name);
        self.parse_platform(word, name.as_deref())
            .unwrap_or_else(|faults| {
                self.resolved.faults.extend(faults);
                self.scope.platform.clone()
            })
    }

    fn parse_platform(
        &mut self,
        word: &Word,
        stage: Option<&str>,
    ) -> Result<Platform, Vec<Diagnostic>> {
        let expanded = self.expand(word)?;
        let flag = PlatformFlag {
            word,
            expanded: &expanded,
        };
        let target = self.scope.globals.get("TARGETPLATFORM");
        if let Some(mut at) = self.site() {
            check::redundant_platform(flag, target, &mut at);
        }
        let help = expanded
            .unset
            .iter()
            .find_map(|name| self.similar_argument(name));
        if expanded.value.is_empty() {
            let title = format!("the platform is empty: `{}`", word.value);
            return Err(vec![Diagnostic::error(title, word.span).with_help(help)]);
        }
        let platform = Platform::parse(&expanded.value, &self.scope.options.build_platform)
            .map_err(|error| {
                let help = help.or_else(|| similar_platform(&expanded.value));
                vec![Diagnostic::error(error.to_string(), word.span).with_help(help)]
            })?;
        if let Some(mut at) = self.site() {
            check::constant_platform(flag, stage, &platform, &mut at);
        }
        Ok(platform)
    }

    fn base(
        &mut self,
        from: &FromInstruction,
        name: Option<&str>,
        platform: &Platform,
    ) -> StageBase {
        let replaced = name.and_then(|name| self.context(name, platform));
        if let (Some(context), Some(alias)) = (replaced, &from.alias) {
            if let Some(bare) = self.bare(&context, StandsFor::Stage) {
                return StageBase::Bare(bare);
            }
            let mut request = self.request(&alias.name, alias.lower_name(), platform);
            request.context = Some(context);
            return StageBase::Replaced(request);
        }
        let image = match self.base_name(from) {
            Ok(expanded) => expanded,
            Err(faults) => {
                self.resolved.faults.extend(faults);
                return StageBase::Scratch;
            }
        };
        if image.value.is_empty() {
            self.resolved.faults.push(self.blank_base(from, &image));
            return StageBase::Scratch;
        }
        if let Some(id) = self.earlier.get(&image.value.to_lowercase()) {
            return StageBase::Stage(*id);
        }
        if image.value == SCRATCH {
            return StageBase::Scratch;
        }
        let request = self.image(&from.image, image.value, platform);
        let context = request.context.as_deref();
        match context.and_then(|context| self.bare(context, StandsFor::Base)) {
            Some(bare) => StageBase::Bare(bare),
            None => StageBase::Image(request),
        }
    }

    /// Returns the name behind `FROM`, or what `--from` says instead of the first one.
    fn base_name(&mut self, from: &FromInstruction) -> Result<Expanded, Vec<Diagnostic>> {
        let given = &self.scope.options.first_base;
        match given.as_ref().filter(|_| self.resolved.stages.is_empty()) {
            Some(name) => Ok(Expanded {
                value: name.clone(),
                ..Expanded::default()
            }),
            None => self.expand(&from.image),
        }
    }

    fn blank_base(&self, from: &FromInstruction, image: &Expanded) -> Diagnostic {
        let help = image
            .unset
            .iter()
            .find_map(|name| self.similar_argument(name));
        let fallback = || {
            let name = image.unset.first()?;
            Some(format!(
                "declare `ARG {name}=…` before the first `FROM`, or pass `--build-arg`"
            ))
        };
        Diagnostic::error(
            format!(
                "the name of the base image is empty: `{}`",
                from.image.value
            ),
            from.image.span,
        )
        .with_help(help.or_else(fallback))
    }

    fn copy(&mut self, index: usize, copy: &CopyInstruction) {
        let Some(word) = &copy.from else { return };
        if self.resolved.stages.is_empty() {
            return;
        }
        match self.copy_from(index, word) {
            Ok(source) => {
                if let Some(stage) = self.resolved.stages.last_mut() {
                    stage.copies.insert(index, source);
                }
            }
            Err(faults) => self.resolved.faults.extend(faults),
        }
    }

    fn copy_from(&mut self, index: usize, word: &Word) -> Result<CopyFrom, Vec<Diagnostic>> {
        let literal = from::name(self.scope, &self.resolved.stages, index, word)?;
        Ok(self.named(literal, word))
    }

    /// Notes what the mounts of a `RUN` are of that say it.
    fn mounts(&mut self, index: usize, run: &RunInstruction) {
        for (place, mount) in run.mounts.iter().enumerate() {
            let Some(word) = mount.from().filter(|word| !word.value.is_empty()) else {
                continue;
            };
            if self.resolved.stages.is_empty() {
                return;
            }
            let source = self.named(word.value.clone(), word);
            if let Some(stage) = self.resolved.stages.last_mut() {
                stage.mounts.insert((index, place), source);
            }
        }
    }

    /// Returns what a name or number means that stands in the last stage.
    fn named(&mut self, literal: String, word: &Word) -> CopyFrom {
        let current = self.resolved.stages.len() - 1;
        if let Ok(number) = literal.parse::<usize>() {
            return self.numbered(number, current, word);
        }
        let name = literal.to_lowercase();
        if let Some(id) = self.earlier.get(&name) {
            return self.of_stage(*id);
        }
        if let Some(number) = self.names.get(&name) {
            return CopyFrom::Unavailable(Box::new(from::too_early(*number, current, word)));
        }
        if literal == SCRATCH {
            return CopyFrom::Scratch;
        }
        let platform = self.scope.platform.clone();
        let request = self.image(word, literal, &platform);
        let context = request.context.as_deref();
        match context.and_then(|context| self.bare(context, StandsFor::Base)) {
            Some(bare) => from_bare(&bare),
            None => CopyFrom::Image(request),
        }
    }

    /// Returns what is copied from a stage: of a directory that stands for one, only what the copy names is
    /// read.
    fn of_stage(&self, id: StageId) -> CopyFrom {
        match self.resolved.stages.get(id.0).map(|stage| &stage.base) {
            Some(StageBase::Bare(bare)) if bare.stands_for == StandsFor::Stage => from_bare(bare),
            _ => CopyFrom::Stage(id),
        }
    }

    /// Returns a named context that is no image.
    fn bare(&self, context: &str, stands_for: StandsFor) -> Option<BareContext> {
        let options = self.scope.options;
        let is_directory = options.directories.contains_key(context);
        let bare = is_directory || options.empty_contexts.contains(context);
        bare.then(|| BareContext {
            directory: is_directory.then(|| context.to_owned()),
            stands_for,
        })
    }

    fn numbered(&self, number: usize, current: usize, word: &Word) -> CopyFrom {
        if number < current {
            return self.of_stage(StageId(number));
        }
        let count = super::stage_count(self.scope.ast);
        let fault = from::unavailable(number, current, count, word);
        CopyFrom::Unavailable(Box::new(fault))
    }

    /// Returns the request for an image, after a look at its name.
    fn image(&mut self, word: &Word, name: String, platform: &Platform) -> BaseRequest {
        let request = self.request(word, name, platform);
        if request.context.is_none()
            && let Err(error) = Reference::parse(&request.name)
        {
            let fault = Diagnostic::error(error.to_string(), word.span);
            self.resolved
                .faults
                .push(fault.with_help(request.not_found().help));
        }
        request
    }

    fn request(&self, word: &Word, name: String, platform: &Platform) -> BaseRequest {
        BaseRequest {
            context: self.context(&name, platform),
            above: StagesAbove {
                names: Arc::clone(&self.stages),
                count: self.above,
            },
            name,
            platform: platform.clone(),
            span: word.span,
        }
    }

    fn context(&self, name: &str, platform: &Platform) -> Option<String> {
        context::find(name, platform, &self.scope.options.contexts)
    }

    /// Expands a word of a `FROM` line, which sees the global arguments alone.
    fn expand(&mut self, word: &Word) -> Result<Expanded, Vec<Diagnostic>> {
        let expanded = expand(word, self.scope.globals, self.scope.ast.escape)?;
        self.used.extend(expanded.used.iter().cloned());
        for name in &expanded.unset {
            if self.declared.contains(name.as_str()) {
                continue;
            }
            let known: Vec<&str> = self.known_arguments().collect();
            if let Some(mut at) = self.site() {
                check::undefined_argument(name, word, known, &mut at);
            }
        }
        Ok(expanded)
    }

    fn similar_argument(&self, name: &str) -> Option<String> {
        suggest::did_you_mean(name, self.known_arguments())
    }

    /// Returns the arguments that a `FROM` may use.
    fn known_arguments(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let scope = self.scope;
        scope.globals.names().chain(self.declared.clone())
    }
}

/// The processors that images are made for.
const ARCHITECTURES: [&str; 8] = [
    "amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x", "loong64",
];

/// Returns the platform that was perhaps meant; a lone word is taken for a processor.
fn similar_platform(text: &str) -> Option<String> {
    let architecture = text.split('/').nth(1).unwrap_or(text);
    let near = suggest::nearest(architecture, ARCHITECTURES)?;
    (near != architecture).then(|| format!("did you mean `linux/{near}`?"))
}

fn from_bare(context: &BareContext) -> CopyFrom {
    match &context.directory {
        Some(name) => CopyFrom::Directory(name.clone()),
        None => CopyFrom::Scratch,
    }
}
