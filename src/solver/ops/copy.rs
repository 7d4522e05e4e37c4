//! `COPY` and `ADD`.
//!
//! A copy goes in two steps. `collect` reads what is copied: it resolves wildcards and symbolic links
//! in the source, leaves out what is ignored, and digests every file; nothing of the destination is
//! needed for that, and its digest is the content key. `run` then looks at the destination and makes
//! the change set: a *recipe* that names the files where they are. Nothing is copied until a command
//! needs a directory, or the layer is packed.
//!
//! The meaning is BuildKit's: the contents of a directory are copied, not the directory; directories
//! that are missing on the way are made with the owner and the `--chmod` of the copy, or else with mode
//! 0755 (moby/buildkit#4945); a directory that is
//! there keeps its attributes if it is the destination itself, and takes those of the source below it.
//!
//! A copy with `--link` is planned onto nothing: it follows no link of the destination, and the
//! directories that it makes on the way hide what those below were like.

mod archive;
mod collect;
mod contents;
mod crew;
mod error;
mod filter;
mod mode;
mod parents;
mod plan;
mod remote;
mod similar;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod wildcard;

use std::sync::Arc;

use graph::{Archives, CacheMap, CopyAction};
use layer::{Attributes, ChangeSet};
use oci::time::Clock;
use oci::{Digest, Hasher};
use rootfs::FileTime;
use store::SnapshotId;

pub(crate) use archive::directory_of;
pub use collect::{Collected, Found};
pub use error::CopyError;
pub(crate) use plan::{directory_node, group_of, with_ancestors};
pub(crate) use similar::similar;
pub(crate) use tree::tree_at;

use crate::cache;
use crate::error::StepError;
use crate::job::Workshop;
use crate::listing::{self, Listings};
use crate::realise::{self, Lookup};
use crate::result::{Held, Output, Recipe, Stack, StackLayer};
use crate::worker::{Making, Step};

/// How many bytes are hashed at once.
const SHAPE_BYTES: usize = 64 * 1024;

/// Reads what a copy copies.
pub(crate) fn collect(step: &Step<'_>, action: &CopyAction) -> Result<Collected, StepError> {
    let tree = source::open(step)?;
    let fetched = remote::of(step, action)?;
    let Workshop { clock, cancel, .. } = step.workshop;
    let collected = collect::collect((&tree, &fetched), action, clock, cancel)?;
    let is_to_unpack = |found: &Found| found.archives == Archives::Unpack;
    if collected.sources.iter().any(is_to_unpack) {
        archive::unpack_all(step.workshop, collected)
    } else {
        Ok(collected)
    }
}

/// Reads what is at one path of a stage, which is no wildcard.
pub(crate) fn read_path(
    step: &Step<'_>,
    stack: &Stack,
    path: &str,
) -> Result<Collected, StepError> {
    let view = realise::view(step.workshop, step.step_id(), stack)?;
    let tree = source::SourceTree::Stage(view);
    Ok(collect::literal(&tree, path, &step.workshop.cancel)?)
}

/// Makes the change set of a copy.
pub(crate) fn run(
    step: &Step<'_>,
    action: &CopyAction,
    mut making: Making,
) -> Result<Output, StepError> {
    let collected = match making.collected.take() {
        // Nobody else has it any more.
        Some(collected) => Arc::unwrap_or_clone(collected),
        None => collect(step, action)?,
    };
    keep_listing(step, &collected);
    let below = step.below()?;
    let keys = making.keys()?;
    let layer = if action.link {
        linked(step, action, collected)?
    } else {
        let view = step.look_below()?;
        let content = collected.digest.clone();
        let changes = plan::plan(&view, action, collected, &step.workshop.clock)?;
        recipe(step, "copy", Some(&content), changes)?
    };
    let layer = Arc::new(layer);
    let found = cache::Found::made(step, keys, Arc::clone(&layer))?;
    cache::remember(step.workshop, keys, &found, None)?;
    Ok(Output::Files(below.with(layer)))
}

/// Keeps what is copied for whoever asks later what changed. Whether that can be done matters to nobody now.
fn keep_listing(step: &Step<'_>, collected: &Collected) {
    if step.job.options.listings == Listings::None {
        return;
    }
    if let Err(error) = listing::keep(step.workshop.store.records(), collected) {
        tracing::debug!(%error, "listing not kept");
    }
}

/// Makes the layer of a `--link`: as if onto nothing, and named by what is copied alone. So what is below is
/// not looked at, and the same files on another base are the same layer.
fn linked(
    step: &Step<'_>,
    action: &CopyAction,
    collected: Collected,
) -> Result<StackLayer, StepError> {
    let nothing = realise::view(step.workshop, step.step_id(), &Stack::scratch())?;
    let nothing = Lookup::of_view(nothing);
    let content = collected.digest.clone();
    let changes = plan::plan(&nothing, action, collected, &step.workshop.clock)?;
    recipe(step, "link", Some(&content), changes)
}

/// Names the layer of a recipe by what is done, by what it is done with, and by what it makes of that: whoever makes it
/// again makes the same, be it onto another base or for another platform. So it is made, kept and packed once.
pub(crate) fn recipe(
    step: &Step<'_>,
    kind: &str,
    content: Option<&Digest>,
    changes: ChangeSet,
) -> Result<StackLayer, StepError> {
    let operation = CacheMap::operation(step.vertex);
    let content = content.map(Digest::as_str).unwrap_or_default();
    let name = format!("{operation}\0{content}\0{}", shape(&changes));
    let id = SnapshotId::from_digest(kind, &Digest::of(name.as_bytes()))?;
    let created = Some(step.workshop.clock.now());
    // Equal in every build of the same Dockerfile, and of no meaning beyond that: see `realise::delta`.
    let vertex = step.job.definition.digest(step.id).to_string();
    let lineage = SnapshotId::from_digest("copied", &Digest::of(vertex.as_bytes()))?;
    Ok(StackLayer {
        id,
        held: Held::Recipe(Arc::new(Recipe::of_lineage(changes, lineage))),
        created,
    })
}

/// Digests all that a change set takes from the files below it: where things go, to whom they belong, and what
/// directories there say of themselves but for their times.
fn shape(changes: &ChangeSet) -> Digest {
    let (mut hasher, mut bytes) = (Hasher::new(), Vec::new());
    changes.for_each_attributes(|path, attributes| {
        bytes.extend_from_slice(path);
        bytes.push(0);
        if let Some(attributes) = attributes {
            add_attributes(&mut bytes, attributes);
        }
        if bytes.len() >= SHAPE_BYTES {
            hasher.update(&bytes);
            bytes.clear();
        }
    });
    hasher.update(&bytes);
    hasher.finish()
}

fn add_attributes(bytes: &mut Vec<u8>, attributes: &Attributes) {
    for number in [attributes.uid, attributes.gid, attributes.mode.bits()] {
        bytes.extend(number.to_le_bytes());
    }
    let xattrs = attributes.xattrs.iter();
    for text in xattrs.flat_map(|(name, value)| [name, value]) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text);
    }
}

/// Returns the time that new files get.
pub(crate) fn file_time(clock: &Clock) -> FileTime {
    let now = clock.now();
    FileTime {
        seconds: now.seconds(),
        nanos: now.nanos(),
    }
}
