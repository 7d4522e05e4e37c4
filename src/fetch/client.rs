//! [`Client`]: sends requests, follows redirects, tries again.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use ureq::http;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy, Timeout};

use crate::error::{FetchError, Phase};
use crate::limits::{
    ANSWER_LIMIT, CONNECT_LIMIT, HEAD_LIMIT_BYTES, REDIRECT_LIMIT, RESOLVE_LIMIT, SILENCE_LIMIT,
};
use crate::proxy::Proxies;
use crate::request::{Credentials, Downgrade, Method, Request, Response};
use crate::retry;
use crate::url::{Scheme, Url};

/// How often it is looked whether the job was cancelled.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// Which certificates of servers are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Certificates {
    /// Those that the machine trusts.
    #[default]
    System,
    /// Those that a file of PEM texts names, and no other (`SSL_CERT_FILE`).
    File(PathBuf),
}

/// What a client is made of.
#[derive(Clone)]
pub struct ClientOptions {
    /// The proxies of the user.
    pub proxies: Proxies,
    /// Which servers are trusted.
    pub certificates: Certificates,
    /// How the client calls itself.
    pub user_agent: String,
    /// Says whether the job was cancelled.
    pub stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("proxies", &self.proxies)
            .field("certificates", &self.certificates)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificates cannot be read.
    #[error("read the certificates in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file of certificates has none.
    #[error("`{}` has no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No thread can be had that notices the end of the job.
    #[error("start a thread that notices the end of the job")]
    Thread(#[source] io::Error),
}

/// Fetches files. Connections are kept and used again.
pub struct Client {
    agent: Agent,
    options: ClientOptions,
    watcher: Watcher,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    ///
    /// Fails when the file of certificates cannot be used, or no thread can be had.
    pub fn open(options: ClientOptions) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(root_certificates(&options.certificates)?)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .user_agent(&options.user_agent)
            .accept("*/*")
            // A compressed file is a file like any other; nothing is to be unpacked on the way.
            .accept_encoding("identity")
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(HEAD_LIMIT_BYTES)
            .timeout_resolve(Some(RESOLVE_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_recv_response(Some(ANSWER_LIMIT))
            .timeout_per_read(Some(SILENCE_LIMIT))
            .timeout_per_write(Some(SILENCE_LIMIT))
            .build()
            .new_agent();
        let watcher = Watcher::start(&agent, &options)?;
        Ok(Self {
            agent,
            options,
            watcher,
        })
    }

    /// Sends a request and returns the head of the answer, whatever its status; only where a server may say something
    /// else in a moment it is asked again, and at last that is an error.
    ///
    /// # Errors
    ///
    /// Fails when nobody answers, or what answers cannot be trusted or leads astray.
    pub fn send(&self, request: &Request) -> Result<Response, FetchError> {
        self.attempt(|| {
            let response = self.follow(request)?;
            if retry::is_passing(response.status()) {
                response.check_status()?;
            }
            Ok(response)
        })
    }

    /// Does something until it succeeds, or fails in a way that will not change.
    pub(crate) fn attempt<T>(
        &self,
        mut work: impl FnMut() -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let mut next = 1;
        loop {
            let failure = match work() {
                Ok(done) => return Ok(done),
                Err(_) if (self.options.stop)() => return Err(FetchError::Cancelled),
                Err(error) => error,
            };
            next += 1;
            let pause = retry::is_worth_another(&failure)
                .then(|| retry::pause(next, failure.retry_after()))
                .flatten();
            let Some(pause) = pause else {
                return Err(failure);
            };
            tracing::debug!(error = %failure, ?pause, "trying again");
            self.wait(pause)?;
        }
    }

    fn wait(&self, pause: Duration) -> Result<(), FetchError> {
        let end = Instant::now() + pause;
        loop {
            if (self.options.stop)() {
                return Err(FetchError::Cancelled);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::park_timeout(left.min(WATCH_INTERVAL));
        }
    }

    /// Sends a request and follows where it leads.
    pub(crate) fn follow(&self, request: &Request) -> Result<Response, FetchError> {
        let mut url = request.url.clone();
        let mut credentials = request.credentials.as_ref();
        for _ in 0..=REDIRECT_LIMIT {
            let response = self.once(request, &url, credentials)?;
            let Some(location) = response.location() else {
                return Ok(response);
            };
            let next = redirected(&url, location, request.downgrade)?;
            if next.origin() != url.origin() {
                // For good: a server that is led back to must not get them either.
                credentials = None;
            }
            tracing::debug!(%url, %next, "redirected");
            url = next;
        }
        Err(FetchError::TooManyRedirects {
            url: request.url.clone(),
            limit: REDIRECT_LIMIT,
        })
    }

    fn once(
        &self,
        request: &Request,
        url: &Url,
        credentials: Option<&Credentials>,
    ) -> Result<Response, FetchError> {
        if (self.options.stop)() {
            return Err(FetchError::Cancelled);
        }
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
        };
        let mut builder = http::Request::builder()
            .method(method)
            .uri(url.without_userinfo());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(value) = credentials.and_then(|credentials| credentials.for_url(url)) {
            builder = builder.header(http::header::AUTHORIZATION, value);
        }
        let prepared = builder.body(()).map_err(|error| protocol(url, error))?;
        let proxy = self.proxy(url)?;
        let prepared = self.agent.configure_request(prepared).proxy(proxy).build();
        let answer = self.agent.run(prepared);
        let (head, body) = answer.map_err(|error| failure(url, error))?.into_parts();
        Ok(Response {
            url: url.clone(),
            status: head.status,
            headers: head.headers,
            body: body.into_reader(),
        })
    }

    fn proxy(&self, url: &Url) -> Result<Option<Proxy>, FetchError> {
        let refuse = |source| FetchError::Proxy {
            url: url.clone(),
            source,
        };
        let Some(proxy) = self.options.proxies.of(url).map_err(refuse)? else {
            return Ok(None);
        };
        Proxy::new(&proxy.with_userinfo())
            .map(Some)
            .map_err(|error| protocol(url, error))
    }

    /// Tells whether the job was cancelled.
    pub(crate) fn is_stopped(&self) -> bool {
        (self.options.stop)()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.watcher.end();
    }
}

/// Notices that the job was cancelled, and then closes every connection: what waits for one fails at once.
struct Watcher {
    /// Dropped to end the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    fn start(agent: &Agent, options: &ClientOptions) -> Result<Self, ClientError> {
        let (alive, ended) = channel::<()>();
        let (agent, stop) = (agent.clone(), Arc::clone(&options.stop));
        let watch = move || {
            while ended.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if stop() {
                    agent.shutdown();
                    return;
                }
            }
        };
        let thread = Builder::new().spawn(watch).map_err(ClientError::Thread)?;
        Ok(Self {
            alive: Some(alive),
            thread: Some(thread),
        })
    }

    fn end(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing that could panic, and there is nobody to tell.
            drop(thread.join());
        }
    }
}

fn root_certificates(certificates: &Certificates) -> Result<RootCerts, ClientError> {
    let Certificates::File(path) = certificates else {
        return Ok(RootCerts::PlatformVerifier);
    };
    let pem = std::fs::read(path).map_err(|source| ClientError::Read {
        path: path.clone(),
        source,
    })?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(ClientError::NoCertificate { path: path.clone() });
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// Returns where a redirect leads, if it may lead there.
fn redirected(from: &Url, location: &str, downgrade: Downgrade) -> Result<Url, FetchError> {
    let target = from.join(location).map_err(|source| FetchError::Redirect {
        url: from.clone(),
        location: location.to_owned(),
        source,
    })?;
    let loses_protection = (from.scheme(), target.scheme()) == (Scheme::Https, Scheme::Http);
    if loses_protection && downgrade == Downgrade::Refuse {
        return Err(FetchError::Downgrade {
            url: from.clone(),
            target,
        });
    }
    Ok(target)
}

fn protocol(url: &Url, error: impl std::error::Error + Send + Sync + 'static) -> FetchError {
    FetchError::Protocol {
        url: url.clone(),
        source: Box::new(error),
    }
}

/// Says in our words why a request failed.
pub(crate) fn failure(url: &Url, error: ureq::Error) -> FetchError {
    let url = url.clone();
    match error {
        ureq::Error::HostNotFound => FetchError::Host { url },
        ureq::Error::Timeout(timeout) => FetchError::Timeout {
            url,
            phase: phase(timeout),
        },
        ureq::Error::ConnectProxyFailed(answer) => FetchError::ProxyRefused { url, answer },
        ureq::Error::Rustls(source) => FetchError::Tls {
            url,
            source: Box::new(source),
        },
        ureq::Error::Io(source) if is_tls(&source) => FetchError::Tls {
            url,
            source: Box::new(source),
        },
        ureq::Error::Io(source) => FetchError::Connect { url, source },
        other => FetchError::Protocol {
            url,
            source: Box::new(other),
        },
    }
}

/// Tells whether an error of a stream is one of TLS.
fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}

fn phase(timeout: Timeout) -> Phase {
    match timeout {
        Timeout::Resolve => Phase::Address,
        Timeout::Connect => Phase::Connection,
        Timeout::RecvBody | Timeout::PerRead => Phase::Body,
        _ => Phase::Answer,
    }
}
