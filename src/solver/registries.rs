//! What reaches registries: made when the first one is asked, and not before.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fetch::{ClientError, ClientOptions, RetryPolicy};
use oci::Reference;
use registry::{Access, Host, HostSource, Learned, Login, LookupError, Registry, RegistryOptions};

/// Whether registries are asked for base images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulling {
    /// They are.
    Allowed,
    /// They are not, not even for a layer (`--pull=never`).
    Forbidden,
}

/// How the connections to registries are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// As the configuration says.
    Configured,
    /// Certificates are not looked at, and plain HTTP will do (`registry.insecure`).
    None,
}

/// The registries, as the user's configuration knows them.
#[derive(Debug)]
pub struct Registries {
    options: RegistryOptions,
    pulling: Pulling,
    /// What is known of hosts to all of these, and to those that are made of them: each would ask again otherwise.
    learned: Learned,
    /// The same of those who look at no certificate, which nobody else believes.
    learned_insecurely: Learned,
    usual: OnceLock<Registry>,
    brief: OnceLock<Registry>,
    insecure: OnceLock<Registry>,
}

impl Registries {
    /// Makes it; nothing is opened yet.
    pub fn new(options: RegistryOptions, pulling: Pulling) -> Self {
        Self {
            options,
            pulling,
            learned: Learned::default(),
            learned_insecurely: Learned::default(),
            usual: OnceLock::new(),
            brief: OnceLock::new(),
            insecure: OnceLock::new(),
        }
    }

    /// Returns the same registries for work that another tries again: it gives up after a few attempts, and ends when
    /// `stop` says so.
    #[must_use]
    pub fn hurried(&self, stop: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        let options = RegistryOptions {
            retry: RetryPolicy::brief(),
            stop,
            ..self.options.clone()
        };
        self.with(options)
    }

    /// Returns the same registries for what must not have effect later than it is sent: nothing is tried again.
    #[must_use]
    pub fn once(&self) -> Self {
        let options = RegistryOptions {
            retry: RetryPolicy::steady(0, Duration::ZERO),
            ..self.options.clone()
        };
        self.with(options)
    }

    /// Returns the same registries, reached otherwise: what is known of them stays known.
    fn with(&self, options: RegistryOptions) -> Self {
        Self {
            learned: self.learned.clone(),
            learned_insecurely: self.learned_insecurely.clone(),
            ..Self::new(options, self.pulling)
        }
    }

    /// Returns what a client of other servers is made of, so that it reaches them as registries are reached.
    pub fn client_options(&self) -> ClientOptions {
        let options = self.options.clone();
        ClientOptions {
            proxies: options.proxies,
            certificates: options.certificates,
            user_agent: options.user_agent,
            retry: options.retry,
            stop: options.stop,
        }
    }

    /// Returns whether registries are asked for base images.
    pub fn pulling(&self) -> Pulling {
        self.pulling
    }

    /// Returns the image of a registry that a name as people write it means, with a tag or a digest.
    ///
    /// # Errors
    ///
    /// Fails when it is no name, or the configuration does not say which registry is meant.
    pub fn named(&self, text: &str) -> Result<Reference, LookupError> {
        Ok(self.options.hosts.named(text)?.into_docker_ref())
    }

    /// Returns what reaches registries and does not give up soon.
    ///
    /// # Errors
    ///
    /// Fails when the certificates cannot be used.
    pub fn usual(&self) -> Result<&Registry, ClientError> {
        opened((&self.usual, &self.learned), || self.options.clone())
    }

    /// Returns what gives up after a few attempts: for questions whose answer is not needed.
    ///
    /// # Errors
    ///
    /// As [`Registries::usual`].
    pub(crate) fn brief(&self) -> Result<&Registry, ClientError> {
        opened((&self.brief, &self.learned), || RegistryOptions {
            retry: RetryPolicy::brief(),
            ..self.options.clone()
        })
    }

    /// Returns what reaches registries over connections that are protected like this, and does not give up soon.
    ///
    /// # Errors
    ///
    /// As [`Registries::usual`].
    pub fn protected(&self, protection: Protection) -> Result<&Registry, ClientError> {
        match protection {
            Protection::Configured => self.usual(),
            Protection::None => self.insecure(),
        }
    }

    /// Returns what looks at no certificate, and speaks plain HTTP where a host does.
    fn insecure(&self) -> Result<&Registry, ClientError> {
        let place = (&self.insecure, &self.learned_insecurely);
        opened(place, || RegistryOptions {
            hosts: Arc::new(InsecureHosts(Arc::clone(&self.options.hosts))),
            ..self.options.clone()
        })
    }
}

fn opened<'r>(
    (place, learned): (&'r OnceLock<Registry>, &Learned),
    options: impl FnOnce() -> RegistryOptions,
) -> Result<&'r Registry, ClientError> {
    if let Some(registry) = place.get() {
        return Ok(registry);
    }
    let registry = Registry::open_with(options(), learned)?;
    // Of two threads that are here at once one makes it for nothing.
    Ok(place.get_or_init(|| registry))
}

/// Hosts whose certificates are not looked at.
#[derive(Debug)]
struct InsecureHosts(Arc<dyn HostSource>);

impl HostSource for InsecureHosts {
    fn named(&self, text: &str) -> Result<Reference, LookupError> {
        self.0.named(text)
    }

    fn hosts(&self, repository: &Reference, access: Access) -> Result<Vec<Host>, LookupError> {
        let mut hosts = self.0.hosts(repository, access)?;
        for host in &mut hosts {
            host.tls.unverified = true;
            host.tls.plain_fallback = true;
        }
        Ok(hosts)
    }

    fn login(&self, repository: &Reference, host: &Host) -> Result<Login, LookupError> {
        self.0.login(repository, host)
    }
}
