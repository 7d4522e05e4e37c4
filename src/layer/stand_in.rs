//! Files in the place of a tree's own: the same but for their bytes.

use rootfs::{Root, RootPath};

use crate::replica::{Devices, Replica, ReplicaError};

/// Fills `layer`, an empty directory in overlay form, with regular files of a tree that have other bytes. Everything else
/// of them, and of the directories that they are in, is as in the tree.
///
/// # Errors
///
/// Fails where the tree cannot be read or the layer cannot be written.
pub fn stand_in(
    tree: &Root,
    files: &[(RootPath, Vec<u8>)],
    layer: &Root,
) -> Result<(), ReplicaError> {
    let mut replica = Replica::new(layer, Devices::Nodes);
    for (path, bytes) in files {
        replica.put_parents(tree, path)?;
        let entry = tree.entry(path).map_err(ReplicaError::object(path))?;
        replica.put_changed(&entry, path, bytes)?;
    }
    replica.finish()
}

/// Copies a regular file, with other bytes, to a path at which nothing is.
///
/// # Errors
///
/// Fails where it cannot be read, or the place cannot be written.
pub fn copy_changed(
    (from, path): (&Root, &RootPath),
    bytes: &[u8],
    (to, place): (&Root, &RootPath),
) -> Result<(), ReplicaError> {
    let entry = from.entry(path).map_err(ReplicaError::object(path))?;
    Replica::new(to, Devices::Nodes).put_changed(&entry, place, bytes)
}

#[cfg(test)]
mod tests {
    use rootfs::{FileTime, Mode};

    use super::*;

    fn path(text: &str) -> RootPath {
        RootPath::strict(text).unwrap()
    }

    #[test]
    fn nothing_but_the_bytes_is_another() {
        let (tree, layer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |directory: &tempfile::TempDir| Root::open(directory.path()).unwrap();
        let (tree, layer) = (open(&tree), open(&layer));
        let time = FileTime {
            seconds: 1_000_000_000,
            nanos: 7,
        };
        tree.mkdir_all(&path("etc/ssl"), Mode::new(0o750)).unwrap();
        tree.create_file(&path("etc/ssl/own")).unwrap();
        for (name, mode) in [("etc/ssl/own", 0o640), ("etc/ssl", 0o701), ("etc", 0o755)] {
            tree.set_mode(&path(name), Mode::new(mode)).unwrap();
            tree.set_times(&path(name), time).unwrap();
        }
        let inode = tree.inode(&path("etc/ssl")).unwrap();
        inode.set_xattr(b"user.x", b"y").unwrap();
        stand_in(&tree, &[(path("etc/ssl/own"), b"more".to_vec())], &layer).unwrap();
        for name in ["etc", "etc/ssl", "etc/ssl/own"] {
            let of = |root: &Root| {
                let found = root.metadata(&path(name)).unwrap().unwrap();
                (found.kind, found.mode, found.uid, found.gid, found.mtime)
            };
            assert_eq!(of(&layer), of(&tree), "{name}");
        }
        let inode = layer.inode(&path("etc/ssl")).unwrap();
        assert_eq!(inode.xattr(b"user.x").unwrap().as_deref(), Some(&b"y"[..]));
        let read = layer.read_to_end_limited(&path("etc/ssl/own"), 9).unwrap();
        assert_eq!(read.as_deref(), Some(&b"more"[..]));
    }
}
