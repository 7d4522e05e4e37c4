//! Which blobs are wanted: those that an entry of the index leads to, and those that a cache record names.
//!
//! What reads as a manifest or an index is followed; what is not there or is damaged leads nowhere, and is
//! wanted itself: an image may lack platforms that nobody asked for.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use oci::check::{is_index, parse_index, parse_manifest};
use oci::descriptor::digest_of;
use oci::limits::MANIFEST_MAX_BYTES;
use oci::{Descriptor, Digest};

use crate::content::ContentStore;
use crate::file::{self, FileError};
use crate::layout::Layout;
use crate::limits::RECORD_LIMIT_BYTES;
use crate::{BlobSource as _, TagError};

/// It cannot be found out what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum WantedError {
    /// The tags cannot be read.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// The cache records cannot be read.
    #[error("read the records of the store")]
    Records(#[source] FileError),
}

impl ContentStore {
    /// Returns the blobs that these manifests and indexes lead to, themselves among them, whether they are there or
    /// not.
    pub fn reached<'a, I>(&self, roots: I) -> BTreeSet<Digest>
    where
        I: IntoIterator<Item = &'a Descriptor>,
    {
        let mut reached = BTreeSet::new();
        let mut left: Vec<Digest> = roots
            .into_iter()
            .filter_map(|root| digest_of(root).ok())
            .collect();
        while let Some(digest) = left.pop() {
            if !reached.contains(&digest) {
                left.extend(self.leads_to(&digest, &mut reached));
            }
        }
        reached
    }

    /// Adds a document and the blobs that it names, and returns the documents that it names.
    fn leads_to(&self, digest: &Digest, reached: &mut BTreeSet<Digest>) -> Vec<Digest> {
        reached.insert(digest.clone());
        let Ok(bytes) = self.read_blob(digest, MANIFEST_MAX_BYTES) else {
            return Vec::new();
        };
        if is_index(&bytes) {
            let entries = parse_index(&bytes).map(|index| index.manifests().clone());
            return entries
                .unwrap_or_default()
                .iter()
                .filter_map(|entry| digest_of(entry).ok())
                .collect();
        }
        if let Ok(manifest) = parse_manifest(&bytes) {
            let parts = std::iter::once(manifest.config()).chain(manifest.layers());
            reached.extend(parts.filter_map(|part| digest_of(part).ok()));
        }
        Vec::new()
    }
}

/// Returns everything that is wanted.
pub(crate) fn wanted(
    layout: &Arc<Layout>,
    content: &ContentStore,
) -> Result<BTreeSet<Digest>, WantedError> {
    let mut wanted = named(content)?;
    // Blobs are shared by all id maps, records are not.
    for id_map in file::entries(&layout.all_records()).map_err(WantedError::Records)? {
        named_below(&id_map, &mut wanted).map_err(WantedError::Records)?;
    }
    Ok(wanted)
}

/// Returns what the index leads to. What refers to something is wanted as long as that is.
pub(crate) fn named(content: &ContentStore) -> Result<BTreeSet<Digest>, TagError> {
    let mut left = content.referrers()?;
    let refers = |entry: &Descriptor| left.iter().any(|(other, _)| other == entry);
    let roots: Vec<_> = content
        .entries()?
        .into_iter()
        .filter(|entry| !refers(entry))
        .collect();
    let mut named = content.reached(&roots);
    loop {
        let (wanted, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(_, subject)| named.contains(subject));
        if wanted.is_empty() {
            return Ok(named);
        }
        named.extend(content.reached(wanted.iter().map(|(entry, _)| entry)));
        left = rest;
    }
}

/// Adds the digests in the records of an id map.
fn named_below(records: &Path, wanted: &mut BTreeSet<Digest>) -> Result<(), FileError> {
    for group in file::entries(records)? {
        for record in file::entries(&group)? {
            let bytes = file::read_limited(&record, RECORD_LIMIT_BYTES)?;
            wanted.extend(digests_in(&bytes.unwrap_or_default()));
        }
    }
    Ok(())
}

/// Returns what looks like a digest in a document. What only looks like one keeps a blob too many at worst.
fn digests_in(bytes: &[u8]) -> Vec<Digest> {
    let text = String::from_utf8_lossy(bytes);
    // A digest stands in quotes in JSON, alone or behind the `@` of a name.
    let words = text.split(['"', '@']);
    words
        .filter(|word| word.starts_with("sha"))
        .filter_map(|word| Digest::parse(word).ok())
        .collect()
}
