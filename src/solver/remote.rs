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
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fetch::{
    Authority, Certificates, Client, ClientError, ClientOptions, Credentials, Proxies, RetryPolicy,
    Url,
};
use runtime::CancelToken;
use vendor_shim::program::{Program, ProgramNotFound};

use crate::ops::exec::Secrets;

pub use self::error::RemoteError;
pub use self::git::{Checkout, fetch_git};
pub use self::http::{FetchedFile, fetch_http};

/// How careen calls itself.
pub const USER_AGENT: &str = concat!("careen/", env!("CARGO_PKG_VERSION"));

/// No file is larger, in bytes: a server that never stops sending must not fill the disk.
pub const FILE_LIMIT_BYTES: u64 = 32 << 30;

/// How servers are reached.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The proxies of the user.
    pub proxies: Proxies,
    /// The file of certificates that are trusted, in place of the machine's (`SSL_CERT_FILE`).
    pub certificates: Option<PathBuf>,
    /// Whom the user trusts beside those.
    pub authorities: Vec<Authority>,
    /// Where programs are looked for: `PATH`.
    pub search_path: OsString,
    /// The secrets of the user; those called `HTTP_AUTH_TOKEN_<host>`, `GIT_AUTH_TOKEN` and the like are for servers.
    pub secrets: Secrets,
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
            authorities: Vec::new(),
            search_path: OsString::new(),
            secrets: Secrets::default(),
            ssh_agent: None,
            known_hosts: None,
            file_limit_bytes: FILE_LIMIT_BYTES,
        }
    }
}

impl RemoteOptions {
    /// Returns the certificates that are trusted.
    pub fn trusted(&self) -> Certificates {
        let usual = self.certificates.clone();
        let usual = usual.map_or(Certificates::System, Certificates::File);
        usual.and(&self.authorities)
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

    /// Returns one that uses these secrets, and the keys of the agent behind this socket.
    #[must_use]
    pub fn with(&self, secrets: Secrets, ssh_agent: Option<PathBuf>) -> Self {
        let options = RemoteOptions {
            secrets,
            ssh_agent,
            ..self.options.clone()
        };
        Self::new(options, self.cancel.clone())
    }

    fn client(&self) -> Result<&Client, ClientError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let cancel = self.cancel.clone();
        let client = Client::open(ClientOptions {
            proxies: self.options.proxies.clone(),
            certificates: self.options.trusted(),
            user_agent: USER_AGENT.to_owned(),
            retry: RetryPolicy::brief(),
            stop: Arc::new(move || cancel.is_cancelled()),
        })?;
        // Of two threads that are here at once one makes a client for nothing.
        Ok(self.client.get_or_init(|| client))
    }

    fn git(&self) -> Result<Program, ProgramNotFound> {
        Program::find("git", &self.options.search_path)
    }

    /// Returns the text of a secret, if the user gave it and it is one that a header can have.
    fn secret(&self, id: &str) -> Option<&str> {
        let value = self.options.secrets.get(id)?.expose();
        let text = std::str::from_utf8(value).ok()?.trim();
        (!text.is_empty() && !text.contains(char::is_control)).then_some(text)
    }

    /// Returns what the user's secrets say for a file of a server.
    fn http_credentials(&self, url: &Url) -> Option<Credentials> {
        let host = url.authority();
        if let Some(header) = self.secret(&format!("HTTP_AUTH_HEADER_{host}")) {
            return Some(Credentials::new(url.origin(), header.to_owned()));
        }
        let token = self.secret(&format!("HTTP_AUTH_TOKEN_{host}"))?;
        Some(Credentials::bearer(url.origin(), token))
    }

    /// Returns what the user's secrets say for a repository of a server, and else what its URL says. A secret for the
    /// host goes before one for any.
    fn git_credentials(&self, url: &Url) -> Option<Credentials> {
        let host = format!(".{}", url.authority());
        for of in [host.as_str(), ""] {
            if let Some(header) = self.secret(&format!("GIT_AUTH_HEADER{of}")) {
                return Some(Credentials::new(url.origin(), header.to_owned()));
            }
            if let Some(token) = self.secret(&format!("GIT_AUTH_TOKEN{of}")) {
                return Some(Credentials::basic(url.origin(), "x-access-token", token));
            }
        }
        let (user, password) = url.userinfo()?;
        Some(Credentials::basic(url.origin(), &user, &password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::exec::Secret;

    fn remote(secrets: &[(&str, &str)]) -> Remote {
        let secret =
            |(id, value): &(&str, &str)| ((*id).to_owned(), Secret::new(value.as_bytes().to_vec()));
        let options = RemoteOptions {
            secrets: secrets.iter().map(secret).collect(),
            ..RemoteOptions::default()
        };
        Remote::new(options, CancelToken::create().unwrap())
    }

    fn shown(credentials: Option<Credentials>) -> Option<String> {
        credentials.map(|credentials| credentials.authorization().to_owned())
    }

    #[test]
    fn a_file_is_asked_for_with_the_secret_of_its_host() {
        let url = Url::parse("https://e.com:8/f").unwrap();
        for (secrets, expected) in [
            (vec![("HTTP_AUTH_TOKEN_e.com:8", "t\n")], Some("Bearer t")),
            (
                vec![("HTTP_AUTH_HEADER_e.com:8", "Digest x")],
                Some("Digest x"),
            ),
            (vec![("HTTP_AUTH_TOKEN_e.com", "t")], None),
            (vec![("HTTP_AUTH_TOKEN_e.com:8", "a\nb")], None),
            (vec![], None),
        ] {
            let found = shown(remote(&secrets).http_credentials(&url));
            assert_eq!(found.as_deref(), expected, "{secrets:?}");
        }
    }

    #[test]
    fn a_repository_is_asked_for_with_the_nearest_secret() {
        let url = Url::parse("https://u:p@e.com/r.git").unwrap();
        let (host, any) = (("GIT_AUTH_TOKEN.e.com", "h"), ("GIT_AUTH_HEADER", "any"));
        for (secrets, expected) in [
            (vec![any, host], "Basic eC1hY2Nlc3MtdG9rZW46aA=="),
            (vec![any], "any"),
            (vec![], "Basic dTpw"),
        ] {
            let found = shown(remote(&secrets).git_credentials(&url));
            assert_eq!(found.as_deref(), Some(expected), "{secrets:?}");
        }
    }
}
