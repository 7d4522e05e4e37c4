//! Which caches there are, and what is noted of their files: for the next export, and of owners.
//!
//! A note is a text of whoever exports caches, or mounts them. It is not synced, as the files are not: one that a loss
//! of power took or tore is none. That costs reading the files of a cache once more, or the owners of what can hold no
//! attribute.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use tracing::debug;

use crate::cache_mount::{CacheError, CacheId, CacheMeta, Caches, NewCache};
use crate::file::{self, FileError, SyncPolicy};
use crate::layout::{CACHE_MARK, CACHE_NOTE, CACHE_OWNERS};
use crate::limits::{MARK_LIMIT_BYTES, NOTE_LIMIT_BYTES};
use crate::scratch::Scratch;
use crate::sealed;

impl Caches {
    /// Returns all caches, in the order of their names and numbers. One that does not say whose it is is left out.
    ///
    /// # Errors
    ///
    /// Fails when the directory of caches is there and cannot be read.
    pub fn list(&self) -> Result<Vec<(CacheId, CacheMeta)>, CacheError> {
        let directory = self.layout.caches();
        let failed = |error| CacheError::List(FileError::of("open", &directory)(error));
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut caches = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let id = name.to_str().and_then(CacheId::parse);
            if let Some(id) = id
                && let Some(meta) = self.meta(&id)
            {
                caches.push((id, meta));
            }
        }
        caches.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(caches)
    }

    fn meta(&self, id: &CacheId) -> Option<CacheMeta> {
        let mark = self.layout.cache(id).join(CACHE_MARK);
        match file::read_limited(&mark, MARK_LIMIT_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes?).ok(),
            Err(error) => {
                debug!(%id, %error, "cache without a mark");
                None
            }
        }
    }

    /// Returns what was noted of a cache's files; none if that is damaged.
    pub fn note(&self, id: &CacheId) -> Option<String> {
        self.read_note(id, CACHE_NOTE)
    }

    /// Notes something of a cache's files, in place of what was noted before.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn put_note(&self, id: &CacheId, note: &str) -> Result<(), CacheError> {
        self.put(id, CACHE_NOTE, note)
    }

    /// Returns the owners that a cache's files cannot hold themselves; none if they are damaged.
    pub fn owners(&self, id: &CacheId) -> Option<String> {
        self.read_note(id, CACHE_OWNERS)
    }

    /// Keeps the owners that a cache's files cannot hold themselves, in place of those before.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written.
    pub fn put_owners(&self, id: &CacheId, owners: &str) -> Result<(), CacheError> {
        self.put(id, CACHE_OWNERS, owners)
    }

    fn read_note(&self, id: &CacheId, name: &str) -> Option<String> {
        let path = self.layout.cache(id).join(name);
        match file::read_limited(&path, NOTE_LIMIT_BYTES) {
            Ok(bytes) => sealed::open(&bytes?),
            Err(error) => {
                debug!(%id, %error, "note not read");
                None
            }
        }
    }

    fn put(&self, id: &CacheId, name: &str, note: &str) -> Result<(), CacheError> {
        let path = self.layout.cache(id).join(name);
        self.write_note(&path, note)
            .map_err(|source| CacheError::Note {
                id: id.clone(),
                source,
            })
    }

    fn write_note(&self, path: &Path, note: &str) -> Result<(), FileError> {
        let mut scratch = Scratch::file(&self.layout)?;
        let sealed = seal(note, scratch.path())?;
        scratch
            .handle()
            .write_all(&sealed)
            .map_err(FileError::of("write", scratch.path()))?;
        scratch.replace(path)
    }
}

impl NewCache {
    /// Keeps the owners that its files cannot hold themselves. They come to their place with the files.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written.
    pub fn put_owners(&self, owners: &str) -> Result<(), CacheError> {
        let path = self.scratch().join(CACHE_OWNERS);
        let sealed = seal(owners, &path).map_err(CacheError::Prepare)?;
        file::write_new(&path, &sealed, SyncPolicy::None).map_err(CacheError::Prepare)
    }
}

fn seal(note: &str, path: &Path) -> Result<Vec<u8>, FileError> {
    sealed::seal(&note).map_err(|error| FileError::of("write", path)(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;
    use crate::testing::Fixture;

    fn made(fixture: &Fixture, name: &[u8], number: u32) -> CacheId {
        let id = CacheId::new(Digest::of(name), number);
        let meta = CacheMeta {
            namespace: "team".to_owned(),
            id: String::from_utf8_lossy(name).into_owned(),
            seed: "nothing".to_owned(),
        };
        let caches = fixture.store.caches();
        caches.prepare().unwrap().commit(&id, &meta).unwrap();
        id
    }

    #[test]
    fn caches_are_listed_with_what_they_are() {
        let fixture = Fixture::new();
        let caches = fixture.store.caches();
        assert_eq!(caches.list().unwrap(), []);
        let mut ids = vec![made(&fixture, b"npm", 0), made(&fixture, b"go", 1)];
        let odd = made(&fixture, b"odd", 0);
        let mark = fixture.store.caches().layout.cache(&odd).join(CACHE_MARK);
        fs::write(mark, "{").unwrap();
        fs::create_dir(caches.layout.caches().join("other")).unwrap();
        ids.sort();
        let found: Vec<_> = caches.list().unwrap();
        let found_ids: Vec<_> = found.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(found_ids, ids);
        let names: Vec<_> = found
            .iter()
            .map(|(id, meta)| (id.name().clone(), &meta.id))
            .collect();
        assert!(names.contains(&(Digest::of(b"go"), &"go".to_owned())));
    }

    #[test]
    fn a_note_is_there_until_it_is_damaged() {
        let fixture = Fixture::new();
        let caches = fixture.store.caches();
        let id = made(&fixture, b"npm", 0);
        assert_eq!(caches.note(&id), None);
        caches.put_note(&id, "first").unwrap();
        caches.put_note(&id, "second").unwrap();
        assert_eq!(caches.note(&id).as_deref(), Some("second"));
        let path = caches.layout.cache(&id).join(CACHE_NOTE);
        let damaged = fs::read_to_string(&path)
            .unwrap()
            .replace("second", "third");
        fs::write(&path, damaged).unwrap();
        assert_eq!(caches.note(&id), None);
    }

    #[test]
    fn owners_are_kept_beside_a_cache_and_come_with_a_new_one() {
        let fixture = Fixture::new();
        let caches = fixture.store.caches();
        let id = made(&fixture, b"npm", 0);
        assert_eq!(caches.owners(&id), None);
        caches.put_owners(&id, "5:6:0777 link\n").unwrap();
        assert_eq!(caches.owners(&id).as_deref(), Some("5:6:0777 link\n"));
        assert_eq!(caches.note(&id), None);
        let meta = CacheMeta {
            namespace: String::new(),
            id: "npm".to_owned(),
            seed: "nothing".to_owned(),
        };
        for (number, expected) in [(0, "5:6:0777 link\n"), (1, "7:8:0777 other\n")] {
            let new = caches.prepare().unwrap();
            new.put_owners("7:8:0777 other\n").unwrap();
            let id = CacheId::new(id.name().clone(), number);
            new.commit(&id, &meta).unwrap();
            assert_eq!(caches.owners(&id).as_deref(), Some(expected), "{number}");
        }
    }
}
