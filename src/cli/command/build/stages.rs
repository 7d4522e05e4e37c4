//! `--save-stages`: the stages that the target is made from, as images of the store that have no name.

use dockerfile::lower::{KeptStage, Target};
use export::output::Publication;
use export::{OutputSpec, export_as};
use graph::Input;
use oci::Clock;
use solver::event::StepId;
use solver::{BuildResult, PackPlan, Stack, Workshop};

use super::attempt::platform_result;
use super::caches::Failure;
use crate::options::ResultOptions;

/// A stage with its images, one for each platform that it is for.
#[derive(Debug)]
struct Kept {
    number: usize,
    name: String,
    images: Vec<KeptStage>,
}

/// The stages that are kept.
#[derive(Debug, Default)]
pub(super) struct KeptStages {
    stages: Vec<Kept>,
}

impl KeptStages {
    /// Takes the stages of the targets, if they are wanted. A stage that is the same for two targets, as one of
    /// the build platform is, is one image.
    pub(super) fn of(targets: &mut [Target], options: &ResultOptions) -> Self {
        let mut all = Self::default();
        if !options.save_stages {
            return all;
        }
        for stage in targets
            .iter_mut()
            .flat_map(|target| target.stages.drain(..))
        {
            all.add(stage);
        }
        all.stages.sort_by_key(|kept| kept.number);
        all
    }

    fn add(&mut self, stage: KeptStage) {
        let known = self.stages.iter_mut();
        let mut known = known.filter(|kept| kept.number == stage.number);
        match known.next() {
            Some(kept) if kept.images.iter().any(|one| one.platform == stage.platform) => {}
            Some(kept) => kept.images.push(stage),
            None => self.stages.push(Kept {
                number: stage.number,
                name: stage.name.clone(),
                images: vec![stage],
            }),
        }
    }

    /// Returns the file systems that have to be built for them.
    pub(super) fn roots(&self) -> impl Iterator<Item = Input> {
        let images = self.stages.iter().flat_map(|kept| &kept.images);
        images.map(|image| image.root)
    }

    /// Returns how their layers are packed.
    pub(super) fn pack_plan(options: &ResultOptions, workshop: &Workshop) -> Option<PackPlan> {
        let output = options.save_stages.then(|| output(workshop));
        output.and_then(|output| output.pack_plan())
    }

    /// Puts them into the store; `stacks` are those of [`KeptStages::roots`].
    pub(super) fn export(&self, stacks: Vec<Stack>, workshop: &Workshop) -> Result<(), Failure> {
        let mut stacks = stacks.into_iter();
        for kept in &self.stages {
            let images = kept.images.iter().zip(stacks.by_ref());
            let platforms = images.map(|(image, stack)| {
                let known = (&image.platform, &image.config, &image.history);
                platform_result((known.0.clone(), known.1.clone(), known.2.clone()), stack)
            });
            let result = BuildResult {
                platforms: platforms.collect(),
            };
            let id = StepId(format!("export-stage-{}", kept.name));
            export_as(id, &output(workshop), &result, workshop)
                .map_err(|error| Failure::of_export(error, workshop))?;
        }
        Ok(())
    }
}

/// Says where a stage goes.
fn output(workshop: &Workshop) -> OutputSpec {
    let mut output = OutputSpec::image_of(Publication::stored());
    if let Clock::Fixed(time) = workshop.clock {
        output.set_time(time);
    }
    output
}
