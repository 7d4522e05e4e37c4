//! An HTTP client for files: redirects, proxies, retries, limits.
//!
//! A [`Request`] goes to a [`Client`], and an answer comes back whose body is read as it arrives; or a whole body
//! goes to a sink ([`Client::download`]), over several connections if one breaks. What is promised:
//!
//! * `http` and `https` and nothing else, whatever a server redirects to;
//! * [`Credentials`] belong to one origin and go to no other, and from `https` nothing leads back to `http` unless
//!   the request allows it;
//! * what is sent for a server alone (headers of its own, the certificate that says who we are, a secret body) does not
//!   go where it leads to;
//! * no server of the Internet leads to an address that is inside ([`Request::named_by`]);
//! * every wait has a limit, every body has a limit, and all of it ends when the job is cancelled;
//! * no URL with a password in it is part of an error ([`Url`] shows itself without).
//!
//! Nothing here reads the environment: proxies and certificates are handed in ([`ClientOptions`]).
#![forbid(unsafe_code)]

mod answer;
mod authority;
mod base64;
mod cause;
mod certificates;
mod client;
mod date;
mod download;
mod error;
mod failure;
mod handshake;
mod hop;
pub mod limits;
mod pace;
mod proxy;
mod reach;
mod request;
mod retry;
mod tls;
mod url;
mod wait;

#[cfg(test)]
mod tests;

pub use answer::shown;
pub use authority::{authority_texts, certificate_texts, texts_in};
pub use base64::unbase64;
pub use cause::nearest_cause;
pub use certificates::{Authority, Certificates};
pub use client::{Client, ClientOptions};
pub use date::parse_http_date;
pub use download::{Downloaded, Sink};
pub use error::{FetchError, Phase};
pub use pace::Slowest;
pub use proxy::{Proxies, ProxyError};
pub use request::{Body, BodyGoes, Credentials, Downgrade, Method, Request, Response, Tls, base64};
pub use retry::{Attempts, Jitter, RetryPolicy, Told, is_passing, random_jitter, retry_after};
pub use tls::ClientError;
pub use url::{Origin, Scheme, Url, UrlError, form};
