//! `type=oci`: an OCI image layout (image-spec, image-layout.md), as an archive or a directory.
//!
//! An archive is written beside its target and renamed. A directory is added to: blobs first, then
//! `index.json` in one rename, where images of other names stay.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layer::{Attributes, Change, ChangeKind, Content, Node, NodeKind, TarOptions};
use oci::Reference;
use oci::check;
use oci::descriptor::{self, Descriptor};
use rootfs::{Mode, Root, RootPath};
use solver::event::{Event, Origin};
use solver::{BuildResult, PackPlan, Workshop};

use crate::exporter::{ExportError, Exported, Exporter, step_id};
use crate::image::{self, ImageSet};
use crate::memo;
use crate::output::{Destination, OutputSpec};

/// The text of `oci-layout`.
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes OCI image layouts.
#[derive(Debug)]
pub struct OciExporter {
    spec: OutputSpec,
    names: Vec<Reference>,
}

impl OciExporter {
    /// Makes an exporter that gives the image these names.
    pub fn new(spec: OutputSpec, names: Vec<Reference>) -> Self {
        Self { spec, names }
    }

    fn write(
        &self,
        set: &ImageSet,
        workshop: &Workshop,
        entries: &[Descriptor],
    ) -> Result<bool, ExportError> {
        match &self.spec.destination {
            Destination::Stdout => {
                let changes = archive_changes(set, workshop, entries)?;
                let mut out = BufWriter::new(io::stdout().lock());
                write_archive(changes, &mut out, Path::new("-"))?;
                out.flush()
                    .map_err(|source| write_error(Path::new("-"), source))?;
                Ok(false)
            }
            Destination::Path(path) if self.spec.archive => {
                write_archive_file(set, workshop, entries, path)
            }
            Destination::Path(path) => {
                write_directory(set, workshop, entries, path)?;
                Ok(false)
            }
        }
    }
}

impl Exporter for OciExporter {
    fn kind(&self) -> &'static str {
        "oci"
    }

    fn export(&self, result: &BuildResult, workshop: &Workshop) -> Result<Exported, ExportError> {
        let plan = workshop.pack.clone().unwrap_or(PackPlan {
            compression: self.spec.compression,
            clamp: None,
        });
        let name = "exporting to oci image format".to_owned();
        workshop.events.emit(Event::Started {
            step: step_id(),
            name: name.clone(),
        });
        let set = image::assemble(result, workshop, &plan)?;
        let entries: Vec<_> = if self.names.is_empty() {
            vec![image::named(&set.top, None, set.created)]
        } else {
            self.names
                .iter()
                .map(|name| image::named(&set.top, Some(name), set.created))
                .collect()
        };
        image::tell(workshop, format!("exporting {}", set.top.digest()), false);
        let unchanged = self.write(&set, workshop, &entries)?;
        image::tell(workshop, format!("exporting {}", set.top.digest()), true);
        let origin = if unchanged {
            Origin::Cached
        } else {
            Origin::Made
        };
        workshop.events.emit(Event::Finished {
            step: step_id(),
            name,
            origin,
        });
        Ok(Exported {
            top: set.top,
            unchanged,
        })
    }
}

/// Writes the archive, unless it is there already as we left it.
fn write_archive_file(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
    path: &Path,
) -> Result<bool, ExportError> {
    let index = index_json(entries);
    if memo::is_current(workshop, path, &index)? {
        return Ok(true);
    }
    let changes = archive_changes(set, workshop, entries)?;
    if is_special(path) {
        let file = File::options().write(true).open(path);
        let mut out = BufWriter::new(file.map_err(|source| write_error(path, source))?);
        write_archive(changes, &mut out, path)?;
        out.flush().map_err(|source| write_error(path, source))?;
        return Ok(false);
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut target = NewFile::create(parent, path).map_err(|source| write_error(path, source))?;
    write_archive(changes, &mut target.out, path)?;
    target
        .finish(path)
        .map_err(|source| write_error(path, source))?;
    memo::remember(workshop, path, &index)?;
    Ok(false)
}

/// Returns the bytes of `index.json`.
fn index_json(entries: &[Descriptor]) -> Vec<u8> {
    let mut index = descriptor::new_index(entries.to_vec());
    index.set_media_type(Some(oci::media_type::OCI_INDEX.into()));
    descriptor::to_canonical_json(&index)
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
        directory("blobs/sha256"),
    ];
    for document in &set.documents {
        changes.push(bytes(
            &blob_path(document.digest.encoded()),
            document.bytes.clone(),
        ));
    }
    for (digest, layer) in &set.layers {
        let root = layout_root(workshop, layer.layout.as_deref())?;
        let path = blob_path(digest.encoded());
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
    shown: &Path,
) -> Result<(), ExportError> {
    layer::write_tar(changes.into_iter().map(Ok), &TarOptions::default(), out).map_err(|source| {
        ExportError::Archive {
            path: shown.to_owned(),
            source,
        }
    })
}

/// Adds to a directory, or makes it.
fn write_directory(
    set: &ImageSet,
    workshop: &Workshop,
    entries: &[Descriptor],
    path: &Path,
) -> Result<(), ExportError> {
    let fs_error = |source| ExportError::Fs {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(|source| write_error(path, source))?;
    let root = Root::open(path).map_err(fs_error)?;
    let kept = entries_to_keep(path, &root, entries)?;
    root.mkdir_all(&name("blobs/sha256"), Mode::new(0o755))
        .map_err(fs_error)?;
    let write_file = |path: &str, bytes: &[u8]| {
        rootfs::write_atomic(&root, &name(path), bytes, Mode::new(0o644)).map_err(fs_error)
    };
    for document in &set.documents {
        write_file(&blob_path(document.digest.encoded()), &document.bytes)?;
    }
    for (digest, layer) in &set.layers {
        let target = name(&blob_path(digest.encoded()));
        let there = root.metadata(&target).map_err(fs_error)?;
        if there.is_some_and(|metadata| metadata.size == layer.size_bytes) {
            continue;
        }
        let from = layout_root(workshop, layer.layout.as_deref())?;
        copy_blob(&from, &root, &target, path)?;
    }
    write_file("oci-layout", OCI_LAYOUT)?;
    let all: Vec<_> = kept.into_iter().chain(entries.iter().cloned()).collect();
    write_file("index.json", &index_json(&all))
}

/// Copies a blob under a temporary name and renames it: a reader never sees half of it.
fn copy_blob(from: &Root, to: &Root, target: &RootPath, shown: &Path) -> Result<(), ExportError> {
    let fs_error = |source| ExportError::Fs {
        path: shown.to_owned(),
        source,
    };
    let temporary = name(&format!(
        "{}{}",
        rootfs::TEMPORARY_PREFIX,
        target
            .file_name()
            .map_or_else(String::new, |name| String::from_utf8_lossy(name)
                .into_owned(),)
    ));
    if to.metadata(&temporary).map_err(fs_error)?.is_some() {
        to.remove_file(&temporary).map_err(fs_error)?;
    }
    let mut source = from.open_file_nofollow(target).map_err(fs_error)?;
    let mut out = to.create_file(&temporary).map_err(fs_error)?;
    let copied = io::copy(&mut source, &mut out).and_then(|_| out.sync_all());
    copied.map_err(|error| write_error(shown, error))?;
    to.rename(&temporary, target).map_err(fs_error)
}

/// Returns the entries of a layout that is there, without those whose names are given anew.
fn entries_to_keep(
    path: &Path,
    root: &Root,
    new: &[Descriptor],
) -> Result<Vec<Descriptor>, ExportError> {
    let fs_error = |source| ExportError::Fs {
        path: path.to_owned(),
        source,
    };
    if root
        .metadata(&name("index.json"))
        .map_err(fs_error)?
        .is_none()
    {
        return Ok(Vec::new());
    }
    let bytes = root
        .read_to_end_limited(&name("index.json"), oci::limits::MANIFEST_MAX_BYTES)
        .map_err(fs_error)?
        .unwrap_or_default();
    let index = check::parse_index(&bytes).map_err(|source| ExportError::Layout {
        path: path.to_owned(),
        source: source.into(),
    })?;
    let key = "org.opencontainers.image.ref.name";
    let is_kept = |old: &&Descriptor| {
        let same = |new: &Descriptor| {
            new.digest() == old.digest()
                || descriptor::annotation_of(new, key).is_some()
                    && descriptor::annotation_of(new, key) == descriptor::annotation_of(old, key)
        };
        !new.iter().any(same)
    };
    Ok(index.manifests().iter().filter(is_kept).cloned().collect())
}

fn blob_path(encoded: &str) -> String {
    format!("blobs/sha256/{encoded}")
}

fn name(path: &str) -> RootPath {
    RootPath::lexical(path).expect("names of an image layout are short and have no NUL")
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

fn write_error(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Tells whether a path is a pipe or a device, which is written to and not replaced.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// A file that takes its place when it is whole, and leaves nothing if it does not come to that.
struct NewFile {
    temporary: Option<PathBuf>,
    out: BufWriter<File>,
}

impl NewFile {
    fn create(parent: &Path, target: &Path) -> io::Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = parent.join(format!(".{name}.careen-{}", std::process::id()));
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&temporary)?;
        Ok(Self {
            temporary: Some(temporary),
            out: BufWriter::with_capacity(1 << 20, file),
        })
    }

    fn finish(mut self, target: &Path) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        match self.temporary.take() {
            Some(temporary) => std::fs::rename(temporary, target),
            None => Ok(()),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // The first error is the one to report; a left-over is only untidy.
            drop(std::fs::remove_file(temporary));
        }
    }
}
