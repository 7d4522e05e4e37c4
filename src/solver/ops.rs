//! How each op is carried out: one file per op.

pub mod copy;
pub mod directory;
pub mod exec;
pub mod image;
