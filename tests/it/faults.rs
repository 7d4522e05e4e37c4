//! What is left when a build is ended.

mod interrupt;
mod kill;
