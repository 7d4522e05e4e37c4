//! Lowering: the instructions of the needed stages become vertices of the graph, changes of the image's
//! configuration, and its history.
//!
//! | Instruction | Vertex | Layer in the history |
//! | --- | --- | --- |
//! | `FROM image` | image source | those of the base |
//! | `RUN` | exec | ✓ |
//! | `COPY`, `ADD` | file: copy | ✓ |
//! | `WORKDIR` but `/` | file: make directory | ✓, also where the directory is there already |
//! | `WORKDIR /` and all others | | |
//!
//! Each vertex with a layer is one change set, so the entries of the history that are not empty and the
//! layers on top of the base are the same in number and order.
//!
//! All words of an instruction see the variables as they were before it, but for `ARG`, whose later
//! arguments see the earlier ones. Of an `ENV` and an `ARG` with one name the later counts, as in
//! `BuildKit`.

use std::collections::BTreeMap;

use graph::{DefinitionBuilder, Input};
use oci::{ImageConfig, Platform};

use crate::ast::{Instruction, InstructionKind};
use crate::call::Inputs;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::stage::{PlatformPlan, StageId, StagePlan};

mod add;
mod arg;
mod base;
mod checks;
mod cmd;
mod copy;
mod entrypoint;
mod env;
mod expose;
mod files;
mod format;
#[cfg(test)]
mod golden;
mod healthcheck;
mod kept;
mod label;
mod maintainer;
mod mode;
mod mount;
mod onbuild;
mod path;
pub(crate) mod remote;
mod run;
mod sandbox;
mod shell;
mod stage_lowering;
mod state;
mod step;
mod stopsignal;
mod user;
mod volume;
mod windows;
mod workdir;

pub(crate) use format::quoted as go_quoted;
pub use kept::KeptStage;
pub use remote::policy::identifier as git_identifier;
use stage_lowering::StageLowering;
use state::StageState;

/// What lowering a part leads to. A list without entries says that the reason was given elsewhere.
type Lowered<T = ()> = Result<T, Vec<Diagnostic>>;

/// The remark in each entry of the history, that of the language's first frontend.
pub const HISTORY_COMMENT: &str = "buildkit.dockerfile.v0";

/// What one target platform's image is made from.
#[derive(Debug, Clone)]
pub struct Target {
    /// The platform of the image.
    pub platform: Platform,
    /// Its file system.
    pub root: Input,
    /// The base's configuration with the changes of all stages; layers and history are the base's.
    pub config: ImageConfig,
    /// The steps on top of the base, those of earlier stages first.
    pub history: Vec<HistoryStep>,
    /// The stages that it is made from.
    pub stages: Vec<KeptStage>,
    /// What the user should know, each once.
    pub warnings: Vec<Diagnostic>,
}

/// One entry of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// The instruction, as `BuildKit` writes it.
    pub created_by: String,
    /// Whether it changed the configuration alone.
    pub empty_layer: bool,
    /// The remark: [`HISTORY_COMMENT`].
    pub comment: &'static str,
}

impl StagePlan {
    /// Adds what one target platform needs to `graph`.
    ///
    /// Call it once for each target platform with the same graph: what two platforms have in common, as a
    /// stage that runs on the build platform, is there once.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong in the needed stages, with what is not carried out yet, with
    /// bases that nobody resolved and with a platform that was not planned for; also when a check has found
    /// something and the user wants that to be an error. Warnings stand before the errors.
    pub fn lower(
        &self,
        platform: &Platform,
        graph: &mut DefinitionBuilder,
    ) -> Result<Target, Vec<Diagnostic>> {
        self.lowering(platform, graph)?.finish()
    }

    /// Returns what each needed stage asks for from outside.
    ///
    /// # Errors
    ///
    /// Fails as [`StagePlan::lower`] does.
    pub(crate) fn inputs(
        &self,
        platform: &Platform,
    ) -> Result<BTreeMap<StageId, Inputs>, Vec<Diagnostic>> {
        let mut graph = DefinitionBuilder::new();
        let lowering = self.lowering(platform, &mut graph)?;
        if !lowering.faults.is_empty() {
            return Err(lowering.faults);
        }
        let stages = lowering.done.into_iter();
        Ok(stages.map(|(id, state)| (id, state.inputs)).collect())
    }

    /// Lowers the needed stages for a platform.
    fn lowering<'a>(
        &'a self,
        platform: &Platform,
        graph: &'a mut DefinitionBuilder,
    ) -> Result<PlatformLowering<'a>, Vec<Diagnostic>> {
        let Some(plan) = self
            .platforms
            .iter()
            .find(|plan| plan.platform == *platform)
        else {
            let title = format!("`{platform}` is not one of the platforms of this build");
            return Err(vec![Diagnostic::error(title, Span::default())]);
        };
        let mut lowering = PlatformLowering {
            plan: self,
            platform: plan,
            graph,
            done: BTreeMap::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        for id in &plan.needed {
            lowering.stage(*id);
        }
        Ok(lowering)
    }
}

/// The work on one target platform.
struct PlatformLowering<'a> {
    plan: &'a StagePlan,
    platform: &'a PlatformPlan,
    graph: &'a mut DefinitionBuilder,
    done: BTreeMap<StageId, StageState>,
    faults: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl PlatformLowering<'_> {
    /// Lowers a stage. After an error the rest of it is still looked at, so that all its errors are told.
    fn stage(&mut self, id: StageId) {
        let Some(stage) = self.platform.stages.get(id.0) else {
            return;
        };
        let begun = StageLowering::begin(self.plan, self.platform, stage, &self.done, self.graph);
        let mut lowering = match begun {
            Ok(lowering) => lowering,
            Err(faults) => return self.faults.extend(faults),
        };
        let mut faults = Vec::new();
        for index in stage.instructions() {
            let Some(instruction) = self.plan.ast.instructions.get(index) else {
                continue;
            };
            lowering.enter(index);
            if let Err(found) = instruction_of(&mut lowering, index, instruction) {
                let found = found.into_iter();
                faults.extend(found.map(|fault| self.plan.explained(index, fault)));
            }
            lowering.leave();
        }
        let (state, warnings) = lowering.finish();
        self.done.insert(id, state);
        self.faults.extend(faults);
        self.warnings.extend(warnings);
    }

    fn finish(mut self) -> Result<Target, Vec<Diagnostic>> {
        let mut warnings = Vec::new();
        for warning in std::mem::take(&mut self.warnings) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let found = self.plan.warnings().iter().chain(&warnings);
        if self.faults.is_empty()
            && let Some(violation) = self.plan.settings.violation(found)
        {
            self.faults.push(violation);
        }
        let stages = kept::kept(&self);
        let state = self.done.remove(&self.platform.target);
        let Some(state) = state.filter(|_| self.faults.is_empty()) else {
            warnings.extend(self.faults);
            return Err(warnings);
        };
        let mut config = state.config;
        config
            .config
            .labels
            .extend(self.plan.options.labels.clone());
        if self.plan.options.stage_labels {
            kept::add_labels(&mut config, self.platform, self.platform.target);
        }
        let platform = if self.plan.options.implicit_platform {
            config.platform().normalized()
        } else {
            self.platform.platform.clone()
        };
        base::set_platform(&mut config, &platform);
        Ok(Target {
            platform,
            root: state.root,
            config,
            history: state.history,
            stages,
            warnings,
        })
    }
}

/// The table of instructions: each is lowered in its own file.
fn instruction_of(
    stage: &mut StageLowering<'_>,
    index: usize,
    instruction: &Instruction,
) -> Lowered {
    checks::before(stage, instruction);
    match &instruction.kind {
        InstructionKind::From(_) => {}
        InstructionKind::Arg(arg) => arg::lower(stage, arg)?,
        InstructionKind::Env(env) => env::lower(stage, env)?,
        InstructionKind::Label(label) => label::lower(stage, label)?,
        InstructionKind::Run(run) => run::lower(stage, index, instruction, run)?,
        InstructionKind::Cmd(command) => cmd::lower(stage, command),
        InstructionKind::Entrypoint(command) => entrypoint::lower(stage, command),
        InstructionKind::Shell(shell) => shell::lower(stage, shell),
        InstructionKind::Copy(copy) => copy::lower(stage, index, instruction, copy)?,
        InstructionKind::Add(add) => add::lower(stage, instruction, add)?,
        InstructionKind::Workdir(path) => workdir::lower(stage, instruction, path)?,
        InstructionKind::User(user) => user::lower(stage, user)?,
        InstructionKind::Expose(expose) => expose::lower(stage, expose)?,
        InstructionKind::Volume(volume) => volume::lower(stage, volume)?,
        InstructionKind::StopSignal(signal) => stopsignal::lower(stage, signal)?,
        InstructionKind::Healthcheck(check) => healthcheck::lower(stage, check),
        InstructionKind::Onbuild(onbuild) => onbuild::lower(stage, onbuild),
        InstructionKind::Maintainer(name) => maintainer::lower(stage, name),
        // The parser has said why; such a file is never planned.
        InstructionKind::Invalid => {}
    }
    Ok(())
}

/// Returns the refusal of something that this version cannot do yet.
fn not_yet(what: &str, span: Span) -> Vec<Diagnostic> {
    vec![Diagnostic::error(
        format!("{what} is not supported yet"),
        span,
    )]
}
