//! Hints: what one build found out and a later one may use to be faster.
//!
//! Nothing depends on a hint. One that is gone, was torn by a loss of power or is of no use costs the work that it
//! would have saved; so hints are not synced, no lease keeps them, and when there are more than [`HINT_LIMIT`] those
//! that were not used for the longest time go. Of two builds that write the same hint the last one wins.
//!
//! ```text
//! body · SHA-256 of the body, 32 bytes
//! ```

use std::fs::{File, FileTimes};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use oci::{Digest, Hasher};
use tracing::debug;

use crate::file::{self, FileError};
use crate::layout::Layout;
use crate::limits::{HINT_LIMIT, HINT_LIMIT_BYTES};
use crate::name::SnapshotId;
use crate::scratch::Scratch;

/// How many bytes the digest at the end of a hint has.
const SEAL_BYTES: usize = 32;

/// The hints of a store; a cheap handle.
#[derive(Clone, Debug)]
pub struct Hints {
    layout: Arc<Layout>,
}

/// A hint that is being written.
#[derive(Debug)]
pub struct NewHint {
    layout: Arc<Layout>,
    scratch: Scratch,
    place: PathBuf,
    hasher: Hasher,
}

impl Hints {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Returns the bytes of a hint, and notes that it was used; none where there is none that is whole.
    pub fn get(&self, name: &SnapshotId) -> Option<Vec<u8>> {
        let path = self.path(name);
        let limit_bytes = HINT_LIMIT_BYTES + SEAL_BYTES as u64;
        let read = file::open_nofollow(&path).and_then(|file| {
            let bytes = file::read_all(&file, limit_bytes)?;
            // A hint of which the use is not noted only goes earlier.
            drop(file.set_times(FileTimes::new().set_modified(self.layout.opened_at)));
            Ok(bytes)
        });
        match read {
            Ok(bytes) => unsealed(bytes),
            Err(error) => {
                debug!(%name, %error, "no hint");
                None
            }
        }
    }

    /// Begins to write a hint, in place of what is there under its name.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be made.
    pub fn create(&self, name: &SnapshotId) -> Result<NewHint, FileError> {
        Ok(NewHint {
            layout: Arc::clone(&self.layout),
            scratch: Scratch::file(&self.layout)?,
            place: self.path(name),
            hasher: Hasher::new(),
        })
    }

    /// Forgets the hints whose names begin like this, one of which turned out to be wrong.
    ///
    /// # Errors
    ///
    /// Fails when one cannot be removed.
    pub fn remove_all(&self, prefix: &str) -> Result<(), FileError> {
        let paths = match file::entries(&self.layout.hints()) {
            Err(error) if error.is_not_found() => return Ok(()),
            paths => paths?,
        };
        let is_meant = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(prefix))
        };
        let mut meant = paths.iter().filter(is_meant);
        meant.try_for_each(|path| file::remove_file(path))
    }

    fn path(&self, name: &SnapshotId) -> PathBuf {
        self.layout.hints().join(name.as_str())
    }
}

impl NewHint {
    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.hasher.update(bytes);
        self.append(bytes)
    }

    /// Completes the hint and puts it into its place, whatever is there.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written or put there.
    pub fn commit(mut self) -> Result<(), FileError> {
        let digest = std::mem::take(&mut self.hasher).finish();
        self.append(&digest.to_sha256().unwrap_or_default())?;
        let hints = self.layout.hints();
        file::create_dir(&hints)?;
        self.scratch.replace(&self.place)?;
        make_room(&hints)
    }

    fn append(&self, bytes: &[u8]) -> Result<(), FileError> {
        let written = self.scratch.handle().write_all(bytes);
        written.map_err(FileError::of("write", self.scratch.path()))
    }
}

/// Tells whether the bytes of a hint are whole.
pub(crate) fn is_whole_hint(bytes: &[u8]) -> bool {
    unsealed(bytes.to_vec()).is_some()
}

/// Returns the body of a hint; none where the digest at its end is another.
fn unsealed(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let length = bytes.len().checked_sub(SEAL_BYTES)?;
    let (body, seal) = bytes.split_at(length);
    if Digest::of(body)
        .to_sha256()
        .is_none_or(|hash| hash != *seal)
    {
        debug!("damaged hint");
        return None;
    }
    bytes.truncate(length);
    Some(bytes)
}

/// Removes the hints that were not used for the longest time, where there are too many.
fn make_room(hints: &Path) -> Result<(), FileError> {
    let paths = file::entries(hints)?;
    if paths.len() <= HINT_LIMIT {
        return Ok(());
    }
    let mut used: Vec<_> = paths
        .into_iter()
        .map(|path| (used_at(&path), path))
        .collect();
    used.sort();
    let surplus = used.len() - HINT_LIMIT;
    let mut old = used.into_iter().take(surplus);
    old.try_for_each(|(_, path)| file::remove_file(&path))
}

/// Returns when a hint was used last; one that cannot be asked goes first.
fn used_at(path: &Path) -> Option<SystemTime> {
    let modified = |file: File| file.metadata()?.modified();
    file::open_nofollow(path).and_then(modified).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, id};

    fn put(hints: &Hints, name: &str, body: &[u8]) {
        let mut hint = hints.create(&id(name)).unwrap();
        hint.write(body).unwrap();
        hint.commit().unwrap();
    }

    #[test]
    fn a_hint_comes_back_until_it_is_removed() {
        let fixture = Fixture::new();
        let hints = fixture.store.hints();
        assert_eq!(hints.get(&id("a")), None);
        hints.remove_all("").unwrap();
        put(&hints, "a", b"one");
        put(&hints, "a", b"two");
        assert_eq!(fixture.again().hints().get(&id("a")), Some(b"two".to_vec()));
        put(&hints, "b", b"other");
        hints.remove_all("a").unwrap();
        assert_eq!(hints.get(&id("a")), None);
        assert_eq!(hints.get(&id("b")), Some(b"other".to_vec()));
    }

    #[test]
    fn every_change_of_one_byte_and_every_cut_is_found() {
        let fixture = Fixture::new();
        let hints = fixture.store.hints();
        put(&hints, "a", b"body");
        let path = fixture.path("hints/a");
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len(), 4 + SEAL_BYTES);
        for at in 0..whole.len() {
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(hints.get(&id("a")), None, "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(hints.get(&id("a")), None, "changed at {at}");
        }
    }

    #[test]
    fn of_too_many_hints_those_not_used_for_the_longest_time_go() {
        let fixture = Fixture::new();
        let hints = fixture.store.hints();
        for number in 0..HINT_LIMIT {
            put(&hints, &format!("h{number}"), b"x");
            let path = fixture.path(&format!("hints/h{number}"));
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64 + 1);
            let times = FileTimes::new().set_modified(time);
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_times(times)
                .unwrap();
        }
        assert!(hints.get(&id("h0")).is_some());
        put(&hints, "new", b"x");
        assert_eq!(hints.get(&id("h1")), None);
        for name in ["h0", "h2", "new"] {
            assert!(hints.get(&id(name)).is_some(), "{name}");
        }
    }
}
