//! Who we are to registries: docker's and containers' files, and the helpers that they name.
//!
//! The first of these that knows the registry counts:
//!
//! ```text
//! --authfile                                alone, if it is given; it must be there
//! DOCKER_AUTH_CONFIG                        the text of such a file
//! REGISTRY_AUTH_FILE                        instead of all that follow
//! $DOCKER_CONFIG/config.json, ~/.docker/config.json
//! $XDG_RUNTIME_DIR/containers/auth.json     or, for root without a session, /run/containers/0/auth.json
//! $XDG_CONFIG_HOME/containers/auth.json
//! ~/.dockercfg
//! ```
//!
//! Within a file `credHelpers` go before `credsStore` and that before `auths`. A helper that fails is an error: going
//! on without would ask somebody as nobody, or as somebody else.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use vendor_shim::credential_helper::{CredentialHelpers, HelperCredentials, HelperError};

use crate::config::ConfigPlaces;
use crate::config::address::{HUB, HUB_SERVER};
use crate::config::file::{ConfigError, Owner, read};
use crate::host::Login;

mod auth_file;
mod key;
mod server;
mod settings;
pub(crate) mod stored;

use auth_file::{AuthFile, Format};
pub use server::LoginServer;
pub use settings::DockerSettings;

/// The user of an identity token, where there is room for a user and a password only.
const TOKEN_USER: &str = "<token>";

/// A text that cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Takes a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text. It is secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Why it cannot be said who we are.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(Arc<ConfigError>),
    /// A helper failed.
    #[error("look up the credentials for `{server}`")]
    Helper {
        /// The registry.
        server: String,
        /// What the helper said.
        source: Arc<HelperError>,
    },
}

impl From<ConfigError> for CredentialsError {
    fn from(error: ConfigError) -> Self {
        Self::File(Arc::new(error))
    }
}

/// Where credentials come from.
#[derive(Debug)]
pub(crate) struct Credentials {
    sources: Vec<Source>,
    /// Docker's file, for what it says beside credentials.
    docker: Option<PathBuf>,
    settings: OnceLock<Result<DockerSettings, CredentialsError>>,
    helpers: Arc<dyn CredentialHelpers>,
    /// What helpers said, so that each is asked once for a server; threads that want the same wait for the first. The
    /// lock is held only to find the place of the answer.
    answers: Mutex<BTreeMap<(String, String), Arc<Answer>>>,
}

type Answer = OnceLock<Result<Option<HelperCredentials>, Arc<HelperError>>>;

/// A file, or a text like one.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    format: Format,
    text: Option<SecretText>,
    must_be_there: bool,
    owner: Owner,
    read: OnceLock<Result<Option<AuthFile>, CredentialsError>>,
}

impl Source {
    fn file(path: PathBuf, format: Format) -> Self {
        Self {
            path,
            format,
            text: None,
            must_be_there: false,
            owner: Owner::User,
            read: OnceLock::new(),
        }
    }

    fn parsed(&self) -> Result<Option<&AuthFile>, CredentialsError> {
        let read = self.read.get_or_init(|| Ok(self.parse()?));
        match read {
            Ok(file) => Ok(file.as_ref()),
            Err(error) => Err(error.clone()),
        }
    }

    fn parse(&self) -> Result<Option<AuthFile>, ConfigError> {
        let read = match &self.text {
            Some(text) => Some(text.expose().to_owned()),
            None => read(&self.path, self.owner)?,
        };
        match read {
            // Docker's own tools leave an empty file where they were interrupted.
            Some(text) if text.trim().is_empty() => Ok(None),
            Some(text) => AuthFile::parse(&self.path, &text, self.format).map(Some),
            None if self.must_be_there => Err(ConfigError::Read {
                path: self.path.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            }),
            None => Ok(None),
        }
    }
}

impl Credentials {
    /// Finds the places.
    pub(crate) fn new(
        places: &ConfigPlaces,
        given: Option<PathBuf>,
        helpers: Arc<dyn CredentialHelpers>,
    ) -> Self {
        let docker = docker_file(places);
        let sources = match given {
            Some(path) => vec![Source {
                must_be_there: true,
                ..Source::file(path, Format::Tables)
            }],
            None => sources(places, docker.as_deref()),
        };
        Self {
            sources,
            docker,
            settings: OnceLock::new(),
            helpers,
            answers: Mutex::default(),
        }
    }

    /// Returns who we are to a registry, for a repository of it. Helpers of `registries.conf` are asked before and
    /// after the files.
    pub(crate) fn login(
        &self,
        helpers: &[Vec<String>; 2],
        server: &str,
        repository: &str,
    ) -> Result<Login, CredentialsError> {
        let [before, after] = helpers;
        if let Some(login) = self.ask_each(before, server)? {
            return Ok(login);
        }
        for source in &self.sources {
            let Some(file) = source.parsed()? else {
                continue;
            };
            if let Some(helper) = file.helper_for(server)
                && let Some(login) = self.ask(helper, server)?
            {
                return Ok(login);
            }
            if let Some(login) = file.login_for(server, repository) {
                return Ok(login.clone());
            }
        }
        Ok(self.ask_each(after, server)?.unwrap_or_default())
    }

    fn ask_each(
        &self,
        helpers: &[String],
        server: &str,
    ) -> Result<Option<Login>, CredentialsError> {
        for helper in helpers {
            if let Some(login) = self.ask(helper, server)? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    fn ask(&self, helper: &str, server: &str) -> Result<Option<Login>, CredentialsError> {
        let place = {
            let key = (helper.to_owned(), server.to_owned());
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(key).or_default())
        };
        let answer = place.get_or_init(|| {
            let credentials = self.helpers.get(helper, helper_server(server));
            credentials.map_err(Arc::new)
        });
        match answer {
            Ok(credentials) => Ok(credentials.clone().map(login_of)),
            Err(source) => Err(CredentialsError::Helper {
                server: server.to_owned(),
                source: Arc::clone(source),
            }),
        }
    }

    /// Returns what docker's file says beside credentials.
    pub(crate) fn docker_settings(&self) -> Result<DockerSettings, CredentialsError> {
        let read = self.settings.get_or_init(|| match &self.docker {
            Some(path) => Ok(DockerSettings::read(path)?),
            None => Ok(DockerSettings::default()),
        });
        read.clone()
    }
}

/// Returns what helpers call a server.
pub(crate) fn helper_server(server: &str) -> &str {
    if server == HUB { HUB_SERVER } else { server }
}

fn login_of(credentials: HelperCredentials) -> Login {
    let HelperCredentials { user, secret } = credentials;
    if user == TOKEN_USER {
        return Login::IdentityToken(secret);
    }
    Login::Basic {
        user,
        password: secret,
    }
}

/// Returns docker's file.
pub(crate) fn docker_file(places: &ConfigPlaces) -> Option<PathBuf> {
    let usual = || places.home.as_ref().map(|home| home.join(".docker"));
    let directory = places.docker_config.clone().or_else(usual)?;
    Some(directory.join("config.json"))
}

fn sources(places: &ConfigPlaces, docker: Option<&Path>) -> Vec<Source> {
    let text = places.docker_auth_config.iter().map(|text| Source {
        text: Some(text.clone()),
        ..Source::file("DOCKER_AUTH_CONFIG".into(), Format::Tables)
    });
    let mut sources: Vec<_> = text.collect();
    if let Some(path) = &places.registry_auth_file {
        sources.push(Source::file(path.clone(), Format::Tables));
        return sources;
    }
    let containers = |directory: &PathBuf| directory.join("containers/auth.json");
    let tables = |path| Source::file(path, Format::Tables);
    let session = places.runtime_directory.as_ref();
    let of_root = places.root_auth_file.iter().filter(|_| session.is_none());
    let legacy = places.home.as_ref().map(|home| home.join(".dockercfg"));
    sources.extend(docker.map(Path::to_owned).map(tables));
    sources.extend(session.map(containers).map(tables));
    sources.extend(of_root.map(|path| Source {
        owner: Owner::Machine,
        ..tables(path.clone())
    }));
    sources.extend(places.config_home.as_ref().map(containers).map(tables));
    sources.extend(legacy.map(|path| Source::file(path, Format::Legacy)));
    sources
}

#[cfg(test)]
mod tests;
