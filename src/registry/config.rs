//! Every configuration file of registries, come down to hosts and logins: [`RegistryConfig`].
//!
//! Each family of files is read by a module of its own, when it is first asked for, and nothing of it comes from
//! anywhere but [`ConfigPlaces`] and [`Overrides`]. Who is asked for a repository is decided by the first family that
//! names a server for it:
//!
//! | | Family | For |
//! | --- | --- | --- |
//! | 1 | `registries.conf`: mirrors and locations | reading |
//! | 2 | `hosts.toml` | reading and writing, as its capabilities say |
//! | 3 | `buildkitd.toml`: mirrors | reading |
//! | 4 | `daemon.json`: mirrors of Docker Hub | reading |
//! | 5 | the name itself | everything |
//!
//! What is said about the protection of a host adds up over the families. What `registries.conf` blocks is blocked,
//! whoever would answer.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fetch::{Scheme, Url};
use oci::Reference;
use vendor_shim::credential_helper::CredentialHelpers;

use crate::credentials::{Credentials, DockerSettings, LoginServer, SecretText};
use crate::host::{Access, Capabilities, Host, HostSource, Login, LookupError};

pub(crate) mod address;
mod buildkitd;
mod certs;
mod daemon;
pub(crate) mod file;
mod hosts_toml;
mod registries_conf;
mod rule;
mod short_name;

use address::{HUB, direct, is_loopback};
use buildkitd::Buildkitd;
use certs::{Certificates, Identity};
use daemon::Daemon;
pub use file::ConfigError;
use file::Owner;
use registries_conf::{RegistriesConf, RegistriesConfPlaces};
use rule::Rule;
pub use short_name::NameError;

/// Where the files are, and what the variables say; nothing else is looked at.
#[derive(Debug, Clone, Default)]
pub struct ConfigPlaces {
    /// The user's home: `HOME`.
    pub home: Option<PathBuf>,
    /// The user's configuration: `XDG_CONFIG_HOME`, or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// The directory of the user's session: `XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<PathBuf>,
    /// Podman's logins of root where there is no session: `/run/containers/0/auth.json`. It says nothing to others.
    pub root_auth_file: Option<PathBuf>,
    /// The machine's configuration: `/etc`.
    pub system: PathBuf,
    /// Docker's directory: `DOCKER_CONFIG`; `~/.docker` if none.
    pub docker_config: Option<PathBuf>,
    /// The text of a file like docker's: `DOCKER_AUTH_CONFIG`. It is secret.
    pub docker_auth_config: Option<SecretText>,
    /// The file of credentials that counts alone: `REGISTRY_AUTH_FILE`.
    pub registry_auth_file: Option<PathBuf>,
    /// The `registries.conf` that counts alone: `CONTAINERS_REGISTRIES_CONF`.
    pub registries_conf: Option<PathBuf>,
}

impl ConfigPlaces {
    /// Returns the files in the user's and the machine's configuration.
    fn both(&self, user: &str, system: &str) -> Vec<PathBuf> {
        let user = self.config_home.iter().map(|home| home.join(user));
        user.chain([self.system.join(system)]).collect()
    }

    /// Returns containerd's directories.
    fn containerd(&self) -> Vec<(PathBuf, Owner)> {
        const NAME: &str = "containerd/certs.d";
        let user = self.config_home.iter();
        let user = user.map(|home| (home.join(NAME), Owner::User));
        let system = (self.system.join(NAME), Owner::Machine);
        user.chain([system]).collect()
    }

    fn registries_conf(&self) -> RegistriesConfPlaces {
        let user = self.config_home.as_ref();
        RegistriesConfPlaces {
            given: self.registries_conf.clone(),
            user: user.map(|home| home.join("containers")),
            system: self.system.join("containers"),
        }
    }
}

/// What a command line says.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The file of credentials that counts alone: `--authfile`.
    pub auth_file: Option<PathBuf>,
    /// Who we are to the registries that are [named](Self::named): `--creds`.
    pub login: Option<Login>,
    /// The only directory of certificates: `--cert-dir`. Its authorities are trusted for every host; its pair is
    /// shown to registries that are named.
    pub certificates: Option<PathBuf>,
    /// Whether certificates are looked at, whatever files say: `--tls-verify`.
    pub verify: Option<Verify>,
    /// The registries that the command line itself names (`docker.io`, `registry.example:5000`). No other one gets
    /// what is given on it: a Dockerfile may name any registry.
    pub named: Vec<String>,
}

/// Whether certificates of hosts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// They are, and there is no plain HTTP.
    Always,
    /// They are not, and plain HTTP will do.
    Never,
}

/// A registry is blocked.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` is blocked: `{}` has `blocked = true` for `{prefix}`", path.display())]
pub struct Blocked {
    /// The name.
    pub name: String,
    /// The table's prefix.
    pub prefix: String,
    /// The file.
    pub path: PathBuf,
}

/// The configuration of registries. It can be asked by several threads.
#[derive(Debug)]
pub struct RegistryConfig {
    places: ConfigPlaces,
    overrides: Overrides,
    credentials: Credentials,
    conf: Lazy<RegistriesConf>,
    buildkitd: Lazy<Buildkitd>,
    daemon: Lazy<Daemon>,
}

/// What is read once, when it is first asked for.
type Lazy<T> = OnceLock<Result<T, Shared>>;

/// An error that several may get.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<ConfigError>);

impl From<ConfigError> for Shared {
    fn from(error: ConfigError) -> Self {
        Self(Arc::new(error))
    }
}

fn read_once<T>(
    lazy: &Lazy<T>,
    read: impl FnOnce() -> Result<T, ConfigError>,
) -> Result<&T, Shared> {
    let read = lazy.get_or_init(|| read().map_err(Shared::from));
    read.as_ref().map_err(Shared::clone)
}

impl RegistryConfig {
    /// Makes one that reads its files when it is asked.
    pub fn new(
        places: ConfigPlaces,
        overrides: Overrides,
        helpers: Arc<dyn CredentialHelpers>,
    ) -> Self {
        let credentials = Credentials::new(&places, overrides.auth_file.clone(), helpers);
        Self {
            places,
            overrides,
            credentials,
            conf: Lazy::new(),
            buildkitd: Lazy::new(),
            daemon: Lazy::new(),
        }
    }

    /// Returns the normal form of an image's name as people write it. Where it names no registry, that is one of the
    /// aliases or the registry that `registries.conf` says, and else Docker Hub.
    ///
    /// # Errors
    ///
    /// Fails when it is no name, when several registries may be meant, or a file is malformed.
    pub fn reference(&self, text: &str) -> Result<Reference, LookupError> {
        Ok(self.conf()?.named(text)?)
    }

    /// Returns what docker's `config.json` says beside credentials.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read, or is malformed.
    pub fn docker_settings(&self) -> Result<DockerSettings, LookupError> {
        Ok(self.credentials.docker_settings()?)
    }

    fn conf(&self) -> Result<&RegistriesConf, Shared> {
        read_once(&self.conf, || {
            RegistriesConf::read(&self.places.registries_conf())
        })
    }

    fn buildkitd(&self) -> Result<&Buildkitd, Shared> {
        let name = "buildkit/buildkitd.toml";
        read_once(&self.buildkitd, || {
            Buildkitd::read(&self.places.both(name, name))
        })
    }

    fn daemon(&self) -> Result<&Daemon, Shared> {
        let name = "docker/daemon.json";
        read_once(&self.daemon, || Daemon::read(&self.places.both(name, name)))
    }

    /// Returns the hosts that the families name, not yet protected.
    fn candidates(
        &self,
        reference: &Reference,
        access: Access,
        rule: Option<&Rule>,
    ) -> Result<Vec<Host>, LookupError> {
        let (domain, path) = (reference.domain(), reference.path());
        if access != Access::Push
            && let Some(hosts) = rule.and_then(|rule| rule.hosts(reference))
        {
            return Ok(hosts);
        }
        let relaxed = |host: Host| match rule {
            Some(rule) if !host.is_mirror => rule.relaxed(host),
            _ => host,
        };
        if let Some(hosts) = hosts_toml::hosts(&self.places.containerd(), domain, path)? {
            return Ok(hosts.into_iter().map(relaxed).collect());
        }
        let mut hosts = Vec::new();
        if access != Access::Push {
            hosts = self.mirrors(domain, path)?;
        }
        hosts.push(relaxed(direct(domain, path)?));
        Ok(hosts)
    }

    /// Returns the mirrors that `buildkitd.toml` names, or else `daemon.json`.
    fn mirrors(&self, domain: &str, repository: &str) -> Result<Vec<Host>, LookupError> {
        let mut endpoints = self.buildkitd()?.mirrors(domain)?;
        if endpoints.is_empty() && domain == HUB {
            endpoints.clone_from(&self.daemon()?.mirrors);
        }
        let mirror = |endpoint: address::Endpoint| {
            let host = endpoint.host(repository)?;
            Ok(Host {
                is_mirror: true,
                capabilities: Capabilities {
                    push: false,
                    ..Capabilities::ALL
                },
                ..host
            })
        };
        endpoints.into_iter().map(mirror).collect()
    }

    /// Adds what the families say about the connection to a host.
    fn protected(&self, mut host: Host) -> Result<Host, LookupError> {
        let authority = host.base.authority();
        if let Some(certificates) = self.certificates(&host)? {
            let is_named = self.overrides.certificates.is_none() || self.is_named(&host);
            let identity = if is_named {
                Identity::Shown
            } else {
                Identity::Kept
            };
            certificates.add_to(&mut host.tls, identity);
        }
        if let Some(table) = self.buildkitd()?.of(&host.credentials_for) {
            host.tls.authorities.extend(table.ca.iter().cloned());
            if let (None, Some(pair)) = (&host.tls.identity, table.keypair.first()) {
                host.tls.identity = Some((pair.cert.clone(), pair.key.clone()));
            }
            host.tls.unverified |= table.insecure;
            host.tls.plain_fallback |= table.insecure;
            if table.http {
                host.base = plain(&host.base)?;
            }
        }
        if self.daemon()?.is_insecure(&authority, host.base.host()) {
            host.tls.unverified = true;
            host.tls.plain_fallback = true;
        }
        host.tls.plain_fallback |= is_loopback(host.base.host());
        match self.overrides.verify {
            Some(Verify::Always) => {
                host.tls.unverified = false;
                host.tls.plain_fallback = false;
            }
            Some(Verify::Never) => {
                host.tls.unverified = true;
                host.tls.plain_fallback = true;
            }
            None => {}
        }
        if !host.is_mirror {
            host.headers
                .extend(self.credentials.docker_settings()?.headers);
        }
        Ok(host)
    }

    /// Returns the certificates for a host: those of the directory that was given, or of the first that there is.
    fn certificates(&self, host: &Host) -> Result<Option<Certificates>, LookupError> {
        if let Some(directory) = &self.overrides.certificates {
            let read = Certificates::read(directory)?;
            let absent = || ConfigError::Read {
                path: directory.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            };
            return Ok(Some(read.ok_or_else(absent)?));
        }
        let name = &host.credentials_for;
        let mut directories = Vec::new();
        let containerd = self.places.containerd();
        let homes = self.places.config_home.iter().chain([&self.places.system]);
        for home in homes {
            directories.push(home.join("containers/certs.d").join(name));
            directories.push(home.join("docker/certs.d").join(name));
            let root = containerd.iter().find(|(root, _)| root.starts_with(home));
            directories.extend(root.and_then(|root| hosts_toml::certificate_directory(root, name)));
        }
        for directory in directories {
            if let Some(certificates) = Certificates::read(&directory)? {
                return Ok(Some(certificates));
            }
        }
        Ok(None)
    }

    /// Tells whether what the command line gives is for this host.
    fn is_named(&self, host: &Host) -> bool {
        !host.is_mirror && self.overrides.named.contains(&host.credentials_for)
    }
}

/// Returns the same URL without TLS.
fn plain(url: &Url) -> Result<Url, fetch::UrlError> {
    let text = url.without_userinfo();
    let rest = text.split_once("://").map_or(&*text, |(_, rest)| rest);
    Url::parse(&format!("{}://{rest}", Scheme::Http.as_str()))
}

impl HostSource for RegistryConfig {
    fn named(&self, text: &str) -> Result<Reference, LookupError> {
        self.reference(text)
    }

    fn hosts(&self, repository: &Reference, access: Access) -> Result<Vec<Host>, LookupError> {
        let rule = self.conf()?.rule_of(repository);
        if let Some(rule) = rule.filter(|rule| rule.blocked) {
            return Err(Box::new(Blocked {
                name: repository.to_string(),
                prefix: rule.prefix.clone(),
                path: rule.path.clone(),
            }));
        }
        let hosts = self.candidates(repository, access, rule)?.into_iter();
        hosts
            .filter(|host| host.capabilities.allow(access))
            .map(|host| self.protected(host))
            .collect()
    }

    fn login(&self, _repository: &Reference, host: &Host) -> Result<Login, LookupError> {
        match &self.overrides.login {
            Some(login) if self.is_named(host) => Ok(login.clone()),
            _ => self.login_of(host),
        }
    }
}

impl RegistryConfig {
    /// Returns who we are to a registry by what is stored: files and helpers.
    ///
    /// # Errors
    ///
    /// Fails when a file is malformed or a helper fails.
    pub fn stored_login(&self, server: &str, repository: &str) -> Result<Login, LookupError> {
        let helpers = &self.conf()?.helpers;
        Ok(self.credentials.login(helpers, server, repository)?)
    }

    /// Returns who we are to a host: by what is stored for it or, where it is on this machine and takes what is pushed to a
    /// registry, for that. To any other machine goes only what is stored for it: `push` stands in many a file that was meant
    /// for a mirror.
    fn login_of(&self, host: &Host) -> Result<Login, LookupError> {
        let own = self.stored_login(&host.credentials_for, &host.repository)?;
        match &host.stands_for {
            Some(registry) if own == Login::Anonymous && host.base.is_loopback() => {
                self.stored_login(registry, &host.repository)
            }
            _ => Ok(own),
        }
    }

    /// Returns the host that a login for a registry is shown to: the one on this machine that the configuration says to push
    /// to, and else the registry itself, whoever may stand in for it when something is read.
    ///
    /// # Errors
    ///
    /// Fails when a file is malformed.
    pub fn own_host(&self, server: &LoginServer) -> Result<Host, LookupError> {
        let domain = server.domain();
        let any = Reference::parse(&format!("{domain}/any"))?;
        let rule = self.conf()?.rule_of(&any);
        let mut candidates = self.candidates(&any, Access::Push, rule)?;
        let gets_it = |host: &&Host| host.stands_for.is_some() && host.base.is_loopback();
        if let Some(host) = candidates.iter().find(gets_it) {
            return self.protected(host.clone());
        }
        let named = candidates.pop();
        let is_own = |host: &Host| !host.is_mirror && host.credentials_for == domain;
        let host = match named.filter(is_own) {
            Some(host) => host,
            None => direct(domain, "")?,
        };
        self.protected(host)
    }
}

#[cfg(test)]
mod tests;
