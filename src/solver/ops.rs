//! How each op is carried out: one file per op.

pub mod copy;
pub mod directory;
pub mod exec;
pub(crate) mod git;
pub(crate) mod http;
pub mod image;
