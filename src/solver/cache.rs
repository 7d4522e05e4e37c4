//! What a key led to: the records of earlier builds.
//!
//! A record names the layer that a vertex puts onto its input. It counts only if that layer is still
//! there, as a directory or packed the way this job would pack it; else it is a miss. So a copy, whose
//! layer is a recipe until somebody needs it, is recorded as soon as its name is known.

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
    match record.filter(counts) {
        Some(record) => available(step.workshop, record.layer, record.created),
        None => Ok(None),
    }
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
    let Some(VertexRecord {
        content: Some(content),
        ..
    }) = record
    else {
        return Ok(None);
    };
    Ok(find(step, &content)?.map(|layer| (content, layer)))
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
