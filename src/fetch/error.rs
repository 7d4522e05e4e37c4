//! Why a file could not be fetched.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::proxy::ProxyError;
use crate::retry;
use crate::tls::ClientError;
use crate::url::{Url, UrlError};

/// What was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The address of the host.
    Address,
    /// A connection.
    Connection,
    /// The head of the answer.
    Answer,
    /// More of the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "the address of its host",
            Self::Connection => "a connection",
            Self::Answer => "an answer",
            Self::Body => "the rest of the file",
        })
    }
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody knows the host.
    #[error("fetch `{url}`: the host `{}` is not known", url.host())]
    Host {
        /// The URL.
        url: Url,
    },
    /// The host could not be reached, or hung up.
    #[error("fetch `{url}`: connect to `{}`", url.authority())]
    Connect {
        /// The URL.
        url: Url,
        /// What the kernel said.
        source: io::Error,
    },
    /// The proxy refused.
    #[error("fetch `{url}`: the proxy refused: {answer}")]
    ProxyRefused {
        /// The URL.
        url: Url,
        /// What the proxy said.
        answer: String,
    },
    /// The proxy cannot be used.
    #[error("fetch `{url}`")]
    Proxy {
        /// The URL.
        url: Url,
        /// Why.
        source: ProxyError,
    },
    /// The proxy would see the certificate that is for the server, or not be verified as the server is not.
    #[error(
        "fetch `{url}`: its own certificates cannot be used with a proxy that is reached by TLS"
    )]
    TlsProxy {
        /// The URL.
        url: Url,
    },
    /// No connection that can be trusted could be made.
    #[error("fetch `{url}`: make a trusted connection to `{}`", url.authority())]
    Tls {
        /// The URL.
        url: Url,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something did not come in time.
    #[error("fetch `{url}`: waited for {phase} for too long")]
    Timeout {
        /// The URL.
        url: Url,
        /// What did not come.
        phase: Phase,
    },
    /// The server does not have the file, or does not give it.
    #[error("fetch `{url}`: the server answered {status}{}", spaced(reason))]
    Status {
        /// The URL that was asked for last.
        url: Url,
        /// The status code.
        status: u16,
        /// What it means, where it is a known one.
        reason: &'static str,
        /// How long the server asked to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The server led on and on.
    #[error("fetch `{url}`: redirected more than {limit} times")]
    TooManyRedirects {
        /// The URL that was asked for first.
        url: Url,
        /// How often is allowed.
        limit: u32,
    },
    /// The server led to something that is no URL of a file.
    #[error("fetch `{url}`: redirected to `{}`", shown(location))]
    Redirect {
        /// The URL that was asked for.
        url: Url,
        /// Where it led to.
        location: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// The server led away from a protected connection.
    #[error(
        "fetch `{url}`: redirected to `{target}`, where anybody on the way can change the file"
    )]
    Downgrade {
        /// The URL that was asked for.
        url: Url,
        /// Where it led to.
        target: Url,
    },
    /// The file is larger than allowed.
    #[error("fetch `{url}`: the file has more than {limit_bytes} bytes")]
    TooLarge {
        /// The URL.
        url: Url,
        /// The limit.
        limit_bytes: u64,
    },
    /// The connection broke in the middle of the body.
    #[error("fetch `{url}`: the connection broke after {received_bytes} bytes")]
    Broken {
        /// The URL.
        url: Url,
        /// How much had come.
        received_bytes: u64,
        /// What failed.
        source: io::Error,
    },
    /// The answer is not one of HTTP.
    #[error("fetch `{url}`: understand the answer")]
    Protocol {
        /// The URL.
        url: Url,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was fetched could not be written.
    #[error("write what `{url}` is")]
    Sink {
        /// The URL.
        url: Url,
        /// What failed.
        source: io::Error,
    },
    /// What should be sent could not be read.
    #[error("read what is sent to `{url}`")]
    Body {
        /// The URL.
        url: Url,
        /// What failed.
        source: io::Error,
    },
    /// The server leads to another one with what was for it alone.
    #[error("send to `{url}`: redirected to `{target}`, for which it is not meant")]
    Elsewhere {
        /// The URL that was asked for.
        url: Url,
        /// Where it led to.
        target: Url,
    },
    /// A server of the Internet leads to one that is inside.
    #[error("fetch `{url}`: a server of the Internet leads to `{}`", url.host())]
    Inside {
        /// The URL that it leads to.
        url: Url,
        /// Where that is.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificates that are for this server cannot be used.
    #[error("fetch `{url}`")]
    Certificates {
        /// The URL.
        url: Url,
        /// Why.
        source: ClientError,
    },
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl FetchError {
    /// Tells whether another attempt may do better: not where nobody is there, or where what was said is final.
    pub fn is_passing(&self) -> bool {
        retry::is_worth_another(self)
    }

    /// Tells whether nothing that speaks TLS is at the host: nobody answers, what answers is not TLS, or it hangs up.
    pub fn is_no_tls_there(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Timeout { phase, .. } => *phase == Phase::Connection,
            Self::Tls { source, .. } => is_no_handshake(source.as_ref()),
            _ => false,
        }
    }

    /// Returns the error without the queries of its URLs: those of registries hold what must not be shown.
    #[must_use]
    pub fn without_queries(mut self) -> Self {
        for url in self.urls_mut() {
            *url = url.without_query();
        }
        if let Self::Redirect { location, .. } = &mut self {
            let end = location.find('?').unwrap_or(location.len());
            location.truncate(end);
        }
        self
    }

    /// Returns the error with nothing of its URLs but their origins: paths and queries of signed URLs let in whoever
    /// knows them.
    #[must_use]
    pub fn at_origins(mut self) -> Self {
        for url in self.urls_mut() {
            *url = url.origin_url();
        }
        if let Self::Redirect { location, .. } = &mut self {
            location.clear();
        }
        self
    }

    fn urls_mut(&mut self) -> Vec<&mut Url> {
        match self {
            Self::Host { url }
            | Self::Connect { url, .. }
            | Self::ProxyRefused { url, .. }
            | Self::Proxy { url, .. }
            | Self::TlsProxy { url }
            | Self::Tls { url, .. }
            | Self::Timeout { url, .. }
            | Self::Status { url, .. }
            | Self::TooManyRedirects { url, .. }
            | Self::Redirect { url, .. }
            | Self::TooLarge { url, .. }
            | Self::Broken { url, .. }
            | Self::Protocol { url, .. }
            | Self::Sink { url, .. }
            | Self::Body { url, .. }
            | Self::Inside { url, .. }
            | Self::Certificates { url, .. } => vec![url],
            Self::Downgrade { url, target } | Self::Elsewhere { url, target } => vec![url, target],
            Self::Cancelled => Vec::new(),
        }
    }

    /// Returns how long the server asked to wait before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Tells whether what came in place of a handshake is no TLS at all.
fn is_no_handshake(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<rustls::Error>();
    matches!(error, Some(rustls::Error::InvalidMessage(_)))
}

fn spaced(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" {reason}")
    }
}

/// Returns a location from a server as a message shows it: in one line, not too long, and without a password.
fn shown(location: &str) -> String {
    const LIMIT: usize = 200;
    let text = match location.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => location.to_owned(),
    };
    text.escape_debug().take(LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_shown_in_one_line_without_its_password() {
        for (location, expected) in [
            ("file:///etc/passwd", "file:///etc/passwd"),
            ("ftp://u:p@e.com/a@b", "ftp://e.com/a@b"),
            ("a\nb", "a\\nb"),
        ] {
            assert_eq!(shown(location), expected);
        }
        assert_eq!(shown(&"x".repeat(999)).len(), 200);
    }
}
