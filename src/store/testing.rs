//! What the tests of this crate share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;
use tempfile::TempDir;

use crate::layout::Layout;
use crate::{
    IdMapName, OpenError, OpenOptions, SnapshotId, SnapshotKind, SnapshotMeta, Store, SyncPolicy,
    Waits,
};

/// A directory with a store in it, removed at the end.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    /// Opens the same store once more, as another process would.
    pub(crate) fn again(&self) -> Store {
        open(self.store.path()).unwrap()
    }

    pub(crate) fn layout(&self) -> Arc<Layout> {
        self.store.layout()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.store.path().join(name)
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path("content/blobs")
            .join(digest.algorithm().as_str())
            .join(digest.encoded())
    }
}

pub(crate) fn options(id_map: &str) -> OpenOptions {
    OpenOptions {
        id_map: IdMapName::new(id_map).unwrap(),
        sync: SyncPolicy::None,
        waits: Waits::default(),
    }
}

pub(crate) fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(path, options("multi"))
}

pub(crate) fn id(text: &str) -> SnapshotId {
    SnapshotId::new(text).unwrap()
}

pub(crate) fn meta() -> SnapshotMeta {
    SnapshotMeta {
        kind: SnapshotKind::Upper,
        parent: None,
        owner: None,
        blob: None,
        size_bytes: Some(4),
        entries: Some(1),
        description: None,
    }
}

/// Something that is no blob: what it is, and what makes it at a path.
pub(crate) type Kind<'a> = (&'a str, &'a dyn Fn(&Path));

/// Returns the names in a directory, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(path).unwrap().map(name).collect();
    names.sort();
    names
}

/// Returns every path below a directory, directories with a slash at the end, sorted.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for name in names(&directory) {
            let path = directory.join(name);
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                found.push(format!("{shown}/"));
                left.push(path);
            } else {
                found.push(shown);
            }
        }
    }
    found.sort();
    found
}

/// Joins the texts of an error and its causes, as they are printed.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
