//! The stages that a target is made from, as images of their own (`--save-stages`, `--stage-labels` of buildah).

use graph::Input;
use oci::{ImageConfig, Platform};

use crate::lower::{HistoryStep, PlatformLowering};
use crate::stage::{PlatformPlan, Stage, StageBase, StageId};

/// The label with the name of a stage, or its number where it has none.
const LABEL_NAME: &str = "io.buildah.stage.name";

/// The label with what a stage is built on.
const LABEL_BASE: &str = "io.buildah.stage.base";

/// A stage that the target is made from, as it was when it was complete.
#[derive(Debug, Clone)]
pub struct KeptStage {
    /// Its place in the file, from 0.
    pub number: usize,
    /// Its name, or else its number.
    pub name: String,
    /// The platform of its image.
    pub platform: Platform,
    /// Its file system.
    pub root: Input,
    /// The configuration of its image; layers and history are the base's.
    pub config: ImageConfig,
    /// The steps on top of the base.
    pub history: Vec<HistoryStep>,
}

/// Returns the stages of a lowering but the target's, in the order of the file. One whose place a named context
/// takes is not among them: nothing of it is built.
pub(super) fn kept(lowering: &PlatformLowering<'_>) -> Vec<KeptStage> {
    let plan = lowering.platform;
    let others = lowering.done.iter().filter(|(id, _)| **id != plan.target);
    let kept = others.filter_map(|(id, state)| {
        let stage = plan.stages.get(id.0)?;
        if matches!(stage.base, StageBase::Replaced(_)) {
            return None;
        }
        let mut config = state.config.clone();
        if lowering.plan.options.stage_labels {
            add_labels(&mut config, plan, *id);
        }
        Some(KeptStage {
            number: stage.number,
            name: name_of(stage),
            platform: config.platform(),
            root: state.root,
            config,
            history: state.history.clone(),
        })
    });
    kept.collect()
}

/// Adds the labels that say which stage an image is.
pub(super) fn add_labels(config: &mut ImageConfig, plan: &PlatformPlan, id: StageId) {
    let Some(stage) = plan.stages.get(id.0) else {
        return;
    };
    let base = match &stage.base {
        StageBase::Scratch => "scratch".to_owned(),
        StageBase::Stage(below) => plan.stages.get(below.0).map(name_of).unwrap_or_default(),
        StageBase::Image(request) | StageBase::Replaced(request) => request.name.clone(),
        StageBase::Bare(context) => context.directory.clone().unwrap_or_default(),
    };
    for (label, value) in [(LABEL_NAME, name_of(stage)), (LABEL_BASE, base)] {
        config.config.labels.insert(label.to_owned(), value);
    }
}

fn name_of(stage: &Stage) -> String {
    let name = stage.name.clone();
    name.unwrap_or_else(|| stage.number.to_string())
}
