//! Which servers answer for a repository, and who we are to them: what the protocol asks of the configuration.
//!
//! The configuration files of docker, containers and containerd all come down to this: for a repository and
//! what is to be done with it, an ordered list of [`Host`]s, and for each of them a [`Login`].

use std::fmt;
use std::path::PathBuf;

use fetch::Url;
use oci::Reference;

/// What is to be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Find out what a tag names.
    Resolve,
    /// Read manifests and blobs.
    Pull,
    /// Write manifests and blobs, and remove them.
    Push,
}

/// What a host may be asked to do (containerd's `hosts.toml`, key `capabilities`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It may say what a tag names.
    pub resolve: bool,
    /// It may give what a digest names.
    pub pull: bool,
    /// It takes what is pushed.
    pub push: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        resolve: true,
        pull: true,
        push: true,
    };

    /// Tells whether a host with these may be asked.
    pub fn allow(self, access: Access) -> bool {
        match access {
            Access::Resolve => self.resolve,
            Access::Pull => self.pull,
            Access::Push => self.push,
        }
    }
}

/// How the connection to a host is protected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostTls {
    /// Files of certificates that are trusted for this host beside those that always are.
    pub authorities: Vec<PathBuf>,
    /// Certificate and key with which we show who we are, as files of PEM texts.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether the host's certificate is not looked at (`--tls-verify=false`, `skip_verify`).
    pub unverified: bool,
    /// Whether plain HTTP is tried when nothing at the host speaks TLS: for hosts on the loopback, and for those
    /// that the user calls insecure.
    pub plain_fallback: bool,
}

/// A server that answers for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What stands before `/<repository>/manifests/…`; ends in `/v2` unless the configuration says otherwise.
    pub base: Url,
    /// The path of the repository on this host; a mirror may know it by another one.
    pub repository: String,
    /// The host as credentials name it: `registry.example:5000`, `docker.io`.
    pub credentials_for: String,
    /// What it may be asked to do.
    pub capabilities: Capabilities,
    /// How the connection is protected.
    pub tls: HostTls,
    /// Headers that every request to this host gets.
    pub headers: Vec<(String, String)>,
    /// The registry whose login it gets where it has none of its own and is on this machine: the configuration says that it
    /// takes what is pushed there.
    pub stands_for: Option<String>,
    /// Whether it stands in for another host: what it does not have or cannot do now, the next one is asked for.
    pub is_mirror: bool,
}

/// Who we are to a host. It cannot be shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Login {
    /// Nobody.
    #[default]
    Anonymous,
    /// A user with a password.
    Basic {
        /// The user.
        user: String,
        /// The password. It is secret.
        password: String,
    },
    /// Whoever has a token that is given for other tokens (OAuth 2's refresh token). It is secret.
    IdentityToken(String),
    /// Whoever has a token that the registry takes as it is. It is secret.
    RegistryToken(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// The configuration cannot say which hosts to ask, or who we are to one; the text begins with what failed.
pub type LookupError = Box<dyn std::error::Error + Send + Sync>;

/// Where the protocol learns whom to ask, and as whom.
pub trait HostSource: fmt::Debug + Send + Sync {
    /// Returns the normal form of an image's name as people write it, with the registry that a name without one is
    /// of. Without configuration that is Docker Hub.
    ///
    /// # Errors
    ///
    /// Fails when it is no name, when several registries may be meant, or the configuration is malformed.
    fn named(&self, text: &str) -> Result<Reference, LookupError> {
        Ok(Reference::parse(text)?)
    }

    /// Returns the hosts that are asked, in this order; each has the capability.
    ///
    /// # Errors
    ///
    /// Fails when the configuration forbids the repository, or is malformed.
    fn hosts(&self, repository: &Reference, access: Access) -> Result<Vec<Host>, LookupError>;

    /// Returns who we are to a host of a repository.
    ///
    /// # Errors
    ///
    /// Fails when the credentials are there and cannot be had: a helper that fails, a file that is malformed.
    fn login(&self, repository: &Reference, host: &Host) -> Result<Login, LookupError>;
}
