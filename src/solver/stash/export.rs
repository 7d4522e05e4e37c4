//! Cache mounts of the store → blobs of the store.
//!
//! The mount is claimed as a command claims a `shared` one, so that others that share it go on, and those that want it
//! alone wait or take another. Files may change meanwhile: one that does is read again, and is left out if it does not
//! come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use layer::{
    Compression, PackOptions, RepackError, StashIndex, StashIndexError, StashNote, StashPackError,
    StashPlan, StashScan, StashScanError,
};
use oci::Clock;
use rootfs::{FileTime, Owners, Root, RootPath};
use store::{
    BlobSource as _, CacheError, CacheId, CacheMeta, Claim, ClaimError, ClaimName, IngestError,
    LeaseError, ObjectId, Presence,
};

use super::{INDEX_MEDIA_TYPE, MountId, Stash, StashPack, kept_owners};
use crate::cancel::Cancellable;
use crate::event::StepId;
use crate::import::BackendError;
use crate::job::Workshop;
use crate::pack::LayerBlob;

/// How long a mount is waited for that somebody uses alone.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a mount is packed whose files change.
const TRIES: usize = 6;

/// Which cache mounts are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MountSelection {
    /// None.
    #[default]
    None,
    /// Those that the build names.
    All,
    /// Those of these ids.
    Ids(BTreeSet<String>),
}

impl MountSelection {
    /// Reads the values of `mounts=`: `all`, `none`, or ids with commas between them. Each value adds to those before.
    pub fn parse<'t, V: IntoIterator<Item = &'t str>>(values: V) -> Self {
        let words = values.into_iter().flat_map(|value| value.split(','));
        words.fold(Self::None, |found, word| match (found, word) {
            (_, "all") => Self::All,
            (found, "none" | "") => found,
            (Self::All, _) => Self::All,
            (Self::None, id) => Self::Ids(BTreeSet::from([id.to_owned()])),
            (Self::Ids(mut ids), id) => {
                ids.insert(id.to_owned());
                Self::Ids(ids)
            }
        })
    }

    /// Tells whether mounts of this id are among them.
    pub fn has(&self, id: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Ids(ids) => ids.contains(id),
        }
    }
}

/// Opens a blob of an earlier export.
pub type OpenBlob<'a> = &'a dyn Fn(&LayerBlob) -> Result<Box<dyn Read + Send>, BackendError>;

/// What an earlier export left of a mount.
pub struct EarlierStash<'a> {
    /// The blobs.
    pub stash: &'a Stash,
    /// Opens a blob that the store does not have. What is read is verified here.
    pub open: OpenBlob<'a>,
}

impl fmt::Debug for EarlierStash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EarlierStash").field(self.stash).finish()
    }
}

/// Why a cache mount is not exported.
#[derive(Debug, thiserror::Error)]
pub enum StashError {
    /// Somebody uses it alone.
    #[error("another build uses it")]
    Busy,
    /// It is gone from the store.
    #[error("it is gone from the store")]
    Gone,
    /// Its files change all the time.
    #[error("its files change all the time")]
    Unsteady,
    /// It cannot be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It cannot be opened.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It cannot be read.
    #[error(transparent)]
    Scan(#[from] StashScanError),
    /// Its index cannot be written.
    #[error(transparent)]
    Index(#[from] StashIndexError),
    /// Its index cannot be compressed.
    #[error("compress the index of the cache mount")]
    Compress(#[source] RepackError),
    /// Its files cannot be packed.
    #[error(transparent)]
    Pack(StashPackError),
    /// A blob cannot be kept.
    #[error(transparent)]
    Blob(#[from] IngestError),
    /// A blob cannot be looked for.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// Returns the caches of the store that are meant, of each name the first. `named` are those that the build names.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub fn select(
    workshop: &Workshop,
    selection: &MountSelection,
    named: &BTreeSet<MountId>,
) -> Result<Vec<(CacheId, CacheMeta)>, CacheError> {
    let is_meant = |meta: &CacheMeta| match selection {
        MountSelection::None => false,
        MountSelection::All => named.contains(&MountId {
            namespace: meta.namespace.clone(),
            id: meta.id.clone(),
        }),
        MountSelection::Ids(ids) => ids.contains(&meta.id),
    };
    if *selection == MountSelection::None {
        return Ok(Vec::new());
    }
    let mut first = BTreeMap::new();
    for (id, meta) in workshop.store.caches().list()? {
        if is_meant(&meta) {
            // They come in the order of their numbers.
            first.entry(id.name().clone()).or_insert_with(|| (id, meta));
        }
    }
    Ok(first.into_values().collect())
}

/// Makes blobs of what a cache mount holds, on top of what an earlier export left. Blobs of that one that are still
/// used need not be in the store; all others are.
///
/// # Errors
///
/// Fails when the mount is used by somebody alone for long, cannot be read, or a blob cannot be written.
pub fn keep(
    workshop: &Workshop,
    step: &StepId,
    (cache, meta): (&CacheId, &CacheMeta),
    (earlier, compression): (Option<&EarlierStash<'_>>, Compression),
) -> Result<Stash, StashError> {
    let _claim = claim(workshop, cache)?;
    let directory = workshop.store.caches().open(cache)?;
    let root = Arc::new(directory.ok_or(StashError::Gone)?.fs);
    let tell = |done| {
        let what = format!("packing the cache mount {}", meta.id);
        workshop.events.progress(step, what, done);
    };
    tell(false);
    let keeper = Keeper {
        workshop,
        cache,
        root,
        earlier,
        compression,
    };
    let (stash, left_out) = keeper.keep()?;
    warn_of(workshop, meta, &left_out);
    tell(true);
    Ok(stash)
}

fn claim(workshop: &Workshop, cache: &CacheId) -> Result<Claim, StashError> {
    let start = Instant::now();
    let is_over = || start.elapsed() > PATIENCE || workshop.cancel.is_cancelled();
    let claims = workshop.store.claims();
    let claim = claims.shared_or(ClaimName::Cache(cache), &is_over)?;
    claim.ok_or(StashError::Busy)
}

fn warn_of(workshop: &Workshop, meta: &CacheMeta, left_out: &BTreeSet<RootPath>) {
    let Some(first) = left_out.first() else {
        return;
    };
    let more = match left_out.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    workshop.events.warn(format!(
        "`{}`{more} of the cache mount `{}` cannot be exported: only files that stay as they are, directories, links and \
         pipes can",
        first.absolute(),
        meta.id,
    ));
}

/// One mount that is exported.
struct Keeper<'a> {
    workshop: &'a Workshop,
    cache: &'a CacheId,
    root: Arc<Root>,
    earlier: Option<&'a EarlierStash<'a>>,
    compression: Compression,
}

impl Keeper<'_> {
    /// Packs what is new, until no file changes under it.
    fn keep(&self) -> Result<(Stash, BTreeSet<RootPath>), StashError> {
        let earlier = self.earlier_index();
        let mut note = self.note();
        let (mut changed, mut restless) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..TRIES {
            let mut scan = self.scan(&note)?;
            note = std::mem::take(&mut scan.note);
            for path in &restless {
                scan.index.leave_out(path);
            }
            let plan = layer::plan_stash(scan.index, &earlier, &self.file_bytes());
            match self.pack(&plan) {
                Ok(packed) => {
                    self.remember(&note);
                    restless.extend(scan.left_out);
                    return Ok((self.stash(&plan, packed)?, restless));
                }
                Err(StashError::Pack(StashPackError::Changed { path, .. })) => {
                    // Twice is enough.
                    if !changed.insert(path.clone()) {
                        restless.insert(path);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(StashError::Unsteady)
    }

    fn scan(&self, note: &StashNote) -> Result<StashScan, StashError> {
        let owners = Owners::new(self.workshop.ids, kept_owners(self.workshop, self.cache));
        Ok(layer::scan_stash(&self.root, &owners, note, now())?)
    }

    fn note(&self) -> StashNote {
        let note = self.workshop.store.caches().note(self.cache);
        note.map_or_else(StashNote::default, |text| StashNote::parse(&text))
    }

    /// Notes what files hashed to. What is not noted is hashed again.
    fn remember(&self, note: &StashNote) {
        let caches = self.workshop.store.caches();
        if let Err(error) = caches.put_note(self.cache, &note.to_string()) {
            tracing::debug!(%error, "files of a cache mount not noted");
        }
    }

    /// Returns the index of the earlier export; one that cannot be read is none, and everything is packed.
    fn earlier_index(&self) -> StashIndex {
        let Some(earlier) = self.earlier else {
            return StashIndex::default();
        };
        let read = self.open(earlier).and_then(|blob| {
            let blob = Cancellable::new(blob, &self.workshop.cancel);
            Ok(StashIndex::read(blob)?)
        });
        read.unwrap_or_else(|error| {
            tracing::debug!(%error, "earlier index of a cache mount not read");
            StashIndex::default()
        })
    }

    /// Opens the index of the earlier export, in the store or where it was exported to.
    fn open(&self, earlier: &EarlierStash<'_>) -> Result<Box<dyn Read + Send>, BackendError> {
        let LayerBlob {
            digest, size_bytes, ..
        } = &earlier.stash.index;
        let content = self.workshop.store.content();
        let object = ObjectId::Blob(digest.clone());
        if let Ok(Presence::Present) = self.workshop.lease.hold(&object)
            && let Ok(blob) = content.open_blob(digest, *size_bytes)
        {
            return Ok(Box::new(blob));
        }
        let blob = (earlier.open)(&earlier.stash.index)?;
        Ok(Box::new(oci::VerifiedReader::new(
            blob,
            digest,
            *size_bytes,
        )))
    }

    fn earlier_packs(&self) -> &[StashPack] {
        self.earlier
            .map_or(&[], |earlier| earlier.stash.packs.as_slice())
    }

    fn file_bytes(&self) -> Vec<u64> {
        let packs = self.earlier_packs().iter();
        packs.map(|pack| pack.file_bytes).collect()
    }

    /// Writes the new pack, if there is one.
    fn pack(&self, plan: &StashPlan) -> Result<Option<LayerBlob>, StashError> {
        if !plan.needs_pack() {
            return Ok(None);
        }
        let mut ingest = self.workshop.store.content().ingest(&self.workshop.lease)?;
        let mut out = Cancellable::new(&mut ingest, &self.workshop.cancel);
        let options = PackOptions {
            compression: self.compression,
            ..PackOptions::default()
        };
        let packed = plan.write_pack(&self.root, &options, &mut out);
        let packed = packed.map_err(StashError::Pack)?;
        ingest.commit(Some((&packed.digest, packed.size_bytes)))?;
        let media_type = self.compression.kind().oci_media_type();
        Ok(Some(LayerBlob::of(packed, media_type)))
    }

    /// Writes the index, and puts everything together.
    fn stash(&self, plan: &StashPlan, packed: Option<LayerBlob>) -> Result<Stash, StashError> {
        let kept = plan.kept.iter();
        let kept = kept.filter_map(|number| self.earlier_packs().get(*number).cloned());
        let new = packed.map(|blob| StashPack {
            blob,
            file_bytes: plan.pack_bytes(),
        });
        Ok(Stash {
            packs: kept.chain(new).collect(),
            index: self.write_index(&plan.index)?,
        })
    }

    fn write_index(&self, index: &StashIndex) -> Result<LayerBlob, StashError> {
        let text = index.to_text()?;
        let content = self.workshop.store.content();
        let mut ingest = content.ingest(&self.workshop.lease)?;
        let packed = layer::repack(text.as_bytes(), Compression::ZSTD, &mut ingest);
        let packed = packed.map_err(StashError::Compress)?;
        ingest.commit(Some((&packed.digest, packed.size_bytes)))?;
        Ok(LayerBlob::of(packed, INDEX_MEDIA_TYPE))
    }
}

/// Returns the time by the clock that files are changed by.
pub(crate) fn now() -> FileTime {
    let now = Clock::System.now();
    FileTime {
        seconds: now.seconds(),
        nanos: now.nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_all_or_none_or_those_of_ids() {
        let ids =
            |ids: &[&str]| MountSelection::Ids(ids.iter().map(|id| (*id).to_owned()).collect());
        for (values, expected) in [
            (&["all"][..], MountSelection::All),
            (&["none"], MountSelection::None),
            (&[""], MountSelection::None),
            (&["/root/.cache"], ids(&["/root/.cache"])),
            (&["go,npm"], ids(&["go", "npm"])),
            (&["npm", "go", "npm"], ids(&["go", "npm"])),
            (&["go,all"], MountSelection::All),
            (&["none,go"], ids(&["go"])),
        ] {
            assert_eq!(
                MountSelection::parse(values.iter().copied()),
                expected,
                "{values:?}"
            );
        }
        assert!(MountSelection::All.has("go") && ids(&["go"]).has("go"));
        assert!(!MountSelection::None.has("go") && !ids(&["npm"]).has("go"));
    }
}
