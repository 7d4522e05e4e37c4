//! What a key led to: the records of earlier builds.
//!
//! A record names the layer that a vertex puts onto its input. It counts only if that layer is still
//! there, as a directory or packed the way this job would pack it; else it is a miss. So a copy, whose
//! layer is a recipe until somebody needs it, is recorded as soon as its name is known. What the store does not know
//! is asked for elsewhere ([`crate::import`]).

use std::sync::Arc;

use graph::CacheKey;
use oci::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use store::{RecordError, SnapshotId};

use crate::error::StepError;
use crate::job::Workshop;
use crate::pack;
use crate::realise;
use crate::result::{Held, StackLayer};
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
}

/// Returns what a key led to, if it is there.
pub(crate) fn find(step: &Step<'_>, key: &CacheKey) -> Result<Option<Arc<StackLayer>>, StepError> {
    let records = step.workshop.store.records();
    let record = records.get::<VertexRecord>(key.digest())?;
    let counts = |record: &VertexRecord| Some(record.made) >= step.job.options.oldest;
    if let Some(record) = record.filter(counts)
        && let Some(layer) = available(step.workshop, record.layer, record.created)?
    {
        return Ok(Some(layer));
    }
    find_elsewhere(step, key)
}

/// Returns what a key led to in the builds of others, and records it: once its files are there, it is one of ours.
fn find_elsewhere(step: &Step<'_>, key: &CacheKey) -> Result<Option<Arc<StackLayer>>, StepError> {
    let options = &step.job.options;
    let found = options.imports.find(step.workshop, key, options.oldest)?;
    let Some((layer, made)) = found else {
        return Ok(None);
    };
    let record = VertexRecord {
        made,
        ..record_of(step.workshop, &layer, None)
    };
    step.workshop.store.records().put(key.digest(), &record)?;
    Ok(Some(Arc::new(layer)))
}

/// Returns the content key that a copy's definition led to and its layer, if that is there.
///
/// The layer is that of the content's own record: were only the definition known, the content key
/// would be used before anybody found out that its result has to be made of what may be other files.
pub(crate) fn find_alias(
    step: &Step<'_>,
    definition: &CacheKey,
) -> Result<Option<(CacheKey, Arc<StackLayer>)>, StepError> {
    let records = step.workshop.store.records();
    let record = records.get::<VertexRecord>(definition.digest())?;
    let known = record.and_then(|record| record.content);
    if let Some(content) = known
        && let Some(layer) = find(step, &content)?
    {
        return Ok(Some((content, layer)));
    }
    let imports = &step.job.options.imports;
    for content in imports.find_aliases(step.workshop, definition) {
        if let Some(layer) = find(step, &content)? {
            remember_alias(step.workshop, definition, &content, &layer)?;
            return Ok(Some((content, layer)));
        }
    }
    Ok(None)
}

/// Returns when what a key led to was made, if that is recorded.
pub(crate) fn made(workshop: &Workshop, key: &CacheKey) -> Result<Option<Timestamp>, RecordError> {
    let record = workshop.store.records().get::<VertexRecord>(key.digest())?;
    Ok(record.map(|record| record.made))
}

/// Records what a key led to.
pub(crate) fn remember(
    workshop: &Workshop,
    key: &CacheKey,
    layer: &StackLayer,
) -> Result<(), RecordError> {
    let record = record_of(workshop, layer, None);
    workshop.store.records().put(key.digest(), &record)
}

/// Records which content a copy's definition led to.
pub(crate) fn remember_alias(
    workshop: &Workshop,
    definition: &CacheKey,
    content: &CacheKey,
    layer: &StackLayer,
) -> Result<(), RecordError> {
    let record = record_of(workshop, layer, Some(content.clone()));
    workshop.store.records().put(definition.digest(), &record)
}

fn record_of(workshop: &Workshop, layer: &StackLayer, content: Option<CacheKey>) -> VertexRecord {
    let created = layer.created.unwrap_or_else(|| workshop.clock.now());
    VertexRecord {
        layer: layer.id.clone(),
        created,
        made: Clock::System.now(),
        content,
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
