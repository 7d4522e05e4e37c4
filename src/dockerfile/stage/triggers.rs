//! `ONBUILD`: what a base leaves to be done by the stages that are built on it.
//!
//! Triggers are known when the base is, and may name stages and images themselves. So they are added to
//! the plan as its bases become known, and the plan may then ask for more.
//!
//! ```text
//! base                     triggers                      their place
//! an image                 its configuration's           the word of `FROM`
//! an earlier stage         its own `ONBUILD`s            where they stand in the file
//! scratch, a named context none
//! ```
//!
//! A stage that is built on a stage does not run what that stage ran already.

use crate::ast::{Instruction, InstructionKind};
use crate::diagnostic::Diagnostic;
use crate::parse;
use crate::source::{LineRange, Span};
use crate::stage::resolve::{Scope, resolve_triggers};
use crate::stage::target;
use crate::stage::{PlatformPlan, Stage, StageBase, StageId, StagePlan};

/// A trigger of a base: its text, and the instruction that it is.
#[derive(Debug)]
struct Trigger {
    text: String,
    instruction: Result<Instruction, Vec<Diagnostic>>,
}

impl Trigger {
    /// Takes away what would be said under the wrong word, and what nobody can do: the image is made.
    fn without_advice(mut self) -> Self {
        for fault in self.instruction.as_mut().err().into_iter().flatten() {
            fault.label.clear();
            fault.help = None;
        }
        self
    }
}

impl StagePlan {
    /// Adds the triggers of all bases that are known, until there are no more.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong in the triggers of a base.
    pub(super) fn add_triggers(&mut self) -> Result<(), Vec<Diagnostic>> {
        for platform in 0..self.platforms.len() {
            let mut first = StageId(0);
            while let Some((stage, triggers)) = self.next_triggers(platform, first) {
                // What triggers name stands above their stage, and may be needed only now.
                first = StageId(if triggers.is_empty() { stage.0 + 1 } else { 0 });
                self.add_triggers_of(platform, stage, triggers)?;
            }
        }
        Ok(())
    }

    /// Adds to a diagnostic of a trigger that it is one of a trigger.
    pub(crate) fn explained(&self, index: usize, mut diagnostic: Diagnostic) -> Diagnostic {
        let Some(text) = self.trigger_texts.get(&index) else {
            return diagnostic;
        };
        // What it would say under the wrong word cannot be said under another.
        diagnostic.label.clear();
        diagnostic.with_note(trigger_note(text))
    }

    /// Tells whether an instruction is a trigger of a base.
    pub(crate) fn is_trigger(&self, index: usize) -> bool {
        self.trigger_texts.contains_key(&index)
    }

    /// Returns the triggers of the first needed stage from `first` on that has none yet and whose base is known.
    fn next_triggers(&self, platform: usize, first: StageId) -> Option<(StageId, Vec<Trigger>)> {
        let plan = self.platforms.get(platform)?;
        let needed = plan.needed.range(first..);
        let mut stages = needed.filter_map(|id| plan.stages.get(id.0));
        stages.find_map(|stage| {
            let triggers = stage
                .triggers
                .is_none()
                .then(|| self.triggers_of(plan, stage));
            Some((StageId(stage.number), triggers.flatten()?))
        })
    }

    /// Returns the triggers of a stage's base; none as long as that is not known.
    fn triggers_of(&self, plan: &PlatformPlan, stage: &Stage) -> Option<Vec<Trigger>> {
        match &stage.base {
            StageBase::Scratch | StageBase::Replaced(_) | StageBase::Bare(_) => Some(Vec::new()),
            StageBase::Stage(id) => {
                let base = plan.stages.get(id.0).filter(|base| !base.is_replaced());
                let body = base.map(|base| base.body.clone());
                let instructions = self.ast.instructions.get(body.unwrap_or_default());
                let own = instructions.unwrap_or_default().iter();
                Some(own.filter_map(own_trigger).collect())
            }
            StageBase::Image(request) => {
                let base = self.bases.get(&request.key())?;
                let lines = self.ast.instructions.get(stage.from)?.lines;
                let texts = base.config.config.on_build.iter();
                let trigger = |text: &String| read(text, request.span, lines).without_advice();
                Some(texts.map(trigger).collect())
            }
        }
    }

    fn add_triggers_of(
        &mut self,
        platform: usize,
        stage: StageId,
        triggers: Vec<Trigger>,
    ) -> Result<(), Vec<Diagnostic>> {
        let first = self.ast.instructions.len();
        for trigger in triggers {
            let note = trigger_note(&trigger.text);
            let explained = |fault: Diagnostic| fault.with_note(note.clone());
            let instruction = trigger
                .instruction
                .map_err(|faults| faults.into_iter().map(explained).collect::<Vec<_>>())?;
            self.trigger_texts
                .insert(self.ast.instructions.len(), trigger.text);
            self.ast.instructions.push(instruction);
        }
        let Some(plan) = self.platforms.get_mut(platform) else {
            return Ok(());
        };
        let scope = Scope {
            ast: &self.ast,
            options: &self.options,
            platform: &plan.platform,
            globals: &plan.globals,
            defaults: None,
            settings: &self.settings,
        };
        let triggers = first..self.ast.instructions.len();
        if triggers.is_empty() {
            // Most stages have none: nothing that was resolved changes.
            if let Some(stage) = plan.stages.get_mut(stage.0) {
                stage.triggers = Some(triggers);
            }
            return Ok(());
        }
        let resolved = resolve_triggers(scope, &mut plan.stages, stage, triggers);
        plan.needed = target::wanted(&plan.stages, plan.target, &self.options);
        resolved.map_err(|faults| {
            let explained = |(index, fault)| self.explained(index, fault);
            faults.into_iter().map(explained).collect()
        })
    }
}

/// Returns the trigger that an instruction of this file leaves.
fn own_trigger(instruction: &Instruction) -> Option<Trigger> {
    let InstructionKind::Onbuild(onbuild) = &instruction.kind else {
        return None;
    };
    let text = onbuild.expression.clone();
    // What is wrong in it was a warning there, and is an error where it is carried out.
    if onbuild.trigger.kind == InstructionKind::Invalid {
        return Some(read(&text, instruction.keyword.span, instruction.lines));
    }
    Some(Trigger {
        text,
        instruction: Ok(Instruction::clone(&onbuild.trigger)),
    })
}

fn read(text: &str, span: Span, lines: LineRange) -> Trigger {
    Trigger {
        text: text.to_owned(),
        instruction: parse::trigger(text, span, lines),
    }
}

fn trigger_note(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    format!("in the trigger `ONBUILD {first}`")
}
