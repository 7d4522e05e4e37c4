//! careen as its users run it, from end to end.
//!
//! Each test has its own context, store and home ([`support::Bench`]). Neither a network nor root is needed;
//! what a test needs of the machine it says in its first line ([`support::needs!`]).

mod bases;
mod cache;
mod command;
mod emulation;
mod export;
mod faults;
mod instruction;
mod refusals;
mod reproducible;
mod settings;
mod stages;

use support::Bench;

/// Makes the directory of a test.
fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_careen"))
}
