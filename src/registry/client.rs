//! [`Registry`]: everything that several repositories share: connections, tokens, what is known of hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fetch::{
    Attempts, Certificates, Client, ClientError, ClientOptions, FetchError, Origin, Proxies,
    RetryPolicy, Scheme, Tls,
};
use oci::Reference;

use crate::answer::refused;
use crate::challenge::Challenge;
use crate::error::{Failure, RegistryError};
use crate::host::{Access, Host, HostSource, Login};
use crate::repository::Repository;
use crate::scope::Scopes;
use crate::session::{LoginSource, Session};
use crate::token::Tokens;

/// What a [`Registry`] is made of.
#[derive(Clone)]
pub struct RegistryOptions {
    /// Where it is learned whom to ask, and as whom.
    pub hosts: Arc<dyn HostSource>,
    /// How often and after what pauses something is tried again.
    pub retry: RetryPolicy,
    /// The proxies of the user.
    pub proxies: Proxies,
    /// Which servers are trusted, beside those that a host's own settings name.
    pub certificates: Certificates,
    /// How we call ourselves.
    pub user_agent: String,
    /// Who shows that a token is asked for.
    pub token_shown: Option<TokenShown>,
    /// Says whether the job was cancelled.
    pub stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Shows a piece of work that gets a token, under the name of what the token is for, and does it.
pub type TokenShown = Arc<dyn Fn(&str, &mut TokenWork<'_>) + Send + Sync>;

/// Gets a token; its error is text.
pub type TokenWork<'a> = dyn FnMut() -> Result<(), String> + 'a;

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions")
            .field("hosts", &self.hosts)
            .field("retry", &self.retry)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// The registries, as the user's configuration knows them. It can be cloned for nothing and used by many threads.
#[derive(Clone)]
pub struct Registry {
    core: Arc<Core>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// What is shared.
pub(crate) struct Core {
    pub(crate) client: Client,
    pub(crate) hosts: Arc<dyn HostSource>,
    pub(crate) token_shown: Option<TokenShown>,
    learned: Learned,
}

/// What was learned of hosts: how they are reached, what they ask for, and the tokens that were had from them. Clients
/// that trust the same servers and have the same logins may share it, so that a host is asked once; others must not,
/// since one that trusts anybody may have learned it from anybody.
#[derive(Clone, Default)]
pub struct Learned {
    /// Any thread may be the first to learn something of a host, and all need it.
    known: Arc<Mutex<Known>>,
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learned").finish_non_exhaustive()
    }
}

/// What was learned of hosts.
#[derive(Default)]
pub(crate) struct Known {
    /// How hosts are reached that may be reached in two ways, by the authority of their URL.
    pub(crate) schemes: BTreeMap<String, Scheme>,
    /// Who answered before: what is not there then is coming back, and not misspelt.
    pub(crate) answered: BTreeSet<Origin>,
    /// What the hosts ask for.
    pub(crate) challenges: BTreeMap<Origin, Challenge>,
    /// The tokens that are there.
    pub(crate) tokens: Tokens,
}

impl Registry {
    /// Makes it; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Fails when the certificates cannot be used, or no thread can be had.
    pub fn open(options: RegistryOptions) -> Result<Self, ClientError> {
        Self::open_with(options, &Learned::default())
    }

    /// Makes one that knows what others learned of hosts, and tells them what it learns; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// As [`Registry::open`].
    pub fn open_with(options: RegistryOptions, learned: &Learned) -> Result<Self, ClientError> {
        let client = Client::open(ClientOptions {
            proxies: options.proxies,
            certificates: options.certificates,
            user_agent: options.user_agent,
            retry: options.retry,
            stop: options.stop,
        })?;
        let core = Core {
            client,
            hosts: options.hosts,
            token_shown: options.token_shown,
            learned: learned.clone(),
        };
        Ok(Self {
            core: Arc::new(core),
        })
    }

    /// Returns a repository, for what is to be done with it. Tag and digest of the reference are not looked at.
    ///
    /// # Errors
    ///
    /// Fails when the configuration forbids the repository, is malformed, or names no host for this.
    pub fn repository(
        &self,
        reference: &Reference,
        access: Access,
    ) -> Result<Repository, RegistryError> {
        Repository::new(&self.core, reference, access)
    }

    /// Asks a host whether it takes a login: `GET /v2/` with it.
    ///
    /// # Errors
    ///
    /// Fails when the host cannot be reached, or does not take it.
    pub fn ping(&self, host: &Host, login: Login) -> Result<(), RegistryError> {
        let session = Session::new(&self.core, host.clone(), LoginSource::Given(login));
        let ping = || {
            let response = session.ask(&session.base_request()?, None, &Scopes::default())?;
            match response.status() {
                200..=299 => Ok(()),
                _ => Err(refused(response)),
            }
        };
        ping().map_err(|failure| RegistryError {
            asked: "log in".to_owned(),
            repository: String::new(),
            host: host.base.authority(),
            failure,
        })
    }
}

impl Core {
    /// Returns what is known of hosts. The lock is held for as long as it takes to look, and not while one is asked.
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        let known = &self.learned.known;
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something until it succeeds, or fails in a way that will not change.
    pub(crate) fn retry<T>(&self, work: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut attempts = Attempts::new();
        loop {
            match work() {
                Ok(done) => return Ok(done),
                Err(failure) => {
                    self.pause(&mut attempts, failure)?;
                }
            }
        }
    }

    /// Waits before the next attempt, and returns the failure: as what is over, or as the end.
    pub(crate) fn pause(
        &self,
        attempts: &mut Attempts,
        failure: Failure,
    ) -> Result<Failure, Failure> {
        if self.client.is_stopped() {
            return Err(Failure::Cancelled);
        }
        let is_passing = failure.is_passing() || self.has_answered(&failure);
        let asked_for = failure.retry_after();
        if !is_passing || !self.client.pause(attempts, asked_for, &failure)? {
            return Err(failure);
        }
        Ok(failure)
    }

    /// Tells whether nobody is there where somebody was before.
    fn has_answered(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Fetch(FetchError::Connect { url, .. } | FetchError::Host { url }) => {
                self.known().answered.contains(&url.origin())
            }
            _ => false,
        }
    }

    /// Returns how connections to a host are protected.
    #[expect(clippy::unused_self, reason = "a place for what holds for all hosts")]
    pub(crate) fn tls(&self, host: &Host) -> Tls {
        Tls {
            authorities: host.tls.authorities.clone(),
            identity: host.tls.identity.clone(),
            unverified: host.tls.unverified,
        }
    }
}
