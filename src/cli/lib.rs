//! Arguments, commands, progress and error printing: the only crate that reads the environment and
//! writes to the terminal.
//!
//! * [`args`]: what can be typed; [`options`]: what it means; [`mod@env`]: every variable that is read;
//!   [`config`]: the configuration file;
//! * `command`: one file per command; `completion`: what shells complete; `builders`: what `buildx create` makes;
//! * `progress`: events → text; `registries`: what reaches registries;
//! * `format`: what is shown by `--format`; `human`: sizes and times for people;
//! * [`report`]: errors → text; [`exit`]: the exit codes.
#![forbid(unsafe_code)]

mod account;
pub mod args;
mod ask;
mod builders;
mod command;
mod completion;
pub mod config;
pub mod env;
pub mod exit;
mod format;
mod history;
mod host;
mod human;
pub mod options;
mod progress;
mod registries;
pub mod report;
mod run;
mod spelling;
mod workshop;

pub use run::run;
