//! [`Client`]: sends requests, follows redirects, tries again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use ureq::http;
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector as _, DefaultConnector, TcpConnector,
};
use ureq::{Agent, AsSendBody, Proxy, SendBody};

use crate::certificates::Certificates;
use crate::error::FetchError;
use crate::failure::{failure, inside, protocol};
use crate::hop::{Hop, SentBody};
use crate::limits::{ANSWER_LIMIT, CONNECT_LIMIT, HEAD_LIMIT_BYTES, REDIRECT_LIMIT, RESOLVE_LIMIT};
use crate::pace::Pace;
use crate::proxy::Proxies;
use crate::reach::{Guard, Map, Reach, Zones, zone};
use crate::request::{Body, BodyGoes, Downgrade, Request, Response, Tls};
use crate::retry::{Attempts, RetryPolicy};
use crate::tls::{self, ClientError};
use crate::url::{Scheme, Url};
use crate::wait::Waiting;

/// How often it is looked whether the job was cancelled.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// The body of a request that has nothing to send, and must say so.
const NO_BODY: Vec<u8> = Vec::new();

type Answer = Result<http::Response<ureq::Body>, ureq::Error>;

/// What a client is made of.
#[derive(Clone)]
pub struct ClientOptions {
    /// The proxies of the user.
    pub proxies: Proxies,
    /// Which servers are trusted.
    pub certificates: Certificates,
    /// How the client calls itself.
    pub user_agent: String,
    /// How often and after what pauses a request is sent again.
    pub retry: RetryPolicy,
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

/// Fetches files. Connections are kept and used again.
pub struct Client {
    shared: Arc<Shared>,
    watcher: Watcher,
}

/// What the client and the thread that notices the end of the job have in common.
struct Shared {
    options: ClientOptions,
    /// One agent for each way in which connections are protected, and for where they may lead: no connection made in
    /// one way is used in another. Any thread that sends a request may be the first to need one.
    agents: Mutex<BTreeMap<(Tls, Reach), Agent>>,
    map: Map,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.options.fmt(f)
    }
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    ///
    /// Fails when the file of certificates cannot be used, or no thread can be had.
    pub fn open(options: ClientOptions) -> Result<Self, ClientError> {
        Self::with_zones(options, zone)
    }

    /// Makes a client to which addresses are what somebody else says.
    pub(crate) fn with_zones(options: ClientOptions, zones: Zones) -> Result<Self, ClientError> {
        let shared = Arc::new(Shared {
            options,
            agents: Mutex::default(),
            map: Map::new(zones),
        });
        shared.agent(&Tls::default(), Reach::Everywhere)?;
        let watcher = Watcher::start(&shared)?;
        Ok(Self { shared, watcher })
    }

    /// Sends a request and returns the head of the answer, whatever its status; only where a server may say something
    /// else in a moment it is asked again, and at last that is an error.
    ///
    /// # Errors
    ///
    /// Fails when nobody answers, or what answers cannot be trusted or leads astray.
    pub fn send(&self, request: &Request) -> Result<Response, FetchError> {
        self.attempt(|| {
            let response = self.follow(request, None)?;
            if response.is_passing() {
                response.check_status()?;
            }
            Ok(response)
        })
    }

    /// Sends a request once, with a body if it has one, and returns the head of the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// Fails when nobody answers, what answers cannot be trusted or leads astray, or the body cannot be read.
    pub fn send_once(
        &self,
        request: &Request,
        body: Option<&dyn Body>,
    ) -> Result<Response, FetchError> {
        match self.follow(request, body) {
            // A connection that was closed for the end of the job fails in its own way.
            Err(_) if self.is_stopped() => Err(FetchError::Cancelled),
            result => result,
        }
    }

    /// Does something until it succeeds, or fails in a way that will not change.
    pub(crate) fn attempt<T>(
        &self,
        mut work: impl FnMut() -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let mut attempts = Attempts::new();
        loop {
            let failure = match work() {
                Ok(done) => return Ok(done),
                Err(_) if self.is_stopped() => return Err(FetchError::Cancelled),
                Err(error) => error,
            };
            let asked_for = failure.retry_after();
            if !failure.is_passing() || !self.pause(&mut attempts, asked_for, &failure)? {
                return Err(failure);
            }
        }
    }

    /// Waits before the next attempt, and tells whether there is to be one; `why` is what the last one came to.
    ///
    /// # Errors
    ///
    /// Fails when the job was cancelled.
    pub fn pause(
        &self,
        attempts: &mut Attempts,
        asked_for: Option<Duration>,
        why: &dyn fmt::Display,
    ) -> Result<bool, FetchError> {
        let policy = &self.shared.options.retry;
        let Some(pause) = attempts.next(policy, asked_for) else {
            return Ok(false);
        };
        self.wait_for(pause, why)?;
        Ok(true)
    }

    /// Waits for so long, and says why.
    ///
    /// # Errors
    ///
    /// Fails when the job was cancelled.
    pub fn wait_for(&self, pause: Duration, why: &dyn fmt::Display) -> Result<(), FetchError> {
        tracing::debug!(%why, ?pause, "trying again");
        let policy = &self.shared.options.retry;
        if let Some(told) = &policy.told {
            told(why, pause);
        }
        match &policy.wait {
            Some(wait) => {
                wait(pause);
                Ok(())
            }
            None => self.wait(pause),
        }
    }

    fn wait(&self, pause: Duration) -> Result<(), FetchError> {
        let end = Instant::now() + pause;
        loop {
            if self.is_stopped() {
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
    pub(crate) fn follow(
        &self,
        request: &Request,
        body: Option<&dyn Body>,
    ) -> Result<Response, FetchError> {
        let mut hop = Hop::first(request);
        for _ in 0..=REDIRECT_LIMIT {
            let response = self.once(request, &hop, body)?;
            let Some(location) = response.location_for(request.method) else {
                return Ok(response);
            };
            let next = redirected(&hop.url, location, request.downgrade)?;
            if next.origin() != hop.url.origin() {
                if request.body_goes == BodyGoes::ToOrigin {
                    let url = hop.url;
                    return Err(FetchError::Elsewhere { url, target: next });
                }
                hop.is_own = false;
            }
            tracing::debug!(url = %hop.url.without_query(), next = %next.without_query(), "redirected");
            hop.url = next;
        }
        Err(FetchError::TooManyRedirects {
            url: request.url.clone(),
            limit: REDIRECT_LIMIT,
        })
    }

    fn once(
        &self,
        request: &Request,
        hop: &Hop,
        body: Option<&dyn Body>,
    ) -> Result<Response, FetchError> {
        if self.is_stopped() {
            return Err(FetchError::Cancelled);
        }
        let answer = if request.method.has_body() {
            self.run_with(request, hop, body.unwrap_or(&NO_BODY))?
        } else {
            self.run(request, hop, hop.head(request).body(()))?
        };
        let answer = answer.map_err(|error| failure(&hop.url, error));
        let (head, body) = answer?.into_parts();
        Ok(Response {
            url: hop.url.clone(),
            status: head.status,
            headers: head.headers,
            body: body.into_reader(),
            pace: Pace::new(self.shared.options.retry.slowest),
            is_elsewhere: !hop.is_own,
        })
    }

    fn run_with(
        &self,
        request: &Request,
        hop: &Hop,
        body: &dyn Body,
    ) -> Result<Answer, FetchError> {
        let unreadable = |source| FetchError::Body {
            url: hop.url.clone(),
            source,
        };
        let mut reader = SentBody::new(
            body.open().map_err(unreadable)?,
            self.shared.options.retry.slowest,
        );
        let head = hop
            .head(request)
            .header(http::header::CONTENT_LENGTH, body.size_bytes());
        let answer = self.run(request, hop, head.body(SendBody::from_reader(&mut reader)))?;
        match reader.failure {
            Some(source) => Err(unreadable(source)),
            None => Ok(answer),
        }
    }

    fn run<B: AsSendBody>(
        &self,
        request: &Request,
        hop: &Hop,
        prepared: http::Result<http::Request<B>>,
    ) -> Result<Answer, FetchError> {
        let url = &hop.url;
        let prepared = prepared.map_err(|error| protocol(url, error))?;
        let refused = |source| FetchError::Certificates {
            url: url.clone(),
            source,
        };
        let tls = hop.tls(request);
        let proxy = self.proxy(url, &tls)?;
        let reach = self.reach(request, hop)?;
        // A proxy is the user's, wherever it is, and resolves the names itself.
        let reach = if proxy.is_some() {
            Reach::Everywhere
        } else {
            reach
        };
        let agent = self.shared.agent(&tls, reach).map_err(refused)?;
        let prepared = agent
            .configure_request(prepared)
            .proxy(proxy)
            .timeout_recv_response(Some(request.answer_limit))
            .build();
        Ok(agent.run(prepared))
    }

    /// Returns where the request may lead, which is everywhere if it was the user who named the URL.
    fn reach(&self, request: &Request, hop: &Hop) -> Result<Reach, FetchError> {
        let named_by = match &request.named_by {
            Some(server) => server,
            None if hop.is_own => return Ok(Reach::Everywhere),
            None => &request.url,
        };
        let map = &self.shared.map;
        let reach = map.reach(named_by, &hop.url);
        map.check_literal(reach, &hop.url)
            .map_err(|source| inside(&hop.url, source))?;
        Ok(reach)
    }

    fn proxy(&self, url: &Url, tls: &Tls) -> Result<Option<Proxy>, FetchError> {
        let refuse = |source| FetchError::Proxy {
            url: url.clone(),
            source,
        };
        let Some(proxy) = self.shared.options.proxies.of(url).map_err(refuse)? else {
            return Ok(None);
        };
        // The connection to the proxy would be protected in the same way as the one to the server.
        if proxy.scheme() == Scheme::Https && *tls != tls.elsewhere() {
            return Err(FetchError::TlsProxy { url: url.clone() });
        }
        Proxy::new(&proxy.with_userinfo())
            .map(Some)
            .map_err(|error| protocol(url, error))
    }

    /// Tells whether the job was cancelled.
    pub fn is_stopped(&self) -> bool {
        (self.shared.options.stop)()
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
    fn start(shared: &Arc<Shared>) -> Result<Self, ClientError> {
        let (alive, ended) = channel::<()>();
        let shared = Arc::clone(shared);
        let watch = move || {
            while ended.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if (shared.options.stop)() {
                    shared.shutdown();
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

impl Shared {
    /// Returns what makes connections that are protected so.
    fn agent(&self, tls: &Tls, reach: Reach) -> Result<Agent, ClientError> {
        let key = (tls.clone(), reach);
        if let Some(agent) = self.agents().get(&key) {
            return Ok(agent.clone());
        }
        // Made without the lock, since files are read; of two threads that are here at once one does so for nothing.
        let map = self.map.clone();
        let agent = new_agent(&self.options, tls, Guard { map, reach })?;
        Ok(self.agents().entry(key).or_insert(agent).clone())
    }

    fn agents(&self) -> MutexGuard<'_, BTreeMap<(Tls, Reach), Agent>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shutdown(&self) {
        let agents: Vec<_> = self.agents().values().cloned().collect();
        for agent in agents {
            agent.shutdown();
        }
    }
}

fn new_agent(options: &ClientOptions, tls: &Tls, guard: Guard) -> Result<Agent, ClientError> {
    let tls = tls::tls_config(&options.certificates, tls)?;
    let handshake = tls::handshake(&tls)?;
    let config = Agent::config_builder()
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
        .timeout_per_read(Some(options.retry.slowest.silence))
        .timeout_per_write(Some(options.retry.slowest.silence));
    let config = config.build();
    Ok(match handshake {
        None => {
            let connector = DefaultConnector::default().chain(Waiting);
            Agent::with_parts(config, connector, guard)
        }
        Some(handshake) => {
            let connector =
                ().chain(ConnectProxyConnector::default())
                    .chain(TcpConnector::default())
                    .chain(handshake)
                    .chain(Waiting);
            Agent::with_parts(config, connector, guard)
        }
    })
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
