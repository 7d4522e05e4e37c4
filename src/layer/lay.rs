//! Layers onto a plain tree: what an overlay would show, as files of their own.
//!
//! For commands that change their root in place, where nothing can be mounted. A tree that has one layer can be given the
//! next, so that a chain of steps copies what is below it once.

use rootfs::{FileKind, FsError, Metadata, Root, RootPath};

use crate::replica::{Devices, Replica, ReplicaError};
use crate::xattr;

/// What the files of a tree are that a command changes in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeForm {
    /// What the command is to see: device nodes that work.
    Real,
    /// What the store has: records of owners and of device nodes, which something else makes the command see.
    Stored,
}

/// Puts a directory in overlay form onto a tree. The tree is of no use after an error.
///
/// # Errors
///
/// Fails where the layer cannot be read or the tree cannot be written.
pub fn lay(layer: &Root, tree: &Root, form: TreeForm) -> Result<(), ReplicaError> {
    let devices = match form {
        TreeForm::Real => Devices::Nodes,
        TreeForm::Stored => Devices::Kept,
    };
    let mut replica = Replica::new(tree, devices);
    let walk = layer.walk().map_err(ReplicaError::walk(layer))?;
    for entry in walk {
        let entry = entry.map_err(ReplicaError::walk(layer))?;
        let path = &entry.path;
        if entry.metadata.is_whiteout() {
            tree.remove_all(path).map_err(ReplicaError::object(path))?;
            continue;
        }
        let room = make_room(layer, tree, path, &entry.metadata);
        room.map_err(ReplicaError::object(path))?;
        replica.put(&entry)?;
    }
    replica.put_top(layer)?;
    replica.finish()
}

/// Copies a file, or a directory with everything in it, to a path at which nothing is.
///
/// # Errors
///
/// Fails where it cannot be read, or the place cannot be written.
pub fn copy_tree(
    (from, path): (&Root, &RootPath),
    (to, place): (&Root, &RootPath),
) -> Result<(), ReplicaError> {
    let mut replica = Replica::new(to, Devices::Nodes);
    let top = from.entry(path).map_err(ReplicaError::object(path))?;
    replica.put_at(&top, place)?;
    if top.metadata.kind == FileKind::Directory {
        let walk = from.walk_below(path).map_err(ReplicaError::walk(from))?;
        for entry in walk {
            let entry = entry.map_err(ReplicaError::walk(from))?;
            let below = entry.path.strip_prefix(path);
            let below = below.unwrap_or_else(|| entry.path.clone());
            let at = place.join(&below).map_err(FsError::from);
            let at = at.map_err(ReplicaError::object(&entry.path))?;
            replica.put_at(&entry, &at)?;
        }
    }
    replica.finish()
}

/// Removes from the tree what an object of the layer takes the place of. A directory goes into one that is there, unless
/// it hides what that has.
fn make_room(layer: &Root, tree: &Root, path: &RootPath, new: &Metadata) -> Result<(), FsError> {
    let Some(found) = tree.metadata(path)? else {
        return Ok(());
    };
    let is_directory = |metadata: &Metadata| metadata.kind == FileKind::Directory;
    let are_directories = is_directory(&found) && is_directory(new);
    if are_directories && !xattr::is_opaque(&layer.inode(path)?)? {
        return Ok(());
    }
    tree.remove_all(path)
}
