//! Writing into an OCI image layout, which may be there already and have other images in it.
//!
//! Blobs first, then `index.json` in one rename: a reader never sees an index that names what is not there. Who
//! writes has the directory locked, so that two that add to the same layout do not lose each other's names.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use oci::check::{self, DocumentError};
use oci::descriptor::{self, ANNOTATION_REF_NAME};
use oci::digest::{Algorithm, DigestError};
use oci::limits::MANIFEST_MAX_BYTES;
use oci::{Descriptor, Digest, Reference, VerifiedReader};
use rootfs::{FileKind, FsError, Mode, Root, RootPath};
use store::{ANNOTATION_IMAGE_NAME, LayoutSelector, Lent};

use super::name::{EntryName, OtherDigest};
use super::{INDEX_FILE, VERSION_FILE, VERSION_TEXT, blob_path, index_json};
use crate::Stop;
use crate::place::{Document, PlaceError, Source, Target, Transferred};
use crate::referrer;

/// How long a waiting writer does not look whether the directory is free.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// How many bytes of a blob are copied at once.
const COPY_BYTES: usize = 256 * 1024;

/// A layout cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Its directory cannot be made, locked or written to.
    #[error("write the image layout `{}`", path.display())]
    Write {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it cannot be read or written.
    #[error("write the image layout `{}`", path.display())]
    Fs {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: FsError,
    },
    /// The index that is there is none.
    #[error("`{INDEX_FILE}` of the image layout `{}` is malformed", path.display())]
    Index {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// The directory has files, and no layout.
    #[error("`{}` is not empty and no image layout: it has no `{VERSION_FILE}`", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
    },
    /// An image is put where only one of another digest can be.
    #[error(transparent)]
    OtherDigest(#[from] OtherDigest),
    /// There is no image to remove.
    #[error("no image `{selector}` in the layout `{}`", path.display())]
    NotFound {
        /// The directory.
        path: PathBuf,
        /// The image.
        selector: LayoutSelector,
    },
    /// A digest cannot be verified.
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
    /// The user, or somebody for them, wants no more.
    #[error("the copy was ended")]
    Stopped,
}

/// A place in a layout, which is locked as long as this is there.
#[derive(Debug)]
pub struct LayoutTarget {
    layout: Locked,
    names: Vec<EntryName>,
    shown: String,
    stop: Stop,
    /// The entries of what refers to an image. Threads that put documents share it, and have to see it when
    /// their calls return.
    referrers: Mutex<Vec<Descriptor>>,
}

impl LayoutTarget {
    /// Opens a layout, or makes it, and waits until nobody else writes to it.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be made, written to, or is full of something else.
    pub fn open(path: &Path, selector: &LayoutSelector, stop: &Stop) -> Result<Self, LayoutError> {
        let location = crate::Location::Layout {
            path: path.to_owned(),
            selector: selector.clone(),
        };
        let target = Self::new(path, vec![selector.into()], (location.to_string(), stop))?;
        target.layout.check_is_layout()?;
        Ok(target)
    }

    /// Opens a layout for an image that gets names, the whole of each and its tag; whatever else is in the directory
    /// stays there.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be made or written to.
    pub fn named(path: &Path, names: &[Reference], stop: &Stop) -> Result<Self, LayoutError> {
        let named = EntryName::of(names);
        Self::new(path, named, (format!("oci:{}", path.display()), stop))
    }

    fn new(
        path: &Path,
        names: Vec<EntryName>,
        (shown, stop): (String, &Stop),
    ) -> Result<Self, LayoutError> {
        fs::create_dir_all(path).map_err(|source| LayoutError::Write {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            layout: Locked::open(path, stop)?,
            names,
            shown,
            stop: stop.clone(),
            referrers: Mutex::default(),
        })
    }

    pub(super) fn locked(&self) -> &Locked {
        &self.layout
    }

    /// Makes sure that a document is there as a blob.
    fn keep(&self, document: &Document) -> Result<(), LayoutError> {
        let digest = descriptor::digest_of(&document.descriptor)?;
        self.layout.make_place(digest.algorithm())?;
        self.layout.write_file(&blob_path(&digest), &document.bytes)
    }

    fn complete(&self, root: &Document) -> Result<(), LayoutError> {
        self.keep(root)?;
        let entries = self.names.iter().map(|name| name.entry(&root.descriptor));
        let mut entries = entries.collect::<Result<Vec<_>, OtherDigest>>()?;
        // A list that a panicking thread left is a list.
        let referrers = self
            .referrers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        entries.extend(referrers.iter().cloned());
        let kept = self.layout.entries()?;
        let is_kept = |old: &Descriptor| !entries.iter().any(|new| replaces(new, old));
        let mut all: Vec<_> = kept.into_iter().filter(is_kept).collect();
        all.extend(entries);
        self.layout.write_file(VERSION_FILE, VERSION_TEXT)?;
        self.layout.write_file(INDEX_FILE, &index_json(&all))
    }
}

impl Target for LayoutTarget {
    fn shown(&self) -> String {
        self.shown.clone()
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        let digest = descriptor::digest_of(descriptor).map_err(LayoutError::from)?;
        if self.layout.has(&digest, descriptor.size())? {
            return Ok(Transferred::Present);
        }
        self.layout.make_place(digest.algorithm())?;
        if self.layout.borrow(&digest, (descriptor, source))? == Lent::Yes {
            return Ok(Transferred::Copied);
        }
        let reader = source.blob(descriptor, 0)?;
        let mut reader = VerifiedReader::new(reader, &digest, descriptor.size());
        self.layout.copy(&mut reader, &digest)?;
        Ok(Transferred::Copied)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        if self.stop.is_stopped() {
            return Err(LayoutError::Stopped.into());
        }
        self.keep(document)?;
        if let Some(entry) = referrer::entry_of(document) {
            let mut referrers = self
                .referrers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            referrers.push(entry);
        }
        Ok(())
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        Ok(self.complete(root)?)
    }
}

/// Takes an image's name out of a layout; its blobs stay. Returns what the name led to.
///
/// # Errors
///
/// Fails when there is no layout, no such image, or the layout cannot be written.
pub fn remove(
    path: &Path,
    selector: &LayoutSelector,
    stop: &Stop,
) -> Result<Vec<Descriptor>, LayoutError> {
    let layout = Locked::open(path, stop)?;
    layout.check_is_layout()?;
    let (gone, kept): (Vec<_>, Vec<_>) = layout
        .entries()?
        .into_iter()
        .partition(|entry| is_selected(entry, selector));
    if gone.is_empty() {
        return Err(LayoutError::NotFound {
            path: path.to_owned(),
            selector: selector.clone(),
        });
    }
    layout.write_file(INDEX_FILE, &index_json(&kept))?;
    Ok(gone)
}

/// Tells whether an entry is the one that is to be removed: nothing is guessed there.
fn is_selected(entry: &Descriptor, selector: &LayoutSelector) -> bool {
    let name = descriptor::annotation_of(entry, ANNOTATION_REF_NAME);
    match selector {
        LayoutSelector::Default => name.is_none() || name == Some("latest"),
        LayoutSelector::Tag(tag) => {
            name == Some(tag)
                || descriptor::annotation_of(entry, ANNOTATION_IMAGE_NAME) == Some(tag)
        }
        LayoutSelector::Digest(digest) => entry.digest().as_ref() == digest.as_str(),
    }
}

/// Tells whether an entry takes the place of another: one of the same name, or the same image if that has no
/// name. Another name of the same image stays.
fn replaces(new: &Descriptor, old: &Descriptor) -> bool {
    match descriptor::annotation_of(old, ANNOTATION_REF_NAME) {
        Some(name) => descriptor::annotation_of(new, ANNOTATION_REF_NAME) == Some(name),
        None => new.digest() == old.digest(),
    }
}

/// A layout that is locked by this process.
#[derive(Debug)]
pub(super) struct Locked {
    root: Root,
    path: PathBuf,
    _lock: File,
}

impl Locked {
    fn open(path: &Path, stop: &Stop) -> Result<Self, LayoutError> {
        let lock = lock(path, stop)?;
        let root = Root::open(path).map_err(|source| LayoutError::Fs {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            root,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    pub(super) fn malformed(&self, source: DocumentError) -> LayoutError {
        let path = self.path.clone();
        LayoutError::Index { path, source }
    }

    pub(super) fn failed(&self, source: FsError) -> LayoutError {
        let path = self.path.clone();
        LayoutError::Fs { path, source }
    }

    fn has_file(&self, name: &str) -> Result<bool, LayoutError> {
        let found = self.root.metadata(&file(name));
        let found = found.map_err(|source| self.failed(source))?;
        Ok(found.is_some())
    }

    /// Refuses a directory that has something else in it.
    fn check_is_layout(&self) -> Result<(), LayoutError> {
        if self.has_file(VERSION_FILE)? || self.has_file("blobs")? {
            return Ok(());
        }
        let names = self.root.names().map_err(|source| self.failed(source))?;
        if names.is_empty() {
            return Ok(());
        }
        Err(LayoutError::NotALayout {
            path: self.path.clone(),
        })
    }

    /// Tells whether a blob of this name and size is there.
    fn has(&self, digest: &Digest, size_bytes: u64) -> Result<bool, LayoutError> {
        let found = self.root.metadata(&file(&blob_path(digest)));
        let found = found.map_err(|source| self.failed(source))?;
        Ok(found.is_some_and(|found| found.kind == FileKind::File && found.size == size_bytes))
    }

    /// Makes the directory of an algorithm's blobs.
    fn make_place(&self, algorithm: Algorithm) -> Result<(), LayoutError> {
        let place = file(&format!("blobs/{}", algorithm.as_str()));
        let made = self.root.mkdir_all(&place, Mode::new(0o755));
        made.map(drop).map_err(|source| self.failed(source))
    }

    fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), LayoutError> {
        rootfs::write_atomic(&self.root, &file(path), bytes, Mode::new(0o644))
            .map_err(|source| self.failed(source))
    }

    /// Takes the file of a blob from whoever lends it, under a temporary name, and renames it.
    fn borrow(
        &self,
        digest: &Digest,
        (blob, source): (&Descriptor, &dyn Source),
    ) -> Result<Lent, PlaceError> {
        let temporary = temporary(digest);
        self.clear(&temporary)?;
        if source.lend(blob, (&self.root, &temporary))? == Lent::No {
            return Ok(Lent::No);
        }
        let renamed = self.root.rename(&temporary, &file(&blob_path(digest)));
        renamed.map_err(|source| self.failed(source))?;
        Ok(Lent::Yes)
    }

    /// Removes what a killed process left: the layout is locked.
    fn clear(&self, temporary: &RootPath) -> Result<(), LayoutError> {
        let found = self.root.metadata(temporary);
        if found.map_err(|source| self.failed(source))?.is_some() {
            let removed = self.root.remove_file(temporary);
            removed.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Copies a blob under a temporary name and renames it: a reader never sees half of it.
    fn copy(&self, blob: &mut dyn io::Read, digest: &Digest) -> Result<(), LayoutError> {
        let temporary = temporary(digest);
        let target = file(&blob_path(digest));
        let copied = self.copy_as(blob, (&temporary, &target));
        if copied.is_err() {
            // The first error is the one to report; the next writer removes it.
            drop(self.root.remove_file(&temporary));
        }
        copied
    }

    fn copy_as(
        &self,
        blob: &mut dyn io::Read,
        (temporary, target): (&RootPath, &RootPath),
    ) -> Result<(), LayoutError> {
        let failed = |source| self.failed(source);
        self.clear(temporary)?;
        let out = self.root.create_file(temporary).map_err(failed)?;
        // The buffer makes the pieces large; nothing is copied through it once more.
        let mut out = BufWriter::with_capacity(COPY_BYTES, out);
        io::copy(blob, &mut out)
            .and_then(|_| out.flush())
            .and_then(|()| out.get_ref().sync_all())
            .map_err(|source| LayoutError::Write {
                path: self.path.clone(),
                source,
            })?;
        let finished = self
            .root
            .set_mode(temporary, Mode::new(0o644))
            .and_then(|()| self.root.rename(temporary, target));
        finished.map_err(failed)
    }

    /// Returns what the index names; nothing where there is none yet.
    pub(super) fn entries(&self) -> Result<Vec<Descriptor>, LayoutError> {
        if !self.has_file(INDEX_FILE)? {
            return Ok(Vec::new());
        }
        let read = self
            .root
            .read_to_end_limited(&file(INDEX_FILE), MANIFEST_MAX_BYTES);
        let Some(bytes) = read.map_err(|source| self.failed(source))? else {
            return Ok(Vec::new());
        };
        let index = check::parse_index(&bytes).map_err(|source| LayoutError::Index {
            path: self.path.clone(),
            source,
        })?;
        Ok(index.manifests().clone())
    }
}

/// Locks a directory; the lock ends with the file. Where directories cannot be locked nothing is.
fn lock(path: &Path, stop: &Stop) -> Result<File, LayoutError> {
    let directory = File::open(path).map_err(|source| LayoutError::Write {
        path: path.to_owned(),
        source,
    })?;
    while let Err(TryLockError::WouldBlock) = directory.try_lock() {
        if stop.is_stopped() {
            return Err(LayoutError::Stopped);
        }
        thread::park_timeout(LOCK_POLL);
    }
    Ok(directory)
}

/// Returns the name of a blob that is not whole yet.
fn temporary(digest: &Digest) -> RootPath {
    file(&format!("{}{}", rootfs::TEMPORARY_PREFIX, digest.encoded()))
}

/// Returns a path in a layout.
pub(super) fn file(path: &str) -> RootPath {
    RootPath::lexical(path).expect("names of an image layout are short and have no NUL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::name::tests::entry;

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
