//! Claims: who may do what now, among the processes and threads that share a store.
//!
//! Each name has one byte of the file `claims`, at an offset that is the beginning of the name's
//! digest, and a [`Claim`] is a lock on that byte. The file has no bytes and needs none. So a claim
//! costs an open and a lock, and nothing stays when its holder dies. A file for each name was the
//! alternative: to make one takes the better part of a millisecond on some file systems, where a build
//! that only looks things up has a few, and to remove one safely takes a protocol of its own.
//!
//! The locks are those of open file descriptions (fcntl(2), "Open file description locks", since Linux
//! 3.15). Each claim opens the file anew: two threads exclude each other as two processes do, and
//! closing one claim does not free another.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, O_NOFOLLOW, SEEK_SET, c_int, c_short, flock, off_t};
use oci::Digest;
use tracing::debug;

use crate::cache_mount::CacheId;
use crate::file::{FILE_MODE, FileError};
use crate::layout::Layout;
use crate::lock::{Sharing, never, uninterrupted};
use crate::name::ObjectId;
use crate::wait::Held;

/// What a claim is on.
#[derive(Clone, Copy, Debug)]
pub enum ClaimName<'a> {
    /// An object, while it is looked up, put into its place or removed. Held for moments.
    Object(&'a ObjectId),
    /// A cache key, while what it leads to is made. Held as long as that takes.
    Key(&'a Digest),
    /// A cache mount, while somebody uses it.
    Cache(&'a CacheId),
    /// The index of the content store, while it is changed. Held for moments.
    Tags,
}

impl ClaimName<'_> {
    /// Returns how long others have it.
    fn held(self) -> Held {
        match self {
            ClaimName::Object(_) | ClaimName::Tags => Held::Moments,
            ClaimName::Key(_) | ClaimName::Cache(_) => Held::Work,
        }
    }
}

/// A claim could not be made.
#[derive(Debug, thiserror::Error)]
#[error("claim {name} in the store")]
pub struct ClaimError {
    /// What the claim is on.
    name: String,
    /// Why not.
    #[source]
    source: FileError,
}

/// Makes [`Claim`]s; a cheap handle.
#[derive(Clone, Debug)]
pub struct Claims {
    layout: Arc<Layout>,
}

impl Claims {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Waits until nobody has an exclusive claim on the name, and shares it.
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or locked.
    pub fn shared(&self, name: ClaimName<'_>) -> Result<Claim, ClaimError> {
        self.wait(name, Sharing::Shared)
    }

    /// Waits until nobody has a claim on the name, and takes it.
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or locked.
    pub fn exclusive(&self, name: ClaimName<'_>) -> Result<Claim, ClaimError> {
        self.wait(name, Sharing::Exclusive)
    }

    /// Waits until nobody has a claim on the name, and takes it; `None` when `cancelled` said yes
    /// first. It is asked at least every 20 ms, and at once when the waiting thread is unparked.
    ///
    /// The claim of a process that dies is free at that moment.
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or locked.
    pub fn exclusive_or(
        &self,
        name: ClaimName<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Claim>, ClaimError> {
        self.claim(name, |byte, text| {
            let attempt = || byte.try_lock(Sharing::Exclusive);
            self.wait_for((text, name.held()), attempt, cancelled)
        })
    }

    /// Waits until nobody has an exclusive claim on the name, and shares it; `None` when `cancelled` said yes first.
    /// It is asked as by [`Self::exclusive_or`].
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or locked.
    pub fn shared_or(
        &self,
        name: ClaimName<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Claim>, ClaimError> {
        self.claim(name, |byte, text| {
            let attempt = || byte.try_lock(Sharing::Shared);
            self.wait_for((text, name.held()), attempt, cancelled)
        })
    }

    /// Takes the name if nobody has a claim on it.
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or locked.
    pub fn try_exclusive(&self, name: ClaimName<'_>) -> Result<Option<Claim>, ClaimError> {
        self.claim(name, |byte, _| byte.try_lock(Sharing::Exclusive))
    }

    /// Shares the name if nobody has an exclusive claim on it.
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or locked.
    pub fn try_shared(&self, name: ClaimName<'_>) -> Result<Option<Claim>, ClaimError> {
        self.claim(name, |byte, _| byte.try_lock(Sharing::Shared))
    }

    /// Tells whether somebody has a claim on the name, and takes none for that.
    ///
    /// # Errors
    ///
    /// Fails when the file of the claims cannot be opened or asked.
    pub(crate) fn is_taken(&self, name: ClaimName<'_>) -> Result<bool, ClaimError> {
        let text = self.text(name);
        let taken = self.open(&text).and_then(|byte| byte.is_locked());
        taken.map_err(|error| ClaimError {
            name: text,
            source: FileError::of("look for a lock on", &self.layout.claims())(error),
        })
    }

    fn wait(&self, name: ClaimName<'_>, sharing: Sharing) -> Result<Claim, ClaimError> {
        let claim = self.claim(name, |byte, text| {
            self.wait_for((text, name.held()), || byte.try_lock(sharing), &never)
        })?;
        Ok(claim.expect("a wait that is never cancelled ends with the claim"))
    }

    fn wait_for<T>(
        &self,
        named: (&str, Held),
        attempt: T,
        cancelled: &dyn Fn() -> bool,
    ) -> io::Result<bool>
    where
        T: Fn() -> io::Result<bool>,
    {
        self.layout.waits.wait(named, attempt, cancelled)
    }

    fn claim<L>(&self, name: ClaimName<'_>, lock: L) -> Result<Option<Claim>, ClaimError>
    where
        L: FnOnce(&Byte, &str) -> io::Result<bool>,
    {
        let text = self.text(name);
        let locked = self
            .open(&text)
            .and_then(|byte| Ok(lock(&byte, &text)?.then_some(Claim { byte })));
        locked.map_err(|error| ClaimError {
            name: text,
            source: FileError::of("lock", &self.layout.claims())(error),
        })
    }

    fn open(&self, text: &str) -> io::Result<Byte> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(FILE_MODE).custom_flags(O_NOFOLLOW);
        Ok(Byte {
            file: options.open(self.layout.claims())?,
            offset: offset(text),
        })
    }

    /// Returns the name in words; it tells apart what different id maps call the same.
    fn text(&self, name: ClaimName<'_>) -> String {
        match name {
            ClaimName::Object(object) => object.text(&self.layout.id_map),
            ClaimName::Key(key) => format!("key {}/{key}", self.layout.id_map),
            ClaimName::Cache(cache) => format!("cache {}/{cache}", self.layout.id_map),
            ClaimName::Tags => "tags".to_owned(),
        }
    }
}

/// Returns the byte of a name: 60 bits of its digest, so that no two names ever meet.
fn offset(text: &str) -> off_t {
    let digest = Digest::of(text.as_bytes());
    let digits = digest.encoded().get(..15).expect("a digest has 64 digits");
    off_t::from_str_radix(digits, 16).expect("60 bits of hexadecimal digits are a number")
}

/// One byte of the file, opened for one claim.
#[derive(Debug)]
struct Byte {
    file: File,
    offset: off_t,
}

impl Byte {
    fn try_lock(&self, sharing: Sharing) -> io::Result<bool> {
        let kind = match sharing {
            Sharing::Shared => F_RDLCK,
            Sharing::Exclusive => F_WRLCK,
        };
        uninterrupted(|| match self.set(kind) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(errno) => Err(errno.into()),
        })
    }

    fn is_locked(&self) -> io::Result<bool> {
        let mut range = self.range(F_WRLCK);
        fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut range))?;
        Ok(c_int::from(range.l_type) != F_UNLCK)
    }

    fn set(&self, kind: c_int) -> nix::Result<()> {
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&self.range(kind))).map(drop)
    }

    fn range(&self, kind: c_int) -> flock {
        let small = |value| c_short::try_from(value).expect("the constants of fcntl(2) are small");
        flock {
            l_type: small(kind),
            l_whence: small(SEEK_SET),
            l_start: self.offset,
            l_len: 1,
            l_pid: 0,
        }
    }
}

/// The right to a name, shared or not, until it is dropped or its process dies.
#[derive(Debug)]
#[must_use = "a claim that is dropped is given back"]
pub struct Claim {
    byte: Byte,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing is not enough while a child that was just forked has yet to reach its `execve`.
        if let Err(error) = self.byte.set(F_UNLCK) {
            // There is nobody to tell, and it is free when the file is closed.
            debug!(%error, "claim not given back");
        }
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
