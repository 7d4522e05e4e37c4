//! The platform of a stage, where its base decides.
//!
//! | Base | Its image is for another platform |
//! | --- | --- |
//! | of a `FROM` with `--platform` | nothing changes; there is a warning |
//! | of a `FROM` without, and a target platform was asked for | as above |
//! | of a `FROM` without, and none was asked for | the stage is for the image's platform |
//! | a named context in the place of a stage | the stage is for the image's platform |
//!
//! A stage that is built on a stage is for the platform of that.

use oci::Platform;

use crate::ast::{Ast, InstructionKind};
use crate::stage::{BaseRequest, PlanOptions, Stage, StageBase, StagePlan};

impl StagePlan {
    /// Takes note of the platform that a base turned out to be for.
    pub(super) fn take_platform(&mut self, request: &BaseRequest, found: &Platform) {
        let found = found.normalized();
        let wanted = &request.platform;
        if found.os == wanted.os && found.architecture == wanted.architecture {
            return;
        }
        let implicit = self.options.implicit_platform;
        for plan in &mut self.platforms {
            for stage in &mut plan.stages {
                let decides = match &stage.base {
                    StageBase::Replaced(base) => base.key() == request.key(),
                    StageBase::Image(base) => {
                        implicit && base.key() == request.key() && !names_platform(&self.ast, stage)
                    }
                    StageBase::Scratch | StageBase::Stage(_) | StageBase::Bare(_) => false,
                };
                if decides {
                    stage.platform.clone_from(&found);
                }
            }
            inherit(&mut plan.stages);
        }
    }
}

/// Returns the platform that an image is wanted for, which checks hold against the one that it is for.
pub(super) fn wanted(
    options: &PlanOptions,
    stage: &Stage,
    request: &BaseRequest,
    found: &Platform,
) -> Platform {
    match &stage.base {
        StageBase::Image(base) | StageBase::Replaced(base)
            if base.key() == request.key() && base.span == request.span =>
        {
            stage.platform.clone()
        }
        _ if options.implicit_platform => found.clone(),
        _ => request.platform.clone(),
    }
}

/// Tells whether the `FROM` of a stage has `--platform`.
pub(super) fn names_platform(ast: &Ast, stage: &Stage) -> bool {
    let from = ast.instructions.get(stage.from);
    matches!(from.map(|from| &from.kind), Some(InstructionKind::From(from)) if from.platform.is_some())
}

/// Hands platforms on to the stages that are built on stages, which stand below them.
fn inherit(stages: &mut [Stage]) {
    for number in 0..stages.len() {
        let StageBase::Stage(base) = stages[number].base else {
            continue;
        };
        stages[number].platform = stages[base.0].platform.clone();
    }
}
