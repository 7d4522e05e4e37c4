//! `type=local`: the files of the result in a directory of the user's.
//!
//! They belong to the user, whoever owned them in the image, and no program among them has its owner's
//! rights (set-user-id and set-group-id): it would have the user's. Device nodes are left out.
//!
//! A directory that is not there yet appears when it is whole. One that is there is merged into: each file
//! takes its place when it is whole, and what the result has nothing for stays, unless `mode=delete`. A
//! symbolic link in the place of something is replaced, not followed.

mod fresh;
mod writer;

use std::fs;
use std::path::Path;

use rootfs::{Root, RootPath};
use solver::BuildResult;
use solver::event::Moved;

use crate::exporter::{ExportError, ExportStep, Exported, Exporter, fs_error, write_error};
use crate::output::{LocalMode, TreeOptions};
use crate::tree::ResultTree;
use fresh::FreshDirectory;
use writer::Writer;

/// Writes files into a directory.
#[derive(Debug)]
pub(crate) struct LocalExporter<'o> {
    /// The directory.
    pub(crate) directory: &'o Path,
    /// What happens to what is there already.
    pub(crate) mode: LocalMode,
    /// What the tree is like.
    pub(crate) tree: &'o TreeOptions,
}

impl Exporter for LocalExporter<'_> {
    fn name(&self) -> &'static str {
        "exporting to client directory"
    }

    fn export(&self, result: &BuildResult, step: &ExportStep<'_>) -> Result<Exported, ExportError> {
        let tree = ResultTree::open(result, step, self.tree)?;
        let (left_out, written_bytes) = match fs::metadata(self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.write_fresh(&tree, step)?
            }
            Err(error) => return Err(write_error(self.directory, error)),
            Ok(_) => self.write_into(&tree, step)?,
        };
        let moved = Moved {
            current: written_bytes,
            total: None,
        };
        let events = &step.workshop.events;
        events.moved(&step.id, "copying files", moved, true);
        if left_out > 0 {
            let shown = self.directory.display();
            step.workshop.events.warn(format!(
                "device nodes are not written to `{shown}`: {left_out} of the result are left out"
            ));
        }
        Ok(Exported {
            image: None,
            unchanged: false,
        })
    }
}

/// How many files were left out, and how many bytes were written.
type Written = (u64, u64);

impl LocalExporter<'_> {
    /// Writes to a directory that is not there yet.
    fn write_fresh(
        &self,
        tree: &ResultTree,
        step: &ExportStep<'_>,
    ) -> Result<Written, ExportError> {
        let failed = |source| write_error(self.directory, source);
        let fresh = FreshDirectory::create(self.directory).map_err(failed)?;
        let root = Root::open(fresh.path()).map_err(|source| fs_error(self.directory, source))?;
        let writer = self.write(&root, tree, step)?;
        fresh.finish(self.directory).map_err(failed)?;
        Ok(writer.written())
    }

    /// Writes to a directory that is there.
    fn write_into(&self, tree: &ResultTree, step: &ExportStep<'_>) -> Result<Written, ExportError> {
        let failed = |source| fs_error(self.directory, source);
        let root = Root::open(self.directory).map_err(failed)?;
        let writer = self.write(&root, tree, step)?;
        if self.mode == LocalMode::Delete {
            let rest = others(&root, &writer).map_err(failed)?;
            for path in rest {
                root.remove_all(&path).map_err(failed)?;
            }
        }
        Ok(writer.written())
    }

    fn write<'r>(
        &'r self,
        root: &'r Root,
        tree: &ResultTree,
        step: &ExportStep<'_>,
    ) -> Result<Writer<'r>, ExportError> {
        let mut writer = Writer::new(root, self.directory, self.mode, self.tree.times);
        for change in tree.changes()? {
            step.check_cancelled()?;
            writer.put(&change?)?;
        }
        writer.finish()?;
        Ok(writer)
    }
}

/// Returns what a directory has and the result does not.
fn others(root: &Root, writer: &Writer<'_>) -> Result<Vec<RootPath>, rootfs::FsError> {
    let mut others = Vec::new();
    let mut walk = root.walk()?;
    while let Some(entry) = walk.next() {
        let path = entry?.path;
        if !writer.has(&path) {
            walk.skip_directory();
            others.push(path);
        }
    }
    Ok(others)
}
