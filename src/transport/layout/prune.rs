//! Removing what no name of a layout leads to.

use std::collections::BTreeSet;

use oci::check;
use oci::descriptor::digest_of;
use oci::digest::Algorithm;
use oci::limits::{INDEX_MAX_DEPTH, MANIFEST_MAX_BYTES};
use oci::{Descriptor, Digest, MediaType};

use super::blob_path;
use super::write::{LayoutError, LayoutTarget, Locked, file};

impl LayoutTarget {
    /// Removes the blobs that no name leads to; returns how many those were.
    ///
    /// # Errors
    ///
    /// Fails when a document that a name leads to cannot be read, and removes nothing then; or when a blob cannot be
    /// removed.
    pub fn remove_unnamed(&self) -> Result<usize, LayoutError> {
        let layout = self.locked();
        let mut named = BTreeSet::new();
        for entry in layout.entries()? {
            layout.mark(&entry, &mut named, 0)?;
        }
        layout.remove_others(&named)
    }
}

impl Locked {
    /// Notes the digests of a descriptor and of all that it leads to.
    fn mark(
        &self,
        descriptor: &Descriptor,
        named: &mut BTreeSet<String>,
        depth: usize,
    ) -> Result<(), LayoutError> {
        let digest = digest_of(descriptor)?;
        let is_new = named.insert(blob_path(&digest));
        let kind = MediaType::parse(descriptor.media_type().as_ref());
        if !is_new || depth > INDEX_MAX_DEPTH || !(kind.is_index() || kind.is_manifest()) {
            return Ok(());
        }
        let Some(bytes) = self.read(&digest)? else {
            return Ok(());
        };
        let malformed = |source| self.malformed(source);
        let below = if check::is_index(&bytes) {
            let index = check::parse_index(&bytes).map_err(malformed)?;
            index.manifests().clone()
        } else {
            let manifest = check::parse_manifest(&bytes).map_err(malformed)?;
            let mut below = manifest.layers().clone();
            below.push(manifest.config().clone());
            below
        };
        below
            .iter()
            .try_for_each(|descriptor| self.mark(descriptor, named, depth + 1))
    }

    fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LayoutError> {
        let path = file(&blob_path(digest));
        let read = self.root().read_to_end_limited(&path, MANIFEST_MAX_BYTES);
        read.map_err(|source| self.failed(source))
    }

    fn remove_others(&self, named: &BTreeSet<String>) -> Result<usize, LayoutError> {
        let failed = |source| self.failed(source);
        let mut removed = 0;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let directory = format!("blobs/{}", algorithm.as_str());
            let Some(blobs) = self
                .root()
                .open_dir_direct(&file(&directory))
                .map_err(failed)?
            else {
                continue;
            };
            for name in blobs.names().map_err(failed)? {
                let path = format!("{directory}/{}", String::from_utf8_lossy(&name));
                if named.contains(&path) {
                    continue;
                }
                self.root().remove_file(&file(&path)).map_err(failed)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
