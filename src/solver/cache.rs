//! What a key led to: the records of earlier builds.
//!
//! A record names the layer that a vertex puts onto its input. It counts only if that layer is still
//! there, as a directory or packed the way this job would pack it; else it is a miss. So a copy, whose
//! layer is a recipe until somebody needs it, is recorded as soon as its name is known. What the store does not know
//! is asked for elsewhere ([`crate::import`]).
//!
//! A result may have several keys. The record of each names the layer; all but one name that one too, by which what
//! stands on the result is found: the key of the content that a copy's definition led to, and the key of the
//! *earlier* command that had made the same ([`crate::earlier`]).

use std::sync::Arc;

use graph::CacheKey;
use oci::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use store::{RecordError, Snapshot, SnapshotId};

use crate::error::StepError;
use crate::job::Workshop;
use crate::pack;
use crate::realise;
use crate::result::{Held, StackLayer};
use crate::state::Former;
use crate::worker::Step;

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
#[derive(Debug)]
pub(crate) struct Found {
    /// The layer.
    pub(crate) layer: Arc<StackLayer>,
    /// The key by which what stands on it is found, if that is another.
    pub(crate) earlier: Option<CacheKey>,
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

/// Returns what a key led to, if it is there.
pub(crate) fn find(step: &Step<'_>, key: &CacheKey) -> Result<Option<Found>, StepError> {
    let records = step.workshop.store.records();
    let record = records.get::<VertexRecord>(key.digest())?;
    let counts = |record: &VertexRecord| Some(record.made) >= step.job.options.oldest;
    if let Some(record) = record.filter(counts) {
        let earlier = match record.earlier {
            Some(earlier) if leads_to(step.workshop, &earlier, &record.layer)? => Some(earlier),
            Some(_) | None => None,
        };
        if let Some(layer) = available(step.workshop, record.layer, record.created)? {
            return Ok(Some(Found { layer, earlier }));
        }
    }
    find_elsewhere(step, key)
}

/// Returns what a key led to in the builds of others, and records it: once its files are there, it is one of ours.
fn find_elsewhere(step: &Step<'_>, key: &CacheKey) -> Result<Option<Found>, StepError> {
    let options = &step.job.options;
    let found = options.imports.find(step.workshop, key, options.oldest)?;
    let Some((layer, made)) = found else {
        return Ok(None);
    };
    let record = VertexRecord {
        made,
        ..record_of(step.workshop, &layer)
    };
    step.workshop.store.records().put(key.digest(), &record)?;
    Ok(Some(Found {
        layer: Arc::new(layer),
        earlier: None,
    }))
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
    let record = records.get::<VertexRecord>(definition.digest())?;
    let known = record.and_then(|record| record.content);
    if let Some(content) = known
        && let Some(found) = find(step, &content)?
    {
        return Ok(Some((content, found)));
    }
    let imports = &step.job.options.imports;
    for content in imports.find_aliases(step.workshop, definition) {
        if let Some(found) = find(step, &content)? {
            let record = VertexRecord {
                content: Some(content.clone()),
                ..record_of(step.workshop, &found.layer)
            };
            records.put(definition.digest(), &record)?;
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
        ..record_of(workshop, &found.layer)
    };
    workshop.store.records().put(keys.key.digest(), &record)?;
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
            ..record_of(workshop, &found.layer)
        };
        records.put(definition.digest(), &record)?;
    }
    let same = found.earlier.as_ref().unwrap_or(key);
    let results = former.iter().filter_map(|former| match former {
        Former::Result(result) => Some(result),
        Former::Definition(_) => None,
    });
    for result in results.filter(|result| *result != key && *result != same) {
        let record = VertexRecord {
            earlier: Some(same.clone()),
            ..record_of(workshop, &found.layer)
        };
        records.put(result.digest(), &record)?;
    }
    Ok(())
}

fn record_of(workshop: &Workshop, layer: &StackLayer) -> VertexRecord {
    let created = layer.created.unwrap_or_else(|| workshop.clock.now());
    VertexRecord {
        layer: layer.id.clone(),
        created,
        made: Clock::System.now(),
        content: None,
        earlier: None,
        ran: None,
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
