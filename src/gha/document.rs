//! Documents: what changes, made of entries that cannot.
//!
//! The states of a document are entries of their own, whose keys end with numbers that grow by one; the newest entry whose
//! key begins with the document's is the state that counts. A number is given to one job alone, and this is the comparison
//! that keeps changes apart: whoever read state 7 writes state 8, and finds out if somebody else does so too. Then it waits
//! until that state is there, reads it, and changes it in turn.
//!
//! ```text
//! A: reads #7      reserves #8        writes #8
//! B:   reads #7      #8 is taken, waits         reads #8, reserves #9, writes #9 = #8 with its own change
//! ```
//!
//! A job that ends after it took a number and before it wrote would hold up all others, so that after half a minute its
//! number is left out. If it was only slow, its state comes after one that was made without it; so a job that was slow looks
//! whether there is a state after its own, and changes that one once more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fetch::RetryPolicy;

use crate::entry;
use crate::error::Failure;
use crate::key;
use crate::limits::{
    DOCUMENT_MAX_BYTES, ROUNDS_MAX, SLOW_WRITE, WAIT_FIRST, WAIT_LONGEST, WAITS_MAX,
};
use crate::part::Content;
use crate::protocol::{Found, Wanted};
use crate::session::Session;

/// A document as one branch has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The branch: `refs/heads/main`; empty where the token does not say.
    pub branch: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What is to become of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it has what it should.
    Nothing,
    /// This is the new state.
    To(Vec<u8>),
}

/// The newest state of a document, as far as it was read.
struct Newest {
    number: u64,
    key: String,
    bytes: Vec<u8>,
}

/// What came of one attempt to write the next state.
enum Round {
    Written { number: u64, key: String },
    Taken(Failure),
}

/// Reads the document of a branch.
pub(crate) fn read(session: &Arc<Session>, branch: &str) -> Result<Option<Document>, Failure> {
    let prefix = key::document(session.settings.scope(), branch);
    let Some(found) = session.find(Wanted::Newest(&prefix))? else {
        return Ok(None);
    };
    Ok(Some(Document {
        branch: branch.to_owned(),
        bytes: entry::read_whole(session, found, DOCUMENT_MAX_BYTES)?,
    }))
}

/// Changes the document of a branch until it has what it should. The function sees the newest state, perhaps more than
/// once.
pub(crate) fn update<C>(session: &Arc<Session>, branch: &str, mut change: C) -> Result<(), Failure>
where
    C: FnMut(Option<&[u8]>) -> Change,
{
    let prefix = key::document(session.settings.scope(), branch);
    let mut newest: Option<Newest> = None;
    let mut waits = Waits::default();
    for _ in 0..ROUNDS_MAX {
        newest = look(session, &prefix, newest)?;
        let known = newest.as_ref();
        let Change::To(bytes) = change(known.map(|newest| newest.bytes.as_slice())) else {
            return Ok(());
        };
        let number = known.map_or(0, |newest| newest.number);
        let number = number.saturating_add(1).max(waits.free_number);
        let began = Instant::now();
        match write(session, &prefix, number, &bytes)? {
            Round::Written { number, key } => {
                waits = Waits::default();
                newest = Some(Newest { number, key, bytes });
                if began.elapsed() >= SLOW_WRITE {
                    let next = format!("{prefix}{}", number.saturating_add(1));
                    let next = session.find(Wanted::Exactly(&next))?;
                    newest =
                        next.map_or(Ok(newest), |found| read_state(session, &prefix, found))?;
                }
            }
            Round::Taken(failure) => waits.wait(session, number, &failure)?,
        }
    }
    Err(Failure::Taken {
        key: prefix,
        message: format!("it changed {ROUNDS_MAX} times meanwhile"),
    })
}

/// Looks which state is the newest. One that is known is not read again.
fn look(
    session: &Arc<Session>,
    prefix: &str,
    known: Option<Newest>,
) -> Result<Option<Newest>, Failure> {
    let Some(found) = session.find(Wanted::Newest(prefix))? else {
        return Ok(known);
    };
    match known {
        // The service may still show an older state than the one that was just written.
        Some(known) if is_at_least(&known, prefix, &found) => Ok(Some(known)),
        _ => read_state(session, prefix, found),
    }
}

fn read_state(
    session: &Arc<Session>,
    prefix: &str,
    found: Found,
) -> Result<Option<Newest>, Failure> {
    let key = found.key.clone();
    Ok(Some(Newest {
        // A key that begins as ours do and ends with no number is nobody's state.
        number: key::number(prefix, &key).unwrap_or_default(),
        bytes: entry::read_whole(session, found, DOCUMENT_MAX_BYTES)?,
        key,
    }))
}

fn is_at_least(known: &Newest, prefix: &str, found: &Found) -> bool {
    known.key == found.key || key::number(prefix, &found.key) < Some(known.number)
}

fn write(session: &Session, prefix: &str, number: u64, bytes: &[u8]) -> Result<Round, Failure> {
    let mut reader = bytes;
    let key = format!("{prefix}{number}");
    let size_bytes = bytes.len() as u64;
    if size_bytes > DOCUMENT_MAX_BYTES {
        return Err(Failure::TooLarge {
            size_bytes,
            limit_bytes: DOCUMENT_MAX_BYTES,
        });
    }
    match session.reserve(&key, size_bytes) {
        Ok(reserved) => {
            let reader = &mut reader;
            session.store(&reserved, &mut Content { reader, size_bytes })?;
            Ok(Round::Written { number, key })
        }
        Err(failure @ Failure::Taken { .. }) => Ok(Round::Taken(failure)),
        Err(failure) => Err(failure),
    }
}

/// The waiting for somebody else's state.
#[derive(Default)]
struct Waits {
    made: u32,
    /// The number that was waited for.
    number: u64,
    /// The least number that may be free: those below were left out.
    free_number: u64,
}

impl Waits {
    fn wait(&mut self, session: &Session, number: u64, why: &Failure) -> Result<(), Failure> {
        if self.number != number {
            (self.made, self.number) = (0, number);
        }
        self.made += 1;
        if self.made > WAITS_MAX {
            self.free_number = number.saturating_add(1);
            return Ok(());
        }
        let policy = RetryPolicy {
            attempts: u32::MAX,
            first_pause: WAIT_FIRST,
            longest_pause: WAIT_LONGEST,
            ..RetryPolicy::brief()
        };
        let pause = policy.pause(self.made + 1, Duration::ZERO, None);
        session.wait(pause.unwrap_or_default(), why)
    }
}
