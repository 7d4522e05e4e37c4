//! What is shown while a registry is asked for the documents of an image.

use oci::{Platform, Reference};

use super::BaseError;
use crate::event::{Event, Events, StepId};

/// Whether steps say for which platform they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// The build has one platform.
    Plain,
    /// The build has several.
    Platforms,
}

/// The steps that are shown: one, or one for each platform.
pub(super) struct Loading(Vec<(StepId, String)>);

impl Loading {
    pub(super) fn new(reference: &Reference, platforms: &[Platform], labels: Labels) -> Self {
        let of_platform = |platform: &Platform| {
            let platform = platform.format_all();
            let name = format!("[{platform} internal] load metadata for {reference}");
            (StepId(format!("metadata {platform} {reference}")), name)
        };
        Self(match labels {
            Labels::Platforms => platforms.iter().map(of_platform).collect(),
            Labels::Plain => {
                let name = format!("[internal] load metadata for {reference}");
                vec![(StepId(format!("metadata {reference}")), name)]
            }
        })
    }

    /// Shows them while something is looked up for all of them. What fails, does so for one platform, by its place.
    pub(super) fn show<T>(
        &self,
        events: &Events,
        look_up: impl FnOnce() -> Result<T, (usize, BaseError)>,
    ) -> Result<T, (usize, BaseError)> {
        for (step, name) in &self.0 {
            events.emit(Event::Started {
                step: step.clone(),
                name: name.clone(),
            });
        }
        let found = look_up();
        let failed = found.as_ref().err();
        for (place, (step, name)) in self.0.iter().enumerate() {
            let own = failed.filter(|(failed, _)| *failed == place || self.0.len() == 1);
            events.end((step, name), own.map(|(_, error)| error));
        }
        found
    }
}
