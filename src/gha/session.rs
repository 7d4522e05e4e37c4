//! Requests that are sent until there is an answer that will not change, within the time that the user allows.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fetch::{
    Attempts, Body, Client, ClientError, ClientOptions, Credentials, FetchError, Method, Request,
    Response, UrlError,
};
use serde::Serialize;

use crate::error::{Failure, GhaError};
use crate::settings::Settings;

type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// The service, as one job asks it.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    /// Says whether the job was cancelled, whatever time is left.
    is_cancelled: Stop,
    limit: Option<Duration>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("settings", &self.settings)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Opens one that ends after so long, if anything is said about that.
    pub(crate) fn open(
        settings: Settings,
        options: ClientOptions,
        limit: Option<Duration>,
    ) -> Result<Self, ClientError> {
        let is_cancelled = Arc::clone(&options.stop);
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let stop = Arc::clone(&is_cancelled);
        let is_over = move || stop() || end.is_some_and(|end| Instant::now() >= end);
        let client = Client::open(ClientOptions {
            stop: Arc::new(is_over),
            ..options
        })?;
        Ok(Self {
            client,
            settings,
            is_cancelled,
            limit,
        })
    }

    /// Returns a request for what is below the URL of the service, with the job's token.
    pub(crate) fn request(&self, method: Method, rest: &str) -> Result<Request, Failure> {
        let url = &self.settings.url;
        let below = url.below(rest).map_err(unsound)?;
        Ok(Request::new(method, below).credentials(self.bearer()))
    }

    /// Returns the job's token, for the service alone.
    pub(crate) fn bearer(&self) -> Credentials {
        Credentials::bearer(self.settings.url.origin(), self.settings.token.expose())
    }

    /// Returns a request for a URL that the service named. The token is not for it.
    pub(crate) fn request_at(&self, method: Method, url: &fetch::Url) -> Request {
        Request::new(method, url.clone()).named_by(&self.settings.url)
    }

    /// Sends JSON.
    pub(crate) fn ask_with<T: Serialize>(
        &self,
        request: &Request,
        message: &T,
    ) -> Result<Response, Failure> {
        let body = serde_json::to_vec(message)
            .map_err(|error| Failure::malformed("nothing: the question is no JSON", error))?;
        let request = request.clone().header("content-type", "application/json");
        self.ask(&request, Some(&body))
    }

    /// Sends a request until there is an answer that will not change; its status may be an error.
    pub(crate) fn ask(
        &self,
        request: &Request,
        body: Option<&dyn Body>,
    ) -> Result<Response, Failure> {
        let mut attempts = Attempts::new();
        loop {
            match self.client.send_once(request, body) {
                Ok(response) if response.is_passing() => {
                    let asked_for = response.retry_after();
                    let host = response.url().authority();
                    let why = format_args!("`{host}` answered {}", response.status());
                    if !self.client.pause(&mut attempts, asked_for, &why)? {
                        return Ok(response);
                    }
                }
                Ok(response) => return Ok(response),
                Err(error) => self.pause(&mut attempts, error)?,
            }
        }
    }

    /// Waits before the next attempt, or returns the failure of the last one.
    pub(crate) fn pause(&self, attempts: &mut Attempts, error: FetchError) -> Result<(), Failure> {
        let error = error.at_origins();
        if error.is_passing() && self.client.pause(attempts, None, &error)? {
            return Ok(());
        }
        Err(error.into())
    }

    /// Waits for another job.
    pub(crate) fn wait(&self, pause: Duration, why: &Failure) -> Result<(), Failure> {
        Ok(self.client.wait_for(pause, why)?)
    }

    /// Says what was to be done when something failed, and whether it failed for want of time.
    pub(crate) fn error<A: Into<String>>(&self, asked: A, failure: Failure) -> GhaError {
        let is_over = self.client.is_stopped();
        let failure = match (failure, self.limit) {
            (_, _) if is_over && (self.is_cancelled)() => Failure::Cancelled,
            (_, Some(limit)) if is_over => Failure::TimedOut { limit },
            (Failure::Fetch(FetchError::Cancelled), _) => Failure::Cancelled,
            (failure, _) => failure,
        };
        GhaError {
            asked: asked.into(),
            host: self.settings.url.authority(),
            failure,
        }
    }
}

/// Says that a URL which was to be asked for cannot be one.
pub(crate) fn unsound(error: UrlError) -> Failure {
    Failure::malformed("nothing: its URL is malformed", error)
}
