//! What is asked, and the head of what is answered.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ureq::BodyReader;
use ureq::http::{HeaderMap, StatusCode};

use crate::error::FetchError;
use crate::limits::ANSWER_LIMIT;
use crate::pace::Pace;
use crate::retry;
use crate::url::{Origin, Url};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The file.
    Get,
    /// What is known of it.
    Head,
    /// That something is done with what is sent.
    Post,
    /// That what is sent takes the place of what is there.
    Put,
    /// That what is sent is added to what is there.
    Patch,
    /// That it is no more.
    Delete,
}

impl Method {
    /// Tells whether a request of this method has a body, which may be empty.
    pub(crate) const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// What is sent with a request. It can be had more than once, for another attempt.
pub trait Body: Sync {
    /// Returns how many bytes it has.
    fn size_bytes(&self) -> u64;

    /// Opens it from its beginning.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    fn open(&self) -> io::Result<Box<dyn Read + '_>>;
}

impl Body for [u8] {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self))
    }
}

impl Body for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.as_slice()))
    }
}

/// Where the body of a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyGoes {
    /// Wherever the server leads with 307 and 308.
    #[default]
    Anywhere,
    /// To the origin of the request alone: it is secret.
    ToOrigin,
}

/// How the connection to a server is protected, beyond what the client does for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tls {
    /// Files of certificates that are trusted beside those that always are.
    pub authorities: Vec<PathBuf>,
    /// Certificate and key with which we show who we are, as files of PEM texts.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether the server's certificate is not looked at.
    pub unverified: bool,
}

impl Tls {
    /// Returns what of it holds for another server that this one leads to: who we are is not shown to it, and its
    /// certificate is looked at.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self {
            authorities: self.authorities.clone(),
            ..Self::default()
        }
    }
}

/// Whether a server may lead from `https` to `http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Downgrade {
    /// That is an error.
    #[default]
    Refuse,
    /// It may: what comes is checked in another way.
    Allow,
}

/// An `Authorization` header and whom it is for. It cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    origin: Origin,
    authorization: String,
}

impl Credentials {
    /// Takes the value of an `Authorization` header, to be sent to this origin and to no other.
    pub fn new(origin: Origin, authorization: String) -> Self {
        Self {
            origin,
            authorization,
        }
    }

    /// Takes a token for the scheme `Bearer` (RFC 6750).
    pub fn bearer(origin: Origin, token: &str) -> Self {
        Self::new(origin, format!("Bearer {token}"))
    }

    /// Takes user and password for the scheme `Basic` (RFC 7617).
    pub fn basic(origin: Origin, user: &str, password: &str) -> Self {
        let encoded = base64(format!("{user}:{password}").as_bytes());
        Self::new(origin, format!("Basic {encoded}"))
    }

    /// Returns the header's value, for another client than ours. It is secret.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Returns the header's value if it may be sent to this URL.
    pub(crate) fn for_url(&self, url: &Url) -> Option<&str> {
        (self.origin == url.origin()).then_some(&self.authorization)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(for {})", self.origin)
    }
}

/// A request for a file.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(Cow<'static, str>, String)>,
    pub(crate) own_headers: Vec<(String, String)>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) downgrade: Downgrade,
    pub(crate) body_goes: BodyGoes,
    pub(crate) tls: Tls,
    pub(crate) answer_limit: Duration,
    pub(crate) named_by: Option<Url>,
}

impl Request {
    /// Asks for a URL. Its user and password, if it has any, are the credentials.
    pub fn new(method: Method, url: Url) -> Self {
        let credentials = url
            .userinfo()
            .map(|(user, password)| Credentials::basic(url.origin(), &user, &password));
        Self {
            method,
            url,
            headers: Vec::new(),
            own_headers: Vec::new(),
            credentials,
            downgrade: Downgrade::default(),
            body_goes: BodyGoes::default(),
            tls: Tls::default(),
            answer_limit: ANSWER_LIMIT,
            named_by: None,
        }
    }

    /// Adds a header. It goes to every server that the first one leads to, so it must not be secret.
    #[must_use]
    pub fn header<N: Into<Cow<'static, str>>>(mut self, name: N, value: &str) -> Self {
        self.headers.push((name.into(), value.to_owned()));
        self
    }

    /// Adds a header that goes to the origin of the URL alone, and not where it leads to.
    #[must_use]
    pub fn own_header(mut self, name: &str, value: &str) -> Self {
        self.own_headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says how the connection to the origin of the URL is protected.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Says where the body may go.
    #[must_use]
    pub fn body_goes(mut self, body_goes: BodyGoes) -> Self {
        self.body_goes = body_goes;
        self
    }

    /// Says how long the head of the answer may take to come, once all is sent.
    #[must_use]
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.answer_limit = limit;
        self
    }

    /// Says which server named the URL, where it was not the user: one of the Internet leads to nothing inside.
    #[must_use]
    pub fn named_by(mut self, server: &Url) -> Self {
        self.named_by = Some(server.without_user());
        self
    }

    /// Returns the URL that is asked for.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sets the credentials, in place of those of the URL.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Says whether a server may lead from `https` to `http`.
    #[must_use]
    pub fn downgrade(mut self, downgrade: Downgrade) -> Self {
        self.downgrade = downgrade;
        self
    }
}

/// An answer. Its body is read as it arrives.
pub struct Response {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyReader<'static>,
    pub(crate) pace: Pace,
    /// Whether the server that was asked led to another one.
    pub(crate) is_elsewhere: bool,
}

impl Response {
    /// Returns the URL that answered, after all redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Tells whether another server answered than the one that was asked.
    pub fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Returns a header; nothing when it is not there, or is no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns every header of this name that is text.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).collect()
    }

    /// Returns how long the server asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(self.header("retry-after"), self.header("date"))
    }

    /// Returns what a status means, where it is a known one.
    pub fn reason(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or_default()
    }

    /// Tells whether the server may answer something else in a moment: 408, 429, and what is wrong with itself.
    pub fn is_passing(&self) -> bool {
        retry::is_passing(self.status())
    }

    /// Returns the error that a status from 400 on is.
    ///
    /// # Errors
    ///
    /// Fails when the server did not give what was asked for.
    pub fn check_status(&self) -> Result<(), FetchError> {
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return Ok(());
        }
        Err(FetchError::Status {
            url: self.url.clone(),
            status: self.status(),
            reason: self.reason(),
            retry_after: self.retry_after(),
        })
    }

    /// Returns where the answer leads, if it is a redirect of a request of this method. What changes something is
    /// done elsewhere only where the server says that nothing of the request is to change (RFC 9110, section 15.4).
    pub(crate) fn location_for(&self, method: Method) -> Option<&str> {
        let is_reading = matches!(method, Method::Get | Method::Head);
        match self.status() {
            307 | 308 => self.header("location"),
            301..=303 if is_reading => self.header("location"),
            _ => None,
        }
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = Instant::now();
        let count = self.body.read(buffer)?;
        self.pace.took(asked.elapsed(), count)?;
        Ok(count)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: a server may have set a cookie.
        f.debug_struct("Response")
            .field("url", &self.url)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Returns bytes as base64 with padding: RFC 4648, section 4.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = (bits >> (18 - 6 * at)) & 63;
            let letter = ALPHABET.get(digit as usize).copied().unwrap_or(b'=');
            text.push(if at <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{fb}\u{ff}", "w7vDvw=="),
            ("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn credentials_are_for_one_origin_and_are_not_shown() {
        let url = |text| Url::parse(text).unwrap();
        let credentials = Credentials::bearer(url("https://e.com/").origin(), "secret");
        assert_eq!(
            credentials.for_url(&url("https://e.com/x")),
            Some("Bearer secret")
        );
        for other in ["http://e.com/", "https://e.com:8/", "https://sub.e.com/"] {
            assert_eq!(credentials.for_url(&url(other)), None, "{other}");
        }
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials(for https://e.com:443)"
        );
    }

    #[test]
    fn user_and_password_of_a_url_are_its_credentials() {
        let request = Request::new(Method::Get, Url::parse("http://u:p@e.com/").unwrap());
        let own = Url::parse("http://e.com/").unwrap();
        let sent = request
            .credentials
            .as_ref()
            .and_then(|own_| own_.for_url(&own));
        assert_eq!(sent, Some("Basic dTpw"));
        assert!(!format!("{request:?}").contains("dTpw"));
    }
}
