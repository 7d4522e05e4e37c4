//! `careen image prune`: images without a name are removed, or all, and blobs that nobody needs.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, Read as _, Write as _};

use store::Store;

use super::details::Details;
use super::error::ImageError;
use super::filter::Filters;
use super::ls::listed;
use crate::args::ImagePruneArguments;
use crate::exit;
use crate::format;
use crate::human;
use crate::options::Places;
use crate::run::Outcome;
use crate::workshop;

/// No answer is longer.
const ANSWER_MAX_BYTES: u64 = 1024;

/// Runs `image prune` in the builder.
pub(crate) fn run(
    arguments: &ImagePruneArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let filters = Filters::of_prune(&arguments.filters)?;
    // Docker's older way to say `--all`.
    let is_all = arguments.all || filters.is_dangling() == Some(false);
    if !arguments.force && !is_wanted(is_all) {
        return Ok(exit::DONE);
    }
    let store = workshop::open_store(builder, places)?;
    format::print(&prune(&store, &filters, is_all)?)?;
    Ok(exit::DONE)
}

/// Asks.
fn is_wanted(is_all: bool) -> bool {
    let what = if is_all {
        "all images of the store"
    } else {
        "all dangling images"
    };
    let question =
        format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    let mut out = io::stdout().lock();
    // Whoever does not see the question does not answer it.
    drop(
        out.write_all(question.as_bytes())
            .and_then(|()| out.flush()),
    );
    let mut answer = String::new();
    let read = io::stdin()
        .lock()
        .take(ANSWER_MAX_BYTES)
        .read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn prune(store: &Store, filters: &Filters, is_all: bool) -> Result<String, ImageError> {
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
    Ok(format!(
        "{heading}{said}{gap}Total reclaimed space: {}\n",
        human::size(freed_bytes, 4)
    ))
}
