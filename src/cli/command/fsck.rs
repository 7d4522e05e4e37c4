//! `careen fsck`: everything in the store is looked at, and mended where that is wanted.

mod text;

use runtime::Builder;
use solver::LayerFiles;
use store::{Checked, CompareFiles, Mending, OpenError, Store, SyncPolicy};

use super::failure::interrupted;
use crate::args::FsckArguments;
use crate::exit;
use crate::format;
use crate::options::Places;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// What was found cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("write what was found as JSON")]
struct JsonError(#[source] serde_json::Error);

/// Looks at the store; the exit code says whether all of it is whole, or was mended.
pub(crate) fn run(arguments: &FsckArguments, builder: &Builder, places: &Places) -> Outcome {
    let mending = if arguments.repair {
        Mending::Yes
    } else {
        Mending::No
    };
    let store = open(builder, places, mending)?;
    let cancel = builder.cancel();
    let files = LayerFiles::new(&store, workshop::storage(builder.ids()), cancel);
    let files = (!arguments.quick).then_some(&files as &dyn CompareFiles);
    let checked = store.check(mending, files, &|| cancel.is_cancelled());
    let checked = checked.map_err(|error| match cancel.reason() {
        Some(reason) => interrupted(reason),
        None => Box::new(Report::new(Kind::Host, &error)),
    })?;
    format::print(&shown(&checked, &store, arguments)?)?;
    if checked.is_whole() {
        return Ok(exit::DONE);
    }
    Ok(exit::FAILED)
}

/// Opens the store. Where the frame of its image layout is damaged, that is mended first.
fn open(builder: &Builder, places: &Places, mending: Mending) -> Result<Store, Box<Report>> {
    let waits = workshop::waits_said();
    let first = match workshop::try_store(builder.ids(), &places.store, (places.sync, &waits))? {
        Err(OpenError::Content { path, .. }) if mending == Mending::Yes => {
            Store::mend_content(&path, SyncPolicy::Full)
                .map_err(|error| Report::new(Kind::Host, &error))?;
            report::print_text(&format!(
                "`{}` is an image layout again.",
                path.join("content").display()
            ));
            workshop::try_store(builder.ids(), &places.store, (places.sync, &waits))?
        }
        opened => opened,
    };
    first.map_err(|error| workshop::not_open(&error, &places.store))
}

fn shown(
    checked: &Checked,
    store: &Store,
    arguments: &FsckArguments,
) -> Result<String, Box<Report>> {
    if !arguments.json {
        return Ok(text::table(checked, store.path(), arguments.repair));
    }
    let found = text::Found::new(checked, store.path());
    let text = serde_json::to_string_pretty(&found);
    let text = text.map_err(|error| Report::new(Kind::Internal, &JsonError(error)))?;
    Ok(text + "\n")
}
