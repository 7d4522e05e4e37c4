//! One of the servers that a request is sent to, and what is for it.

use std::io::{self, Read};
use std::time::Instant;

use ureq::http;

use crate::pace::{Pace, Slowest};
use crate::request::{Method, Request, Tls};
use crate::url::Url;

/// One of the servers that a request is sent to.
pub(crate) struct Hop {
    pub(crate) url: Url,
    /// Whether no other origin was on the way: a server that is led back to must not get what is secret either.
    pub(crate) is_own: bool,
}

impl Hop {
    pub(crate) fn first(request: &Request) -> Self {
        Self {
            url: request.url.clone(),
            is_own: true,
        }
    }

    pub(crate) fn head(&self, request: &Request) -> http::request::Builder {
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        let mut builder = http::Request::builder()
            .method(method)
            .uri(self.url.without_userinfo());
        for (name, value) in &request.headers {
            builder = builder.header(name.as_ref(), value);
        }
        if !self.is_own {
            return builder;
        }
        for (name, value) in &request.own_headers {
            builder = builder.header(name, value);
        }
        let credentials = request.credentials.as_ref();
        if let Some(value) = credentials.and_then(|credentials| credentials.for_url(&self.url)) {
            builder = builder.header(http::header::AUTHORIZATION, value);
        }
        builder
    }

    pub(crate) fn tls(&self, request: &Request) -> Tls {
        if self.is_own {
            request.tls.clone()
        } else {
            request.tls.elsewhere()
        }
    }
}

/// The body of a request on its way. An error of its own would otherwise look like one of the connection.
pub(crate) struct SentBody<'a> {
    inner: Box<dyn Read + 'a>,
    /// What failed, if it did.
    pub(crate) failure: Option<io::Error>,
    /// How fast it is taken: what was read is sent until more is read.
    pace: Pace,
    given: Option<(Instant, usize)>,
}

impl<'a> SentBody<'a> {
    pub(crate) fn new(inner: Box<dyn Read + 'a>, slowest: Slowest) -> Self {
        Self {
            inner,
            failure: None,
            pace: Pace::new(slowest),
            given: None,
        }
    }
}

impl Read for SentBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((at, bytes)) = self.given.take() {
            self.pace.took(at.elapsed(), bytes)?;
        }
        let count = self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            io::Error::from(kind)
        })?;
        self.given = Some((Instant::now(), count));
        Ok(count)
    }
}
