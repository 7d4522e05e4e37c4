//! The largest files among changes, noted while these go by.
//!
//! A file is held against the smallest of those that are noted, so that what it costs does not depend on how many are
//! asked for but on how often a larger one comes.

use rootfs::RootPath;

use crate::change::{Change, ChangeKind, Node, NodeKind};

/// How many files are noted of a layer.
pub const LARGEST_FILES: usize = 5;

/// A file that is among the largest of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeFile {
    /// Where it is in the image.
    pub path: RootPath,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// Notes the largest files, the largest first; of two of the same size the one that came first.
#[derive(Debug, Default)]
pub(crate) struct Largest {
    files: Vec<LargeFile>,
}

impl Largest {
    /// Takes in a change.
    pub(crate) fn note(&mut self, change: &Change) {
        let ChangeKind::Put(Node {
            kind: NodeKind::File { size, .. },
            ..
        }) = &change.kind
        else {
            return;
        };
        let is_full = self.files.len() == LARGEST_FILES;
        let least = self.files.last().map_or(0, |file| file.size_bytes);
        if *size == 0 || (is_full && *size <= least) {
            return;
        }
        let place = self.files.partition_point(|file| file.size_bytes >= *size);
        self.files.truncate(LARGEST_FILES - 1);
        let (path, size_bytes) = (change.path.clone(), *size);
        self.files.insert(place, LargeFile { path, size_bytes });
    }

    /// Returns what was noted.
    pub(crate) fn into_files(self) -> Vec<LargeFile> {
        self.files
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::change::{Attributes, Content};

    fn file(path: &str, size: u64) -> Change {
        let content = Content::Bytes(Arc::from([].as_slice()));
        let kind = NodeKind::File { size, content };
        Change {
            path: RootPath::from_normal(path.into()),
            kind: ChangeKind::Put(Node {
                attributes: Attributes::default(),
                kind,
            }),
        }
    }

    fn noted(sizes: &[u64]) -> Vec<(String, u64)> {
        let mut largest = Largest::default();
        for (index, size) in sizes.iter().enumerate() {
            largest.note(&file(&format!("f{index}"), *size));
        }
        let files = largest.into_files().into_iter();
        files
            .map(|file| (file.path.absolute(), file.size_bytes))
            .collect()
    }

    #[test]
    fn the_largest_come_first_whatever_the_order() {
        let five = [("/f6", 9), ("/f1", 8), ("/f2", 8), ("/f4", 7), ("/f0", 5)];
        let five = five.map(|(path, size)| (path.to_owned(), size));
        for (sizes, expected) in [
            (&[5, 8, 8, 1, 7, 0, 9, 5][..], &five[..]),
            (&[0, 0], &[]),
            (&[5], &five[4..]),
        ] {
            assert_eq!(noted(sizes), expected, "{sizes:?}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_noted() {
        let mut largest = Largest::default();
        largest.note(&Change {
            path: RootPath::from_normal(b"gone".to_vec()),
            kind: ChangeKind::Delete,
        });
        assert_eq!(largest.into_files(), []);
    }
}
