//! A tree of a stage as it is there, without a destination: what mounts are made of.

use std::collections::BTreeMap;

use layer::{Change, ChangeKind, ChangeSet, Node, NodeKind};
use rootfs::RootPath;

use super::collect::Collected;
use super::error::CopyError;

/// Returns the changes that put the one source that was read at a name, with all its attributes.
///
/// # Errors
///
/// Fails when a path gets too long.
pub(crate) fn tree_at(collected: &Collected, name: &str) -> Result<ChangeSet, CopyError> {
    let refuse = |path: &RootPath| {
        let path = path.to_string();
        move |source| CopyError::Path { path, source }
    };
    let top = RootPath::lexical(name).map_err(|source| CopyError::Path {
        path: name.to_owned(),
        source,
    })?;
    let mut names: BTreeMap<(u64, u64), RootPath> = BTreeMap::new();
    let mut changes = Vec::new();
    for entry in collected.sources.iter().flat_map(|found| &found.entries) {
        let path = top.join(&entry.tail).map_err(refuse(&entry.tail))?;
        let mut node = entry.node.clone();
        if let Some(inode) = entry.inode {
            let first = names.entry(inode).or_insert_with(|| path.clone());
            if *first != path {
                link(&mut node, first);
            }
        }
        changes.push(Change {
            path,
            kind: ChangeKind::Put(node),
        });
    }
    Ok(ChangeSet::new(changes))
}

fn link(node: &mut Node, target: &RootPath) {
    node.kind = NodeKind::HardLink {
        target: target.clone(),
    };
}
