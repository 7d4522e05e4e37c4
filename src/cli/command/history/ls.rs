//! `history ls`: builds in buildx' columns, the newest first.

mod filter;

use std::fs;
use std::path::{Path, PathBuf};

use oci::{Clock, Timestamp};
use template::{Struct, Value};

use super::{duration, time, unreadable};
use crate::args::HistoryLsArguments;
use crate::env::Environment;
use crate::exit;
use crate::format::{self, RowFormat};
use crate::history::{Record, Shelf};
use crate::human;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use filter::Filter;

/// The columns that are shown if nothing else is asked for.
const TABLE: &str = "{{.Ref}}\t{{.Name}}\t{{.Status}}\t{{.CreatedAt}}\t{{.Duration}}";

/// How long a name is in a table, unless it is asked for whole.
const NAME_CHARS: usize = 36;

/// Runs `history ls`.
pub(super) fn run(arguments: &HistoryLsArguments, shelf: &Shelf, env: &Environment) -> Outcome {
    let text = arguments.format.as_deref();
    let format = RowFormat::new(text, TABLE)?;
    let is_table = text.is_none_or(|text| text.starts_with("table"));
    let is_whole = arguments.no_trunc || !is_table;
    let now = Clock::System.now();
    let filters = arguments.filters.iter().flat_map(|text| text.split(','));
    let filters: Result<Vec<_>, _> = filters.map(|text| Filter::parse(text, now)).collect();
    let filters = filters.map_err(|error| Report::new(Kind::Usage, &error))?;
    let local = arguments.local.then(|| project(&env.current_directory));
    let mut rows = Vec::new();
    for entry in shelf.entries().map_err(|error| unreadable(&error))? {
        let record = entry.record().map_err(|error| unreadable(&error))?;
        let takes = |record: &Record| {
            let is_local =
                |project: &PathBuf| Path::new(&record.built.context).starts_with(project);
            local.as_ref().is_none_or(is_local) && filters.iter().all(|filter| filter.takes(record))
        };
        if let Some(record) = record.filter(takes) {
            rows.push(match text {
                Some("json") => whole(&record),
                _ => row(&record, is_whole, now),
            });
        }
    }
    format::print(&format.show(&titles(), &rows)?)?;
    Ok(exit::DONE)
}

/// Returns the directory of the repository that a directory is in, or that itself.
fn project(directory: &Path) -> PathBuf {
    let mut above = directory.ancestors();
    let top = above.find(|directory| fs::metadata(directory.join(".git")).is_ok());
    top.unwrap_or(directory).to_owned()
}

fn titles() -> Value {
    format::titles(&[
        ("Ref", "BUILD ID"),
        ("Name", "NAME"),
        ("Status", "STATUS"),
        ("CreatedAt", "CREATED AT"),
        ("Duration", "DURATION"),
        ("Link", ""),
    ])
}

fn row(record: &Record, is_whole: bool, now: Timestamp) -> Value {
    let name = if is_whole {
        record.built.name.clone()
    } else {
        shortened(&record.built.name)
    };
    let created = record.created().map(|created| human::ago(created, now));
    Struct::new("history")
        .field("Ref", "Ref", record.id.to_string())
        .field("FullRef", "FullRef", record.id.reference())
        .field("Name", "Name", name)
        .field("Status", "Status", record.status.word())
        .field("CreatedAt", "CreatedAt", created.unwrap_or_default())
        .field("Duration", "Duration", duration(record))
        .field("Link", "Link", "")
        .into()
}

/// Returns a build as `--format json` shows it.
fn whole(record: &Record) -> Value {
    let count = |number: usize| Value::from(u64::try_from(number).unwrap_or(u64::MAX));
    Struct::new("history")
        .field("CachedSteps", "cached_steps", count(record.steps.cached))
        .field("CompletedAt", "completed_at", time(record.completed()))
        .field(
            "CompletedSteps",
            "completed_steps",
            count(record.steps.completed),
        )
        .field("CreatedAt", "created_at", time(record.created()))
        .field("Name", "name", record.built.name.as_str())
        .field("Ref", "ref", record.id.reference())
        .field("Status", "status", record.status.word())
        .field("TotalSteps", "total_steps", count(record.steps.total))
        .into()
}

/// Leaves out the beginning of a name that is too long.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME_CHARS {
        return name.to_owned();
    }
    let last = name.chars().skip(count - (NAME_CHARS - 2));
    format!("..{}", last.collect::<String>())
}
