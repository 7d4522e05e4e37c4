//! A tree of a stage as it is there, without a destination: what mounts are made of.

use std::collections::BTreeMap;

use layer::{Change, ChangeKind, ChangeSet, ChangeSetBuilder, Listed, Node, NodeKind};
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
    let mut changes = ChangeSetBuilder::default();
    let sources = collected.sources.iter();
    for Listed { change, inode } in sources.flat_map(|found| found.entries.iter()) {
        let Change { path: tail, kind } = change;
        let path = top.join(&tail).map_err(refuse(&tail))?;
        let mut kind = kind;
        if let (Some(inode), ChangeKind::Put(node)) = (inode, &mut kind) {
            let first = names.entry(inode).or_insert_with(|| path.clone());
            if *first != path {
                link(node, first);
            }
        }
        changes.push(Change { path, kind });
    }
    Ok(changes.finish())
}

fn link(node: &mut Node, target: &RootPath) {
    node.kind = NodeKind::HardLink {
        target: target.clone(),
    };
}
