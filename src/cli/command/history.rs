//! `careen history`: builds of the past.
//!
//! It runs in the first process: what it reads are files of the user's own.

mod inspect;
mod logs;
mod ls;
mod refer;

use std::ffi::OsString;

use oci::Timestamp;
use template::{Struct, Value};

use super::builders::refused;
use crate::args::{Arguments, HistoryCommand, HistoryGroup, HistoryRmArguments};
use crate::builders::Chosen;
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::history::{HistoryError, Record, Shelf};
use crate::options::Places;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// A command that docker has and careen has not.
#[derive(Debug, thiserror::Error)]
#[error("`history {word}` is not supported")]
struct NotSupported {
    word: String,
}

/// What there is instead of docker's commands that there are not.
const INSTEAD: [(&str, &str); 4] = [
    (
        "trace",
        "`build --timeline FILE` writes a page with a chart of the build",
    ),
    (
        "export",
        "`history logs --progress rawjson` prints all that a build said",
    ),
    (
        "import",
        "`history inspect` and `history logs` show the builds of this machine",
    ),
    (
        "open",
        "`history inspect` shows a build, and `build --timeline FILE` writes a page for a browser",
    ),
];

/// Runs `history`.
pub(crate) fn run(group: &HistoryGroup, parsed: &Arguments, env: &Environment) -> Outcome {
    if let HistoryCommand::Other(words) = &group.command {
        return Err(refuse(words));
    }
    let shelf = shelf(group, parsed, env)?;
    match &group.command {
        HistoryCommand::Ls(ls) => ls::run(ls, &shelf, env),
        HistoryCommand::Inspect(inspect) => inspect::run(inspect, &shelf),
        HistoryCommand::Logs(logs) => logs::run(logs, &shelf, env),
        HistoryCommand::Rm(rm) => remove(rm, &shelf),
        HistoryCommand::Other(words) => Err(refuse(words)),
    }
}

/// Finds the builds of the builder that is meant.
fn shelf(
    group: &HistoryGroup,
    parsed: &Arguments,
    env: &Environment,
) -> Result<Shelf, Box<Report>> {
    let usage = |error: &dyn std::error::Error| Box::new(Report::new(Kind::Usage, error));
    let config = Config::load(env).map_err(|error| usage(&error))?;
    let places = Places::find(&parsed.global, env, &config).map_err(|error| usage(&error))?;
    let chosen = Chosen::find(env, group.builder.as_deref()).map_err(|error| refused(&error))?;
    Ok(Shelf::of(&places.of_builder(Some(&chosen)).store))
}

/// `rm`: forgets builds.
fn remove(arguments: &HistoryRmArguments, shelf: &Shelf) -> Outcome {
    let entries = shelf.entries().map_err(|error| unreadable(&error))?;
    let mut chosen = Vec::new();
    for text in &arguments.builds {
        chosen.push(refer::find(&entries, Some(text))?);
    }
    let chosen = if arguments.all { entries } else { chosen };
    for entry in chosen {
        entry.remove().map_err(|error| unreadable(&error))?;
    }
    Ok(exit::DONE)
}

/// Refuses a command that there is not, with what there is instead.
fn refuse(words: &[OsString]) -> Box<Report> {
    let word = words
        .first()
        .map(|word| word.to_string_lossy().into_owned());
    let word = word.unwrap_or_default();
    let known = INSTEAD.iter().find(|(name, _)| *name == word);
    let help = match known {
        Some((_, instead)) => (*instead).to_owned(),
        None => format!("`careen image history {word}` shows how an image was made"),
    };
    Box::new(Report {
        help: Some(help),
        ..Report::new(Kind::Usage, &NotSupported { word })
    })
}

fn unreadable(error: &HistoryError) -> Box<Report> {
    Box::new(Report::new(Kind::User, error))
}

/// Returns how long a build took, as buildx tells it.
fn duration(record: &Record) -> String {
    let tenths = (record.took().as_secs_f64() * 10.0).round() / 10.0;
    if tenths < 60.0 {
        return format!("{tenths:.1}s");
    }
    let whole = record.took().as_secs();
    let (minutes, seconds) = (whole / 60, whole % 60);
    if minutes < 60 {
        return format!("{minutes}m {seconds:>2}s");
    }
    format!("{}h {:>2}m {seconds:>2}s", minutes / 60, minutes % 60)
}

/// Returns a time as JSON has it.
fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| time.to_string())
}

/// Returns names and values as buildx has them in JSON.
fn named(name: &str, value: &str) -> Value {
    Struct::new("pair")
        .field("Name", "Name", name)
        .field("Value", "Value", value)
        .into()
}
