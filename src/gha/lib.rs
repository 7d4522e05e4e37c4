//! The cache service of GitHub Actions: immutable entries by key, and what changes on top of them.
//!
//! A [`Service`] stores blobs by their digests and *documents* by a name: a document changes, and no change of another
//! machine is lost ([`Service::update_document`]). Both protocols are spoken: the second one (Twirp, with the content in
//! a store of blobs as Azure has it), and the first one, which GitHub Enterprise Server and other runners have. What is
//! promised:
//!
//! * the job's token goes to the service and nowhere else; signed URLs, which let in whoever knows them, go to whom they
//!   name; neither is part of an error;
//! * a blob that is read is verified, and everything that comes has a limit;
//! * what breaks goes on where it broke, what a server may do in a moment is tried again, and what takes longer than the
//!   user allows is given up;
//! * nothing is sent for a job that may not write, as that of a pull request from a fork.
//!
//! What is in a document is not known here. Nothing here reads the environment: it is handed in ([`Surroundings`]).
#![forbid(unsafe_code)]

mod answer;
mod document;
mod entry;
mod error;
mod key;
pub mod limits;
mod listing;
mod part;
mod protocol;
mod service;
mod session;
mod settings;
mod storage;
mod token;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub use document::{Change, Document};
pub use entry::EntryReader;
pub use error::{Failure, GhaError};
pub use service::{Service, Stored};
pub use settings::{Attributes, Settings, SettingsError, Surroundings};
