//! `careen du`: what the build cache takes on the disk.

use store::{Item, Rule};
use template::columns::Columns;

use super::super::transfer::Surroundings;
use super::{failed, row};
use crate::args::DuArguments;
use crate::exit;
use crate::format;
use crate::human;
use crate::options::disk;
use crate::report::Report;
use crate::run::Outcome;
use crate::workshop;

/// Checks the arguments.
pub(super) fn check(arguments: &DuArguments) -> Result<(), Box<Report>> {
    disk::filters(&arguments.filters)?;
    Ok(row::check(format_of(arguments))?)
}

/// Runs `du` in the builder.
pub(super) fn run(arguments: &DuArguments, around: Surroundings<'_>) -> Outcome {
    let (filters, age) = disk::filters(&arguments.filters)?;
    let rule = Rule {
        filters,
        ..Rule::default()
    };
    let store = workshop::open_store(around.builder, around.places)?;
    let usage = store.usage().map_err(|error| failed(&error))?;
    let is_old = |item: &Item| {
        let unused_for = usage.now().duration_since(item.used).unwrap_or_default();
        age.is_none_or(|age| unused_for >= age)
    };
    let is_meant = |item: &&Item| rule.fits(item) && is_old(item);
    let mut items: Vec<Item> = usage.items.iter().filter(is_meant).cloned().collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.size_bytes));
    let format = format_of(arguments);
    let mut text = row::show(&items, format)?;
    if matches!(format, None | Some("table" | row::PRETTY)) {
        text += &totals(&items);
    }
    format::print(&text)?;
    Ok(exit::DONE)
}

fn format_of(arguments: &DuArguments) -> Option<&str> {
    let verbose = arguments.verbose.then_some(row::PRETTY);
    verbose.or(arguments.format.as_deref())
}

/// Returns the lines below the items.
fn totals(items: &[Item]) -> String {
    let sum = |is_counted: &dyn Fn(&Item) -> bool| -> u64 {
        let counted = items.iter().filter(|item| is_counted(item));
        counted.map(|item| item.size_bytes).sum()
    };
    let line = |name: &str, bytes| format!("{name}:\t{}\n", human::size(bytes, 4));
    let shared = sum(&|item| item.is_shared);
    let mut text = String::new();
    if shared > 0 {
        text += &line("Shared", shared);
        text += &line("Private", sum(&|item| !item.is_shared));
    }
    text += &line("Reclaimable", sum(&Item::is_reclaimable));
    text += &line("Total", sum(&|_| true));
    Columns::DOCKER.lay_out(&text)
}
