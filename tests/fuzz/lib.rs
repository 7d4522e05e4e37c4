//! Inputs from strangers, thought up by libFuzzer: what each target does with one, and what must hold of it.
//!
//! A target is a program in `targets/` that hands bytes to the function of its module here; a panic is a failure.
//! `scripts/fuzz.sh` builds and runs them.
#![forbid(unsafe_code)]

pub mod apply;
mod bytes;
mod clock;
pub mod decompress;
pub mod dockerfile;
pub mod documents;
pub mod git_url;
pub mod headers;
pub mod ignore;
pub mod question;
pub mod record;
pub mod reference;
pub mod tar_reader;
mod tarball;
pub mod user;

/// Takes what is of no further interest: that it could be made is what is tried.
fn taken<T>(value: T) {
    drop(std::hint::black_box(value));
}
