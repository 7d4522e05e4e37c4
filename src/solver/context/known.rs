//! Digests of the user's files that earlier builds read, by what `stat` says of them.
//!
//! A file counts as unchanged while its inode number, size, time of modification and time of change are the same. The
//! time of change cannot be set by anybody, so that an edit shows which put the other time back; where a file system has
//! no such time ([`Root::traces_changes`]) nothing is known and nothing learnt. An edit within one tick of
//! the file system's clock would not show: a file is learnt only if both of its times were older than that when the build
//! began, as git does with its index. Only files on the device of the directory itself are learnt, of which all extended
//! attributes are known too: that there is none that an image would have.
//!
//! One hint of the store has what is known of one directory, as records sorted by inode number:
//!
//! ```text
//! inode · size · mtime: seconds, nanoseconds · ctime: seconds, nanoseconds · SHA-256       little-endian
//!   8      8             8       4                    8       4                32 bytes
//! ```
//!
//! What is read later, to be copied or packed, is held against its digest all the same. So no file with a record that is
//! wrong (one written through a mapping, a clock that was set back) comes into an image as what it is not. The build that
//! finds it out forgets all records and is begun once more ([`DigestTrust`]). A build that reads nothing, since all is in
//! the cache, does not find it out.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use layer::ContentError;
use oci::{Clock, Digest};
use rootfs::{FileKind, FileTime, Metadata, Root, RootPath};
use store::{FileError, Hints, SnapshotId, Store};
use tracing::debug;

/// How long ago a file must have changed to be learnt, in seconds: the coarsest clock of a file system (FAT) counts in
/// steps of two.
const SETTLED_SECONDS: i64 = 2;

/// How many bytes of a record tell which file is meant.
const STAT_BYTES: usize = 40;

/// How many bytes a record has.
const RECORD_BYTES: usize = STAT_BYTES + 32;

/// How many records that a build did not use are kept for another that copies other parts of the directory.
const SPARE_RECORDS: usize = 1 << 16;

type Stat = [u8; STAT_BYTES];
type Record = [u8; RECORD_BYTES];

/// What every hint of this kind is called, before the directory's own name.
const HINT_PREFIX: &str = "digests-";

/// Whether digests of earlier builds are believed: until one of them turns out to be wrong.
#[derive(Debug, Clone, Default)]
pub struct DigestTrust {
    was_used: Arc<AtomicBool>,
    is_lost: Arc<AtomicBool>,
}

impl DigestTrust {
    /// Tells whether a digest that was believed may have been wrong, so that the build failed and will not fail again.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Takes in why something failed: if a file was not what it was taken for, nothing that is known counts any more.
    pub(crate) fn hear(&self, error: &(dyn Error + 'static), store: &Store) {
        if is_about_content(error) && self.was_used.load(Ordering::Relaxed) {
            self.is_lost.store(true, Ordering::Relaxed);
            if let Err(error) = store.hints().remove_all(HINT_PREFIX) {
                debug!(%error, "digests not forgotten");
            }
        }
    }
}

fn is_about_content(error: &(dyn Error + 'static)) -> bool {
    error.is::<ContentError>() || error.source().is_some_and(is_about_content)
}

/// What is known of the bytes of the files in one directory.
pub struct KnownDigests {
    hints: Hints,
    trust: DigestTrust,
    name: SnapshotId,
    device: u64,
    /// When the directory was opened; what changed shortly before or after it is not learnt.
    opened: FileTime,
    /// Read when it is first asked for: most builds have no copy, or one that is found by other means.
    known: OnceLock<Known>,
    /// What was read now, in no order. Several copies learn at the same time, each a batch at once, and nobody waits
    /// for what is learnt: a channel would need somebody to empty it.
    learnt: Mutex<Vec<Record>>,
}

/// The records of the hint, and which of them were of use.
#[derive(Default)]
struct Known {
    records: Vec<u8>,
    used: Vec<AtomicU64>,
}

impl fmt::Debug for KnownDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        f.debug_struct("KnownDigests")
            .field("name", name)
            .finish_non_exhaustive()
    }
}

impl KnownDigests {
    /// Returns what a store knows of a directory; none if the directory cannot be told from others, or its files not from
    /// what they were.
    pub(crate) fn of(store: &Store, trust: &DigestTrust, directory: &Root) -> Option<Self> {
        directory.traces_changes().ok().filter(|traces| *traces)?;
        let top = directory.metadata(&RootPath::root()).ok().flatten()?;
        let now = Clock::System.now();
        Some(Self {
            hints: store.hints(),
            trust: trust.clone(),
            name: SnapshotId::new(&format!("{HINT_PREFIX}{:x}-{:x}", top.dev, top.ino)).ok()?,
            device: top.dev,
            opened: FileTime {
                seconds: now.seconds(),
                nanos: now.nanos(),
            },
            known: OnceLock::new(),
            learnt: Mutex::new(Vec::new()),
        })
    }

    /// Returns the digest of a file that was read before and has not changed; it has no extended attribute then.
    pub(crate) fn digest_of(&self, metadata: &Metadata) -> Option<Digest> {
        if metadata.kind != FileKind::File || metadata.dev != self.device {
            return None;
        }
        let known = self.known.get_or_init(|| {
            let is_believed = !self.trust.is_lost();
            let records = is_believed.then(|| self.hints.get(&self.name)).flatten();
            Known::new(records.unwrap_or_default())
        });
        let found = known.find(&stat_of(metadata));
        self.trust
            .was_used
            .fetch_or(found.is_some(), Ordering::Relaxed);
        found
    }

    /// Learns the digest of a file that was just read and has no extended attribute of an image.
    pub(crate) fn learn(&self, metadata: &Metadata, digest: &Digest) {
        let Some(hash) = digest.to_sha256().filter(|_| self.is_settled(metadata)) else {
            return;
        };
        let mut record = [0; RECORD_BYTES];
        record[..STAT_BYTES].copy_from_slice(&stat_of(metadata));
        record[STAT_BYTES..].copy_from_slice(&hash);
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.push(record);
    }

    /// Keeps what was learnt for the next build. Whether that can be done matters to nobody.
    pub(crate) fn keep(&self) {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        let mut learnt = std::mem::take(&mut *learnt);
        if learnt.is_empty() {
            return;
        }
        // Of a file that was read twice any record is as good as the other: it is compared with what `stat` says.
        learnt.sort_unstable_by_key(|record| inode_of(record));
        learnt.dedup_by_key(|record| inode_of(record));
        let nothing = Known::default();
        // One of those that were believed may be what was wrong.
        let known = self.known.get().filter(|_| !self.trust.is_lost());
        let known = known.unwrap_or(&nothing);
        if let Err(error) = self.write(known, &learnt) {
            debug!(name = %self.name, %error, "digests not kept");
        }
    }

    fn is_settled(&self, metadata: &Metadata) -> bool {
        let newest = metadata.mtime.max(metadata.ctime);
        metadata.dev == self.device && newest.seconds < self.opened.seconds - SETTLED_SECONDS
    }

    fn write(&self, known: &Known, learnt: &[Record]) -> Result<(), FileError> {
        let mut hint = self.hints.create(&self.name)?;
        let mut kept = known.kept().peekable();
        let mut bytes = Vec::new();
        for record in learnt {
            let inode = inode_of(record);
            while let Some(older) = kept.next_if(|older| inode_of(older) <= inode) {
                if inode_of(older) < inode {
                    bytes.extend_from_slice(older);
                }
            }
            bytes.extend_from_slice(record);
            if bytes.len() > 1 << 18 {
                hint.write(&bytes)?;
                bytes.clear();
            }
        }
        kept.for_each(|older| bytes.extend_from_slice(older));
        hint.write(&bytes)?;
        hint.commit()
    }
}

impl Known {
    /// Takes the records of a hint; with a number of bytes that is none of records there is nothing.
    fn new(records: Vec<u8>) -> Self {
        if !records.len().is_multiple_of(RECORD_BYTES) {
            return Self::default();
        }
        let words = (records.len() / RECORD_BYTES).div_ceil(64);
        let used = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { records, used }
    }

    fn len(&self) -> usize {
        self.records.len() / RECORD_BYTES
    }

    fn record(&self, index: usize) -> &[u8] {
        &self.records[index * RECORD_BYTES..][..RECORD_BYTES]
    }

    fn find(&self, stat: &Stat) -> Option<Digest> {
        let index = self.position(inode_of(stat))?;
        let hash = self.record(index).strip_prefix(stat)?;
        self.used[index / 64].fetch_or(1 << (index % 64), Ordering::Relaxed);
        Some(Digest::from_sha256(hash.try_into().ok()?))
    }

    /// Returns the index of the record of an inode.
    fn position(&self, inode: u64) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match inode_of(self.record(middle)).cmp(&inode) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// Returns the records that are kept beside new ones: all, or those that were of use if too many were not.
    fn kept(&self) -> impl Iterator<Item = &[u8]> {
        let words = self.used.iter().map(|word| word.load(Ordering::Relaxed));
        let used: usize = words.map(|word| word.count_ones() as usize).sum();
        let keeps_all = self.len() - used <= used + SPARE_RECORDS;
        let is_used = |index: &usize| {
            let word = self.used[index / 64].load(Ordering::Relaxed);
            word >> (index % 64) & 1 == 1
        };
        let indexes = (0..self.len()).filter(move |index| keeps_all || is_used(index));
        indexes.map(|index| self.record(index))
    }
}

/// Returns the number that a record, or what tells its file, begins with.
fn inode_of(record: &[u8]) -> u64 {
    let number = record.first_chunk::<8>();
    number.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns what tells whether a file is the same, as a record begins.
fn stat_of(metadata: &Metadata) -> Stat {
    let Metadata {
        ino,
        size,
        mtime,
        ctime,
        ..
    } = metadata;
    let mut stat = [0; STAT_BYTES];
    let mut at = 0;
    let mut add = |bytes: &[u8]| {
        stat[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    add(&ino.to_le_bytes());
    add(&size.to_le_bytes());
    for time in [mtime, ctime] {
        add(&time.seconds.to_le_bytes());
        add(&time.nanos.to_le_bytes());
    }
    stat
}

#[cfg(test)]
mod tests;
