//! The Dockerfile frontend: text to syntax tree, stages and build graph.
//!
//! Text and values in, values out: nothing here reads a file, the environment or a clock.
//!
//! * [`source`], [`diagnostic`]: the text, places in it, and what is said about it;
//! * [`mod@parse`]: text → [`ast`], through [`directive`]s, lines and nodes;
//! * [`words`]: quotes and variables, when an instruction is carried out;
//! * [`heredoc`], [`ports`], [`giturl`]: what stands in single words;
//! * [`stage`]: which stages are needed, and which base images they ask for;
//! * [`lower`]: their instructions → the build graph and the image's configuration;
//! * [`check`]: what is found in files that build; [`call`]: what a file says of itself, without a build;
//! * [`ignore`]: the `.dockerignore` file;
//! * [`limits`]: the bounds on all of it.
#![forbid(unsafe_code)]

pub mod ast;
pub mod call;
pub mod check;
pub mod csv;
pub mod diagnostic;
pub mod directive;
pub mod giturl;
pub mod heredoc;
pub mod ignore;
mod json;
pub mod limits;
mod lines;
pub mod lower;
mod node;
pub mod number;
pub mod parse;
pub mod ports;
pub mod source;
pub mod stage;
pub mod suggest;
pub mod words;

#[cfg(test)]
mod corpora;

pub use number::parse_bool;
pub use parse::{Parsed, parse};
