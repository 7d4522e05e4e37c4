//! Which caches there are, and what is noted of their files for the next export.
//!
//! A note is a text of whoever exports caches. It is not synced: one that a loss of power took or tore is none, and
//! costs reading the files of its cache once more.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use tracing::debug;

use crate::cache_mount::{CacheError, CacheId, CacheMeta, Caches};
use crate::file::{self, FileError};
use crate::layout::{CACHE_MARK, CACHE_NOTE};
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
        let path = self.layout.cache(id).join(CACHE_NOTE);
        match file::read_limited(&path, NOTE_LIMIT_BYTES) {
            Ok(bytes) => sealed::open(&bytes?),
            Err(error) => {
                debug!(%id, %error, "note not read");
                None
            }
        }
    }

    /// Notes something of a cache's files, in place of what was noted before.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn put_note(&self, id: &CacheId, note: &str) -> Result<(), CacheError> {
        let path = self.layout.cache(id).join(CACHE_NOTE);
        self.write_note(&path, note)
            .map_err(|source| CacheError::Note {
                id: id.clone(),
                source,
            })
    }

    fn write_note(&self, path: &Path, note: &str) -> Result<(), FileError> {
        let mut scratch = Scratch::file(&self.layout)?;
        let sealed = sealed::seal(&note).map_err(|error| {
            FileError::of("write", scratch.path())(std::io::Error::other(error))
        })?;
        scratch
            .handle()
            .write_all(&sealed)
            .map_err(FileError::of("write", scratch.path()))?;
        scratch.replace(path)
    }
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
}
