//! The distribution protocol: pull, push, authentication.
//!
//! A [`Registry`] gives [`Repository`]s, and each of those reads and writes manifests and blobs by the distribution
//! specification, version 1.1. What is promised:
//!
//! * nothing that came is given out as right before its digest is, and everything has a limit;
//! * what breaks goes on where it broke, and what a server may do in a moment is tried again;
//! * credentials go to the host that they are for and to the token server that it names, and nowhere else;
//! * no secret is part of an error.
//!
//! Which servers answer for a repository, and who we are to them, is a [`HostSource`]'s to say; [`RegistryConfig`] is the
//! one that reads the users' files (`config`, `credentials`).
#![forbid(unsafe_code)]

mod answer;
mod blob;
mod challenge;
mod client;
mod config;
mod credentials;
mod error;
mod host;
pub mod limits;
mod manifest;
mod patience;
mod referrers;
mod repository;
mod scope;
mod session;
mod tags;
mod token;
mod upload;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use blob::{BlobStream, content_range};
pub use challenge::{Challenge, challenges};
pub use client::{Learned, Registry, RegistryOptions, TokenShown, TokenWork};
pub use config::{
    Blocked, ConfigError, ConfigPlaces, NameError, Overrides, RegistryConfig, Verify,
};
pub use credentials::stored::{Kept, StoredError, StoredLogins};
pub use credentials::{CredentialsError, DockerSettings, LoginServer, SecretText};
pub use error::{ErrorMessage, Failure, Refusal, RegistryError};
pub use host::{Access, Capabilities, Host, HostSource, HostTls, Login, LookupError};
pub use manifest::{Expect, Manifest};
pub use repository::{Repository, Selector};
pub use tags::next_link;
pub use upload::{BlobBody, Uploaded};
