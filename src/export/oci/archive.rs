//! The layout as a tar, written beside its target and renamed.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use layer::{Attributes, Change, ChangeKind, Content, Node, NodeKind, TarOptions};
use oci::Digest;
use oci::descriptor::Descriptor;
use rootfs::{Mode, Root};
use solver::{Cancellable, Workshop};

use super::new_file::NewFile;
use super::{OCI_LAYOUT, blob_path, index_json, name, write_error};
use crate::exporter::ExportError;
use crate::image::ImageSet;
use crate::memo;

/// Writes the archive to standard output.
pub(super) fn write_stdout(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
) -> Result<(), ExportError> {
    let shown = Path::new("-");
    match write_stream(set, workshop, entries, (shown, io::stdout().lock())) {
        // Whoever closes our output has read what they wanted.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        written => written,
    }
}

/// Tells whether somebody stopped reading what was written.
fn is_closed_pipe(error: &ExportError) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::BrokenPipe;
        }
        next = current.source();
    }
    false
}

/// Writes the archive to something that is written to and not replaced.
fn write_stream<W: io::Write>(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
    (shown, out): (&Path, W),
) -> Result<(), ExportError> {
    let changes = archive_changes(set, workshop, entries)?;
    let mut out = BufWriter::new(out);
    write_archive(changes, &mut out, (shown, workshop))?;
    out.flush().map_err(|source| write_error(shown, source))
}

/// Writes the archive, unless it is there already as we left it; tells whether it is.
pub(super) fn write_file(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
    path: &Path,
) -> Result<bool, ExportError> {
    let failed = |source| write_error(path, source);
    let index = index_json(entries);
    if memo::is_current(workshop, path, &index)? {
        return Ok(true);
    }
    if is_special(path) {
        let file = File::options().write(true).open(path).map_err(failed)?;
        write_stream(set, workshop, entries, (path, file))?;
        return Ok(false);
    }
    let changes = archive_changes(set, workshop, entries)?;
    let mut target = NewFile::create(path).map_err(failed)?;
    write_archive(changes, target.out(), (path, workshop))?;
    let written = target.finish(path).map_err(failed)?;
    memo::remember(workshop, path, &index, &written)?;
    Ok(false)
}

/// Lists the files of the layout, in the order of their paths.
fn archive_changes(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
) -> Result<Vec<Change>, ExportError> {
    let mut changes = vec![
        file(
            "oci-layout",
            OCI_LAYOUT.len() as u64,
            Content::Bytes(Arc::from(OCI_LAYOUT)),
        ),
        bytes("index.json", index_json(entries)),
        directory("blobs"),
    ];
    let digests = set.documents.iter().map(|document| &document.digest);
    let algorithms: BTreeSet<_> = digests
        .chain(set.layers.keys())
        .map(Digest::algorithm)
        .collect();
    changes.extend(
        algorithms
            .iter()
            .map(|name| directory(&format!("blobs/{}", name.as_str()))),
    );
    for document in &set.documents {
        changes.push(bytes(&blob_path(&document.digest), document.bytes.clone()));
    }
    for (digest, layer) in &set.layers {
        let root = layout_root(workshop, layer.layout.as_deref())?;
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
            .map_err(|source| ExportError::Fs {
                path: path.to_owned(),
                source,
            }),
    }
}

fn clone_root(root: &Root) -> Result<Arc<Root>, ExportError> {
    let path = root.shown().to_owned();
    root.try_clone()
        .map(Arc::new)
        .map_err(|source| ExportError::Fs { path, source })
}

fn write_archive<W: io::Write>(
    changes: Vec<Change>,
    out: &mut W,
    (shown, workshop): (&Path, &Workshop),
) -> Result<(), ExportError> {
    let mut out = Cancellable::new(out, &workshop.cancel);
    let changes = changes.into_iter().map(Ok);
    layer::write_tar(changes, &TarOptions::default(), &mut out).map_err(|source| {
        if workshop.cancel.is_cancelled() {
            return ExportError::Cancelled;
        }
        let path = shown.to_owned();
        ExportError::Archive { path, source }
    })
}

fn bytes(path: &str, bytes: Vec<u8>) -> Change {
    let size = bytes.len() as u64;
    file(path, size, Content::Bytes(Arc::from(bytes)))
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

/// Tells whether a path is a pipe or a device, which is written to and not replaced.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}
