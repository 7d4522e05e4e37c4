//! `careen prune` and `careen system prune`: what no build uses goes.

use std::fmt::Write as _;

use store::{Collected, Rule, Store};

use super::super::image;
use super::super::transfer::Surroundings;
use super::{failed, row};
use crate::args::{PruneArguments, SystemPruneArguments};
use crate::ask;
use crate::exit;
use crate::format;
use crate::human;
use crate::options::disk;
use crate::report::Report;
use crate::run::Outcome;
use crate::workshop;

/// Checks the arguments of `prune`.
pub(super) fn check(arguments: &PruneArguments) -> Result<(), Box<Report>> {
    disk::prune_rule(arguments)?;
    Ok(())
}

/// Runs `prune` in the builder.
pub(super) fn run(arguments: &PruneArguments, around: Surroundings<'_>) -> Outcome {
    let rule = disk::prune_rule(arguments)?;
    let what = if arguments.all {
        "all build cache"
    } else {
        "all dangling build cache"
    };
    let question =
        format!("WARNING! This will remove {what}. Are you sure you want to continue? [y/N] ");
    if !arguments.force && !ask::is_confirmed(&question) {
        return Ok(exit::DONE);
    }
    let store = workshop::open_store(around.builder, around.places)?;
    let collected = collect(&store, rule)?;
    let items = &collected.removed;
    let format = arguments.verbose.then_some(row::PRETTY);
    let mut text = if items.is_empty() {
        String::new()
    } else {
        row::show(items, format)?
    };
    writeln!(text, "Total: {}", human::size(collected.bytes(), 4))
        .expect("a String takes what is written");
    format::print(&text)?;
    Ok(exit::DONE)
}

fn collect(store: &Store, rule: Rule) -> Result<Collected, Box<Report>> {
    store.collect(&[rule]).map_err(|error| failed(&error))
}

/// Checks the arguments of `system prune`.
pub(super) fn check_system(arguments: &SystemPruneArguments) -> Result<(), Box<Report>> {
    cache_rule(arguments)?;
    image::check_prune(&arguments.filters)
}

/// Runs `system prune` in the builder.
pub(super) fn run_system(arguments: &SystemPruneArguments, around: Surroundings<'_>) -> Outcome {
    let rule = cache_rule(arguments)?;
    if !arguments.force && !ask::is_confirmed(&question(arguments)) {
        return Ok(exit::DONE);
    }
    let store = workshop::open_store(around.builder, around.places)?;
    let (mut text, mut bytes) = image::prune(&store, &arguments.filters, arguments.all)?;
    if let Some(rule) = rule {
        let collected = collect(&store, rule)?;
        if !collected.removed.is_empty() {
            text += "Deleted build cache objects:\n";
        }
        for item in &collected.removed {
            writeln!(text, "{}", item.id).expect("a String takes what is written");
        }
        if !collected.removed.is_empty() {
            text.push('\n');
        }
        bytes += collected.bytes();
    }
    writeln!(text, "Total reclaimed space: {}", human::size(bytes, 4))
        .expect("a String takes what is written");
    format::print(&text)?;
    Ok(exit::DONE)
}

/// Returns what goes from the build cache; nothing where images with a label are meant, which it has none of.
fn cache_rule(arguments: &SystemPruneArguments) -> Result<Option<Rule>, Box<Report>> {
    let is_label = |text: &&String| text.trim_start().starts_with("label");
    if arguments.filters.iter().any(|text| is_label(&text)) {
        return Ok(None);
    }
    let (filters, age) = disk::filters(&arguments.filters)?;
    Ok(Some(Rule {
        is_all: arguments.all,
        filters,
        unused_for: age.unwrap_or_default(),
        ..Rule::default()
    }))
}

fn question(arguments: &SystemPruneArguments) -> String {
    let (images, cache) = if arguments.all {
        ("all images", "all build cache")
    } else {
        ("all dangling images", "unused build cache")
    };
    format!(
        "WARNING! This will remove:\n  - {images}\n  - {cache}\n\nAre you sure you want to continue? [y/N] "
    )
}
