//! Uploads that are not finished: who works on which.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::files::Temporary;
use crate::limits::{UPLOAD_AGE_LIMIT, UPLOAD_LIMIT, UPLOAD_WAIT_LIMIT};

/// The uploads.
///
/// The lock guards who has which upload, and is never held while one is written: the thread of a request takes
/// the upload out and puts it back. A channel would not do, since any thread may ask for any upload.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    slots: Mutex<BTreeMap<String, Slot>>,
    freed: Condvar,
}

#[derive(Debug)]
enum Slot {
    Idle(Upload),
    Busy,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    /// The repository that it is for.
    pub(crate) repository: String,
    /// What has come.
    pub(crate) file: Temporary,
    touched: Instant,
}

/// Why an upload cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is none of this id, or not in this repository.
    Unknown,
    /// Another request does not let go of it.
    Busy,
}

impl Uploads {
    /// Adds an upload, and drops those that nobody goes on with.
    pub(crate) fn add(&self, id: &str, repository: &str, file: Temporary) {
        let upload = Upload {
            repository: repository.to_owned(),
            file,
            touched: Instant::now(),
        };
        let dropped = {
            let mut slots = self.slots();
            let dropped = stale(&mut slots);
            slots.insert(id.to_owned(), Slot::Idle(upload));
            dropped
        };
        // Their files are removed here, where nobody waits for it.
        drop(dropped);
    }

    /// Takes an upload out. A request whose connection broke may still be at it, and is soon to notice: it is
    /// waited for, so that what is said of the upload is true until the next request.
    pub(crate) fn take(&self, repository: &str, id: &str) -> Result<Taken<'_>, Unavailable> {
        let is_busy =
            |slots: &mut BTreeMap<String, Slot>| matches!(slots.get(id), Some(Slot::Busy));
        let waited = self
            .freed
            .wait_timeout_while(self.slots(), UPLOAD_WAIT_LIMIT, is_busy);
        let (mut slots, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get_mut(id).ok_or(Unavailable::Unknown)?;
        match mem::replace(slot, Slot::Busy) {
            Slot::Busy => Err(Unavailable::Busy),
            Slot::Idle(upload) if upload.repository == repository => Ok(Taken {
                uploads: self,
                id: id.to_owned(),
                upload: Some(upload),
            }),
            other @ Slot::Idle(_) => {
                *slot = other;
                Err(Unavailable::Unknown)
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out what nobody has gone on with for too long and, where there are too many, the oldest.
fn stale(slots: &mut BTreeMap<String, Slot>) -> Vec<Slot> {
    let touched = |slot: &Slot| match slot {
        Slot::Idle(upload) => Some(upload.touched),
        Slot::Busy => None,
    };
    let is_old = |_: &String, slot: &mut Slot| {
        touched(slot).is_some_and(|time| time.elapsed() > UPLOAD_AGE_LIMIT)
    };
    let mut stale: Vec<_> = slots.extract_if(.., is_old).map(|(_, slot)| slot).collect();
    if slots.len() >= UPLOAD_LIMIT {
        let idle = slots
            .iter()
            .filter_map(|(id, slot)| Some((touched(slot)?, id)));
        let oldest = idle.min().map(|(_, id)| id.clone());
        stale.extend(oldest.and_then(|id| slots.remove(&id)));
    }
    stale
}

/// An upload that one request has. Dropped, it goes back.
#[derive(Debug)]
pub(crate) struct Taken<'u> {
    uploads: &'u Uploads,
    id: String,
    upload: Option<Upload>,
}

impl Taken<'_> {
    /// Ends the upload, and returns what has come.
    pub(crate) fn finish(mut self) -> Upload {
        self.upload.take().expect("it is there until here")
    }
}

impl Deref for Taken<'_> {
    type Target = Upload;

    fn deref(&self) -> &Upload {
        self.upload.as_ref().expect("it is there until the end")
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Upload {
        self.upload.as_mut().expect("it is there until the end")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut slots = self.uploads.slots();
        match self.upload.take() {
            None => drop(slots.remove(&self.id)),
            Some(mut upload) => {
                upload.touched = Instant::now();
                slots.insert(mem::take(&mut self.id), Slot::Idle(upload));
            }
        }
        drop(slots);
        self.uploads.freed.notify_all();
    }
}

/// Returns a UUID of version 4 (RFC 9562, section 5.4), which nobody can guess.
pub(crate) fn new_id() -> String {
    // The keys of a `RandomState` come from the system's random numbers.
    let random = || RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4_and_its_own() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        let parts: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
