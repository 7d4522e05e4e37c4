//! Several layers as one: what is in the upper ones, and of the lower ones what those hide.
//!
//! The upper layers are seen as one tree, in which nothing is hidden any more. What they hide of the layers
//! below has to be said again: a path that the lower layers have, and that some upper layer removes or
//! replaces, is removed where the tree has nothing there, and is an opaque directory where it has one.

use std::collections::BTreeSet;
use std::sync::Arc;

use layer::{Change, ChangeKind, ChangeSet, DiffError, NodeKind};
use oci::Digest;
use rootfs::{FsError, RootPath};
use store::{NameError, SnapshotId};

use crate::event::StepId;
use crate::job::Workshop;
use crate::pack::{self, LayerBlob, PackLayerError, PackPlan};
use crate::realise::{self, Halves, RealiseError};
use crate::result::{Held, Stack, StackLayer};

/// Why layers cannot be squashed.
#[derive(Debug, thiserror::Error)]
pub enum SquashError {
    /// A layer cannot be made a directory.
    #[error(transparent)]
    Realise(#[from] RealiseError),
    /// The layers cannot be read.
    #[error("cannot read the layers that become one")]
    Diff(#[from] DiffError),
    /// The layers below cannot be looked into.
    #[error("cannot look into the layers below those that become one")]
    Below(#[from] FsError),
    /// The layer cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackLayerError),
    /// A name of ours is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Packs all layers of a stack but the first `kept` as one.
///
/// # Errors
///
/// Fails when a layer cannot be read or the blob cannot be written.
pub fn pack_squashed(
    workshop: &Workshop,
    step: &StepId,
    (stack, kept): (&Stack, usize),
    plan: &PackPlan,
) -> Result<LayerBlob, SquashError> {
    let id = squashed_id(stack, kept)?;
    if let Some(blob) = pack::find_packed(workshop, &id, plan)? {
        return Ok(blob);
    }
    let halves = realise::halves(workshop, step.clone(), stack, kept)?;
    let layer = Arc::new(StackLayer {
        id,
        held: Held::Recipe(Arc::new(squash(&halves)?.into())),
        created: None,
    });
    Ok(pack::pack_layer(workshop, step, &layer, plan)?)
}

/// Names what some layers become on top of others: all have a part in what is hidden.
fn squashed_id(stack: &Stack, kept: usize) -> Result<SnapshotId, NameError> {
    let ids = stack.layers().iter().map(|layer| layer.id.as_str());
    let ids: Vec<_> = ids.collect();
    let text = format!("squash\0{kept}\0{}", ids.join("\0"));
    SnapshotId::from_digest("squash", &Digest::of(text.as_bytes()))
}

/// Returns the upper half as one change set on the lower one.
fn squash(halves: &Halves) -> Result<ChangeSet, SquashError> {
    let mut left = hidden(halves)?;
    let mut changes = Vec::new();
    for change in realise::changes(&halves.above)? {
        let mut change = change?;
        let was_hidden = left.remove(&change.path);
        if let ChangeKind::Put(node) = &mut change.kind
            && let NodeKind::Directory { opaque } = &mut node.kind
        {
            *opaque = was_hidden;
        }
        changes.push(change);
    }
    let delete = |path| Change {
        path,
        kind: ChangeKind::Delete,
    };
    changes.extend(left.into_iter().map(delete));
    Ok(ChangeSet::new(changes))
}

/// Returns the uppermost paths of the lower half that the upper one hides.
fn hidden(Halves { below, parts, .. }: &Halves) -> Result<BTreeSet<RootPath>, SquashError> {
    let mut hidden = BTreeSet::new();
    if below.root().is_none() {
        return Ok(hidden);
    }
    for part in parts {
        for change in realise::changes(part)? {
            let change = change?;
            if hides(&change.kind) && below.metadata(&change.path)?.is_some() {
                hidden.insert(change.path);
            }
        }
    }
    let is_upmost = |path: &RootPath| !path.ancestors().any(|above| hidden.contains(&above));
    Ok(hidden
        .iter()
        .filter(|path| is_upmost(path))
        .cloned()
        .collect())
}

/// Tells whether what a layer says of a path hides what the layers below have there and under it.
fn hides(kind: &ChangeKind) -> bool {
    match kind {
        ChangeKind::Delete => true,
        ChangeKind::Put(node) => !matches!(node.kind, NodeKind::Directory { opaque: false }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rootfs::{IdStorage, OwnerTable, Owners, Root};
    use tempfile::TempDir;

    use super::*;
    use crate::realise::View;

    /// A directory of a layer: names that end with a slash are directories, those that start with `-` are
    /// removed.
    struct Directory(TempDir);

    impl Directory {
        fn new(names: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let root = Root::open(dir.path()).unwrap();
            for name in names {
                match (name.strip_prefix('-'), name.strip_suffix('/')) {
                    (Some(gone), _) => root.whiteout(&at(gone)).unwrap(),
                    (None, Some(directory)) => {
                        fs::create_dir_all(dir.path().join(directory)).unwrap();
                    }
                    (None, None) => fs::write(dir.path().join(name), name).unwrap(),
                }
            }
            Self(dir)
        }

        fn view(&self) -> View {
            let root = Arc::new(Root::open(self.0.path()).unwrap());
            View::of_directory(root, owners())
        }
    }

    fn owners() -> Owners {
        Owners::new(IdStorage::Recorded, OwnerTable::default())
    }

    fn at(path: &str) -> RootPath {
        RootPath::strict(path).unwrap()
    }

    /// Squashes layers, and returns each change as a line: `+` is there, `o` an opaque directory, `-` gone.
    fn squashed(below: Option<&[&str]>, parts: &[&[&str]], above: &[&str]) -> Vec<String> {
        let below = below.map(Directory::new);
        let parts: Vec<_> = parts.iter().map(|names| Directory::new(names)).collect();
        let above = Directory::new(above);
        let halves = Halves {
            below: below
                .as_ref()
                .map_or_else(|| View::new(None, owners()), Directory::view),
            above: above.view(),
            parts: parts.iter().map(Directory::view).collect(),
        };
        let set = squash(&halves).unwrap();
        let line = |change: Change| {
            let mark = match &change.kind {
                ChangeKind::Delete => '-',
                ChangeKind::Put(node) => match node.kind {
                    NodeKind::Directory { opaque: true } => 'o',
                    _ => '+',
                },
            };
            format!("{mark}{}", change.path)
        };
        set.iter().map(line).collect()
    }

    #[test]
    fn what_is_removed_of_the_layers_below_stays_removed() {
        let below: &[&str] = &["a/", "a/one", "a/two", "b"];
        let parts: [&[&str]; 2] = [&["a/", "-a/one", "new"], &["-b", "-new"]];
        let found = squashed(Some(below), &parts, &["a/"]);
        assert_eq!(found, ["+a", "-a/one", "-b"]);
    }

    #[test]
    fn a_directory_that_was_removed_and_made_again_hides_what_was_in_it() {
        let below: &[&str] = &["a/", "a/b/", "a/b/old", "c"];
        let parts: [&[&str]; 2] = [&["-a", "-c"], &["a/", "a/b/", "a/b/new", "c"]];
        let found = squashed(Some(below), &parts, &["a/", "a/b/", "a/b/new", "c"]);
        assert_eq!(found, ["oa", "+a/b", "+a/b/new", "+c"]);
    }

    #[test]
    fn a_file_that_took_the_place_of_a_directory_hides_it_even_if_it_went_again() {
        let below: &[&str] = &["a/", "a/old", "b/", "b/old"];
        let parts: [&[&str]; 2] = [&["a", "b"], &["-a", "b/", "b/new"]];
        let found = squashed(Some(below), &parts, &["b/", "b/new"]);
        assert_eq!(found, ["-a", "ob", "+b/new"]);
    }

    #[test]
    fn on_nothing_nothing_is_removed() {
        let parts: [&[&str]; 2] = [&["a", "b"], &["-a"]];
        assert_eq!(squashed(None, &parts, &["b"]), ["+b"]);
    }
}
