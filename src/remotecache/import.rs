//! A place of a cache, as the solver asks it: [`Importer`].

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::OnceLock;

use graph::CacheKey;
use oci::{Digest, Platform, Reference};
use solver::event::{Event, StepId};
use solver::import::BackendError;
use solver::stash::{self, MountSelection, Stash};
use solver::{CacheBackend, ImportedLayer, LayerBlob, Workshop};

use crate::config::{CacheConfig, CacheLayer};
use crate::place::ImportPlace;

/// A place that a build imports from.
#[derive(Debug)]
pub struct Importer {
    place: Box<dyn ImportPlace>,
    platforms: Vec<Platform>,
    mounts: MountSelection,
    known: OnceLock<Known>,
}

/// What a place knows.
#[derive(Debug, Default)]
struct Known {
    layers: BTreeMap<CacheKey, ImportedLayer>,
    aliases: BTreeMap<CacheKey, CacheKey>,
    /// What cache mounts held, by their names.
    stashes: BTreeMap<Digest, Stash>,
    /// Each blob, as the place describes it.
    blobs: BTreeMap<Digest, CacheLayer>,
}

impl Known {
    fn add(&mut self, config: CacheConfig, mounts: &MountSelection) {
        for mount in &config.mounts {
            if mounts.has(&mount.id)
                && let Some(stash) = config.stash(&mount.name)
            {
                self.stashes.entry(mount.name.clone()).or_insert(stash);
            }
        }
        for record in config.records {
            let Some(layer) = config.layers.get(record.layer) else {
                continue;
            };
            let layer = ImportedLayer {
                blob: layer.blob(),
                times: layer.times.into(),
                created: record.created,
                made: record.made,
                on: record.on,
                earlier: record.earlier,
            };
            self.layers.entry(record.key).or_insert(layer);
        }
        for alias in config.aliases {
            self.aliases
                .entry(alias.definition)
                .or_insert(alias.content);
        }
        for layer in config.layers {
            self.blobs.insert(layer.digest.clone(), layer);
        }
    }
}

impl Importer {
    /// Makes it, for a build for these platforms; nothing is asked yet.
    pub fn new(place: Box<dyn ImportPlace>, platforms: Vec<Platform>) -> Self {
        Self {
            place,
            platforms,
            mounts: MountSelection::All,
            known: OnceLock::new(),
        }
    }

    /// Takes of cache mounts only these.
    #[must_use]
    pub fn with_mounts(self, mounts: MountSelection) -> Self {
        Self { mounts, ..self }
    }

    fn read(&self, workshop: &Workshop, step: &StepId) -> Known {
        let mut known = Known::default();
        let shown = self.place.shown();
        match self.place.read(workshop, &self.platforms) {
            Ok(Some(configs)) => configs
                .into_iter()
                .for_each(|config| known.add(config, &self.mounts)),
            Ok(None) => {
                let what = format!("{shown} is not there yet");
                workshop.events.progress(step, what, true);
            }
            Err(_) if workshop.cancel.is_cancelled() => {}
            Err(error) => workshop.events.warn(format!(
                "nothing is imported from `{shown}`: {}",
                stash::chain(&error)
            )),
        }
        known
    }
}

impl CacheBackend for Importer {
    fn shown(&self) -> String {
        self.place.shown()
    }

    fn load(&self, workshop: &Workshop) {
        let name = format!("importing cache manifest from {}", self.place.shown());
        let step = StepId(name.clone());
        workshop.events.emit(Event::Started {
            step: step.clone(),
            name: name.clone(),
        });
        let known = self.read(workshop, &step);
        tracing::debug!(layers = known.layers.len(), place = %self.place.shown(), "imported");
        // It is called once.
        drop(self.known.set(known));
        workshop.events.ended((&step, name), &workshop.cancel);
    }

    fn find(&self, key: &CacheKey) -> Option<ImportedLayer> {
        self.known.get()?.layers.get(key).cloned()
    }

    fn find_alias(&self, definition: &CacheKey) -> Option<CacheKey> {
        self.known.get()?.aliases.get(definition).cloned()
    }

    fn find_stash(&self, name: &Digest) -> Option<Stash> {
        self.known.get()?.stashes.get(name).cloned()
    }

    fn open(
        &self,
        workshop: &Workshop,
        blob: &LayerBlob,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        let known = self
            .known
            .get()
            .and_then(|known| known.blobs.get(&blob.digest));
        let layer = known.ok_or_else(|| NotKnown {
            digest: blob.digest.clone(),
        })?;
        self.place.open(workshop, layer)
    }

    fn repository(&self) -> Option<Reference> {
        self.place.repository()
    }
}

/// What is asked for is nothing that the place told of: our fault.
#[derive(Debug, thiserror::Error)]
#[error("the cache has no `{digest}`")]
struct NotKnown {
    digest: Digest,
}
