//! A small registry over an image layout, for machines without a network and for tests.
//!
//! [`Registry::open`] takes the directory of an OCI image layout, or makes one; [`Server`] answers the
//! OCI distribution specification 1.1 for it, with a thread a connection and no asynchronous runtime.
//!
//! * [`limits`]: the bounds on what clients send, and on how long they may take;
//! * `http`: HTTP/1.1 as far as registries are asked for it;
//! * `route`: a method and a path → what is asked for;
//! * `api`: what is asked for → an answer;
//! * `storage`: the layout, and which repository has what.
//!
//! Nobody is asked who they are, and nothing is encrypted: whoever reaches the address may read, and
//! write unless the registry is read-only. It belongs on a loop-back address or behind a proxy.
#![forbid(unsafe_code)]

mod api;
#[cfg(test)]
mod conformance;
mod http;
pub mod limits;
mod refusal;
mod route;
mod server;
mod storage;

pub use api::Registry;
pub use http::{Answered, Log};
pub use server::{Server, ServerError};
pub use storage::{Access, OpenError};
