//! One item of the store as a row: for tables, templates and JSON.

use std::fmt::Write as _;

use store::Item;
use template::columns::Columns;
use template::{Struct, Value};

use super::{now, timestamp};
use crate::format::{FormatError, RowFormat, titles};
use crate::human;

/// The columns that `du` and `prune` show.
pub(super) const TABLE: &str = "{{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedAt}}";
/// All of what is known of an item.
pub(super) const PRETTY: &str = "pretty";

/// How many digits of a long id are shown in a table, and from where on one is long.
const SHORT_DIGITS: usize = 12;
const LONG_DIGITS: usize = 32;

const TITLES: [(&str, &str); 11] = [
    ("ID", "ID"),
    ("Parents", "PARENTS"),
    ("CreatedAt", "CREATED AT"),
    ("Mutable", "MUTABLE"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Shared", "SHARED"),
    ("Size", "SIZE"),
    ("Description", "DESCRIPTION"),
    ("UsageCount", "USAGE COUNT"),
    ("LastUsedAt", "LAST ACCESSED"),
    ("Type", "TYPE"),
];

/// Shows items as `--format` says.
///
/// # Errors
///
/// Fails when the format is none, or does not suit items.
pub(super) fn show(items: &[Item], format: Option<&str>) -> Result<String, FormatError> {
    match format {
        Some(PRETTY) => Ok(items.iter().map(pretty).collect()),
        Some("json") => {
            let rows: Vec<_> = items.iter().map(exact).collect();
            RowFormat::new(format, TABLE)?.show(&titles(&TITLES), &rows)
        }
        _ => {
            let rows: Vec<_> = items.iter().map(readable).collect();
            RowFormat::new(format, TABLE)?.show(&titles(&TITLES), &rows)
        }
    }
}

/// Checks `--format`.
///
/// # Errors
///
/// Fails when it is no template.
pub(super) fn check(format: Option<&str>) -> Result<(), FormatError> {
    match format {
        Some(PRETTY) => Ok(()),
        _ => RowFormat::new(format, TABLE).map(drop),
    }
}

/// Returns a row for people: a star at an id says that the files change, one at a size that an image needs them.
fn readable(item: &Item) -> Value {
    let star = |is_there| if is_there { "*" } else { "" };
    let id = format!("{}{}", short(&item.id.to_string()), star(item.is_mutable));
    let size = format!(
        "{}{}",
        human::size(item.size_bytes, 4),
        star(item.is_shared)
    );
    let used = timestamp(item.used);
    let used = used.map_or_else(String::new, |used| human::ago(used, now()));
    row(item, (id, size, used))
}

/// Returns a row for programs.
fn exact(item: &Item) -> Value {
    let used = timestamp(item.used).map_or_else(String::new, |used| used.to_string());
    row(
        item,
        (item.id.to_string(), item.size_bytes.to_string(), used),
    )
}

fn row(item: &Item, (id, size, used): (String, String, String)) -> Value {
    let created = timestamp(item.created).map_or_else(String::new, |time| time.to_string());
    let parents = item
        .parent
        .iter()
        .map(|parent| Value::from(parent.to_string()));
    // In the order of buildx' JSON.
    Struct::new("usage")
        .field("CreatedAt", "CreatedAt", created)
        .field("Description", "Description", &item.description)
        .field("ID", "ID", id)
        .field("LastUsedAt", "LastUsedAt", used)
        .field("Mutable", "Mutable", item.is_mutable)
        .field("Parents", "Parents", Value::list(parents))
        .field("Reclaimable", "Reclaimable", item.is_reclaimable())
        .field("Shared", "Shared", item.is_shared)
        .field("Size", "Size", size)
        .field("Type", "Type", item.kind.as_str())
        .field("UsageCount", "UsageCount", "N/A")
        .into()
}

/// Returns all that is known of an item, a line each, and an empty line.
fn pretty(item: &Item) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name}:\t{value}").expect("a String takes what is written");
    };
    line("ID", item.id.to_string());
    if let Some(parent) = &item.parent {
        line("Parents", parent.to_string());
    }
    if let Some(created) = timestamp(item.created) {
        line("Created at", human::date(created));
    }
    line("Mutable", item.is_mutable.to_string());
    line("Reclaimable", item.is_reclaimable().to_string());
    line("Shared", item.is_shared.to_string());
    line("Size", human::size(item.size_bytes, 4));
    line("Description", item.description.clone());
    if let Some(used) = timestamp(item.used) {
        line("Last used", human::ago(used, now()));
    }
    line("Type", item.kind.as_str().to_owned());
    text.push('\n');
    Columns::DOCKER.lay_out(&text)
}

/// Returns an id with its digests cut short.
pub(super) fn short(id: &str) -> String {
    let cut = |part: &str| {
        let is_long = part.len() >= LONG_DIGITS && part.bytes().all(|b| b.is_ascii_hexdigit());
        match part.get(..SHORT_DIGITS).filter(|_| is_long) {
            Some(digits) => digits.to_owned(),
            None => part.to_owned(),
        }
    };
    let parts = id.split_inclusive(['-', ':']).map(|part| {
        let (part, end) = match part.char_indices().last() {
            Some((at, '-' | ':')) => part.split_at(at),
            _ => (part, ""),
        };
        cut(part) + end
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_in_ids_are_cut_short() {
        let digits = "0123456789abcdef".repeat(4);
        for (id, expected) in [
            (format!("sha256:{digits}"), "sha256:0123456789ab"),
            (format!("cache-{digits}-0"), "cache-0123456789ab-0"),
            ("run-0123456789abcdef".to_owned(), "run-0123456789abcdef"),
            ("records".to_owned(), "records"),
            ("chroot-snapshots".to_owned(), "chroot-snapshots"),
        ] {
            assert_eq!(short(&id), expected);
        }
    }
}
