//! Go templates: what users type after `--format`.
//!
//! Scripts ask docker for one value with a template of Go's `text/template`; this is the part of that language that
//! they use, over our own data. What it is given and what it gives is the same as in Go, to the byte; what is left out
//! (`define`, `template`, `block`, complex numbers, calling functions that are data) is refused by its name.
//!
//! ```text
//! text ─lex─► tokens ─parse─► Template ─render(Value)─► text
//! ```
//!
//! * [`Value`] is the data. A field that a struct ([`Struct`]) does not have is an error, a key that a map ([`Map`])
//!   does not have is `<no value>`: so says Go, and docker's users rely on both.
//! * A template is not trusted to end: its depth, its steps and its output have limits ([`limits`]).
//! * [`columns`] lays out tables as Go's `text/tabwriter` does for docker.
//!
//! The crate `gtmpl` has the same aim. It was not taken: its last release is of 2021, it lacks `html` and `js`, and it
//! does not tell a map from a struct.
#![forbid(unsafe_code)]

mod ast;
mod call;
pub mod columns;
mod compare;
mod escape;
mod execute;
mod function;
mod lex;
pub mod limits;
mod number;
mod parse;
mod print;
mod printf;
mod template;
#[cfg(test)]
mod tests;
mod value;

pub use call::indented;
pub use execute::ExecuteError;
pub use parse::ParseError;
pub use template::{JsonStyle, MissingKey, Mode, Template};
pub use value::{Map, Struct, Value, Zero};
