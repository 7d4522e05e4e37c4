//! How much of an image is its own, as `system df -v` tells it.

use std::collections::BTreeMap;

use oci::Digest;
use store::Store;
use template::{Struct, Value};

use super::details::sizes;
use super::error::ImageError;
use super::ls::listed;
use super::{now, short};
use crate::format::{RowFormat, titles};
use crate::human;
use crate::report::Report;

const NONE: &str = "<none>";
const TABLE: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const TITLES: [(&str, &str); 8] = [
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Containers", "CONTAINERS"),
];

/// Returns how many images there are.
pub(in crate::command) fn count(store: &Store) -> Result<usize, Box<Report>> {
    let images = store.content().images().map_err(ImageError::from)?;
    Ok(images.len())
}

/// Returns what each image takes, and the empty lists of what there is not.
pub(in crate::command) fn space(store: &Store) -> Result<String, Box<Report>> {
    let content = store.content();
    let images = listed(content).map_err(ImageError::from)?;
    let reached: Vec<_> = images
        .iter()
        .map(|details| content.reached([&details.image.descriptor]))
        .collect();
    let mut users: BTreeMap<&Digest, usize> = BTreeMap::new();
    for digest in reached.iter().flatten() {
        *users.entry(digest).or_default() += 1;
    }
    let is_unique = |digest: &&Digest| users.get(digest) == Some(&1);
    let rows: Vec<_> = images
        .iter()
        .zip(&reached)
        .map(|(details, reached)| {
            let unique = reached.iter().filter(is_unique).cloned().collect();
            row(details, sizes(content, &unique))
        })
        .collect();
    let table = RowFormat::new(None, TABLE)?.show(&titles(&TITLES), &rows)?;
    Ok(format!("Images space usage:\n\n{table}"))
}

fn row(details: &super::details::Details, unique_bytes: u64) -> Value {
    let name = details.image.names.first();
    let created = details.created();
    let since = created.map_or_else(|| "N/A".to_owned(), |time| human::ago(time, now()));
    let shared_bytes = details.size_bytes.saturating_sub(unique_bytes);
    Struct::new("image")
        .field(
            "Repository",
            "Repository",
            name.map_or(NONE.to_owned(), oci::Reference::familiar_name),
        )
        .field(
            "Tag",
            "Tag",
            name.and_then(oci::Reference::tag).unwrap_or(NONE),
        )
        .field("ID", "ID", short(details.image.digest.as_str()))
        .field("CreatedSince", "CreatedSince", since)
        .field("Size", "Size", human::size(details.size_bytes, 3))
        .field("SharedSize", "SharedSize", human::size(shared_bytes, 3))
        .field("UniqueSize", "UniqueSize", human::size(unique_bytes, 3))
        .field("Containers", "Containers", "0")
        .into()
}
