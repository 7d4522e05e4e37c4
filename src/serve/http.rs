//! HTTP/1.1 (RFC 9110, RFC 9112), as far as registries are asked for it.
//!
//! * `head`: the bytes of a request's head → its method, path, query and headers;
//! * `body`: the bytes behind it, by their length or in chunks;
//! * `response`: status, headers and bytes → the wire;
//! * `connection`: one request after the other, until somebody has had enough;
//! * `pace`: nobody may take for ever.

mod body;
mod connection;
mod head;
mod pace;
mod response;

pub(crate) use body::{Body, parse_upload_range};
pub use connection::{Answered, Log};
pub(crate) use connection::{Service, refuse_connection, serve};
pub(crate) use head::{Head, HeadError, number};
pub(crate) use response::{Content, Response};
