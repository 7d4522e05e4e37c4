//! The files of a result as one tree: those of one platform, or of several beside or upon each other.

use std::collections::{BTreeMap, BTreeSet};

use layer::{Attributes, Change, ChangeKind, Changes, DiffError, Node, NodeKind};
use oci::Platform;
use rootfs::{Mode, RootPath};
use solver::{BuildResult, Tree};

use crate::exporter::{ExportError, ExportStep};
use crate::output::{PlatformSplit, TreeOptions};

/// The mode of the directories that platforms have.
const DIRECTORY_MODE: Mode = Mode::new(0o755);

/// The files of a result.
#[derive(Debug)]
pub(crate) struct ResultTree {
    branches: Vec<Branch>,
}

/// The files of one platform.
#[derive(Debug)]
struct Branch {
    platform: Platform,
    /// The directory that they are in; none if that is the top.
    directory: Option<RootPath>,
    tree: Tree,
}

impl ResultTree {
    /// Puts the files of a result together.
    ///
    /// # Errors
    ///
    /// Fails when layers cannot be read, and when platforms that are not to be split have the same files.
    pub(crate) fn open(
        result: &BuildResult,
        step: &ExportStep<'_>,
        options: &TreeOptions,
    ) -> Result<Self, ExportError> {
        let is_split = match options.split {
            PlatformSplit::IfSeveral => result.platforms.len() > 1,
            PlatformSplit::Always => true,
            PlatformSplit::Never => false,
        };
        let mut branches = Vec::new();
        for built in &result.platforms {
            branches.push(Branch {
                platform: built.platform.clone(),
                directory: is_split.then(|| directory_of(&built.platform)),
                tree: Tree::open(step.workshop, step.id.clone(), &built.stack)?,
            });
        }
        let tree = Self { branches };
        if !is_split && tree.branches.len() > 1 {
            tree.check_collisions()?;
        }
        Ok(tree)
    }

    /// Fails where two platforms have something at the same path that is no directory of both.
    fn check_collisions(&self) -> Result<(), ExportError> {
        let mut seen: BTreeMap<RootPath, (bool, &Platform)> = BTreeMap::new();
        for branch in &self.branches {
            for change in branch.tree.changes()? {
                let change = change?;
                let is_directory = is_directory(&change);
                match seen.get(&change.path) {
                    Some((true, _)) if is_directory => {}
                    Some((_, one)) => {
                        return Err(ExportError::Collision {
                            path: change.path,
                            one: (*one).clone(),
                            other: branch.platform.clone(),
                        });
                    }
                    None => {
                        seen.insert(change.path, (is_directory, &branch.platform));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns everything that is in the tree, each path once and each directory before what is in it.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    pub(crate) fn changes(&self) -> Result<impl Changes + use<>, DiffError> {
        let mut all = Vec::new();
        for branch in &self.branches {
            let directory = branch.directory.clone();
            let top = directory.clone().map(|path| Ok(platform_directory(path)));
            let below = branch.tree.changes()?;
            let below = below.map(move |change| moved(change?, directory.as_ref()));
            all.push(top.into_iter().chain(below));
        }
        // Directories that platforms have in common come with each of them.
        let mut shared = BTreeSet::new();
        let several = all.len() > 1;
        Ok(all
            .into_iter()
            .flatten()
            .filter(move |change| match change {
                Ok(change) if several && is_directory(change) => shared.insert(change.path.clone()),
                _ => true,
            }))
    }
}

/// Returns the name of a platform as a directory, as BuildKit writes it: `linux_arm_v7`.
fn directory_of(platform: &Platform) -> RootPath {
    let name = platform.format_all().replace('/', "_");
    RootPath::lexical(name).expect("names of platforms are short and have no NUL")
}

fn platform_directory(path: RootPath) -> Change {
    let attributes = Attributes {
        mode: DIRECTORY_MODE,
        ..Attributes::default()
    };
    let kind = NodeKind::Directory { opaque: false };
    Change {
        path,
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

/// Takes a change, and what it links to, below a directory.
fn moved(mut change: Change, directory: Option<&RootPath>) -> Result<Change, DiffError> {
    let Some(directory) = directory else {
        return Ok(change);
    };
    let below = |path: &RootPath| {
        directory.join(path).map_err(|source| DiffError::Read {
            path: path.clone(),
            source: source.into(),
        })
    };
    if let ChangeKind::Put(node) = &mut change.kind
        && let NodeKind::HardLink { target } = &mut node.kind
    {
        *target = below(target)?;
    }
    change.path = below(&change.path)?;
    Ok(change)
}

fn is_directory(change: &Change) -> bool {
    matches!(
        change.kind,
        ChangeKind::Put(Node {
            kind: NodeKind::Directory { .. },
            ..
        })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_a_directory() {
        let host = Platform::new("linux", "amd64");
        for (platform, expected) in [
            ("linux/amd64", "linux_amd64"),
            ("linux/arm/v7", "linux_arm_v7"),
            ("windows(1.2.3)/bar", "windows(1.2.3)_bar"),
        ] {
            let platform = Platform::parse(platform, &host).unwrap();
            assert_eq!(directory_of(&platform).to_string(), expected);
        }
    }

    #[test]
    fn a_link_moves_with_what_it_leads_to() {
        let at = |path: &str| RootPath::strict(path).unwrap();
        let target = at("a/one");
        let change = Change {
            path: at("a/two"),
            kind: ChangeKind::Put(Node {
                attributes: Attributes::default(),
                kind: NodeKind::HardLink { target },
            }),
        };
        let change = moved(change, Some(&at("linux_amd64"))).unwrap();
        assert_eq!(change.path, at("linux_amd64/a/two"));
        let ChangeKind::Put(Node {
            kind: NodeKind::HardLink { target },
            ..
        }) = change.kind
        else {
            panic!("it is a link still")
        };
        assert_eq!(target, at("linux_amd64/a/one"));
    }
}
