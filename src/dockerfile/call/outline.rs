//! What can be given to a build of one target.

use std::collections::{BTreeMap, BTreeSet};

use oci::Platform;

use crate::ast::{ArgDeclaration, InstructionKind, StageAlias};
use crate::call::description;
use crate::call::inputs::{Argument, Inputs, Need};
use crate::diagnostic::Diagnostic;
use crate::source::LineRange;
use crate::stage::{
    CopyFrom, Environment, PlatformPlan, StageBase, StageId, StagePlan, expand, global_declarations,
};

/// What a target is, and what it asks for from outside, each in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// The name of the stage in lower case; empty when it has none.
    pub name: String,
    /// What the comment above it says.
    pub description: String,
    /// The build arguments that change something.
    pub arguments: Vec<OutlineArgument>,
    /// The secrets.
    pub secrets: Vec<OutlineMount>,
    /// The SSH agents.
    pub agents: Vec<OutlineMount>,
    /// The cache mounts.
    pub caches: Vec<OutlineMount>,
}

/// A build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineArgument {
    /// Its name.
    pub name: String,
    /// What the comment above it says.
    pub description: String,
    /// What it holds in this build.
    pub value: String,
    /// The lines of its `ARG`.
    pub lines: LineRange,
}

/// Something that a `--mount` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineMount {
    /// Its id.
    pub name: String,
    /// Whether a build fails without it.
    pub required: bool,
    /// The lines of the `RUN`.
    pub lines: LineRange,
}

impl StagePlan {
    /// Returns what can be given to a build for one of the target platforms.
    ///
    /// # Errors
    ///
    /// Fails as [`StagePlan::lower`] does.
    pub fn outline(&self, platform: &Platform) -> Result<Outline, Vec<Diagnostic>> {
        let inputs = self.inputs(platform)?;
        let mut outline = Outline::default();
        let Some(plan) = self
            .platforms
            .iter()
            .find(|plan| plan.platform == *platform)
        else {
            return Ok(outline);
        };
        let mut collector = Collector {
            plan,
            globals: globals(self, plan),
            inputs: &inputs,
            seen: BTreeSet::new(),
            names: BTreeSet::new(),
            outline: &mut outline,
        };
        collector.stage(plan.target);
        outline.describe(self, plan);
        outline.sort();
        Ok(outline)
    }
}

impl Outline {
    fn describe(&mut self, plan: &StagePlan, platform: &PlatformPlan) {
        let stage = platform.stages.get(platform.target.0);
        let from = stage.and_then(|stage| plan.ast.instructions.get(stage.from));
        let Some(from) = from else { return };
        if let InstructionKind::From(kind) = &from.kind {
            let name = kind.alias.as_ref().map(StageAlias::lower_name);
            self.name = name.unwrap_or_default();
            self.description = description(&from.comments, &self.name);
        }
    }

    fn sort(&mut self) {
        self.arguments.sort_by_key(|argument| argument.lines);
        for mounts in [&mut self.secrets, &mut self.agents, &mut self.caches] {
            mounts.sort_by_key(|mount| mount.lines);
        }
    }
}

/// An argument that is declared before the first `FROM`, with those that its default uses.
struct Global {
    argument: Argument,
    needs: BTreeSet<String>,
}

/// Returns what is declared before the first `FROM`; of several declarations of one name the last.
fn globals(plan: &StagePlan, platform: &PlatformPlan) -> BTreeMap<String, Global> {
    let declared: BTreeSet<&str> = global_declarations(&plan.ast)
        .map(|(_, declaration)| declaration.name.value.as_str())
        .collect();
    let mut visible = Environment::default();
    for name in platform
        .globals
        .names()
        .filter(|name| !declared.contains(name))
    {
        visible.set(name, platform.globals.get(name).unwrap_or_default());
    }
    let mut globals: BTreeMap<String, Global> = BTreeMap::new();
    for (instruction, declaration) in global_declarations(&plan.ast) {
        let name = &declaration.name.value;
        let (value, mut needs) = default(plan, declaration, &visible);
        if needs.remove(name)
            && let Some(earlier) = globals.get(name)
        {
            needs.extend(earlier.needs.iter().cloned());
        }
        if let Some(value) = &value {
            visible.set(name, value);
        }
        let argument = Argument {
            value: value.unwrap_or_default(),
            description: description(&instruction.comments, name),
            lines: instruction.lines,
        };
        globals.insert(name.clone(), Global { argument, needs });
    }
    globals
}

/// Returns the value of a declaration, and the arguments that it was made of.
fn default(
    plan: &StagePlan,
    declaration: &ArgDeclaration,
    visible: &Environment,
) -> (Option<String>, BTreeSet<String>) {
    if let Some(given) = plan.options.build_args.get(&declaration.name.value) {
        return (Some(given.clone()), BTreeSet::new());
    }
    let word = declaration.default.as_ref();
    let expanded = word.and_then(|word| expand(word, visible, plan.ast.escape).ok());
    expanded.map_or((None, BTreeSet::new()), |expanded| {
        (Some(expanded.value), expanded.used)
    })
}

/// Goes through the stages that the target needs, the nearest first: what it says itself counts.
struct Collector<'a> {
    plan: &'a PlatformPlan,
    globals: BTreeMap<String, Global>,
    inputs: &'a BTreeMap<StageId, Inputs>,
    seen: BTreeSet<StageId>,
    /// The arguments that are in the outline.
    names: BTreeSet<String>,
    outline: &'a mut Outline,
}

impl Collector<'_> {
    fn stage(&mut self, id: StageId) {
        let Some(stage) = self.plan.stages.get(id.0) else {
            return;
        };
        if !self.seen.insert(id) {
            return;
        }
        let nothing = Inputs::default();
        let inputs = self.inputs.get(&id).unwrap_or(&nothing);
        self.arguments(stage.arguments.union(&inputs.used).cloned(), inputs);
        add(&mut self.outline.secrets, &inputs.secrets);
        add(&mut self.outline.agents, &inputs.agents);
        add(&mut self.outline.caches, &inputs.caches);
        if let StageBase::Stage(base) = stage.base {
            self.stage(base);
        }
        for source in stage.sources() {
            if let CopyFrom::Stage(id) = source {
                self.stage(*id);
            }
        }
    }

    /// Adds arguments, and those that their defaults are made of.
    fn arguments(&mut self, names: impl Iterator<Item = String>, inputs: &Inputs) {
        let mut open: Vec<String> = names.collect();
        let mut marked = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !marked.insert(name.clone()) {
                continue;
            }
            let own = inputs.arguments.get(&name);
            let global = self.globals.get(&name);
            open.extend(
                global
                    .iter()
                    .flat_map(|global| global.needs.iter().cloned()),
            );
            let argument = own.or(global.map(|global| &global.argument));
            if let Some(argument) = argument
                && self.names.insert(name.clone())
            {
                self.outline.arguments.push(OutlineArgument {
                    name,
                    description: argument.description.clone(),
                    value: argument.value.clone(),
                    lines: argument.lines,
                });
            }
        }
    }
}

fn add(mounts: &mut Vec<OutlineMount>, needs: &BTreeMap<String, Need>) {
    for (name, need) in needs {
        if mounts.iter().all(|mount| mount.name != *name) {
            mounts.push(OutlineMount {
                name: name.clone(),
                required: need.required,
                lines: need.lines,
            });
        }
    }
}
