//! An image layout as a tar: which files it has, and whether it is there already.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use layer::{Attributes, Change, ChangeKind, Content, Node, NodeKind, TarOptions, WriteError};
use oci::Digest;
use oci::descriptor::Descriptor;
use rootfs::{Mode, Root};
use solver::{Reach, Workshop};

use crate::exporter::{ExportError, fs_error};
use crate::image::ImageSet;
use crate::layout::{INDEX_FILE, OCI_LAYOUT, VERSION_FILE, blob_path, index_json, name};
use crate::memo;
use crate::output::Destination;
use crate::sink;

/// What an archive has beside the blobs.
#[derive(Debug)]
pub(crate) struct Documents {
    /// The files, by name.
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Documents {
    /// Returns those of an image layout.
    pub(crate) fn of_layout(entries: &[Descriptor]) -> Self {
        Self {
            files: vec![
                (VERSION_FILE, OCI_LAYOUT.to_vec()),
                (INDEX_FILE, index_json(entries)),
            ],
        }
    }

    /// Adds a file.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, bytes: Vec<u8>) -> Self {
        self.files.push((name, bytes));
        self
    }

    /// Returns bytes that are the same for the same archive alone: all blobs are named by digests.
    fn identity(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in &self.files {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(content);
            bytes.push(0);
        }
        bytes
    }
}

/// Writes the archive, unless it is there already as we left it; tells whether it is.
pub(crate) fn write(
    set: &ImageSet,
    workshop: &Workshop,
    documents: &Documents,
    destination: &Destination,
) -> Result<bool, ExportError> {
    let identity = documents.identity();
    if let Destination::Path(path) = destination
        && memo::is_current(workshop, path, &identity)?
    {
        return Ok(true);
    }
    let changes = changes(set, workshop, documents)?.into_iter().map(Ok);
    let archive = (changes, &TarOptions::default());
    let written = sink::write_archive(destination, workshop, archive)
        .map_err(|error| without_damaged(error, set, (workshop, destination)))?;
    if let (Some(written), Destination::Path(path)) = (written, destination) {
        memo::remember(workshop, path, &identity, &written)?;
    }
    Ok(false)
}

/// Removes the layers of the store that are damaged, if that is why an archive cannot be written: whoever needs them
/// makes them again. What was written to something that is not replaced cannot be begun anew, so that this attempt is
/// lost.
fn without_damaged(
    error: ExportError,
    set: &ImageSet,
    (workshop, destination): (&Workshop, &Destination),
) -> ExportError {
    // Whoever cannot make them again leaves it to the builder to find out.
    if workshop.reach == Reach::Known || !is_about_content(&error) {
        return error;
    }
    let stored = set.layers.iter();
    let stored = stored.filter(|(_, layer)| layer.layout().is_none());
    // All of them: the next attempt would stumble over the next one.
    let damaged: Vec<&Digest> = stored
        .map(|(digest, _)| digest)
        .filter(|digest| {
            let content = workshop.store.content();
            matches!(content.discard_damaged(digest), Ok(true))
        })
        .collect();
    match damaged.first() {
        Some(digest) if sink::is_replaced(destination) => ExportError::Damaged {
            digest: (*digest).clone(),
            source: Box::new(error),
        },
        _ => error,
    }
}

/// Tells whether the bytes of a file are not those that were to be written.
fn is_about_content(error: &ExportError) -> bool {
    match error {
        ExportError::Archive { source, .. } => matches!(source, WriteError::Content { .. }),
        _ => false,
    }
}

/// Lists the files of the layout, in the order of their paths.
fn changes(
    set: &ImageSet,
    workshop: &Workshop,
    documents: &Documents,
) -> Result<Vec<Change>, ExportError> {
    let files = documents.files.iter();
    let mut changes: Vec<_> = files.map(|(name, content)| bytes(name, content)).collect();
    changes.push(directory("blobs"));
    let digests = set.documents.iter().map(|document| &document.digest);
    let algorithms: BTreeSet<_> = digests
        .chain(set.layers.keys())
        .map(Digest::algorithm)
        .collect();
    let directories = algorithms.iter();
    changes.extend(directories.map(|name| directory(&format!("blobs/{}", name.as_str()))));
    for document in &set.documents {
        changes.push(bytes(&blob_path(&document.digest), &document.bytes));
    }
    for (digest, layer) in &set.layers {
        let root = layout_root(workshop, layer.layout())?;
        let path = blob_path(digest);
        let content = Content::File {
            root,
            path: name(&path),
            expected: Some(digest.clone()),
        };
        changes.push(file(&path, layer.size_bytes, content));
    }
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes.dedup_by(|one, other| one.path == other.path);
    Ok(changes)
}

fn layout_root(workshop: &Workshop, layout: Option<&Path>) -> Result<Arc<Root>, ExportError> {
    match layout {
        None => clone_root(workshop.store.content().root()),
        Some(path) => Root::open(path)
            .map(Arc::new)
            .map_err(|source| fs_error(path, source)),
    }
}

fn clone_root(root: &Root) -> Result<Arc<Root>, ExportError> {
    root.try_clone()
        .map(Arc::new)
        .map_err(|source| fs_error(root.shown(), source))
}

fn bytes(path: &str, bytes: &[u8]) -> Change {
    file(path, bytes.len() as u64, Content::Bytes(Arc::from(bytes)))
}

fn file(path: &str, size: u64, content: Content) -> Change {
    put(path, 0o644, NodeKind::File { size, content })
}

fn directory(path: &str) -> Change {
    put(path, 0o755, NodeKind::Directory { opaque: false })
}

fn put(path: &str, mode: u32, kind: NodeKind) -> Change {
    let attributes = Attributes {
        mode: Mode::new(mode),
        ..Attributes::default()
    };
    Change {
        path: name(path),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}
