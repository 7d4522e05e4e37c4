//! What a build led to, written to a place of caches: [`export`](export()).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::{self, available_parallelism};

use graph::CacheKey;
use oci::{Clock, Digest, Platform, Timestamp};
use solver::event::{Event, Origin, StepId};
use solver::pack::PackLayerError;
use solver::result::StackLayer;
use solver::stash::{MountId, MountSelection};
use solver::{KeyedLayer, LayerBlob, PackPlan, Stack, Workshop, digest_of_commands, pack_layer};
use store::SnapshotId;
use transport::PlaceError;

use crate::config::{CacheAlias, CacheConfig, CacheLayer, CacheRecord};
use crate::merge::keep_earlier;
use crate::place::{CacheEntry, ExportPlace, ExportSession};

mod blobs;
mod mounts;

/// How many blobs are put at the same time.
const PARALLEL: usize = 4;

/// How long a day is, in seconds: a record tells on which day it was used, so that a cache of which nothing changed is
/// the same all day.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Which results are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Those whose layers the result has.
    #[default]
    Min,
    /// All.
    Max,
}

/// What becomes of the records of earlier builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Earlier {
    /// Those that are still used stay ([`crate::merge`]).
    #[default]
    Kept,
    /// None stays.
    Dropped,
}

/// An export that is asked for.
#[derive(Debug)]
pub struct CacheExport {
    /// Where it goes.
    pub place: Box<dyn ExportPlace>,
    /// Which results.
    pub mode: Mode,
    /// What becomes of what is there.
    pub earlier: Earlier,
    /// How layers are packed that are not packed yet.
    pub plan: PackPlan,
    /// Which cache mounts are exported too.
    pub mounts: MountSelection,
}

/// A result for one platform.
#[derive(Debug, Clone, Copy)]
pub struct CacheTarget<'a> {
    /// The platform.
    pub platform: &'a Platform,
    /// Its file system.
    pub stack: &'a Stack,
    /// What the keys led to of all that it was made from.
    pub keyed: &'a [KeyedLayer],
}

/// A cache cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportCacheError {
    /// A layer cannot be packed.
    #[error("cannot pack a layer for the cache `{shown}`")]
    Pack {
        /// The place.
        shown: String,
        /// Why.
        source: PackLayerError,
    },
    /// The place cannot be written.
    #[error("cannot export the cache to `{shown}`")]
    Place {
        /// The place.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Writes what a build led to. `named` are the cache mounts that it names.
///
/// # Errors
///
/// Fails when a layer cannot be packed, or the place cannot be written. Earlier caches are there then as they were.
pub fn export(
    cache: &CacheExport,
    (targets, named): (&[CacheTarget<'_>], &BTreeSet<MountId>),
    workshop: &Workshop,
    step: &StepId,
) -> Result<(), ExportCacheError> {
    let name = format!("exporting cache to {}", cache.place.kind());
    workshop.events.emit(Event::Started {
        step: step.clone(),
        name: name.clone(),
    });
    let exporting = Exporting {
        cache,
        named,
        workshop,
        step,
    };
    exporting.run(targets)?;
    workshop.events.emit(Event::Finished {
        step: step.clone(),
        name,
        origin: Origin::Made,
    });
    Ok(())
}

struct Exporting<'a> {
    cache: &'a CacheExport,
    named: &'a BTreeSet<MountId>,
    workshop: &'a Workshop,
    step: &'a StepId,
}

/// The layers that are exported, and their blobs.
type Packed = BTreeMap<SnapshotId, (Arc<StackLayer>, LayerBlob)>;

impl Exporting<'_> {
    fn run(&self, targets: &[CacheTarget<'_>]) -> Result<(), ExportCacheError> {
        self.tell("preparing build cache for export".to_owned(), false);
        let wanted: Vec<Vec<&KeyedLayer>> =
            targets.iter().map(|target| self.wanted(target)).collect();
        let packed = self.pack_all(wanted.iter().flatten().copied())?;
        self.tell("preparing build cache for export".to_owned(), true);
        let now = Clock::System.now();
        let entries = targets
            .iter()
            .zip(&wanted)
            .map(|(target, keyed)| CacheEntry {
                platform: target.platform.clone(),
                config: self.config(target.platform, keyed, &packed, day_of(now)),
            });
        let entries: Vec<_> = entries.collect();
        let session = self.cache.place.begin(self.workshop);
        let session = session.map_err(|source| self.failed(source))?;
        let whole = self.with_earlier(&entries, session.as_ref(), now)?;
        blobs::put_all(self, session.as_ref(), &packed)?;
        self.write(session.as_ref(), &whole, &entries)
    }

    /// Returns what of a target is exported.
    fn wanted<'t>(&self, target: &CacheTarget<'t>) -> Vec<&'t KeyedLayer> {
        let keyed = target.keyed.iter();
        if self.cache.mode == Mode::Max {
            return keyed.collect();
        }
        let layers = target.stack.layers();
        let is_there = |keyed: &&KeyedLayer| layers.iter().any(|layer| layer.id == keyed.layer.id);
        keyed.filter(is_there).collect()
    }

    /// Packs layers, several side by side. One of which nothing is left in the store is left out.
    fn pack_all<'k>(
        &self,
        keyed: impl Iterator<Item = &'k KeyedLayer>,
    ) -> Result<Packed, ExportCacheError> {
        let layers: BTreeMap<_, _> = keyed.map(|keyed| (&keyed.layer.id, &keyed.layer)).collect();
        let layers: Vec<_> = layers.into_values().collect();
        let threads = available_parallelism().map_or(2, usize::from);
        let mut packed = Packed::new();
        for some in layers.chunks(threads) {
            self.check_cancelled()?;
            thread::scope(|scope| {
                let spawn = |layer: &&Arc<StackLayer>| {
                    let layer = Arc::clone(layer);
                    scope.spawn(move || self.pack(layer))
                };
                let running: Vec<_> = some.iter().map(spawn).collect();
                for thread in running {
                    match thread.join() {
                        Ok(done) => packed.extend(done?),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
                Ok(())
            })?;
        }
        Ok(packed)
    }

    #[expect(clippy::type_complexity, reason = "one entry of `Packed`")]
    fn pack(
        &self,
        layer: Arc<StackLayer>,
    ) -> Result<Option<(SnapshotId, (Arc<StackLayer>, LayerBlob))>, ExportCacheError> {
        match pack_layer(self.workshop, self.step, &layer, &self.cache.plan) {
            Ok(blob) => Ok(Some((layer.id.clone(), (layer, blob)))),
            Err(PackLayerError::Gone { .. }) => Ok(None),
            Err(_) if self.workshop.cancel.is_cancelled() => Err(ExportCacheError::Cancelled),
            Err(source) => Err(ExportCacheError::Pack {
                shown: self.cache.place.shown(),
                source,
            }),
        }
    }

    fn config(
        &self,
        platform: &Platform,
        keyed: &[&KeyedLayer],
        packed: &Packed,
        used: Timestamp,
    ) -> CacheConfig {
        let mut config = CacheConfig::new(platform);
        for keyed in keyed {
            let Some((layer, blob)) = packed.get(&keyed.layer.id) else {
                continue;
            };
            // Of what stood on something that nobody can have nobody has any use.
            let Some(on) = commands_below(keyed, packed) else {
                continue;
            };
            let layer_at = config.add_layer(CacheLayer::new(blob, self.cache.plan.times));
            let record = CacheRecord {
                key: keyed.key.clone(),
                layer: layer_at,
                created: layer.created.unwrap_or(keyed.made),
                made: keyed.made,
                used,
                on,
                earlier: None,
            };
            let asked = keyed.asked.iter().map(|key| CacheRecord {
                key: key.clone(),
                earlier: Some(keyed.key.clone()),
                ..record.clone()
            });
            config.records.extend(asked);
            config.records.push(record);
        }
        config.keep_first_records();
        let keys = &config.records;
        let is_known = |key: &CacheKey| keys.iter().any(|record| record.key == *key);
        config.aliases = aliases_of(keyed.iter().copied(), is_known);
        config
    }

    /// Returns what is written: what this build led to, and what stays of earlier ones.
    fn with_earlier(
        &self,
        entries: &[CacheEntry],
        session: &dyn ExportSession,
        now: Timestamp,
    ) -> Result<Vec<CacheEntry>, ExportCacheError> {
        let mut whole = entries.to_vec();
        let mut mounts = mounts::Mounts::find(self, session, day_of(now));
        for entry in &mut whole {
            let earlier = session
                .read(&entry.platform)
                .map_err(|source| self.failed(source))?;
            mounts.add(&mut entry.config, earlier.as_ref())?;
            match (earlier, self.cache.earlier) {
                (Some(earlier), Earlier::Kept) => keep_earlier(&mut entry.config, &earlier, now),
                (Some(_), Earlier::Dropped) | (None, _) => {}
            }
        }
        Ok(whole)
    }

    /// Writes the documents. A place that has removed what an earlier build left takes this build's alone.
    fn write(
        &self,
        session: &dyn ExportSession,
        whole: &[CacheEntry],
        own: &[CacheEntry],
    ) -> Result<(), ExportCacheError> {
        self.check_cancelled()?;
        self.tell("writing cache manifest".to_owned(), false);
        let mut written = session.write(whole);
        if let Err(error) = &written
            && whole != own
        {
            tracing::debug!(%error, "not written with what earlier builds left");
            written = session.write(own);
        }
        written.map_err(|source| self.failed(source))?;
        self.tell("writing cache manifest".to_owned(), true);
        Ok(())
    }

    fn failed(&self, source: PlaceError) -> ExportCacheError {
        if self.workshop.cancel.is_cancelled() {
            return ExportCacheError::Cancelled;
        }
        ExportCacheError::Place {
            shown: self.cache.place.shown(),
            source,
        }
    }

    fn check_cancelled(&self) -> Result<(), ExportCacheError> {
        if self.workshop.cancel.is_cancelled() {
            return Err(ExportCacheError::Cancelled);
        }
        Ok(())
    }

    fn tell(&self, what: String, done: bool) {
        self.workshop.events.progress(self.step, what, done);
    }
}

/// Returns which results of commands something stood on, in the words of caches; `None` if one of them is not exported.
#[expect(clippy::option_option, reason = "that there is none is known")]
fn commands_below(keyed: &KeyedLayer, packed: &Packed) -> Option<Option<Digest>> {
    let tar_of = |layer: &Arc<StackLayer>| Some(packed.get(&layer.id)?.1.diff_id.clone());
    let tars = keyed.on.commands().map(tar_of);
    Some(digest_of_commands(&tars.collect::<Option<Vec<_>>>()?))
}

/// Returns what definitions led to, of those whose content is known.
pub(crate) fn aliases_of<'k>(
    keyed: impl IntoIterator<Item = &'k KeyedLayer>,
    is_known: impl Fn(&CacheKey) -> bool,
) -> Vec<CacheAlias> {
    let keyed = keyed.into_iter().filter(|keyed| is_known(&keyed.key));
    let aliases = keyed.flat_map(|keyed| {
        keyed.definitions.iter().map(|definition| CacheAlias {
            definition: definition.clone(),
            content: keyed.key.clone(),
        })
    });
    aliases.collect()
}

/// Returns the beginning of a day.
fn day_of(time: Timestamp) -> Timestamp {
    let seconds = time.seconds().div_euclid(DAY_SECONDS) * DAY_SECONDS;
    Timestamp::from_unix_seconds(seconds).unwrap_or(time)
}
