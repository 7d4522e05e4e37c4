//! URLs of files: `http` and `https`, as users and servers write them.

mod encoding;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

pub(crate) use encoding::encoded_field;
pub use encoding::form;
use encoding::{decoded, encoded, encoded_query};

/// The two ways to reach a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Anybody on the way can read and change what is sent.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// Returns the scheme as a URL has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

/// Whom credentials are for: scheme, host and port (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// The URL of a file. It shows itself without its password, in `Debug` as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    /// `user` or `user:password`, percent-encoded.
    userinfo: Option<String>,
    /// In lower case; an IPv6 address with its brackets.
    host: String,
    port: Option<u16>,
    /// Begins with `/`, percent-encoded.
    path: String,
    query: Option<String>,
}

/// Why a text is no URL of a file. The text itself may hold a password and is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It begins with another scheme, or none.
    #[error("it begins with neither `http://` nor `https://`")]
    Scheme,
    /// It names no host.
    #[error("it names no host")]
    NoHost,
    /// Its host has a character that no host has.
    #[error("its host has a `{}`", .0.escape_default())]
    Host(char),
    /// Its port is no number from 0 to 65535.
    #[error("its port is no number up to 65535")]
    Port,
    /// A control character is in it.
    #[error("a control character is in it")]
    Control,
    /// A `%` has no two hexadecimal digits behind it.
    #[error("a `%` in it has no two hexadecimal digits behind it")]
    Percent,
}

impl Url {
    /// Reads a URL; its fragment is left out. Characters that have to be encoded are.
    ///
    /// # Errors
    ///
    /// Fails when it is no absolute URL with scheme `http` or `https`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.chars().any(char::is_control) {
            return Err(UrlError::Control);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(UrlError::Scheme)?;
        let rest = before(rest, '#');
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        let (path, query) = split_query(target);
        Ok(Self {
            scheme,
            userinfo: userinfo
                .filter(|userinfo| !userinfo.is_empty())
                .map(encoded)
                .transpose()?,
            host: checked_host(host)?,
            port,
            path: encoded(if path.is_empty() { "/" } else { path })?,
            query: query.map(encoded_query),
        })
    }

    /// Returns the URL that a `Location` header of this one leads to (RFC 3986, section 5.2).
    ///
    /// # Errors
    ///
    /// Fails when it leads to something else than `http` or `https`, or is malformed.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        let location = before(location.trim(), '#');
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.as_str()));
        }
        if has_scheme(location) {
            return Self::parse(location);
        }
        let (path, query) = split_query(location);
        let path = match path {
            "" => self.path.clone(),
            absolute if absolute.starts_with('/') => without_dots(absolute),
            relative => {
                let directory = self.path.rsplit_once('/').map_or("", |(before, _)| before);
                without_dots(&format!("{directory}/{relative}"))
            }
        };
        let query = match (query, location.is_empty()) {
            (None, true) => self.query.clone(),
            (query, _) => query.map(encoded_query),
        };
        if path.chars().any(char::is_control) {
            return Err(UrlError::Control);
        }
        Ok(Self {
            path: encoded(&path)?,
            query,
            ..self.clone()
        })
    }

    /// Returns the URL of something below this one: its path with this added. The query is what `rest` has.
    ///
    /// # Errors
    ///
    /// Fails when what is added cannot stand in a URL.
    pub fn below(&self, rest: &str) -> Result<Self, UrlError> {
        if rest.chars().any(char::is_control) {
            return Err(UrlError::Control);
        }
        let (path, query) = split_query(rest);
        let joined = format!(
            "{}/{}",
            self.path.trim_end_matches('/'),
            path.trim_start_matches('/')
        );
        Ok(Self {
            path: encoded(&joined)?,
            query: query.map(encoded_query),
            ..self.clone()
        })
    }

    /// Returns the URL with another scheme. Where it has no port, that of the other scheme is meant.
    #[must_use]
    pub fn with_scheme(&self, scheme: Scheme) -> Self {
        Self {
            scheme,
            ..self.clone()
        }
    }

    /// Returns the URL with a field more in its query, which is encoded as it has to be.
    #[must_use]
    pub fn with_field(&self, name: &str, value: &str) -> Self {
        let field = format!("{}={}", encoded_field(name), encoded_field(value));
        let query = match self.query.as_deref() {
            None | Some("") => field,
            Some(query) => format!("{query}&{field}"),
        };
        Self {
            query: Some(query),
            ..self.clone()
        }
    }

    /// Returns the URL without user and password.
    #[must_use]
    pub fn without_user(&self) -> Self {
        Self {
            userinfo: None,
            ..self.clone()
        }
    }

    /// Returns the URL at the origin of another one: with its scheme and its port.
    #[must_use]
    pub fn at_origin_of(&self, other: &Self) -> Self {
        Self {
            scheme: other.scheme,
            host: other.host.clone(),
            port: other.port,
            ..self.clone()
        }
    }

    /// Returns the URL without its query.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self {
            query: None,
            ..self.clone()
        }
    }

    /// Returns the URL of the root of its origin, without user and password.
    #[must_use]
    pub fn origin_url(&self) -> Self {
        Self {
            userinfo: None,
            path: "/".to_owned(),
            query: None,
            ..self.clone()
        }
    }

    /// Returns the path, percent-encoded; it begins with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Tells whether the host is this machine: `localhost` or an address of the loopback.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        let address: Option<IpAddr> = host.parse().ok();
        host == "localhost" || address.is_some_and(|address| address.is_loopback())
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host in lower case; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, which the scheme gives where the URL does not.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.scheme.default_port())
    }

    /// Returns the host, with the port where the URL has one.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Returns whom credentials for this URL are for.
    pub fn origin(&self) -> Origin {
        Origin {
            scheme: self.scheme,
            host: self.host.clone(),
            port: self.port(),
        }
    }

    /// Returns user and password, decoded, if the URL has any.
    pub fn userinfo(&self) -> Option<(String, String)> {
        let userinfo = self.userinfo.as_deref()?;
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Some((decoded(user), decoded(password)))
    }

    /// Returns the last component of the path, decoded; nothing when there is none.
    pub fn file_name(&self) -> Option<String> {
        let path = decoded(&self.path);
        let name = path.trim_end_matches('/').rsplit('/').next()?;
        (!name.is_empty() && name != ".").then(|| name.to_owned())
    }

    /// Returns the URL as it is requested: without user and password.
    pub fn without_userinfo(&self) -> String {
        let query = self.query.iter().flat_map(|query| ["?", query]);
        let query: String = query.collect();
        let scheme = self.scheme.as_str();
        format!("{scheme}://{}{}{query}", self.authority(), self.path)
    }

    /// Returns the whole URL, with user and password.
    pub fn with_userinfo(&self) -> String {
        match &self.userinfo {
            None => self.without_userinfo(),
            Some(userinfo) => {
                let scheme = format!("{}://", self.scheme.as_str());
                let rest = self.without_userinfo();
                let rest = rest.strip_prefix(&scheme).unwrap_or(&rest);
                format!("{scheme}{userinfo}@{rest}")
            }
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_userinfo())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{}://{host}:{port}", scheme.as_str())
    }
}

fn before(text: &str, end: char) -> &str {
    text.split_once(end).map_or(text, |(before, _)| before)
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
fn split_port(text: &str) -> Result<(&str, Option<u16>), UrlError> {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    let (address, rest) = text.split_at(after_bracket);
    let Some((name, port)) = rest.rsplit_once(':') else {
        return Ok((text, None));
    };
    let host = if address.is_empty() { name } else { address };
    if port.is_empty() {
        return Ok((host, None));
    }
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| port.parse().ok()).flatten();
    Ok((host, Some(number.ok_or(UrlError::Port)?)))
}

fn checked_host(host: &str) -> Result<String, UrlError> {
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let bad = match inside {
        Some(address) => address
            .chars()
            .find(|c| !c.is_ascii_hexdigit() && !matches!(c, ':' | '.')),
        None => host
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_')),
    };
    match bad {
        Some(character) => Err(UrlError::Host(character)),
        None => Ok(host.to_ascii_lowercase()),
    }
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Resolves the `.` and `..` of an absolute path (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let components: Vec<_> = path.split('/').skip(1).collect();
    let last = components.len().saturating_sub(1);
    for (at, component) in components.into_iter().enumerate() {
        match component {
            "." | ".." => {
                if component == ".." {
                    kept.pop();
                }
                if at == last {
                    kept.push("");
                }
            }
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}
