//! `careen image prune`: images without a name are removed, or all, and blobs that nobody needs.

use std::fmt::Write as _;

use store::Store;

use super::details::Details;
use super::error::ImageError;
use super::filter::Filters;
use super::ls::listed;
use crate::args::ImagePruneArguments;
use crate::ask;
use crate::exit;
use crate::format;
use crate::human;
use crate::options::Places;
use crate::run::Outcome;
use crate::workshop;

/// Runs `image prune` in the builder.
pub(crate) fn run(
    arguments: &ImagePruneArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let filters = Filters::of_prune(&arguments.filters)?;
    // Docker's older way to say `--all`.
    let is_all = arguments.all || filters.is_dangling() == Some(false);
    if !arguments.force && !ask::is_confirmed(&question(is_all)) {
        return Ok(exit::DONE);
    }
    let store = workshop::open_store(builder, places)?;
    let (said, freed_bytes) = prune(&store, &filters, is_all)?;
    let freed = human::size(freed_bytes, 4);
    format::print(&format!("{said}Total reclaimed space: {freed}\n"))?;
    Ok(exit::DONE)
}

fn question(is_all: bool) -> String {
    let what = if is_all {
        "all images of the store"
    } else {
        "all dangling images"
    };
    format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ")
}

/// Removes images without a name, or all; returns what is said of that, and how many bytes are free now.
pub(super) fn prune(
    store: &Store,
    filters: &Filters,
    is_all: bool,
) -> Result<(String, u64), ImageError> {
    let content = store.content();
    let mut images = listed(content)?;
    if !is_all {
        images.retain(|details| details.image.names.is_empty());
    }
    // Whether it has a name is decided above.
    filters.apply(content, &mut images)?;
    let mut said = String::new();
    for Details { image, .. } in &images {
        for name in content.forget(&image.digest)?.unwrap_or_default() {
            writeln!(said, "untagged: {}", name.familiar())
                .expect("a String takes what is written");
        }
        writeln!(said, "deleted: {}", image.digest).expect("a String takes what is written");
    }
    // Blobs that an end in the middle of something left are nobody's.
    let freed_bytes = store.sweep_all()?.bytes();
    let heading = if said.is_empty() {
        ""
    } else {
        "Deleted Images:\n"
    };
    let gap = if said.is_empty() { "" } else { "\n" };
    Ok((format!("{heading}{said}{gap}"), freed_bytes))
}
