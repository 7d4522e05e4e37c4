//! Where the entries of a layer go: into a directory, or into an index that says what would be there.

use std::io::BufRead;

use rootfs::{Device, FsError, RootPath};

use crate::change::Attributes;
use crate::placer::{Linked, Placed};
use crate::tarread::{TarEntry, TarError, TarReader};

/// Why a regular file did not get into its place.
#[derive(Debug)]
pub(crate) enum FillError {
    /// Its data cannot be read.
    Archive(TarError),
    /// It, or one before it, cannot be written.
    Write {
        /// The file.
        path: RootPath,
        /// Why not.
        source: FsError,
    },
}

impl FillError {
    /// Returns what makes this error of one about a file.
    pub(crate) fn at(path: &RootPath) -> impl Fn(FsError) -> Self + Copy {
        |source| Self::Write {
            path: path.clone(),
            source,
        }
    }
}

impl From<TarError> for FillError {
    fn from(error: TarError) -> Self {
        Self::Archive(error)
    }
}

/// What takes the entries of a layer, one after the other. Paths may lead through symbolic links of the layer itself.
pub(crate) trait Sink {
    /// Puts a directory, or gives one that is there other attributes.
    fn directory(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), FsError>;

    /// Puts a regular file, whose data is to be read.
    fn file<B: BufRead>(
        &mut self,
        path: &RootPath,
        attributes: Attributes,
        entry: &TarEntry,
        reader: &mut TarReader<B>,
    ) -> Result<(), FillError>;

    /// Puts a symbolic link.
    fn symlink(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        target: &[u8],
    ) -> Result<(), FsError>;

    /// Puts a named pipe.
    fn fifo(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), FsError>;

    /// Puts a device node.
    fn device(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        device: Device,
    ) -> Result<(), FsError>;

    /// Gives an object of this layer a second name.
    fn hard_link(&mut self, path: &RootPath, target: &RootPath) -> Result<Linked, FsError>;

    /// Hides what the layers below have at a path.
    fn delete(&mut self, path: &RootPath) -> Result<(), FsError>;

    /// Hides what the layers below have in a directory.
    fn opaque(&mut self, path: &RootPath) -> Result<(), FsError>;

    /// Returns where a name leads in this layer without following it itself.
    fn real_name(&self, path: &RootPath) -> Result<RootPath, FsError>;

    /// Completes what was put.
    fn finish(self) -> Result<Placed, FillError>;
}
