//! The distribution protocol: pull, push, authentication.
//!
//! * `host`: which servers answer for a repository, and who we are to them.
#![forbid(unsafe_code)]

mod host;

pub use host::{Access, Capabilities, Host, HostSource, HostTls, Login, LookupError};
