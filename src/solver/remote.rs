//! Files that servers have: by HTTP, or in git repositories.
//!
//! What is fetched is kept in the store, and asked for again only as far as has to be: a file by its `ETag`, a
//! repository by the commit that a name stands for, and neither if the digest or the commit is given and was
//! there before. [`Remote`] says how servers are reached; it does nothing until something is fetched.

mod checkout;
mod error;
mod git;
mod http;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fetch::{Certificates, Client, ClientError, ClientOptions, Credentials, Proxies, Url};
use runtime::CancelToken;
use vendor_shim::program::{Program, ProgramNotFound};

pub use self::error::RemoteError;
pub use self::git::{Checkout, fetch_git};
pub use self::http::{FetchedFile, fetch_http};

/// How careen calls itself.
const USER_AGENT: &str = concat!("careen/", env!("CARGO_PKG_VERSION"));

/// No file is larger, in bytes: a server that never stops sending must not fill the disk.
pub const FILE_LIMIT_BYTES: u64 = 32 << 30;

/// Looks secrets up that are for servers: `HTTP_AUTH_TOKEN_<host>`, `GIT_AUTH_TOKEN`, ….
pub trait ServerSecrets: fmt::Debug + Send + Sync {
    /// Returns the secret of that id, if the user gave it.
    fn secret(&self, id: &str) -> Option<String>;
}

/// A user without secrets for servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

impl ServerSecrets for NoSecrets {
    fn secret(&self, _id: &str) -> Option<String> {
        None
    }
}

/// How servers are reached.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The proxies of the user.
    pub proxies: Proxies,
    /// The file of certificates that are trusted, in place of the machine's (`SSL_CERT_FILE`).
    pub certificates: Option<PathBuf>,
    /// Where programs are looked for: `PATH`.
    pub search_path: OsString,
    /// The secrets for servers.
    pub secrets: Arc<dyn ServerSecrets>,
    /// The socket of the agent with the keys for `ssh`.
    pub ssh_agent: Option<PathBuf>,
    /// The hosts that `ssh` knows.
    pub known_hosts: Option<PathBuf>,
    /// No file is larger, in bytes.
    pub file_limit_bytes: u64,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            proxies: Proxies::default(),
            certificates: None,
            search_path: OsString::new(),
            secrets: Arc::new(NoSecrets),
            ssh_agent: None,
            known_hosts: None,
            file_limit_bytes: FILE_LIMIT_BYTES,
        }
    }
}

/// What reaches servers.
#[derive(Debug)]
pub struct Remote {
    options: RemoteOptions,
    cancel: CancelToken,
    client: OnceLock<Client>,
}

impl Remote {
    /// Makes it. Nothing is opened or looked for yet.
    pub fn new(options: RemoteOptions, cancel: CancelToken) -> Self {
        Self {
            options,
            cancel,
            client: OnceLock::new(),
        }
    }

    /// Returns one that uses these secrets.
    #[must_use]
    pub fn with_secrets(&self, secrets: Arc<dyn ServerSecrets>) -> Self {
        let options = RemoteOptions {
            secrets,
            ..self.options.clone()
        };
        Self::new(options, self.cancel.clone())
    }

    fn client(&self) -> Result<&Client, ClientError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let RemoteOptions {
            proxies,
            certificates,
            ..
        } = &self.options;
        let certificates = certificates.clone();
        let cancel = self.cancel.clone();
        let client = Client::open(ClientOptions {
            proxies: proxies.clone(),
            certificates: certificates.map_or(Certificates::System, Certificates::File),
            user_agent: USER_AGENT.to_owned(),
            stop: Arc::new(move || cancel.is_cancelled()),
        })?;
        // Of two threads that are here at once one makes a client for nothing.
        Ok(self.client.get_or_init(|| client))
    }

    fn git(&self) -> Result<Program, ProgramNotFound> {
        Program::find("git", &self.options.search_path)
    }

    /// Returns what the user's secrets say for a file of a server.
    fn http_credentials(&self, url: &Url) -> Option<Credentials> {
        let secret = |kind: &str| {
            let id = format!("HTTP_AUTH_{kind}_{}", url.authority());
            self.options.secrets.secret(&id)
        };
        if let Some(header) = secret("HEADER") {
            return Some(Credentials::new(url.origin(), header.trim().to_owned()));
        }
        let token = secret("TOKEN")?;
        Some(Credentials::bearer(url.origin(), token.trim()))
    }

    /// Returns what the user's secrets say for a repository of a server: the value of an `Authorization` header.
    fn git_authorization(&self, url: &Url) -> Option<Credentials> {
        let secret = |kind: &str| {
            let of_host = format!("GIT_AUTH_{kind}.{}", url.authority());
            let secrets = &self.options.secrets;
            secrets
                .secret(&of_host)
                .or_else(|| secrets.secret(&format!("GIT_AUTH_{kind}")))
        };
        if let Some(header) = secret("HEADER") {
            return Some(Credentials::new(url.origin(), header.trim().to_owned()));
        }
        let token = secret("TOKEN");
        let of_token =
            |token: String| Credentials::basic(url.origin(), "x-access-token", token.trim());
        let of_url = || {
            let (user, password) = url.userinfo()?;
            Some(Credentials::basic(url.origin(), &user, &password))
        };
        token.map(of_token).or_else(of_url)
    }
}
