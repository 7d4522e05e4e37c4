//! What steps are called in displays: `[linux/amd64->arm64 base 3/7] RUN make`.

use graph::StepLabel;
use oci::Platform;

use crate::ast::InstructionKind;
use crate::stage::{CopyFrom, Environment, PlatformPlan, Stage, StageBase, StagePlan};

/// Numbers the steps of one stage.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    stage: String,
    index: usize,
    count: usize,
    /// The platform of the stage, where steps have to say it.
    platform: Option<&'a Platform>,
}

impl<'a> Steps<'a> {
    /// Counts what the stage will show: its base image and the instructions that change files. `WORKDIR /`
    /// is counted though it does nothing, as `BuildKit` does.
    pub(super) fn new(plan: &'a StagePlan, platform: &PlatformPlan, stage: &'a Stage) -> Self {
        let instructions = stage
            .instructions()
            .filter_map(|index| plan.ast.instructions.get(index));
        let steps = instructions
            .filter(|instruction| is_step(&instruction.kind))
            .count();
        let has_image = match &stage.base {
            StageBase::Image(_) | StageBase::Replaced(_) => true,
            StageBase::Bare(context) => context.directory.is_some(),
            StageBase::Scratch | StageBase::Stage(_) => false,
        };
        Self {
            stage: shown_name(plan, platform, stage),
            index: 0,
            count: steps + usize::from(has_image),
            platform: plan.options.is_multi_platform().then_some(&stage.platform),
        }
    }

    /// Returns the label of the next step, which sees `variables`.
    pub(super) fn next(&mut self, text: String, line: usize, variables: &Environment) -> StepLabel {
        let label = self.coming(text, line, variables);
        self.index += 1;
        label
    }

    /// Returns the label of the next step without going on to it: for what is done for that step.
    pub(super) fn coming(&self, text: String, line: usize, variables: &Environment) -> StepLabel {
        StepLabel {
            stage: self.stage.clone(),
            index: self.index + 1,
            count: self.count,
            text,
            line,
            platform: self
                .platform
                .map(|platform| shown_platform(platform, variables)),
        }
    }
}

fn is_step(kind: &InstructionKind) -> bool {
    matches!(
        kind,
        InstructionKind::Run(_)
            | InstructionKind::Copy(_)
            | InstructionKind::Add(_)
            | InstructionKind::Workdir(_)
    )
}

/// Returns the stage's name or `stage-N`; nothing where there is only one stage and no image besides it. As in BuildKit,
/// a mount that names no stage counts as another image, whatever is mounted.
fn shown_name(plan: &StagePlan, platform: &PlatformPlan, stage: &Stage) -> String {
    if let Some(name) = &stage.name
        && platform.stages.len() > 1
    {
        return name.clone();
    }
    let copies_image = |from: &CopyFrom| matches!(from, CopyFrom::Image(_) | CopyFrom::Scratch);
    let is_alone = !stage.sources().any(copies_image) && !has_plain_mount(plan, stage);
    if platform.stages.len() == 1 && is_alone {
        return String::new();
    }
    stage
        .name
        .clone()
        .unwrap_or_else(|| format!("stage-{}", stage.number))
}

/// Tells whether a command has a mount without `from`.
fn has_plain_mount(plan: &StagePlan, stage: &Stage) -> bool {
    let instructions = stage.instructions();
    let mut found = instructions.filter_map(|index| plan.ast.instructions.get(index));
    found.any(|instruction| match &instruction.kind {
        InstructionKind::Run(run) => run.mounts.iter().any(|mount| !mount.names_a_source()),
        _ => false,
    })
}

/// Returns `linux/arm64`, or `linux/amd64->arm64` for a step that knows by its variables that it makes
/// something for another platform. A step that does not know is the same for all targets, and shown for
/// none of them.
fn shown_platform(platform: &Platform, variables: &Environment) -> String {
    let shown = platform.format_all();
    let Some(target) = target_of(platform, variables) else {
        return shown;
    };
    if target.os != platform.os {
        return format!("{shown}->{}", target.format_all());
    }
    if target.architecture == platform.architecture {
        return shown;
    }
    match &target.variant {
        Some(variant) => format!("{shown}->{}/{variant}", target.architecture),
        None => format!("{shown}->{}", target.architecture),
    }
}

/// Returns the platform that `TARGET…` variables name; what they leave out is that of the step.
fn target_of(platform: &Platform, variables: &Environment) -> Option<Platform> {
    if let Some(target) = variables.get("TARGETPLATFORM") {
        return Platform::parse(target, platform)
            .ok()
            .map(|target| target.normalized());
    }
    let (os, architecture) = (variables.get("TARGETOS"), variables.get("TARGETARCH"));
    let variant = variables
        .get("TARGETVARIANT")
        .filter(|variant| !variant.is_empty());
    if os.is_none() && architecture.is_none() && variant.is_none() {
        return None;
    }
    let target = Platform::new(
        os.unwrap_or(&platform.os),
        architecture.unwrap_or(&platform.architecture),
    );
    Some(match variant {
        Some(variant) => target.with_variant(variant).normalized(),
        None => target.normalized(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_for_another_platform_says_which() {
        for (platform, variables, expected) in [
            ("linux/amd64", vec![], "linux/amd64"),
            (
                "linux/amd64",
                vec!["TARGETPLATFORM=linux/arm64"],
                "linux/amd64->arm64",
            ),
            (
                "linux/amd64",
                vec!["TARGETPLATFORM=linux/amd64"],
                "linux/amd64",
            ),
            (
                "linux/amd64",
                vec!["TARGETARCH=arm", "TARGETVARIANT=v7"],
                "linux/amd64->arm/v7",
            ),
            (
                "linux/amd64",
                vec!["TARGETOS=darwin"],
                "linux/amd64->darwin/amd64",
            ),
            ("linux/arm64", vec!["TARGETVARIANT="], "linux/arm64"),
        ] {
            let variables: Vec<String> = variables.into_iter().map(str::to_owned).collect();
            let platform = Platform::parse(platform, &Platform::new("linux", "amd64")).unwrap();
            let shown = shown_platform(&platform, &Environment::from_entries(&variables));
            assert_eq!(shown, expected, "{platform} {variables:?}");
        }
    }
}
