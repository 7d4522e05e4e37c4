//! What a key led to: the records of earlier builds.
//!
//! A record names the layer that a vertex puts onto its input. It counts only if that layer is still
//! there, as a directory or packed the way this job would pack it; else it is a miss. So a copy, whose
//! layer is a recipe until somebody needs it, is recorded as soon as its name is known. What the store does not know
//! is asked for elsewhere ([`crate::import`]).
//!
//! What stands on results of commands counts only where the same results are below again ([`crate::footing`]). What is
//! below is not known yet when a vertex is looked up ahead of its input; it is held against the record when the result is
//! put onto it ([`bears`]).
//!
//! A result may have several keys. The record of each names the layer; all but one name that one too, by which what
//! stands on the result is found: the key of the content that a copy's definition led to, and the key of the
//! *earlier* command that had made the same ([`crate::earlier`]).

mod memo;

use std::sync::Arc;

use graph::{CacheKey, Vertex};
use oci::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use store::{RecordError, Snapshot, SnapshotId};

use crate::error::StepError;
use crate::footing::{self, Footing, Tars};
use crate::import::{On, Wanted};
use crate::job::Workshop;
use crate::pack;
use crate::realise;
use crate::result::{Held, Output, Stack, StackLayer};
use crate::state::Former;
use crate::worker::Step;

pub use memo::Memo;

/// What a key led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct VertexRecord {
    /// The layer.
    layer: SnapshotId,
    /// When the layer was made, as images tell it: `SOURCE_DATE_EPOCH` where that is set.
    created: Timestamp,
    /// When the layer was made.
    made: Timestamp,
    /// For the definition of a copy: the key of the content that it led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<CacheKey>,
    /// The key of an earlier result that is the same. It counts as long as that one's layer is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<CacheKey>,
    /// When the command ran that made the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ran: Option<Ran>,
    /// What the result stood on.
    #[serde(default, skip_serializing_if = "Footing::is_bases")]
    footing: Footing,
}

/// When a command ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// Before anything was written.
    pub(crate) began: Timestamp,
    /// After everything was.
    pub(crate) ended: Timestamp,
}

/// What a key led to.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The key.
    pub(crate) key: CacheKey,
    /// The layer.
    pub(crate) layer: Arc<StackLayer>,
    /// The key by which what stands on it is found, if that is another.
    pub(crate) earlier: Option<CacheKey>,
    /// What it stood on.
    pub(crate) footing: Footing,
}

impl Found {
    /// Returns what was made now, on what is below the step.
    pub(crate) fn made(
        step: &Step<'_>,
        keys: &Keys,
        layer: Arc<StackLayer>,
    ) -> Result<Self, StepError> {
        let footing = Footing::of(step.below()?);
        Ok(Self {
            key: keys.key.clone(),
            layer,
            earlier: None,
            footing,
        })
    }
}

/// The keys of one result.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// The key.
    pub(crate) key: CacheKey,
    /// The key of the definition of a copy.
    pub(crate) definition: Option<CacheKey>,
    /// The keys that it had before those of its inputs turned out to be others.
    pub(crate) former: Vec<Former>,
}

/// Returns what a key led to, if it is there, and stood on what is below the step as far as that is known.
pub(crate) fn find(step: &Step<'_>, key: &CacheKey) -> Result<Option<Found>, StepError> {
    let stood_on = |footing: &Footing| {
        known_below(step).map_or(Ok(true), |below| footing.is(below, step.workshop))
    };
    let memo = &step.workshop.memo;
    if let Some(found) = memo.result(key)
        && stood_on(&found.footing)?
    {
        return Ok(Some(Found::clone(&found)));
    }
    let records = step.workshop.store.records();
    let record = records.get::<VertexRecord>(key.digest())?;
    let counts = |record: &VertexRecord| Some(record.made) >= step.job.options.oldest;
    if let Some(record) = record.filter(counts)
        && stood_on(&record.footing)?
    {
        let earlier = match record.earlier {
            Some(earlier) if leads_to(step.workshop, &earlier, &record.layer)? => Some(earlier),
            Some(_) | None => None,
        };
        if let Some(layer) = available(step.workshop, record.layer, record.created)? {
            let found = Found {
                key: key.clone(),
                layer,
                earlier,
                footing: record.footing,
            };
            memo.keep_result(&found);
            return Ok(Some(found));
        }
    }
    find_elsewhere(step, key)
}

/// Returns what is below a step, if it is known already and the result depends on it.
fn known_below<'a>(step: &Step<'a>) -> Option<&'a Stack> {
    let Some(Some(Output::Files(below))) = step.inputs.first() else {
        return None;
    };
    footing::matters_to(step.vertex).then_some(below)
}

/// Tells whether what was found can be put onto what is below now.
pub(crate) fn bears(
    workshop: &Workshop,
    vertex: &Vertex,
    (below, found): (&Stack, &Found),
) -> Result<bool, StepError> {
    Ok(!footing::matters_to(vertex) || found.footing.is(below, workshop)?)
}

/// Notes by the names of this store what something stood on that came from elsewhere, once it is known that it is this.
pub(crate) fn settle(
    workshop: &Workshop,
    (below, found): (&Stack, &Found),
) -> Result<(), RecordError> {
    if !matches!(found.footing, Footing::Elsewhere(_)) {
        return Ok(());
    }
    let records = workshop.store.records();
    let key = found.key.digest();
    let record = records.get::<VertexRecord>(key)?;
    let is_it =
        |record: &VertexRecord| record.layer == found.layer.id && record.footing == found.footing;
    if let Some(record) = record.filter(is_it) {
        let footing = Footing::of(below);
        records.put(key, &VertexRecord { footing, ..record })?;
        workshop.memo.clear();
    }
    Ok(())
}

/// Returns what a key led to in the builds of others, and records it: once its files are there, it is one of ours.
fn find_elsewhere(step: &Step<'_>, key: &CacheKey) -> Result<Option<Found>, StepError> {
    let (workshop, options) = (step.workshop, &step.job.options);
    if options.imports.is_empty() {
        return Ok(None);
    }
    let below = known_below(step);
    let on = match below {
        None => On::Anything,
        Some(below) => match footing::tars_of(below, workshop)? {
            Tars::Known(on) => On::This(on),
            Tars::Unknown => return Ok(None),
        },
    };
    let wanted = Wanted {
        oldest: options.oldest,
        on,
    };
    let Some(found) = options.imports.find(workshop, key, &wanted)? else {
        return Ok(None);
    };
    let footing = match below {
        Some(below) => Footing::of(below),
        None => Footing::of_import(found.on),
    };
    let record = VertexRecord {
        made: found.made,
        ..record_of(workshop, &found.layer, &footing)
    };
    let earlier = found.earlier;
    let earlier = remember_import(workshop, (key, earlier), record)?;
    Ok(Some(Found {
        key: key.clone(),
        layer: Arc::new(found.layer),
        earlier,
        footing,
    }))
}

/// Records what came from elsewhere, under its key, and under that of the earlier result that it is. Returns that key,
/// unless it led to something else here.
fn remember_import(
    workshop: &Workshop,
    (key, earlier): (&CacheKey, Option<CacheKey>),
    record: VertexRecord,
) -> Result<Option<CacheKey>, RecordError> {
    let records = workshop.store.records();
    let mut known = None;
    if let Some(earlier) = &earlier {
        known = records.get::<VertexRecord>(earlier.digest())?;
        if known.is_none() {
            records.put(earlier.digest(), &record)?;
        }
    }
    let is_it = known.is_none_or(|known| known.layer == record.layer);
    let earlier = earlier.filter(|_| is_it);
    let record = VertexRecord {
        earlier: earlier.clone(),
        ..record
    };
    records.put(key.digest(), &record)?;
    workshop.memo.clear();
    Ok(earlier)
}

/// Tells whether a key leads to a layer: it may have been made anew since, and differently.
fn leads_to(workshop: &Workshop, key: &CacheKey, layer: &SnapshotId) -> Result<bool, RecordError> {
    let record = workshop.store.records().get::<VertexRecord>(key.digest())?;
    Ok(record.is_some_and(|record| record.layer == *layer))
}

/// Returns what the command of a key left, as long as it is there as a directory, and when it was made and ran. One
/// that came out like another is none: that other one is the one to be found.
pub(crate) fn find_command(
    workshop: &Workshop,
    key: &CacheKey,
) -> Result<Option<(Snapshot, Timestamp, Ran)>, StepError> {
    let record = workshop.store.records().get::<VertexRecord>(key.digest())?;
    let Some(VertexRecord {
        layer,
        created,
        earlier: None,
        ran: Some(ran),
        ..
    }) = record
    else {
        return Ok(None);
    };
    let snapshot = realise::open(workshop, &layer)?;
    Ok(snapshot.map(|snapshot| (snapshot, created, ran)))
}

/// Returns the content key that a copy's definition led to and what that led to, if that is there.
///
/// The layer is that of the content's own record: were only the definition known, the content key
/// would be used before anybody found out that its result has to be made of what may be other files.
pub(crate) fn find_alias(
    step: &Step<'_>,
    definition: &CacheKey,
) -> Result<Option<(CacheKey, Found)>, StepError> {
    let records = step.workshop.store.records();
    let memo = &step.workshop.memo;
    let known = match memo.content(definition) {
        Some(content) => Some(content),
        None => records
            .get::<VertexRecord>(definition.digest())?
            .and_then(|record| record.content),
    };
    if let Some(content) = known
        && let Some(found) = find(step, &content)?
    {
        memo.keep_content(definition, &content);
        return Ok(Some((content, found)));
    }
    let imports = &step.job.options.imports;
    for content in imports.find_aliases(step.workshop, definition) {
        if let Some(found) = find(step, &content)? {
            let record = VertexRecord {
                content: Some(content.clone()),
                ..record_of(step.workshop, &found.layer, &found.footing)
            };
            records.put(definition.digest(), &record)?;
            memo.clear();
            return Ok(Some((content, found)));
        }
    }
    Ok(None)
}

/// Returns when what a key led to was made, if that is recorded.
pub(crate) fn made(workshop: &Workshop, key: &CacheKey) -> Result<Option<Timestamp>, RecordError> {
    let record = workshop.store.records().get::<VertexRecord>(key.digest())?;
    Ok(record.map(|record| record.made))
}

/// Records what keys led to: the layer of a command with the time when it ran, or of anything else; and if an earlier
/// command had made it, the key of that one.
pub(crate) fn remember(
    workshop: &Workshop,
    keys: &Keys,
    found: &Found,
    ran: Option<Ran>,
) -> Result<(), RecordError> {
    let record = VertexRecord {
        ran,
        earlier: found.earlier.clone(),
        ..record_of(workshop, &found.layer, &found.footing)
    };
    workshop.store.records().put(keys.key.digest(), &record)?;
    workshop.memo.clear();
    // What names another key is written after that one's record.
    remember_others(workshop, keys, found)
}

/// Records the other keys of what was found by its key.
pub(crate) fn remember_others(
    workshop: &Workshop,
    keys: &Keys,
    found: &Found,
) -> Result<(), RecordError> {
    let Keys {
        key,
        definition,
        former,
    } = keys;
    let records = workshop.store.records();
    let definitions = former.iter().filter_map(|former| match former {
        Former::Definition(definition) => Some(definition),
        Former::Result(_) => None,
    });
    for definition in definition.iter().chain(definitions) {
        let record = VertexRecord {
            content: Some(key.clone()),
            ..record_of(workshop, &found.layer, &found.footing)
        };
        records.put(definition.digest(), &record)?;
        workshop.memo.clear();
    }
    let same = found.earlier.as_ref().unwrap_or(key);
    let results = former.iter().filter_map(|former| match former {
        Former::Result(result) => Some(result),
        Former::Definition(_) => None,
    });
    for result in results.filter(|result| *result != key && *result != same) {
        let record = VertexRecord {
            earlier: Some(same.clone()),
            ..record_of(workshop, &found.layer, &found.footing)
        };
        records.put(result.digest(), &record)?;
        workshop.memo.clear();
    }
    Ok(())
}

fn record_of(workshop: &Workshop, layer: &StackLayer, footing: &Footing) -> VertexRecord {
    let created = layer.created.unwrap_or_else(|| workshop.clock.now());
    VertexRecord {
        layer: layer.id.clone(),
        created,
        made: Clock::System.now(),
        content: None,
        earlier: None,
        ran: None,
        footing: footing.clone(),
    }
}

/// Takes a layer into this job's lease, then looks whether it is there.
fn available(
    workshop: &Workshop,
    id: SnapshotId,
    created: Timestamp,
) -> Result<Option<Arc<StackLayer>>, StepError> {
    // Opened and not only looked for: one that a loss of power tore must be a miss here, where the
    // step can still be carried out again.
    let there = realise::open(workshop, &id)?.is_some() || pack::is_packed(workshop, &id)?;
    Ok(there.then(|| {
        Arc::new(StackLayer {
            id,
            held: Held::Stored,
            created: Some(created),
        })
    }))
}
