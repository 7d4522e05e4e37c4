//! The errors of the HTTP library, in our words.

use ureq::Timeout;

use crate::error::{FetchError, Phase};
use crate::reach::Inner;
use crate::tls;
use crate::url::Url;

/// Says that a server leads to one that is inside.
pub(crate) fn inside(url: &Url, source: Inner) -> FetchError {
    FetchError::Inside {
        url: url.clone(),
        source: Box::new(source),
    }
}

/// Says that an answer, or what was to be sent, is not one of HTTP.
pub(crate) fn protocol(
    url: &Url,
    error: impl std::error::Error + Send + Sync + 'static,
) -> FetchError {
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
            source: tls::distrust(source),
        },
        ureq::Error::Io(source) => match tls::error_in(&source) {
            Some(error) => FetchError::Tls {
                url,
                source: tls::distrust(error.clone()),
            },
            None => FetchError::Connect { url, source },
        },
        ureq::Error::Other(source) if source.is::<Inner>() => FetchError::Inside { url, source },
        other => FetchError::Protocol {
            url,
            source: Box::new(other),
        },
    }
}

fn phase(timeout: Timeout) -> Phase {
    match timeout {
        Timeout::Resolve => Phase::Address,
        Timeout::Connect => Phase::Connection,
        Timeout::RecvBody | Timeout::PerRead => Phase::Body,
        _ => Phase::Answer,
    }
}
