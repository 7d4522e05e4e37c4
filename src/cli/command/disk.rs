//! `careen du`, `prune` and `system`: what the store takes on the disk, and what of that goes.

mod after;
mod df;
mod du;
mod prune;
mod row;

use oci::{Clock, Timestamp};
use std::time::SystemTime;

use super::other;
use super::transfer::Surroundings;
use crate::args::{DiskCommand, SystemCommand};
use crate::report::{Kind, Report};
use crate::run::Outcome;

pub(super) use after::After;

/// Runs a command about the disk in the builder.
pub(crate) fn run(command: &DiskCommand, around: Surroundings<'_>) -> Outcome {
    match command {
        DiskCommand::Du(du) => du::run(du, around),
        DiskCommand::Prune(prune) => prune::run(prune, around),
        DiskCommand::System { command } => match command {
            SystemCommand::Df(df) => df::run(df, around),
            SystemCommand::Prune(prune) => prune::run_system(prune, around),
            SystemCommand::Other(words) => Err(other::refuse(&below_system(words))),
        },
    }
}

/// Checks what can be checked before a process is started.
pub(crate) fn check(command: &DiskCommand) -> Result<(), Box<Report>> {
    match command {
        DiskCommand::Du(du) => du::check(du),
        DiskCommand::Prune(prune) => prune::check(prune),
        DiskCommand::System { command } => match command {
            SystemCommand::Df(_) => Ok(()),
            SystemCommand::Prune(prune) => prune::check_system(prune),
            SystemCommand::Other(words) => Err(other::refuse(&below_system(words))),
        },
    }
}

fn below_system(words: &[std::ffi::OsString]) -> Vec<std::ffi::OsString> {
    let first = std::iter::once("system".into());
    first.chain(words.iter().cloned()).collect()
}

/// Reports that the store cannot be looked at, or cleaned up.
fn failed(error: &dyn std::error::Error) -> Box<Report> {
    Box::new(Report::new(Kind::Host, error))
}

/// Returns a time of the file system as one that is printed.
fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let seconds = i64::try_from(since.as_secs()).ok()?;
    Timestamp::from_unix_seconds(seconds)
        .ok()
        .filter(|_| seconds > 0)
}

/// Returns the time by which ages are told.
fn now() -> Timestamp {
    Clock::System.now()
}
