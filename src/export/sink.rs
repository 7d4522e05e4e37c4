//! Where an archive goes: a new file that takes its place when it is whole, something that is written to
//! and not replaced, or standard output.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::path::Path;

use layer::{Changes, TarOptions};
use solver::cancel::is_closed_pipe;
use solver::{Cancellable, CancellablePipe, Workshop};

use crate::exporter::{ExportError, write_error};
use crate::new_file::{NewFile, is_special};
use crate::output::Destination;

/// Writes a tar of changes to a destination; returns what the kernel keeps of the file, if it is one that
/// took its place.
pub(crate) fn write_archive<C: Changes>(
    destination: &Destination,
    workshop: &Workshop,
    (changes, options): (C, &TarOptions),
) -> Result<Option<Metadata>, ExportError> {
    match destination {
        Destination::Stdout => {
            let tar = Tar {
                shown: Path::new("-"),
                workshop,
                options,
            };
            // Not through Rust's own buffer, which would write as much at once as it holds.
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            let stdout = stdout.map_err(|source| write_error(tar.shown, source))?;
            match tar.stream(changes, File::from(stdout)) {
                // Whoever closes our output has read what they wanted.
                Err(error) if is_closed_pipe(&error) => Ok(None),
                written => written.map(|()| None),
            }
        }
        Destination::Path(path) => {
            let tar = Tar {
                shown: path,
                workshop,
                options,
            };
            tar.file(changes, path)
        }
    }
}

/// Tells whether what is written takes a place when it is whole, so that nothing is there of what fails.
pub(crate) fn is_replaced(destination: &Destination) -> bool {
    match destination {
        Destination::Stdout => false,
        Destination::Path(path) => !is_special(path),
    }
}

/// A tar on its way.
struct Tar<'a> {
    shown: &'a Path,
    workshop: &'a Workshop,
    options: &'a TarOptions,
}

impl Tar<'_> {
    fn file<C: Changes>(&self, changes: C, path: &Path) -> Result<Option<Metadata>, ExportError> {
        let failed = |source| write_error(path, source);
        if is_special(path) {
            let file = File::options().write(true).open(path).map_err(failed)?;
            self.stream(changes, file)?;
            return Ok(None);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut target = NewFile::create(path).map_err(failed)?;
        self.write(changes, target.out())?;
        let sync = self.workshop.store.sync_policy();
        target.finish(path, sync).map(Some).map_err(failed)
    }

    /// Writes to something that is written to and not replaced.
    fn stream<C: Changes>(&self, changes: C, out: File) -> Result<(), ExportError> {
        let out = CancellablePipe::new(out, &self.workshop.cancel);
        let mut out = BufWriter::new(out);
        self.write(changes, &mut out)?;
        out.flush()
            .map_err(|source| write_error(self.shown, source))
    }

    fn write<C: Changes, W: Write>(&self, changes: C, out: &mut W) -> Result<(), ExportError> {
        let cancel = &self.workshop.cancel;
        let mut out = Cancellable::new(out, cancel);
        layer::write_tar(changes, self.options, &mut out).map_err(|source| {
            if cancel.is_cancelled() {
                return ExportError::Cancelled;
            }
            let path = self.shown.to_owned();
            ExportError::Archive { path, source }
        })
    }
}
