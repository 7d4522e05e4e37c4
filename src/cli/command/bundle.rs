//! A bundle: the files of an image in a directory that OCI runtimes run, and what is known of them.
//!
//! ```text
//! BUNDLE/
//!   rootfs/        the files; all belong to the user
//!   config.json    how an OCI runtime runs the image (runtime-spec, config.md)
//!   careen.json    which image it is, and each file as it is in the image
//! ```
//!
//! `careen.json` is an object: `version` is 1; `image` has the `location` that was unpacked, the descriptor of the
//! `manifest`; `files` is a list, sorted by path, of objects with `path`, `kind`, `mode`, `uid`, `gid`, `mtime`, and
//! where they apply `size`, `digest`, `target`, `device` and `xattrs`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use oci::Descriptor;
use rootfs::{PathError, RootPath};
use serde::{Deserialize, Serialize};

use super::files::{FileEntry, FileRecord};

/// The names in a bundle.
pub(crate) const ROOTFS: &str = "rootfs";
/// How an OCI runtime runs it.
pub(crate) const CONFIG: &str = "config.json";
/// What is known of it.
pub(crate) const RECORD: &str = "careen.json";

/// The version of the record that is written and read.
const VERSION: u32 = 1;

/// No record is larger: that of an image with a million files.
const RECORD_LIMIT_BYTES: u64 = 512 << 20;

/// Why a bundle cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// Something is where it would be made.
    #[error("`{}` is there already", path.display())]
    Exists { path: PathBuf },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The record cannot be read.
    #[error("`{}` is no bundle that careen has unpacked: its record cannot be read", bundle.display())]
    Read { bundle: PathBuf, source: io::Error },
    /// The record is too large to be one.
    #[error("`{}` is larger than {RECORD_LIMIT_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    /// The record is malformed.
    #[error("`{}` is malformed", path.display())]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// The record is of another version.
    #[error("`{}` is of version {found}, and this careen knows {VERSION}", path.display())]
    Version { path: PathBuf, found: u32 },
    /// A path of the record is none.
    #[error("`{}` is malformed", path.display())]
    Path { path: PathBuf, source: PathError },
}

/// What is known of a bundle.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The image.
    pub(crate) image: RecordedImage,
    files: Vec<RecordedFile>,
}

/// The image that was unpacked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedImage {
    /// Where it was, with an absolute path.
    pub(crate) location: String,
    /// Its manifest.
    pub(crate) manifest: Descriptor,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedFile {
    path: String,
    #[serde(flatten)]
    file: FileRecord,
}

impl Record {
    /// Makes the record of an image with these files.
    pub(crate) fn new(image: RecordedImage, files: Vec<FileEntry>) -> Self {
        let file = |entry: FileEntry| RecordedFile {
            path: entry.path.to_string(),
            file: entry.record,
        };
        Self {
            version: VERSION,
            image,
            files: files.into_iter().map(file).collect(),
        }
    }

    /// Writes the record into a bundle.
    pub(crate) fn write(&self, bundle: &Path) -> Result<(), BundleError> {
        let bytes = serde_json::to_vec(self).expect("texts and numbers are valid JSON");
        write(bundle, RECORD, &bytes)
    }

    /// Reads the record of a bundle.
    pub(crate) fn read(bundle: &Path) -> Result<Self, BundleError> {
        let path = bundle.join(RECORD);
        let refused = |source| BundleError::Read {
            bundle: bundle.to_owned(),
            source,
        };
        let file = File::open(&path).map_err(refused)?;
        let mut bytes = Vec::new();
        file.take(RECORD_LIMIT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(refused)?;
        if bytes.len() as u64 > RECORD_LIMIT_BYTES {
            return Err(BundleError::TooLarge { path });
        }
        let record: Self = serde_json::from_slice(&bytes).map_err(|source| {
            let path = path.clone();
            BundleError::Malformed { path, source }
        })?;
        match record.version {
            VERSION => Ok(record),
            found => Err(BundleError::Version { path, found }),
        }
    }

    /// Returns the files by their paths.
    pub(crate) fn files(
        self,
        bundle: &Path,
    ) -> Result<BTreeMap<RootPath, FileRecord>, BundleError> {
        let read = |recorded: RecordedFile| {
            let path = RootPath::from_escaped(&recorded.path);
            let path = path.map_err(|source| BundleError::Path {
                path: bundle.join(RECORD),
                source,
            });
            Ok((path?, recorded.file))
        };
        self.files.into_iter().map(read).collect()
    }
}

/// Writes a file of a bundle.
pub(crate) fn write(bundle: &Path, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
    let path = bundle.join(name);
    export::write_file(&path, bytes).map_err(|source| BundleError::Write { path, source })
}
