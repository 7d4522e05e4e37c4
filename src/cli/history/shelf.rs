//! The directory of past builds: kept few and small, read newest first.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use oci::Timestamp;
use solver::TimedEvent;

use super::{BuildId, Lineage, Record};
use crate::account::Account;
use crate::progress::EventHead;

/// The directory, in that of the store.
const DIRECTORY: &str = "history";

/// How many bytes all files have together.
const TOTAL_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Up to how many bytes a file cannot make all of them too large: there are no more than a thousand.
const SMALL_BYTES: usize = 64 * 1024;

/// How many bytes a file has at most that is read.
const FILE_LIMIT_BYTES: u64 = 32 * 1024 * 1024;

/// How many bytes at the end of a file are read first to find its last line.
const TAIL_BYTES: u64 = 16 * 1024;

/// Past builds cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} `{}`", path.display())]
pub(crate) struct HistoryError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The directory of past builds of a store.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

/// A past build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    path: PathBuf,
    /// What was built.
    pub(crate) lineage: Lineage,
    /// Its name.
    pub(crate) id: BuildId,
}

impl Shelf {
    /// Names that of a store.
    pub(crate) fn of(store: &Path) -> Self {
        Self {
            directory: store.join(DIRECTORY),
        }
    }

    /// Returns the builds that there are, the newest first.
    ///
    /// # Errors
    ///
    /// Fails when the directory is there and cannot be read.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, HistoryError> {
        let failed = |source| HistoryError {
            what: "read",
            path: self.directory.clone(),
            source,
        };
        let listed = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(failed)?,
        };
        let mut entries = Vec::new();
        for file in listed {
            entries.extend(Entry::at(file.map_err(failed)?.path()));
        }
        entries.sort_by(|left, right| right.path.cmp(&left.path));
        Ok(entries)
    }

    /// Keeps a build, and lets older ones go where there are more than so many, or they are too large together.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written.
    pub(crate) fn keep(
        &self,
        (created, lineage, record): (Timestamp, &Lineage, &Record),
        mut text: Vec<u8>,
        count_max: usize,
    ) -> Result<(), HistoryError> {
        let name = format!(
            "{:011}{:09}-{lineage}-{}",
            created.seconds().max(0),
            created.nanos(),
            record.id
        );
        let path = self.directory.join(name);
        let failed = |source| HistoryError {
            what: "write",
            path: path.clone(),
            source,
        };
        serde_json::to_writer(&mut text, record).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let mut file = self.create(&path).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        let newest = if text.len() > SMALL_BYTES {
            Newest::Large
        } else {
            Newest::Small
        };
        self.trim(count_max, newest)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(path)
        };
        match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().mode(0o700).create(&self.directory);
                match made {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => create(),
                }
            }
            created => created,
        }
    }

    /// Removes the oldest. Of several builds that end together each does; whoever comes second finds them gone.
    fn trim(&self, count_max: usize, newest: Newest) -> Result<(), HistoryError> {
        let mut bytes = 0;
        for (index, entry) in self.entries()?.iter().enumerate() {
            if newest == Newest::Large {
                bytes += fs::metadata(&entry.path).map_or(0, |metadata| metadata.len());
            }
            // The newest stays, however large it is.
            if index > 0 && (index >= count_max || bytes > TOTAL_LIMIT_BYTES) {
                entry.remove()?;
            }
        }
        Ok(())
    }
}

/// Whether the file that was just written may have made all of them too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newest {
    Large,
    Small,
}

impl Entry {
    /// Reads the name of a file; none if it is none of ours.
    pub(crate) fn at(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let mut parts = name.splitn(3, '-');
        let _created = parts.next()?;
        let lineage = Lineage::parse(parts.next()?)?;
        let id = BuildId::parse(parts.next()?)?;
        Some(Self { path, lineage, id })
    }

    /// Reads what the build was; none of a file that has no last line, or one of another version.
    ///
    /// # Errors
    ///
    /// Fails when the file is there and cannot be read.
    pub(crate) fn record(&self) -> Result<Option<Record>, HistoryError> {
        let read = || -> io::Result<Option<Record>> {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            let last = match last_line(&mut file, length, TAIL_BYTES)? {
                Some(last) => Some(last),
                None => last_line(&mut file, length, FILE_LIMIT_BYTES)?,
            };
            Ok(last.and_then(|line| record_of(&line)))
        };
        match read() {
            // Somebody has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map_err(|source| self.failed("read", source)),
        }
    }

    /// Hands each event to `take`, and returns when the build began.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or is too large to be one of ours.
    pub(crate) fn replay(
        &self,
        wanted: Wanted,
        take: &mut dyn FnMut(&TimedEvent),
    ) -> Result<Option<Timestamp>, HistoryError> {
        let mut read = || -> io::Result<Option<Timestamp>> {
            let file = File::open(&self.path)?;
            let mut start = None;
            for line in BufReader::new(file.take(FILE_LIMIT_BYTES)).lines() {
                let line = line?;
                if wanted == Wanted::Steps && line.contains(r#""event":"output""#) {
                    continue;
                }
                if start.is_none()
                    && let Ok(head) = serde_json::from_str::<EventHead>(&line)
                {
                    start = head.start();
                } else if let Ok(timed) = serde_json::from_str(&line) {
                    take(&timed);
                }
            }
            Ok(start)
        };
        read().map_err(|source| self.failed("read", source))
    }

    /// Reads what became of its steps.
    ///
    /// # Errors
    ///
    /// As [`replay`](Self::replay).
    pub(crate) fn account(&self) -> Result<Account, HistoryError> {
        let mut account = Account::default();
        self.replay(Wanted::Steps, &mut |timed| account.take(timed))?;
        Ok(account)
    }

    /// Removes it; it may be gone already.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), HistoryError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", error))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, what: &'static str, source: io::Error) -> HistoryError {
        HistoryError {
            what,
            path: self.path.clone(),
            source,
        }
    }
}

/// Which events of a build are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that tell of steps.
    Steps,
    /// All.
    All,
}

/// Returns the last line of a file; none if it is longer than so many bytes, or has no end.
fn last_line(file: &mut File, length: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let from = length.saturating_sub(limit);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Ok(None);
    }
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(bytes.split_off(end + 1))),
        None => Ok((from == 0).then_some(bytes)),
    }
}

fn record_of(line: &[u8]) -> Option<Record> {
    let record: Record = serde_json::from_slice(line).ok()?;
    (record.careen == Record::KIND && record.version == Record::VERSION).then_some(record)
}

#[cfg(test)]
mod tests;
