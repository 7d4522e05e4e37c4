//! `careen system df`: what images and the build cache take on the disk, as docker tells it.

use store::{Item, Usage};
use template::{Struct, Value};

use super::super::image;
use super::super::transfer::Surroundings;
use super::{failed, now, row, timestamp};
use crate::args::DfArguments;
use crate::exit;
use crate::format::{self, RowFormat, titles};
use crate::human;
use crate::report::Report;
use crate::run::Outcome;
use crate::workshop;

const CACHE: &str = "Build Cache";

const TABLE: &str = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const TITLES: [(&str, &str); 5] = [
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

const CACHE_TABLE: &str = "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}";
const CACHE_TITLES: [(&str, &str); 7] = [
    ("ID", "CACHE ID"),
    ("CacheType", "CACHE TYPE"),
    ("Size", "SIZE"),
    ("CreatedSince", "CREATED"),
    ("LastUsedSince", "LAST USED"),
    ("UsageCount", "USAGE"),
    ("Shared", "SHARED"),
];

/// Runs `system df` in the builder.
pub(super) fn run(arguments: &DfArguments, around: Surroundings<'_>) -> Outcome {
    let format = RowFormat::new(arguments.format.as_deref(), TABLE)?;
    let store = workshop::open_store(around.builder, around.places)?;
    let usage = store.usage().map_err(|error| failed(&error))?;
    let text = if arguments.verbose {
        format!("{}\n{}", image::space(&store)?, cache(&usage)?)
    } else {
        let images = image::count(&store)?;
        format.show(&titles(&TITLES), &rows(&usage, images))?
    };
    format::print(&text)?;
    Ok(exit::DONE)
}

/// What one kind takes.
struct Row {
    name: &'static str,
    total: usize,
    active: usize,
    size_bytes: u64,
    reclaimable_bytes: u64,
}

/// Returns docker's four rows. There are no containers that go on, and no volumes.
fn rows(usage: &Usage, images: usize) -> Vec<Value> {
    let (shared, own): (Vec<_>, Vec<_>) = usage.items.iter().partition(|item| item.is_shared);
    let sum = |items: &[&Item], is_counted: fn(&Item) -> bool| -> u64 {
        let counted = items.iter().filter(|item| is_counted(item));
        counted.map(|item| item.size_bytes).sum()
    };
    let none = |name| Row {
        name,
        total: 0,
        active: 0,
        size_bytes: 0,
        reclaimable_bytes: 0,
    };
    let rows = [
        Row {
            total: images,
            size_bytes: sum(&shared, |_| true),
            // What the build cache leads to stays when the image goes.
            reclaimable_bytes: sum(&shared, |item| !item.is_recorded && !item.is_in_use),
            ..none("Images")
        },
        none("Containers"),
        none("Local Volumes"),
        Row {
            total: own.len(),
            active: own.iter().filter(|item| item.is_in_use).count(),
            size_bytes: sum(&own, |_| true),
            reclaimable_bytes: sum(&own, Item::is_reclaimable),
            ..none(CACHE)
        },
    ];
    rows.iter().map(Row::value).collect()
}

impl Row {
    fn value(&self) -> Value {
        let reclaimable = human::size(self.reclaimable_bytes, 4);
        let share = (self.reclaimable_bytes.saturating_mul(100)).checked_div(self.size_bytes);
        let reclaimable = match share {
            // Docker tells no part of the build cache.
            Some(share) if self.name != CACHE => format!("{reclaimable} ({share}%)"),
            _ => reclaimable,
        };
        Struct::new("usage")
            .field("Active", "Active", self.active.to_string())
            .field("Reclaimable", "Reclaimable", reclaimable)
            .field("Size", "Size", human::size(self.size_bytes, 4))
            .field("TotalCount", "TotalCount", self.total.to_string())
            .field("Type", "Type", self.name)
            .into()
    }
}

/// Returns the part of `system df -v` that is about the build cache.
fn cache(usage: &Usage) -> Result<String, Box<Report>> {
    let own = usage.items.iter().filter(|item| !item.is_shared);
    let rows: Vec<_> = own.map(cache_row).collect();
    let table = RowFormat::new(None, CACHE_TABLE)?.show(&titles(&CACHE_TITLES), &rows)?;
    let size = human::size(usage.cache_bytes(), 4);
    Ok(format!("Build cache usage: {size}\n\n{table}"))
}

fn cache_row(item: &Item) -> Value {
    let since = |time| timestamp(time).map_or_else(String::new, |time| human::ago(time, now()));
    Struct::new("cache")
        .field("ID", "ID", row::short(&item.id.to_string()))
        .field("CacheType", "CacheType", item.kind.as_str())
        .field("Size", "Size", human::size(item.size_bytes, 3))
        .field("CreatedSince", "CreatedSince", since(item.created))
        .field("LastUsedSince", "LastUsedSince", since(item.used))
        .field("UsageCount", "UsageCount", "N/A")
        .field("Shared", "Shared", item.is_shared)
        .into()
}
