//! Small files that show themselves whether they are whole: records, what is known of caches, lists and hints.

use std::fs;
use std::path::Path;

use super::{CheckError, Checker, Part, Wrong, entries, is_directory, name, remove, said};
use crate::cache_mount::{CacheId, CacheMeta};
use crate::file;
use crate::hint::is_whole_hint;
use crate::layout::{CACHE_MARK, CACHE_NOTE, CACHE_OWNERS, FS};
use crate::limits::{
    HINT_LIMIT_BYTES, LIST_LIMIT_BYTES, MARK_LIMIT_BYTES, NOTE_LIMIT_BYTES, RECORD_LIMIT_BYTES,
};
use crate::list::is_list;
use crate::record::is_record;
use crate::sealed;

/// Which documents are looked at: of what part they are, how large they may be, and what tells by a name and the
/// bytes whether one is whole.
struct Documents {
    part: Part,
    limit_bytes: u64,
    is_whole: fn(&str, &[u8]) -> bool,
}

const RECORDS: Documents = Documents {
    part: Part::Record,
    limit_bytes: RECORD_LIMIT_BYTES,
    is_whole: is_record,
};

const LISTS: Documents = Documents {
    part: Part::List,
    limit_bytes: LIST_LIMIT_BYTES,
    is_whole: is_list,
};

const HINTS: Documents = Documents {
    part: Part::Hint,
    limit_bytes: HINT_LIMIT_BYTES,
    is_whole: |_, bytes| is_whole_hint(bytes),
};

const NOTES: Documents = Documents {
    part: Part::Cache,
    limit_bytes: NOTE_LIMIT_BYTES,
    is_whole: |_, bytes| sealed::open::<String>(bytes).is_some(),
};

const CACHE_MARKS: Documents = Documents {
    part: Part::Cache,
    limit_bytes: MARK_LIMIT_BYTES,
    is_whole: |_, bytes| serde_json::from_slice::<CacheMeta>(bytes).is_ok(),
};

impl Checker<'_> {
    /// Looks at all of them.
    pub(super) fn documents(&mut self) -> Result<(), CheckError> {
        for id_map in entries(&self.layout.all_records())? {
            for group in entries(&id_map)? {
                if is_directory(&group) {
                    self.directory(&group);
                    self.all(&group, &RECORDS)?;
                } else {
                    self.stray(Part::Record, &group);
                }
            }
        }
        self.all(&self.layout.lists(), &LISTS)?;
        self.all(&self.layout.hints(), &HINTS)?;
        for id_map in entries(&self.layout.all_caches())? {
            for directory in entries(&id_map)? {
                self.cache(&directory)?;
            }
        }
        Ok(())
    }

    fn all(&mut self, directory: &Path, documents: &Documents) -> Result<(), CheckError> {
        for path in entries(directory)? {
            self.go_on()?;
            if let Some(bytes) = self.document(&path, documents) {
                self.count(documents.part, bytes);
            }
        }
        Ok(())
    }

    /// Looks at one; returns its size, or nothing where it is gone meanwhile.
    fn document(&mut self, path: &Path, documents: &Documents) -> Option<u64> {
        let wrong = match file::read_limited(path, documents.limit_bytes) {
            Ok(None) => return None,
            Ok(Some(bytes)) if (documents.is_whole)(name(path), &bytes) => {
                self.private_file(documents.part, path);
                return Some(bytes.len() as u64);
            }
            Ok(Some(_)) => Wrong::Damaged,
            Err(_) if !is_file(path) => Wrong::Kind,
            Err(error) => Wrong::Unreadable(said(&error)),
        };
        self.tell((documents.part, path), wrong, |layout| remove(layout, path));
        Some(0)
    }

    /// Looks at what is known of a cache. Its files are the commands' own.
    fn cache(&mut self, directory: &Path) -> Result<(), CheckError> {
        self.go_on()?;
        if CacheId::parse(name(directory)).is_none() {
            self.stray(Part::Cache, directory);
            return Ok(());
        }
        self.count(Part::Cache, 0);
        if lacks_files(directory) {
            let wrong = Wrong::NoFiles;
            self.tell((Part::Cache, directory), wrong, |layout| {
                remove(layout, directory)
            });
            return Ok(());
        }
        self.directory(directory);
        for (name, documents) in [
            (CACHE_MARK, &CACHE_MARKS),
            (CACHE_NOTE, &NOTES),
            (CACHE_OWNERS, &NOTES),
        ] {
            self.document(&directory.join(name), documents);
        }
        Ok(())
    }
}

/// Tells whether a cache has no files. Caches come and go whole, by being renamed: only one that still lacks them when it is
/// looked at again was not on its way.
fn lacks_files(directory: &Path) -> bool {
    let is_lacking =
        || !is_directory(&directory.join(FS)) && fs::symlink_metadata(directory).is_ok();
    is_lacking() && is_lacking()
}

/// Tells whether a file is at a path, and neither a link nor anything else.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}
