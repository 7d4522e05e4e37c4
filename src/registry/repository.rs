//! [`Repository`]: what can be done with one repository.

use std::fmt;
use std::sync::{Arc, OnceLock};

use oci::{Digest, Reference};

use crate::client::Core;
use crate::error::{Failure, RegistryError};
use crate::host::Access;
use crate::scope::Scopes;
use crate::session::{LoginSource, Session};

/// What names a manifest or an index in a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// Whatever has the tag now.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

/// A repository of a registry. It can be cloned for nothing and used by many threads.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    reference: Reference,
    access: Access,
    sessions: Vec<Session>,
    /// The host that takes what is written: all of an image must be at one.
    writer: OnceLock<usize>,
}

impl Selector {
    /// Returns what a reference selects: its digest, else its tag, else `latest`.
    pub fn of(reference: &Reference) -> Self {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Self::Digest(digest.clone()),
            (None, Some(tag)) => Self::Tag(tag.to_owned()),
            (None, None) => Self::Tag("latest".to_owned()),
        }
    }

    /// Returns the digest, if it is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Tag(_) => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        })
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({})", self.inner.reference.name())
    }
}

impl Repository {
    pub(crate) fn new(
        core: &Arc<Core>,
        reference: &Reference,
        access: Access,
    ) -> Result<Self, RegistryError> {
        let hosts = core.hosts.hosts(reference, access);
        let hosts = hosts.map_err(|error| refused(reference, Failure::Hosts(error)))?;
        let session = |host| Session::new(core, host, LoginSource::For(reference.clone()));
        let sessions: Vec<_> = hosts.into_iter().map(session).collect();
        if sessions.is_empty() {
            return Err(refused(reference, Failure::NoHost));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                core: Arc::clone(core),
                reference: reference.clone(),
                access,
                sessions,
                writer: OnceLock::new(),
            }),
        })
    }

    /// Returns the reference that the repository was asked for with.
    pub fn reference(&self) -> &Reference {
        &self.inner.reference
    }

    pub(crate) fn core(&self) -> &Core {
        &self.inner.core
    }

    pub(crate) fn session(&self, at: usize) -> Option<&Session> {
        self.inner.sessions.get(at)
    }

    /// Returns what a token for the repository has to allow on a host.
    pub(crate) fn scopes(&self, session: &Session) -> Scopes {
        Scopes::of(&session.host.repository, self.inner.access)
    }

    /// Makes the error of something that failed on a host.
    pub(crate) fn error(&self, session: &Session, asked: &str, failure: Failure) -> RegistryError {
        RegistryError {
            asked: asked.to_owned(),
            repository: self.inner.reference.name(),
            host: session.host.base.authority(),
            failure,
        }
    }

    /// Reads from the hosts, in their order: what one that stands in for others does not have or cannot do, the next
    /// one is asked for.
    pub(crate) fn reading<T>(
        &self,
        asked: &str,
        work: impl Fn(usize, &Session) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        self.on_hosts(0, asked, work)
    }

    /// Does so from one of the hosts on.
    pub(crate) fn on_hosts<T>(
        &self,
        first: usize,
        asked: &str,
        work: impl Fn(usize, &Session) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        let last = self.inner.sessions.len() - 1;
        for (at, session) in self.inner.sessions.iter().enumerate().skip(first) {
            if session.is_given_up() && at < last {
                continue;
            }
            let failure = match work(at, session) {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let error = self.error(session, asked, failure);
            if at == last || self.has_last_word(session, &error) {
                return Err(error);
            }
            tracing::debug!(%error, "asking the next host");
            if error.is_unreachable() {
                session.give_up();
            }
        }
        Err(refused(&self.inner.reference, Failure::NoHost))
    }

    /// Tells whether no other host is asked after this one. One that takes what is pushed decides who may push: what it
    /// refuses does not go to the registry that it stands for.
    fn has_last_word(&self, session: &Session, error: &RegistryError) -> bool {
        let host = &session.host;
        let decides = self.inner.access == Access::Push && host.stands_for.is_some();
        error.is_cancelled() || !host.is_mirror || decides && error.is_unauthorized()
    }

    /// Writes to one host, and from the first success on always to the same: no part of an image is elsewhere.
    pub(crate) fn writing<T>(
        &self,
        asked: &str,
        work: impl Fn(&Session) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        let writer = &self.inner.writer;
        if let Some(&chosen) = writer.get() {
            return self.at_host(chosen, asked, work);
        }
        let done = self.on_hosts(0, asked, |at, session| {
            match writer.get() {
                // Another thread decided meanwhile.
                Some(&chosen) if chosen != at => Ok(None),
                _ => work(session).map(|done| Some((at, done))),
            }
        })?;
        match (done, writer.get()) {
            (Some((at, done)), _) if *writer.get_or_init(|| at) == at => Ok(done),
            // What was written is at a host that is not the one of the others: again, to theirs.
            (_, Some(&chosen)) => self.at_host(chosen, asked, work),
            (_, None) => Err(refused(&self.inner.reference, Failure::NoHost)),
        }
    }

    fn at_host<T>(
        &self,
        at: usize,
        asked: &str,
        work: impl Fn(&Session) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        let Some(session) = self.session(at) else {
            return Err(refused(&self.inner.reference, Failure::NoHost));
        };
        work(session).map_err(|failure| self.error(session, asked, failure))
    }
}

fn refused(reference: &Reference, failure: Failure) -> RegistryError {
    RegistryError {
        asked: "reach the repository".to_owned(),
        repository: reference.name(),
        host: reference.domain().to_owned(),
        failure,
    }
}
