//! The distribution protocol: pull, push, authentication.
//!
//! * `host`: which servers answer for a repository, and who we are to them;
//! * `config`: the files that say which servers answer; `credentials`: those that say who we are.
#![forbid(unsafe_code)]

mod config;
mod credentials;
mod host;

pub use config::{
    Blocked, ConfigError, ConfigPlaces, NameError, Overrides, RegistryConfig, Verify,
};
pub use credentials::stored::{Kept, StoredError, StoredLogins};
pub use credentials::{CredentialsError, DockerSettings, SecretText};
pub use host::{Access, Capabilities, Host, HostSource, HostTls, Login, LookupError};
