//! [`Service`]: blobs by their digests, and a document that no change is lost of.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::thread;

use fetch::{ClientError, ClientOptions};
use oci::Digest;

use crate::document::{self, Change, Document};
use crate::entry::EntryReader;
use crate::error::{Failure, GhaError};
use crate::key;
use crate::part::Content;
use crate::protocol::Wanted;
use crate::session::Session;
use crate::settings::Settings;

/// How a blob came to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It was there.
    AlreadyThere,
    /// Another job stores it, or took its key and went away.
    ByAnother,
    /// It was sent.
    Sent,
}

/// The cache service, as one job uses it. It can be cloned for nothing and used by many threads.
#[derive(Debug, Clone)]
pub struct Service {
    session: Arc<Session>,
    /// The keys of the blobs that there are, where GitHub's API is asked for them.
    listed: Arc<OnceLock<BTreeSet<String>>>,
}

impl Service {
    /// Makes it; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Fails when the certificates cannot be used, or no thread can be had.
    pub fn open(settings: Settings, options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self::of(Session::open(settings, options, None)?))
    }

    /// Makes one that ends when the time is over that the user gives an import or an export (`timeout`).
    ///
    /// # Errors
    ///
    /// Fails as [`Service::open`] does.
    pub fn open_timed(settings: Settings, options: ClientOptions) -> Result<Self, ClientError> {
        let limit = settings.timeout;
        Ok(Self::of(Session::open(settings, options, Some(limit))?))
    }

    fn of(session: Session) -> Self {
        Self {
            session: Arc::new(session),
            listed: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Returns what it was made of.
    pub fn settings(&self) -> &Settings {
        &self.session.settings
    }

    /// Checks that the job may write, as far as its token says; nothing is asked.
    ///
    /// # Errors
    ///
    /// Fails when it may not ([`GhaError::is_read_only`]).
    pub fn check_writable(&self) -> Result<(), GhaError> {
        self.written_branch("store a cache").map(drop)
    }

    /// Tells whether a blob is there.
    ///
    /// # Errors
    ///
    /// Fails when the service cannot be asked.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, GhaError> {
        let asked = || format!("look for the blob `{digest}`");
        self.has(&key::blob(digest))
            .map_err(|failure| self.session.error(asked(), failure))
    }

    fn has(&self, key: &str) -> Result<bool, Failure> {
        let Some(listing) = &self.session.settings.listing else {
            return Ok(self.session.find(Wanted::Exactly(key))?.is_some());
        };
        if let Some(listed) = self.listed.get() {
            return Ok(listed.contains(key));
        }
        // Of two threads that are here at once one asks for nothing.
        let listed = crate::listing::blobs(&self.session, listing)?;
        Ok(self.listed.get_or_init(|| listed).contains(key))
    }

    /// Opens a blob.
    ///
    /// # Errors
    ///
    /// Fails when it is not there ([`GhaError::is_missing`]) or has another size, and when a server cannot be asked.
    pub fn blob(&self, digest: &Digest, size_bytes: u64) -> Result<EntryReader, GhaError> {
        let key = key::blob(digest);
        let found = self.session.find(Wanted::Exactly(&key));
        let reader = found.and_then(|found| {
            let found = found.ok_or(Failure::Missing)?;
            EntryReader::open(&self.session, found, (digest, size_bytes))
        });
        let asked = || format!("read the blob `{digest}`");
        reader.map_err(|failure| self.session.error(asked(), failure))
    }

    /// Stores a blob, unless it is there; only then it is opened. It is read once, and a reader that fails at the end of
    /// what is not as its digest says keeps it from being there.
    ///
    /// # Errors
    ///
    /// Fails when the job may not write ([`GhaError::is_read_only`]), when a server refuses or cannot be asked, and when
    /// the content cannot be read.
    pub fn put_blob<O>(&self, digest: &Digest, size_bytes: u64, open: O) -> Result<Stored, GhaError>
    where
        O: FnOnce() -> io::Result<Box<dyn Read + Send>>,
    {
        let asked = format!("store the blob `{digest}`");
        self.written_branch(&asked)?;
        let key = key::blob(digest);
        let put = || {
            if self.has(&key)? {
                return Ok(Stored::AlreadyThere);
            }
            let reserved = match self.session.reserve(&key, size_bytes) {
                Err(Failure::Taken { .. }) => return Ok(Stored::ByAnother),
                reserved => reserved?,
            };
            let mut reader = open().map_err(Failure::Content)?;
            let reader = reader.as_mut();
            let mut content = Content { reader, size_bytes };
            self.session.store(&reserved, &mut content)?;
            Ok(Stored::Sent)
        };
        put().map_err(|failure| self.session.error(asked, failure))
    }

    /// Reads the document of the scope, of each branch that the job can read: its own, the one that it is to be merged
    /// into, and the default one.
    ///
    /// # Errors
    ///
    /// Fails when a server refuses or cannot be asked, or a document is too large.
    pub fn documents(&self) -> Result<Vec<Document>, GhaError> {
        let session = &self.session;
        let branches = session.settings.token.read();
        let read: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = branches
                .iter()
                .map(|branch| scope.spawn(|| document::read(session, branch)))
                .collect();
            let joined = threads.into_iter().map(|thread| {
                let joined = thread.join();
                joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.collect()
        });
        let read: Result<Vec<_>, _> = read.into_iter().collect();
        match read {
            Ok(documents) => Ok(documents.into_iter().flatten().collect()),
            Err(failure) => Err(session.error(self.asked_for_index(), failure)),
        }
    }

    /// Reads the document of the scope in the job's own branch; `None` if there is none, or the job may not write.
    ///
    /// # Errors
    ///
    /// Fails when a server refuses or cannot be asked, or the document is too large.
    pub fn own_document(&self) -> Result<Option<Document>, GhaError> {
        let session = &self.session;
        let Some(branch) = session.settings.token.written() else {
            return Ok(None);
        };
        document::read(session, branch)
            .map_err(|failure| session.error(self.asked_for_index(), failure))
    }

    fn asked_for_index(&self) -> String {
        let scope = self.session.settings.scope();
        format!("read the index of the cache `{scope}`")
    }

    /// Changes the document of the scope in the job's own branch. The function sees the state that counts, or nothing
    /// where there is none, and is asked again until it finds that nothing is to be changed: so it sees its own change, or
    /// that of another job, which did not see it.
    ///
    /// # Errors
    ///
    /// Fails when the job may not write ([`GhaError::is_read_only`]), and when a server refuses or cannot be asked.
    pub fn update_document<C>(&self, change: C) -> Result<(), GhaError>
    where
        C: FnMut(Option<&[u8]>) -> Change,
    {
        let asked = format!(
            "write the index of the cache `{}`",
            self.session.settings.scope
        );
        let branch = self.written_branch(&asked)?;
        document::update(&self.session, branch, change)
            .map_err(|failure| self.session.error(asked, failure))
    }

    fn written_branch(&self, asked: &str) -> Result<&str, GhaError> {
        let branch = self.session.settings.token.written();
        branch.ok_or_else(|| {
            let message = String::new();
            self.session.error(asked, Failure::ReadOnly { message })
        })
    }
}
