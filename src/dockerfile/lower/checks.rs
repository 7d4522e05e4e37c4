//! What checks ask of an instruction before it is lowered, and where it stands.
//!
//! Words are expanded here once more, without a sound: an instruction's own file tells what is wrong with them.

use crate::ast::{
    AddInstruction, ArgInstruction, CommandForm, CopyInstruction, CopySpec, EnvInstruction,
    ExposeInstruction, Instruction, InstructionKind, RunInstruction, Word,
};
use crate::call::{self, Argument};
use crate::check::{self, Multiple, Settings, Single, Site};
use crate::diagnostic::Diagnostic;
use crate::lower::files;
use crate::lower::stage_lowering::StageLowering;
use crate::source::{LineRange, Spanned};
use crate::stage::{Stage, StagePlan, expand};
use crate::words;

/// The instruction that is lowered, as far as checks have to know it.
#[derive(Debug, Default)]
pub(super) struct Place {
    comments: Vec<Spanned<String>>,
    lines: Option<LineRange>,
    multiple: Multiple,
}

impl Place {
    /// Returns the place of a stage's `FROM`.
    pub(super) fn of_stage(plan: &StagePlan, stage: &Stage) -> Self {
        let mut place = Self::default();
        if let Some(from) = plan.ast.instructions.get(stage.from) {
            place.enter(from);
        }
        place
    }

    /// Goes on to an instruction.
    fn enter(&mut self, instruction: &Instruction) {
        self.comments.clone_from(&instruction.comments);
        self.lines = Some(instruction.lines);
    }

    /// Returns an argument that is declared here.
    pub(super) fn argument(&self, name: &str, value: Option<&str>) -> Argument {
        Argument {
            value: value.unwrap_or_default().to_owned(),
            description: call::description(&self.comments, name),
            lines: self.lines.unwrap_or(LineRange { first: 0, last: 0 }),
        }
    }

    /// Returns where checks tell what they find here.
    pub(super) fn site<'f>(&self, settings: &Settings, found: &'f mut Vec<Diagnostic>) -> Site<'f> {
        Site::new(settings, &self.comments, self.lines, found)
    }
}

/// Asks the checks of one instruction.
pub(super) fn before(stage: &mut StageLowering<'_>, instruction: &Instruction) {
    stage.place.enter(instruction);
    note_repeated(stage, instruction);
    match &instruction.kind {
        InstructionKind::Arg(arg) => argument(stage, arg),
        InstructionKind::Env(env) => environment(stage, instruction, env),
        InstructionKind::Label(label) => {
            let mut at = stage.site();
            check::legacy_key_value(instruction, &label.pairs, label.form, &mut at);
        }
        InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => {
            command_form(stage, instruction, command);
        }
        InstructionKind::Copy(copy) => copied(stage, copy),
        InstructionKind::Add(add) => added(stage, add),
        InstructionKind::Workdir(path) => workdir(stage, path),
        InstructionKind::Expose(expose) => exposed(stage, expose),
        InstructionKind::Run(run) => mounts(stage, instruction, run),
        _ => {}
    }
}

/// Returns what a word expands to, if it can be expanded.
fn quietly(stage: &StageLowering<'_>, word: &Word) -> Option<String> {
    let expanded = expand(word, &stage.state.variables, stage.plan.ast.escape);
    expanded.ok().map(|expanded| expanded.value)
}

fn note_repeated(stage: &mut StageLowering<'_>, instruction: &Instruction) {
    let Some(single) = Single::of(&instruction.kind) else {
        return;
    };
    let mut multiple = std::mem::take(&mut stage.place.multiple);
    multiple.note(single, instruction, &mut stage.site());
    stage.place.multiple = multiple;
}

fn argument(stage: &mut StageLowering<'_>, arg: &ArgInstruction) {
    for declaration in &arg.declarations {
        let name = &declaration.name;
        check::secret("ARG", &name.value, name, &mut stage.site());
    }
}

/// Takes note of what the mounts of a `RUN` ask for.
fn mounts(stage: &mut StageLowering<'_>, instruction: &Instruction, run: &RunInstruction) {
    let variables = &stage.state.variables;
    let escape = stage.plan.ast.escape;
    let lookup = |name: &str| variables.get(name).map(str::to_owned);
    let mut expand = |word: &Word| {
        words::expand_word(&word.value, &lookup, escape).map(|expanded| expanded.value)
    };
    for flag in &run.mounts {
        let inputs = &mut stage.state.inputs;
        inputs.mount(flag, instruction.lines, &mut expand);
    }
}

fn environment(stage: &mut StageLowering<'_>, instruction: &Instruction, env: &EnvInstruction) {
    check::legacy_key_value(instruction, &env.pairs, env.form, &mut stage.site());
    for pair in &env.pairs {
        if let Some(name) = quietly(stage, &pair.key) {
            check::secret("ENV", &name, &pair.key, &mut stage.site());
        }
    }
}

fn command_form(stage: &mut StageLowering<'_>, instruction: &Instruction, command: &CommandForm) {
    let shell = stage.config().shell.clone();
    check::json_args(instruction, command, &shell, &mut stage.site());
}

/// Looks at the sources of a `COPY` from the build context.
fn copied(stage: &mut StageLowering<'_>, copy: &CopyInstruction) {
    if copy.from.is_none() {
        ignored(stage, "Copy", &copy.spec);
    }
}

fn added(stage: &mut StageLowering<'_>, add: &AddInstruction) {
    ignored(stage, "Add", &add.spec);
}

fn ignored(stage: &mut StageLowering<'_>, verb: &str, spec: &CopySpec) {
    let ignore = &stage.plan.ignore;
    for word in &spec.sources {
        let source = quietly(stage, word).filter(|source| files::remote(source).is_none());
        if let Some(source) = source {
            check::copy_ignored_file(verb, (&source, word), ignore, &mut stage.site());
        }
    }
}

fn workdir(stage: &mut StageLowering<'_>, path: &Word) {
    if !stage.state.has_workdir
        && let Some(wanted) = quietly(stage, path)
    {
        let wanted = Spanned::new(wanted, path.span);
        check::relative_workdir(&wanted, &mut stage.site());
    }
    stage.state.has_workdir = true;
}

/// Looks at the ports in the order of their text, in which they stand in the history.
fn exposed(stage: &mut StageLowering<'_>, expose: &ExposeInstruction) {
    let mut words: Vec<&Word> = expose.ports.iter().collect();
    words.sort_by(|a, b| a.value.cmp(&b.value));
    for word in words {
        let variables = &stage.state.variables;
        let Ok(expanded) = expand(word, variables, stage.plan.ast.escape) else {
            continue;
        };
        for text in &expanded.words {
            check::expose(text, word, &mut stage.site());
        }
    }
}
