//! Adding images to the index that a tag names, while others do the same: [`append`].
//!
//! Most registries put whatever they are given under a tag: there is no "if it still is that". So whoever adds a
//! platform reads the index, and writes it with the platform in it, may write over what another has added between
//! the two. What is done about it, and what that takes for granted, is in ADR 10:
//!
//! ```text
//! 1  read the tag                              D
//! 2  the index of D with what is added         E        E = D: it is there already, go to 6
//! 3  look at the tag again                     not D: go to 1
//! 4  more than WINDOW since 3 began            go to 3
//! 5  put E under the tag, with `If-Match: D`   412: go to 1
//! 6  wait SETTLE                               not where the registry is known to look at `If-Match`
//! 7  read the tag: what was added is in it     not: go to 1
//! ```
//!
//! Whoever looked at the tag before our 5 has written by the end of our 6, since SETTLE is longer than WINDOW and
//! the time that a write takes: so our 7 sees the last write of theirs, and if that is without our platform, we add it
//! again. Whoever looks after our 5 sees our platform and keeps it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use oci::check;
use oci::descriptor::platform_of;
use oci::{Descriptor, Digest};

use crate::combine::{Additions, index_of, replaced};
use crate::place::{Document, PlaceError};
use crate::stop::Stop;

mod layout;
mod registry;
mod store;
#[cfg(test)]
mod tests;

pub use layout::LayoutTag;
pub use registry::RegistryTag;
pub(crate) use registry::is_blob_not_seen;
pub use store::StoreTag;

/// How long a waiting thread does not look whether it is to stop.
const POLL: Duration = Duration::from_millis(20);

/// How often the pause between two tries is doubled.
const GROWTH_MAX: u32 = 4;

/// What became of a write.
#[derive(Debug)]
pub enum Written {
    /// The tag names it now.
    Yes,
    /// The tag was not what was expected, and the place looks at that.
    Changed,
    /// It cannot be written now; what may have come of it is not known.
    NotNow(PlaceError),
}

/// A tag whose index is added to.
pub trait Tag: std::fmt::Debug + Sync {
    /// Returns the tag as messages name it.
    fn shown(&self) -> String;

    /// Reads what the tag names; `None` when there is no such tag.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    fn read(&self) -> Result<Option<Document>, PlaceError>;

    /// Finds out the digest of what the tag names now.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be asked.
    fn look(&self) -> Result<Option<Digest>, PlaceError>;

    /// Returns the entries that what the tag names has in an index; of an image, its own.
    ///
    /// # Errors
    ///
    /// Fails when it is malformed, or does not say what it is for.
    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError>;

    /// Puts an index under the tag if that names what is expected, or nothing where that is expected, as far as the
    /// place looks at it. It is tried once.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written, and could not be a moment later.
    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError>;

    /// Tells whether the place is sure to look at what is expected. The index is there already.
    fn is_exact(&self, index: &Document) -> bool;
}

/// How long things may take, and how often they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How old what is known of the tag may be when the write begins.
    pub window: Duration,
    /// How long after a write the tag is looked at again. It is longer than the window and the time that a write
    /// takes to have effect.
    pub settle: Duration,
    /// How often it is tried in all.
    pub tries: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(1),
            settle: Duration::from_secs(4),
            tries: 20,
        }
    }
}

/// Images cannot be added to an index.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The tag cannot be read.
    #[error("cannot read `{shown}`")]
    Read {
        /// The tag.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// The tag cannot be written.
    #[error("cannot write `{shown}`")]
    Write {
        /// The tag.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// Others changed the tag each time.
    #[error("others changed `{shown}` each of {tries} times that it was added to")]
    Contended {
        /// The tag.
        shown: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The user, or somebody for them, wants no more.
    #[error("adding to `{shown}` was ended")]
    Stopped {
        /// The tag.
        shown: String,
    },
}

/// How images were added.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The index that has them.
    pub index: Descriptor,
    /// How often it was tried, once at least.
    pub tries: u32,
    /// How long a write took that took longer than others wait for it: what somebody else added at the same time may
    /// be lost.
    pub late: Option<Duration>,
}

/// Adds images to the index that a tag names, each in the place of the one for its platform. What they are made of is
/// there already.
///
/// # Errors
///
/// Fails when the tag cannot be read or written, or others change it each time.
pub fn append(
    tag: &dyn Tag,
    additions: &Additions,
    pace: &Pace,
    stop: &Stop,
) -> Result<Appended, AppendError> {
    let mut appending = Appending {
        tag,
        additions,
        pace,
        stop,
        before: Vec::new(),
        late: None,
        failure: None,
    };
    for tries in 1..=pace.tries {
        if let Some(index) = appending.attempt()? {
            return Ok(Appended {
                index,
                tries,
                late: appending.late,
            });
        }
        // Two that get into each other's way do not come back at the same moment.
        let longest = pace.window * 2_u32.pow(tries.min(GROWTH_MAX));
        appending.pause(longest.mul_f64(jitter()))?;
    }
    let shown = tag.shown();
    Err(match appending.failure {
        Some(source) => AppendError::Write { shown, source },
        None => AppendError::Contended {
            shown,
            tries: pace.tries,
        },
    })
}

/// Returns the index that [`append`] would write now.
///
/// # Errors
///
/// Fails when the tag cannot be read.
pub fn appended_to(tag: &dyn Tag, additions: &Additions) -> Result<Document, AppendError> {
    let mut appending = Appending {
        tag,
        additions,
        pace: &Pace::default(),
        stop: &Stop::never(),
        before: Vec::new(),
        late: None,
        failure: None,
    };
    let found = tag.read().map_err(|error| appending.read_failed(error))?;
    appending.with_additions(found.as_ref())
}

struct Appending<'a> {
    tag: &'a dyn Tag,
    additions: &'a Additions,
    pace: &'a Pace,
    stop: &'a Stop,
    /// What was there for the platforms that are added, before it was replaced.
    before: Vec<String>,
    late: Option<Duration>,
    /// Why the last write failed, if it did.
    failure: Option<PlaceError>,
}

impl Appending<'_> {
    fn read_failed(&self, source: PlaceError) -> AppendError {
        AppendError::Read {
            shown: self.tag.shown(),
            source,
        }
    }

    /// Goes through the steps once; `None` when somebody else was there.
    fn attempt(&mut self) -> Result<Option<Descriptor>, AppendError> {
        let found = self.tag.read().map_err(|error| self.read_failed(error))?;
        let index = self.with_additions(found.as_ref())?;
        let is_there = found
            .as_ref()
            .is_some_and(|found| found.bytes == index.bytes);
        if !is_there {
            let expected = found
                .as_ref()
                .map(digest)
                .transpose()
                .map_err(|error| self.read_failed(error))?;
            if !self.write(&index, expected.as_ref())? {
                return Ok(None);
            }
        }
        if self.tag.is_exact(&index) {
            return Ok(Some(index.descriptor));
        }
        self.pause(self.pace.settle)?;
        let now = self.tag.read().map_err(|error| self.read_failed(error))?;
        let Some(now) = now else {
            return Ok(None);
        };
        Ok(self.has_additions(&now)?.then_some(now.descriptor))
    }

    /// Returns the index of what the tag names, with what is added.
    fn with_additions(&mut self, found: Option<&Document>) -> Result<Document, AppendError> {
        let Additions {
            entries: additions,
            annotations,
        } = self.additions;
        let Some(found) = found else {
            return Ok(index_of(additions.clone(), annotations));
        };
        let entries = self.entries(found)?;
        let is_ours =
            |entry: &Descriptor| additions.iter().any(|new| new.digest() == entry.digest());
        let before = entries
            .iter()
            .filter(|entry| !is_ours(entry) && self.is_for_ours(entry));
        let before: Vec<_> = before.map(|entry| entry.digest().to_string()).collect();
        self.before.extend(before);
        // An image has annotations of its own, which are not the index's.
        let index = check::parse_index(&found.bytes).ok();
        let said = index
            .as_ref()
            .and_then(|index| index.annotations().clone())
            .unwrap_or_default();
        let mut said: BTreeMap<_, _> = said.into_iter().collect();
        let is_said = annotations
            .iter()
            .all(|(key, value)| said.get(key) == Some(value));
        if index.is_some() && is_said && additions.iter().all(|new| entries.contains(new)) {
            return Ok(found.clone());
        }
        said.extend(annotations.clone());
        Ok(index_of(replaced(&entries, additions), &said))
    }

    fn entries(&self, found: &Document) -> Result<Vec<Descriptor>, AppendError> {
        self.tag
            .entries(found)
            .map_err(|error| self.read_failed(error))
    }

    fn is_for_ours(&self, entry: &Descriptor) -> bool {
        let platform =
            |entry: &Descriptor| platform_of(entry).map(|platform| platform.normalized());
        self.additions
            .entries
            .iter()
            .any(|new| platform(new) == platform(entry))
    }

    /// Looks at the tag once more, and writes if it is what was read; says whether it did.
    fn write(&mut self, index: &Document, expected: Option<&Digest>) -> Result<bool, AppendError> {
        let looked = loop {
            let began = Instant::now();
            let now = self.tag.look().map_err(|error| self.read_failed(error))?;
            if now.as_ref() != expected {
                return Ok(false);
            }
            if began.elapsed() <= self.pace.window {
                break began;
            }
            self.check_stopped()?;
        };
        let written = self
            .tag
            .write(index, expected)
            .map_err(|source| AppendError::Write {
                shown: self.tag.shown(),
                source,
            })?;
        let took = looked.elapsed();
        if took >= self.pace.settle && !matches!(written, Written::Changed) {
            self.late = Some(took);
        }
        let is_written = matches!(written, Written::Yes);
        self.failure = match written {
            Written::NotNow(error) => Some(error),
            Written::Yes | Written::Changed => None,
        };
        Ok(is_written)
    }

    /// Tells whether what was added is there still. Another image for the same platform, which was not there before,
    /// is somebody's who came later, and may stay.
    fn has_additions(&self, now: &Document) -> Result<bool, AppendError> {
        let entries = self.entries(now)?;
        let is_there = |new: &Descriptor| {
            entries.iter().any(|entry| {
                let is_new = || !self.before.contains(&entry.digest().to_string());
                entry.digest() == new.digest()
                    || (platform_of(new).is_some()
                        && platform_of(entry) == platform_of(new)
                        && is_new())
            })
        };
        let images = self
            .additions
            .entries
            .iter()
            .filter(|new| !check::is_attestation(new));
        Ok(images.into_iter().all(is_there))
    }

    fn check_stopped(&self) -> Result<(), AppendError> {
        if self.stop.is_stopped() {
            return Err(AppendError::Stopped {
                shown: self.tag.shown(),
            });
        }
        Ok(())
    }

    fn pause(&self, pause: Duration) -> Result<(), AppendError> {
        let end = Instant::now() + pause;
        loop {
            self.check_stopped()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::park_timeout(left.min(POLL));
        }
    }
}

fn digest(document: &Document) -> Result<Digest, PlaceError> {
    Ok(document.digest()?)
}

/// Returns a number from 0 to 1 that nobody knows before.
fn jitter() -> f64 {
    // The keys of a `RandomState` come from the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
