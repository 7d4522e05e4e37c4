//! One host, asked as somebody: logins, tokens, plain HTTP where that is all there is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use fetch::{Attempts, Body, Credentials, FetchError, Method, Request, Response, Scheme, Url};
use oci::Reference;

use crate::answer::{discard, read_all};
use crate::challenge::{Challenge, challenges};
use crate::client::Core;
use crate::error::Failure;
use crate::host::{Host, Login};
use crate::limits::MIRROR_ATTEMPTS;
use crate::scope::Scopes;
use crate::token::{Token, TokenKey};

/// Where a session learns who we are.
#[derive(Debug, Clone)]
pub(crate) enum LoginSource {
    /// It is known.
    Given(Login),
    /// The configuration says it for a repository, once the host asks for it.
    For(Reference),
}

/// A host, asked for one repository.
pub(crate) struct Session {
    pub(crate) core: Arc<Core>,
    pub(crate) host: Host,
    login_source: LoginSource,
    login: OnceLock<Login>,
    /// Whether it stands in for another host and could not be reached: it is not waited for again and again.
    is_given_up: AtomicBool,
}

impl Session {
    pub(crate) fn new(core: &Arc<Core>, host: Host, login_source: LoginSource) -> Self {
        Self {
            core: Arc::clone(core),
            host,
            login_source,
            login: OnceLock::new(),
            is_given_up: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Returns the attempts for something that is asked of the host. Where another host can be asked it gets few.
    pub(crate) fn attempts(&self) -> Attempts {
        if self.host.is_mirror {
            Attempts::at_most(MIRROR_ATTEMPTS)
        } else {
            Attempts::new()
        }
    }

    /// Returns the base of the host's URLs, in the scheme by which it is reached.
    pub(crate) fn base(&self) -> Result<Url, Failure> {
        let base = &self.host.base;
        if !self.host.tls.plain_fallback || base.scheme() == Scheme::Http {
            return Ok(base.clone());
        }
        let authority = base.authority();
        let known = self.core.known().schemes.get(&authority).copied();
        if let Some(scheme) = known {
            return Ok(base.with_scheme(scheme));
        }
        let scheme = self.find_scheme()?;
        self.core.known().schemes.insert(authority, scheme);
        Ok(base.with_scheme(scheme))
    }

    /// Finds out whether the host speaks TLS. Nothing secret is sent.
    fn find_scheme(&self) -> Result<Scheme, Failure> {
        // What is said on this machine to itself nobody else hears, and a registry that answers plain HTTP is known
        // with one connection less, and without what TLS needs.
        if self.host.base.is_loopback() && self.is_plain_registry()? {
            return Ok(Scheme::Http);
        }
        match self.knock(Scheme::Https)? {
            Ok(response) => discard(response),
            Err(error) if error.is_no_tls_there() => {
                return match self.knock(Scheme::Http)? {
                    Ok(response) => {
                        discard(response);
                        Ok(Scheme::Http)
                    }
                    Err(FetchError::Cancelled) => Err(Failure::Cancelled),
                    Err(_) => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Scheme::Https)
    }

    /// Tells whether what answers plain HTTP says what a registry says there (distribution-spec, "Determining
    /// Support"). A server that wants TLS says something else or nothing.
    fn is_plain_registry(&self) -> Result<bool, Failure> {
        match self.knock(Scheme::Http)? {
            Ok(response) => {
                let says_so = matches!(response.status(), 200 | 401);
                let is_plain = says_so && response.url().scheme() == Scheme::Http;
                discard(response);
                Ok(is_plain)
            }
            Err(FetchError::Cancelled) => Err(Failure::Cancelled),
            Err(_) => Ok(false),
        }
    }

    /// Asks for the base of the host's URLs, once.
    fn knock(&self, scheme: Scheme) -> Result<Result<Response, FetchError>, Failure> {
        let url = self.host.base.with_scheme(scheme).below("");
        let url =
            url.map_err(|error| Failure::malformed("nothing: its URL is malformed", error))?;
        let request = Request::new(Method::Get, url).tls(self.core.tls(&self.host));
        Ok(self.core.client.send_once(&request, None))
    }

    /// Returns a request for what is below the base of the repository: `manifests/latest`.
    pub(crate) fn request(&self, method: Method, rest: &str) -> Result<Request, Failure> {
        let rest = format!("{}/{rest}", self.host.repository);
        self.request_below(method, &rest)
    }

    /// Returns a request for what is below the base of the host.
    pub(crate) fn request_below(&self, method: Method, rest: &str) -> Result<Request, Failure> {
        let base = self.base()?;
        let url = base
            .below(rest)
            .map_err(|error| Failure::malformed("nothing: its URL is malformed", error))?;
        Ok(self.prepared(method, url, &base))
    }

    /// Returns a request that asks whether somebody is there.
    pub(crate) fn base_request(&self) -> Result<Request, Failure> {
        self.request_below(Method::Get, "")
    }

    /// Returns a request for a URL that the host named. What is for the host goes nowhere else.
    pub(crate) fn request_at(&self, method: Method, url: &Url) -> Result<Request, Failure> {
        Ok(self.prepared(method, url.without_user(), &self.base()?))
    }

    fn prepared(&self, method: Method, url: Url, base: &Url) -> Request {
        let tls = self.core.tls(&self.host);
        if url.origin() != base.origin() {
            return Request::new(method, url)
                .tls(tls.elsewhere())
                .named_by(base);
        }
        let mut request = Request::new(method, url.without_user()).tls(tls);
        for (name, value) in &self.host.headers {
            request = request.own_header(name, value);
        }
        request
    }

    /// Sends a request until there is an answer that will not change; its status may be an error.
    pub(crate) fn ask(
        &self,
        request: &Request,
        body: Option<&dyn Body>,
        scopes: &Scopes,
    ) -> Result<Response, Failure> {
        let mut attempts = self.attempts();
        loop {
            match self.send(request, body, scopes) {
                Ok(response) if response.is_passing() => {
                    let asked_for = response.retry_after();
                    let (host, status) = (response.url().authority(), response.status());
                    let why = format_args!("`{host}` answered {status}");
                    if !self.core.client.pause(&mut attempts, asked_for, &why)? {
                        return Ok(response);
                    }
                }
                Ok(response) => return unencoded(response),
                Err(failure) => {
                    self.core.pause(&mut attempts, failure)?;
                }
            }
        }
    }

    /// Asks as [`Session::ask`] does, and reads the whole body of an answer that is 200. A connection that breaks
    /// meanwhile is made again.
    pub(crate) fn read(
        &self,
        request: &Request,
        scopes: &Scopes,
        what: &'static str,
        limit_bytes: u64,
    ) -> Result<(Response, Vec<u8>), Failure> {
        let mut attempts = Attempts::new();
        loop {
            let mut response = self.ask(request, None, scopes)?;
            if response.status() != 200 {
                return Ok((response, Vec::new()));
            }
            match read_all(&mut response, what, limit_bytes) {
                Ok(bytes) => return Ok((response, bytes)),
                Err(failure) => {
                    self.core.pause(&mut attempts, failure)?;
                }
            }
        }
    }

    /// Sends a request once, and once more if the host wants to know who we are; again where others had used up what was
    /// known by then.
    pub(crate) fn send(
        &self,
        request: &Request,
        body: Option<&dyn Body>,
        scopes: &Scopes,
    ) -> Result<Response, Failure> {
        let base = self.base()?;
        // An upload may lead to another server, to which we are nobody.
        if request.url().origin() != base.origin() {
            return self.send_as(request, body, None);
        }
        let known = self.core.known().challenges.get(&base.origin()).cloned();
        let answer = match known {
            Some(challenge) => self.answer(&challenge, scopes, &base, None)?,
            None => None,
        };
        let credentials = answer.map(|answer| self.told_to_all(answer));
        let mut refused = credentials;
        let mut response = self.send_as(request, body, refused.clone())?;
        loop {
            // What another server says, to which the host led, is not for the host's login.
            if response.status() != 401 || response.url().origin() != base.origin() {
                return Ok(response);
            }
            let Some(challenge) = chosen_challenge(&response)? else {
                return Ok(response);
            };
            let answer = self.answer(&challenge, scopes, &base, refused.as_ref())?;
            let answer = answer.filter(|answer| Some(&answer.credentials) != refused.as_ref());
            let Some(answer) = answer else {
                return Ok(response);
            };
            discard(response);
            let mut general = challenge;
            // The next request is about something else.
            general.parameters.remove("scope");
            general.parameters.remove("error");
            self.core.known().challenges.insert(base.origin(), general);
            let is_fresh = answer.token.is_some();
            response = self.send_as(request, body, Some(answer.credentials.clone()))?;
            // Some tokens are good for a few requests: this one has it first, or those beside it could use it up.
            let credentials = self.told_to_all(answer);
            if is_fresh {
                return Ok(response);
            }
            refused = Some(credentials);
        }
    }

    /// Lets other requests have a token, too.
    fn told_to_all(&self, answer: Answer) -> Credentials {
        if let Some((key, token)) = answer.token {
            self.core.known().tokens.put(key, token, Instant::now());
        }
        answer.credentials
    }

    fn send_as(
        &self,
        request: &Request,
        body: Option<&dyn Body>,
        credentials: Option<Credentials>,
    ) -> Result<Response, Failure> {
        let request = match credentials {
            Some(credentials) => &request.clone().credentials(credentials),
            None => request,
        };
        let response = self.core.client.send_once(request, body);
        if response.is_ok() {
            self.core.known().answered.insert(request.url().origin());
        }
        response.map_err(|error| match error {
            FetchError::Body { source, .. } => Failure::Content(source),
            other => other.without_queries().into(),
        })
    }

    /// Returns what answers a challenge, and is not what was refused.
    fn answer(
        &self,
        challenge: &Challenge,
        scopes: &Scopes,
        base: &Url,
        refused: Option<&Credentials>,
    ) -> Result<Option<Answer>, Failure> {
        let origin = base.origin();
        match (self.login()?, challenge.scheme.as_str()) {
            (Login::RegistryToken(token), _) => Ok(Some(Credentials::bearer(origin, token).into())),
            (Login::Basic { user, password }, "basic") => {
                Ok(Some(Credentials::basic(origin, user, password).into()))
            }
            (login, "bearer") => {
                let mut scopes = scopes.clone();
                scopes.add_text(challenge.parameter("scope").unwrap_or_default());
                let key = TokenKey::new(challenge, base, scopes, login.clone())?;
                self.token(key, base, refused).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn token(
        &self,
        key: TokenKey,
        base: &Url,
        refused: Option<&Credentials>,
    ) -> Result<Answer, Failure> {
        let of = |text: &str| Credentials::bearer(base.origin(), text);
        // Where one token is no longer good, another one that was had for the like may be as old.
        let known = match refused {
            None => self.core.known().tokens.get(&key, Instant::now()),
            Some(_) => None,
        };
        if let Some(token) = known {
            return Ok(of(&token.text).into());
        }
        let token = self.fetched(&key, base)?;
        Ok(Answer {
            credentials: of(&token.text),
            token: Some((key, token)),
        })
    }

    /// Gets a token, while it is shown what for.
    fn fetched(&self, key: &TokenKey, base: &Url) -> Result<Token, Failure> {
        let fetch = || key.fetch(&self.core, &self.host, base);
        let Some(shown) = &self.core.token_shown else {
            return fetch();
        };
        let name = format!("{} token for {}", key.scopes.shown(), base.authority());
        let mut fetched = None;
        let mut work = || {
            let result = fetched.insert(fetch());
            result.as_ref().map(drop).map_err(ToString::to_string)
        };
        shown(&name, &mut work);
        fetched.unwrap_or_else(fetch)
    }

    /// Returns who we are. The configuration is asked when a host wants to know it, and not before.
    fn login(&self) -> Result<&Login, Failure> {
        if let Some(login) = self.login.get() {
            return Ok(login);
        }
        let login = match &self.login_source {
            LoginSource::Given(login) => login.clone(),
            LoginSource::For(repository) => {
                let hosts = &self.core.hosts;
                hosts
                    .login(repository, &self.host)
                    .map_err(Failure::Login)?
            }
        };
        Ok(self.login.get_or_init(|| login))
    }
}

/// What answers a challenge.
struct Answer {
    credentials: Credentials,
    /// The token that they are, if nobody else knows it yet.
    token: Option<(TokenKey, Token)>,
}

impl From<Credentials> for Answer {
    fn from(credentials: Credentials) -> Self {
        Self {
            credentials,
            token: None,
        }
    }
}

/// Refuses content that was compressed on its way: its digest and size would be those of other bytes.
fn unencoded(response: Response) -> Result<Response, Failure> {
    let is_content = matches!(response.status(), 200 | 206);
    match response.header("content-encoding") {
        Some(encoding) if is_content && !encoding.eq_ignore_ascii_case("identity") => {
            Err(Failure::Encoded {
                encoding: crate::answer::shown(encoding),
            })
        }
        _ => Ok(response),
    }
}

/// Returns the challenge that is answered; none when none can be, by somebody who we are.
fn chosen_challenge(response: &Response) -> Result<Option<Challenge>, Failure> {
    let headers = response.headers("www-authenticate");
    let all: Vec<_> = headers.into_iter().flat_map(challenges).collect();
    let of = |scheme: &str| all.iter().find(|challenge| challenge.scheme == scheme);
    if let Some(bearer) = of("bearer").filter(|it| it.parameter("realm").is_some()) {
        return Ok(Some(bearer.clone()));
    }
    if let Some(known) = of("basic").or_else(|| of("bearer")) {
        return Ok(Some(known.clone()));
    }
    if all.is_empty() {
        return Ok(None);
    }
    let schemes: Vec<_> = all
        .iter()
        .map(|challenge| challenge.scheme.as_str())
        .collect();
    Err(Failure::Challenge {
        schemes: crate::answer::shown(&schemes.join(", ")),
    })
}
