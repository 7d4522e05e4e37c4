//! Programs and kernel tables we rely on and do not own.
//!
//! Each module stands before one of them with a small trait, a real adapter and, with the feature
//! `fake`, a scripted double. A module answers whether the thing is there, does one thing with it
//! and says what came of it. It holds no policy: what to do without the thing is decided above.
//!
//! Nothing here reads the environment; search paths and file contents are handed in.
#![forbid(unsafe_code)]

pub mod agent;
pub mod credential_helper;
pub mod emulation;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod git;
pub mod idmap;
pub mod network;
pub mod program;
#[cfg(test)]
mod testing;
