//! Who may read and change the files of the store: its owner alone.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{CheckError, Checker, Mended, Part, Wrong, entries, said};
use crate::file::{self, DIRECTORY_MODE, FILE_MODE};
use crate::layout::{DIRECTORIES, HINTS};

/// Returns the permission bits of a file.
pub(super) fn of(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// Tells whether a mode is one of a blob: everybody who comes as far may read it, and nobody may write to it.
pub(super) fn is_blobs(mode: u32) -> bool {
    mode & 0o7333 == 0 && mode & 0o400 != 0
}

/// Gives a file or directory a mode.
pub(super) fn set(path: &Path, mode: u32) -> Result<Mended, String> {
    let set = file::set_mode(path, mode);
    set.map(|()| Mended::ModeSet).map_err(|error| said(&error))
}

impl Checker<'_> {
    /// Looks at the directories that every store has. Opening the store has made those that were missing.
    pub(super) fn places(&mut self) -> Result<(), CheckError> {
        let root = self.layout.root.clone();
        for name in DIRECTORIES.iter().copied().chain([HINTS]) {
            self.directory(&root.join(name));
        }
        self.directory(&self.layout.all_blobs());
        for name in ["snapshots", "records", "caches"] {
            for id_map in entries(&root.join(name))? {
                self.directory(&id_map);
            }
        }
        Ok(())
    }

    /// Looks at the mode of a directory of the store.
    pub(super) fn directory(&mut self, path: &Path) {
        self.private((Part::Directory, path), DIRECTORY_MODE);
    }

    /// Looks at the mode of a file of the store.
    pub(super) fn private_file(&mut self, part: Part, path: &Path) {
        self.private((part, path), FILE_MODE);
    }

    /// Looks at the mode of what belongs to its owner alone; what is not there has none.
    fn private(&mut self, (part, path): (Part, &Path), expected: u32) {
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return;
        };
        let mode = of(&metadata);
        if metadata.is_symlink() || mode == expected {
            return;
        }
        self.tell((part, path), Wrong::Mode(mode), |_| set(path, expected));
    }
}
