//! `type=tar`: the files of the result as one archive, with their owners.

use layer::TarOptions;
use solver::BuildResult;

use crate::exporter::{ExportError, ExportStep, Exported, Exporter};
use crate::output::{Destination, TreeOptions};
use crate::sink;
use crate::tree::ResultTree;

/// Writes files into an archive.
#[derive(Debug)]
pub(crate) struct TarExporter<'o> {
    /// Where the archive goes.
    pub(crate) destination: &'o Destination,
    /// What the tree is like.
    pub(crate) tree: &'o TreeOptions,
}

impl Exporter for TarExporter<'_> {
    fn name(&self) -> &'static str {
        "exporting to client tarball"
    }

    fn export(&self, result: &BuildResult, step: &ExportStep<'_>) -> Result<Exported, ExportError> {
        let tree = ResultTree::open(result, step, self.tree)?;
        let options = TarOptions {
            times: self.tree.times,
            ..TarOptions::default()
        };
        step.tell("sending tarball".to_owned(), false);
        let archive = (tree.changes()?, &options);
        sink::write_archive(self.destination, step.workshop, archive)?;
        step.tell("sending tarball".to_owned(), true);
        Ok(Exported {
            image: None,
            unchanged: false,
        })
    }
}
