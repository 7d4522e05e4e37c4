//! Writing an archive of images: blobs as they come, then `index.json`, `oci-layout` and, for docker,
//! `manifest.json`.
//!
//! It is an OCI image layout in either style. Docker's has the list of `docker save` in it, which names the same
//! files: dockers and podmans that know no layouts read that. Nothing is compressed or unpacked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use layer::{ArchiveWriteError, ArchiveWriter};
use oci::check;
use oci::descriptor;
use oci::digest::DigestError;
use oci::{Descriptor, Digest, Platform, Reference};
use serde::Serialize;
use store::{LayoutSelector, SyncPolicy};

use super::MANIFEST_FILE;
use crate::layout::{
    EntryName, INDEX_FILE, OtherDigest, VERSION_FILE, VERSION_TEXT, blob_path, index_json,
};
use crate::new_file::{NewFile, is_special};
use crate::place::{Document, PlaceError, Source, Target, Transferred};
use crate::referrer;

/// The bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// An archive cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveTargetError {
    /// Its file cannot be made, written to its end, or put into its place.
    #[error("write `{}`", path.display())]
    File {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be added to it.
    #[error("write `{}`", path.display())]
    Write {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ArchiveWriteError,
    },
    /// An image is put where only one of another digest can be.
    #[error(transparent)]
    OtherDigest(#[from] OtherDigest),
    /// A digest cannot be verified.
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
    /// It is complete already, or failed before.
    #[error("`{}` takes no more", path.display())]
    Closed {
        /// The archive.
        path: PathBuf,
    },
}

/// Which list of images an archive has beside the layout's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// None: it is an OCI image layout.
    Oci,
    /// That of `docker save`, with the image of each index that suits this platform best.
    Docker(Platform),
}

/// Where an archive goes.
pub enum Output {
    /// To a file, which takes its place when it is whole. A pipe or a device is written to.
    File(PathBuf),
    /// To a stream; the path shows it.
    Stream(Box<dyn Write + Send>, PathBuf),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path().fmt(f)
    }
}

impl Output {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Stream(_, path) => path,
        }
    }

    fn open(self) -> io::Result<Sink> {
        match self {
            Self::File(path) if is_special(&path) => {
                let file = std::fs::File::options().write(true).open(&path)?;
                let buffer = BufWriter::with_capacity(BUFFER_BYTES, Box::new(file) as _);
                Ok(Sink::Stream(buffer))
            }
            Self::File(path) => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                Ok(Sink::File(NewFile::create(&path)?, path))
            }
            Self::Stream(out, _) => Ok(Sink::Stream(BufWriter::with_capacity(BUFFER_BYTES, out))),
        }
    }
}

enum Sink {
    File(NewFile, PathBuf),
    Stream(BufWriter<Box<dyn Write + Send>>),
}

impl Sink {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::File(file, path) => file.finish(&path, SyncPolicy::Full).map(drop),
            Self::Stream(mut out) => out.flush(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.out().write(bytes),
            Self::Stream(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.out().flush(),
            Self::Stream(out) => out.flush(),
        }
    }
}

/// An image, as `docker save` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// What is written so far.
struct State {
    /// None after the end, or after a failure: half of a file is in the archive then.
    writer: Option<ArchiveWriter<Sink>>,
    /// The blobs.
    written: BTreeSet<Digest>,
    /// The directories.
    directories: BTreeSet<String>,
    /// The images, and what refers to them.
    entries: Vec<Descriptor>,
    /// The indexes and the manifests of images, by their digests.
    documents: BTreeMap<String, Document>,
    /// What docker's list has.
    saved: Vec<Saved>,
}

/// An archive that is being written, which takes several images.
pub struct ImageArchive {
    path: PathBuf,
    style: Style,
    /// A tar has one end: whoever adds to it does so alone. It is held while a blob is copied, since that is the
    /// order that the tar has.
    state: Mutex<State>,
}

impl std::fmt::Debug for ImageArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageArchive")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ImageArchive {
    /// Begins an archive.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be made.
    pub fn create(output: Output, style: Style) -> Result<Self, ArchiveTargetError> {
        let path = output.path().to_owned();
        let sink = output.open().map_err(|source| ArchiveTargetError::File {
            path: path.clone(),
            source,
        })?;
        let state = State {
            writer: Some(ArchiveWriter::new(sink)),
            written: BTreeSet::new(),
            directories: BTreeSet::new(),
            entries: Vec::new(),
            documents: BTreeMap::new(),
            saved: Vec::new(),
        };
        Ok(Self {
            path,
            style,
            state: Mutex::new(state),
        })
    }

    /// Returns the place of an image in it, with its names. The archive has to be completed after it.
    pub fn image(self: &Arc<Self>, names: &[Reference]) -> ArchiveTarget {
        ArchiveTarget {
            archive: Arc::clone(self),
            names: EntryName::of(names),
            closing: Closing::Open,
        }
    }

    /// Completes the archive. Dropped before, it leaves no file.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written to its end.
    pub fn finish(&self) -> Result<(), ArchiveTargetError> {
        let mut state = self.state();
        let mut files = vec![
            (INDEX_FILE, index_json(&state.entries)),
            (VERSION_FILE, VERSION_TEXT.to_vec()),
        ];
        if let Style::Docker(_) = self.style {
            files.push((MANIFEST_FILE, descriptor::to_canonical_json(&state.saved)));
        }
        for (name, bytes) in files {
            self.add(
                &mut state,
                (name, bytes.len() as u64),
                &mut bytes.as_slice(),
            )?;
        }
        let writer = state.writer.take().ok_or_else(|| self.closed())?;
        let sink = writer.finish().map_err(|error| self.failed(error))?;
        sink.finish().map_err(|source| ArchiveTargetError::File {
            path: self.path.clone(),
            source,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // After a panic inside there is no writer, or a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> ArchiveTargetError {
        ArchiveTargetError::Closed {
            path: self.path.clone(),
        }
    }

    fn failed(&self, source: ArchiveWriteError) -> ArchiveTargetError {
        ArchiveTargetError::Write {
            path: self.path.clone(),
            source,
        }
    }

    /// Adds a file. What fails in the middle ends the archive.
    fn add(
        &self,
        state: &mut State,
        (name, size_bytes): (&str, u64),
        content: &mut dyn io::Read,
    ) -> Result<(), ArchiveTargetError> {
        let mut writer = state.writer.take().ok_or_else(|| self.closed())?;
        let added = writer.file(name, size_bytes, content);
        added.map_err(|error| self.failed(error))?;
        state.writer = Some(writer);
        Ok(())
    }

    /// Adds the directories that a blob needs.
    fn make_place(&self, state: &mut State, digest: &Digest) -> Result<(), ArchiveTargetError> {
        let of_algorithm = format!("blobs/{}", digest.algorithm().as_str());
        for directory in ["blobs".to_owned(), of_algorithm] {
            if state.directories.contains(&directory) {
                continue;
            }
            let writer = state.writer.as_mut().ok_or_else(|| self.closed())?;
            let made = writer.directory(&directory);
            made.map_err(|error| self.failed(error))?;
            state.directories.insert(directory);
        }
        Ok(())
    }

    fn keep(&self, document: &Document) -> Result<(), ArchiveTargetError> {
        let digest = descriptor::digest_of(&document.descriptor)?;
        let mut state = self.state();
        if state.written.contains(&digest) {
            return Ok(());
        }
        self.make_place(&mut state, &digest)?;
        let (size_bytes, bytes) = (document.bytes.len() as u64, &mut document.bytes.as_slice());
        self.add(&mut state, (&blob_path(&digest), size_bytes), bytes)?;
        if let Some(entry) = referrer::entry_of(document) {
            state.entries.push(entry);
        }
        state.documents.insert(digest.to_string(), document.clone());
        state.written.insert(digest);
        Ok(())
    }

    fn name(&self, root: &Document, names: &[EntryName]) -> Result<(), ArchiveTargetError> {
        self.keep(root)?;
        let mut state = self.state();
        for name in names {
            let entry = name.entry(&root.descriptor)?;
            state.entries.push(entry);
        }
        if let Style::Docker(platform) = &self.style
            && let Some(saved) = state.saved(root, platform, names)
        {
            state.saved.push(saved);
        }
        Ok(())
    }
}

impl State {
    /// Returns what docker's list says of an image; nothing of what is none.
    fn saved(&self, root: &Document, platform: &Platform, names: &[EntryName]) -> Option<Saved> {
        let manifest = self.image_of(root, platform, oci::limits::INDEX_MAX_DEPTH)?;
        let manifest = check::parse_manifest(&manifest.bytes).ok()?;
        let path = |blob: &Descriptor| Some(blob_path(&descriptor::digest_of(blob).ok()?));
        Some(Saved {
            config: path(manifest.config())?,
            repo_tags: names.iter().filter_map(EntryName::tag).collect(),
            layers: manifest.layers().iter().map(path).collect::<Option<_>>()?,
        })
    }

    /// Returns the image that suits a platform, or else the first.
    fn image_of<'a>(
        &'a self,
        document: &'a Document,
        platform: &Platform,
        depth: usize,
    ) -> Option<&'a Document> {
        if !check::is_index(&document.bytes) {
            return Some(document);
        }
        let index = check::parse_index(&document.bytes).ok()?;
        let mut images = index.manifests().iter();
        let entry = check::select_platform(&index, platform)
            .or_else(|| images.find(|entry| !check::is_attestation(entry)))?;
        let below = self.documents.get(entry.digest().as_ref())?;
        self.image_of(below, platform, depth.checked_sub(1)?)
    }
}

/// What follows an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// Perhaps another one.
    Open,
    /// The end of the archive.
    Close,
}

/// The place of one image in an archive.
#[derive(Debug)]
pub struct ArchiveTarget {
    archive: Arc<ImageArchive>,
    names: Vec<EntryName>,
    closing: Closing,
}

impl ArchiveTarget {
    /// Begins an OCI image layout in a tar, of one image.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be made.
    pub fn oci(path: &Path, selector: &LayoutSelector) -> Result<Self, ArchiveTargetError> {
        Self::alone(path, Style::Oci, vec![selector.into()])
    }

    /// Begins an archive for `docker load`, of one image.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be made.
    pub fn docker(
        path: &Path,
        names: &[Reference],
        platform: &Platform,
    ) -> Result<Self, ArchiveTargetError> {
        let style = Style::Docker(platform.clone());
        Self::alone(path, style, EntryName::of(names))
    }

    fn alone(path: &Path, style: Style, names: Vec<EntryName>) -> Result<Self, ArchiveTargetError> {
        let archive = ImageArchive::create(Output::File(path.to_owned()), style)?;
        Ok(Self {
            archive: Arc::new(archive),
            names,
            closing: Closing::Close,
        })
    }

    fn put(&self, descriptor: &Descriptor, source: &dyn Source) -> Result<Transferred, PlaceError> {
        let digest = descriptor::digest_of(descriptor).map_err(ArchiveTargetError::from)?;
        let archive = &self.archive;
        let mut state = archive.state();
        if state.written.contains(&digest) {
            return Ok(Transferred::Present);
        }
        archive.make_place(&mut state, &digest)?;
        let size_bytes = descriptor.size();
        // Before anything is written: what is not there does no harm to the archive.
        let mut reader = source.blob(descriptor, 0)?;
        archive.add(&mut state, (&blob_path(&digest), size_bytes), &mut reader)?;
        state.written.insert(digest);
        Ok(Transferred::Copied)
    }
}

impl Target for ArchiveTarget {
    fn shown(&self) -> String {
        self.archive.path.display().to_string()
    }

    fn is_sequential(&self) -> bool {
        true
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        self.put(descriptor, source)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        Ok(self.archive.keep(document)?)
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        self.archive.name(root, &self.names)?;
        if self.closing == Closing::Close {
            self.archive.finish()?;
        }
        Ok(())
    }
}
