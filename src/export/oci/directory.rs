//! The layout as a directory, which may be there already and have other images in it.
//!
//! Blobs first, then `index.json` in one rename: a reader never sees an index that names what is not
//! there. Who writes has the directory locked, so that two builds that add to the same layout do not
//! lose each other's names.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use oci::Digest;
use oci::check;
use oci::descriptor::{self, ANNOTATION_REF_NAME, Descriptor};
use oci::digest::Algorithm;
use rootfs::{FileKind, FsError, Mode, Root, RootPath};
use solver::{Cancellable, Workshop};
use store::BlobReader;

use crate::blob::open_blob;
use crate::exporter::{ExportError, fs_error, write_error};
use crate::image::{ImageSet, LayerFile};
use crate::layout::{INDEX_FILE, OCI_LAYOUT, VERSION_FILE, blob_path, index_json, name};

/// How long a waiting writer does not look whether the directory is free.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Adds to a directory, or makes it.
pub(super) fn write(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
    path: &Path,
) -> Result<(), ExportError> {
    std::fs::create_dir_all(path).map_err(|source| write_error(path, source))?;
    let _lock = lock(path, workshop)?;
    let root = Root::open(path).map_err(|source| fs_error(path, source))?;
    let layout = Layout {
        root,
        path,
        workshop,
    };
    let kept = layout.entries_to_keep(entries)?;
    for document in &set.documents {
        layout.make_place(document.digest.algorithm())?;
        layout.write_file(&blob_path(&document.digest), &document.bytes)?;
    }
    for (digest, layer) in &set.layers {
        layout.make_place(digest.algorithm())?;
        layout.add_layer(digest, layer)?;
    }
    layout.write_file(VERSION_FILE, OCI_LAYOUT)?;
    let all: Vec<_> = kept.into_iter().chain(entries.iter().cloned()).collect();
    layout.write_file(INDEX_FILE, &index_json(&all))
}

/// Locks a directory; the lock ends with the file. Where directories cannot be locked nothing is.
fn lock(path: &Path, workshop: &Workshop) -> Result<File, ExportError> {
    let directory = File::open(path).map_err(|source| write_error(path, source))?;
    while let Err(TryLockError::WouldBlock) = directory.try_lock() {
        if workshop.cancel.is_cancelled() {
            return Err(ExportError::Cancelled);
        }
        thread::park_timeout(LOCK_POLL);
    }
    Ok(directory)
}

/// A layout that is locked by this process.
struct Layout<'a> {
    root: Root,
    path: &'a Path,
    workshop: &'a Workshop,
}

impl Layout<'_> {
    fn failed(&self, source: FsError) -> ExportError {
        fs_error(self.path, source)
    }

    /// Makes the directory of an algorithm's blobs.
    fn make_place(&self, algorithm: Algorithm) -> Result<(), ExportError> {
        let place = name(&format!("blobs/{}", algorithm.as_str()));
        let made = self.root.mkdir_all(&place, Mode::new(0o755));
        made.map(drop).map_err(|source| self.failed(source))
    }

    fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        rootfs::write_atomic(&self.root, &name(path), bytes, Mode::new(0o644))
            .map_err(|source| self.failed(source))
    }

    /// Copies a layer's blob, unless one of its name and size is there.
    fn add_layer(&self, digest: &Digest, layer: &LayerFile) -> Result<(), ExportError> {
        let target = name(&blob_path(digest));
        let found = self.root.metadata(&target);
        let found = found.map_err(|source| self.failed(source))?;
        if found.is_some_and(|found| found.kind == FileKind::File && found.size == layer.size_bytes)
        {
            return Ok(());
        }
        let blob = open_blob(self.workshop, digest, layer)?;
        let temporary = name(&format!("{}{}", rootfs::TEMPORARY_PREFIX, digest.encoded()));
        let copied = self.copy(blob, (&temporary, &target));
        if copied.is_err() {
            // The first error is the one to report; the next writer removes it.
            drop(self.root.remove_file(&temporary));
        }
        copied
    }

    /// Copies under a temporary name and renames: a reader never sees half of a blob.
    fn copy(
        &self,
        blob: BlobReader,
        (temporary, target): (&RootPath, &RootPath),
    ) -> Result<(), ExportError> {
        // What is there of that name a killed process left: the layout is locked.
        let left = self.root.metadata(temporary);
        if left.map_err(|source| self.failed(source))?.is_some() {
            let removed = self.root.remove_file(temporary);
            removed.map_err(|source| self.failed(source))?;
        }
        let out = self.root.create_file(temporary);
        let mut out = out.map_err(|source| self.failed(source))?;
        let mut blob = Cancellable::new(blob, &self.workshop.cancel);
        io::copy(&mut blob, &mut out)
            .and_then(|_| out.sync_all())
            .map_err(|source| write_error(self.path, source))?;
        let finished = self
            .root
            .set_mode(temporary, Mode::new(0o644))
            .and_then(|()| self.root.rename(temporary, target));
        finished.map_err(|source| self.failed(source))
    }

    /// Returns the entries of a layout that is there, without those whose names are given anew.
    fn entries_to_keep(&self, new: &[Descriptor]) -> Result<Vec<Descriptor>, ExportError> {
        let limit_bytes = oci::limits::MANIFEST_MAX_BYTES;
        let read = self
            .root
            .metadata(&name(INDEX_FILE))
            .and_then(|found| match found {
                Some(_) => self
                    .root
                    .read_to_end_limited(&name(INDEX_FILE), limit_bytes),
                None => Ok(None),
            });
        let Some(bytes) = read.map_err(|source| self.failed(source))? else {
            return Ok(Vec::new());
        };
        let index = check::parse_index(&bytes).map_err(|source| ExportError::Layout {
            path: self.path.to_owned(),
            source: source.into(),
        })?;
        let is_kept = |old: &&Descriptor| !new.iter().any(|new| replaces(new, old));
        Ok(index.manifests().iter().filter(is_kept).cloned().collect())
    }
}

/// Tells whether an entry takes the place of another: one of the same name, or the same image if that
/// has no name. Another name of the same image stays.
fn replaces(new: &Descriptor, old: &Descriptor) -> bool {
    match descriptor::annotation_of(old, ANNOTATION_REF_NAME) {
        Some(name) => descriptor::annotation_of(new, ANNOTATION_REF_NAME) == Some(name),
        None => new.digest() == old.digest(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, name: Option<&str>) -> Descriptor {
        let top = descriptor::descriptor(
            oci::media_type::OCI_INDEX,
            &Digest::of(text.as_bytes()),
            text.len() as u64,
        );
        let names = name.map(|name| (ANNOTATION_REF_NAME.to_owned(), name.to_owned()));
        descriptor::with_annotations(top, &names.into_iter().collect())
    }

    #[test]
    fn only_the_same_name_and_the_same_nameless_image_are_replaced() {
        for (new, old, expected) in [
            (("a", Some("1")), ("b", Some("1")), true),
            (("a", Some("2")), ("a", Some("1")), false),
            (("a", Some("1")), ("a", None), true),
            (("a", None), ("a", None), true),
            (("b", None), ("a", None), false),
            (("a", None), ("a", Some("1")), false),
        ] {
            let found = replaces(&entry(new.0, new.1), &entry(old.0, old.1));
            assert_eq!(found, expected, "{new:?} {old:?}");
        }
    }
}
