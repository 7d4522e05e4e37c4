//! Removing blobs that nobody wants: the caller says which are looked at, and what is wanted is kept.
//!
//! ```text
//! 1  what is wanted is not looked at further
//! 2  try for the exclusive claim on each of the others        taken: it is in use
//! 3  read all live leases                                     named: it is in use
//! 4  find out again what is wanted                            wanted: it stays
//! 5  rename the rest into the trash, and give the claims back
//! 6  delete
//! ```
//!
//! The fourth step makes it right, the first one makes it cheap. A build that ended between them had its blob in its
//! lease until it had written the tag or the record that names it: either the third step sees the one, or the fourth
//! the other. A build that begins meanwhile waits for the claim, and then finds nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use oci::Digest;
use oci::descriptor::digest_of;

use crate::claim::{Claim, ClaimError, ClaimName, Claims};
use crate::content::ContentStore;
use crate::file::{self, FileError};
use crate::layout::Layout;
use crate::lease::{Leased, is_leased};
use crate::name::ObjectId;
use crate::trash::{self, TrashError, Trashed};
use crate::wanted::{self, WantedError, wanted};

/// How many claims are held at once: each is an open file.
const BATCH: usize = 128;

/// What a sweep removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The blobs that are gone, with their sizes in bytes.
    pub removed: Vec<(Digest, u64)>,
    /// The blobs that nobody wants and somebody uses.
    pub in_use: Vec<Digest>,
}

impl Swept {
    /// Returns how many bytes are free now.
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|(_, size_bytes)| size_bytes).sum()
    }
}

/// Blobs cannot be swept away.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// It cannot be found out what is wanted.
    #[error(transparent)]
    Wanted(#[from] WantedError),
    /// A blob cannot be claimed.
    #[error("remove blobs that nobody wants")]
    Claim(#[from] ClaimError),
    /// The leases, or the directory of the blobs, cannot be read.
    #[error("remove blobs that nobody wants")]
    Read(#[source] FileError),
    /// A blob cannot be moved or deleted.
    #[error("remove blob `{digest}`")]
    Trash {
        /// The blob.
        digest: Digest,
        /// What failed.
        #[source]
        source: TrashError,
    },
}

/// Removes those of these blobs that nobody wants or uses.
pub(crate) fn sweep(
    layout: &Arc<Layout>,
    content: &ContentStore,
    candidates: BTreeSet<Digest>,
) -> Result<Swept, SweepError> {
    forget_referrers(layout, content)?;
    let first = wanted(layout, content)?;
    let unwanted: Vec<_> = candidates
        .into_iter()
        .filter(|digest| !first.contains(digest))
        .collect();
    let mut swept = Swept::default();
    for batch in unwanted.chunks(BATCH) {
        sweep_batch(layout, content, batch, &mut swept)?;
    }
    Ok(swept)
}

/// Takes what refers to something that is not wanted out of the index, unless somebody is about to put that there.
fn forget_referrers(layout: &Arc<Layout>, content: &ContentStore) -> Result<(), SweepError> {
    let named = wanted::named(content).map_err(WantedError::from)?;
    let mut lost = Vec::new();
    for (entry, subject) in content.referrers().map_err(WantedError::from)? {
        let is_leased =
            is_leased(layout, &ObjectId::Blob(subject.clone())).map_err(SweepError::Read)?;
        if !named.contains(&subject) && !is_leased {
            lost.extend(digest_of(&entry));
        }
    }
    if !lost.is_empty() {
        content.drop_unnamed(&lost).map_err(WantedError::from)?;
    }
    Ok(())
}

fn sweep_batch(
    layout: &Arc<Layout>,
    content: &ContentStore,
    batch: &[Digest],
    swept: &mut Swept,
) -> Result<(), SweepError> {
    let claims = Claims::new(Arc::clone(layout));
    let mut ours: Vec<(&Digest, Claim)> = Vec::new();
    for digest in batch {
        let object = ObjectId::Blob(digest.clone());
        match claims.try_exclusive(ClaimName::Object(&object))? {
            Some(claim) => ours.push((digest, claim)),
            None => swept.in_use.push(digest.clone()),
        }
    }
    let leased = Leased::read(layout).map_err(SweepError::Read)?;
    // Builds may wait for these claims, most of all for those on what they have just made: these are given back before
    // all that may want a blob is read, and nothing is deleted while one is held.
    ours.retain(|(digest, _)| {
        let is_leased = leased.names(layout, &ObjectId::Blob((*digest).clone()));
        if is_leased {
            swept.in_use.push((*digest).clone());
        }
        !is_leased
    });
    let wanted = wanted(layout, content)?;
    let mut taken = Vec::new();
    for (digest, claim) in ours {
        if !wanted.contains(digest) {
            taken.extend(Taken::take(layout, content, digest)?);
        }
        drop(claim);
    }
    for blob in taken {
        swept.removed.push(blob.delete()?);
    }
    Ok(())
}

/// A blob in the trash.
struct Taken<'a> {
    digest: &'a Digest,
    size_bytes: u64,
    trashed: Trashed,
}

impl<'a> Taken<'a> {
    /// Renames a blob into the trash; nothing where it was not there.
    fn take(
        layout: &Layout,
        content: &ContentStore,
        digest: &'a Digest,
    ) -> Result<Option<Self>, SweepError> {
        // What is no regular file is removed as well, and counts for nothing.
        let size_bytes = content.has(digest).ok().flatten().unwrap_or(0);
        let trashed = trash::take(layout, &layout.blob(digest));
        let trashed = trashed.map_err(|error| failed(digest, error.into()))?;
        Ok(trashed.map(|trashed| Self {
            digest,
            size_bytes,
            trashed,
        }))
    }

    /// Returns what was removed.
    fn delete(self) -> Result<(Digest, u64), SweepError> {
        let deleted = self.trashed.delete();
        deleted.map_err(|error| failed(self.digest, error))?;
        Ok((self.digest.clone(), self.size_bytes))
    }
}

fn failed(digest: &Digest, source: TrashError) -> SweepError {
    SweepError::Trash {
        digest: digest.clone(),
        source,
    }
}

/// Returns the digests of all blobs that are there.
pub(crate) fn all_blobs(layout: &Layout) -> Result<BTreeSet<Digest>, SweepError> {
    let mut blobs = BTreeSet::new();
    for algorithm in file::entries(&layout.all_blobs()).map_err(SweepError::Read)? {
        let name = |path: &std::path::Path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .map(str::to_owned)
        };
        let prefix = name(&algorithm).unwrap_or_default();
        for blob in file::entries(&algorithm).map_err(SweepError::Read)? {
            let digits = name(&blob).unwrap_or_default();
            blobs.extend(Digest::parse(&format!("{prefix}:{digits}")));
        }
    }
    Ok(blobs)
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
