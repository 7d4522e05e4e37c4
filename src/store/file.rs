//! The few file calls that the modules of the store share, each with the path in its error.
//!
//! They take paths of the store's own names only; what an image or a user named goes through
//! [`rootfs::Root`].

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// The mode of every directory of the store.
pub(crate) const DIRECTORY_MODE: u32 = 0o700;

/// The mode of every file of the store that is still written to.
pub(crate) const FILE_MODE: u32 = 0o600;

/// A file of the store, or of a user's layout, with which something failed.
#[derive(Debug, thiserror::Error)]
#[error("{call} `{}`", path.display())]
pub struct FileError {
    /// What was being done.
    pub call: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Returns a function that makes the error of a call, for `map_err`.
    pub(crate) fn of(call: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            call,
            path: path.to_owned(),
            source,
        }
    }

    /// Tells whether there is nothing at the path.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == ErrorKind::NotFound
    }
}

/// How far the store goes to survive a loss of power.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SyncPolicy {
    /// What is complete is on disk before it is visible.
    #[default]
    Full,
    /// Nothing is waited for but names of images: what is made does not outlive the machine's memory.
    None,
}

/// Makes a directory; `false` where something is there already.
pub(crate) fn make_dir(path: &Path) -> Result<bool, FileError> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FileError::of("mkdir", path)(error)),
    }
}

/// Makes a directory that only its owner can enter; `false` where something is there already.
pub(crate) fn create_dir(path: &Path) -> Result<bool, FileError> {
    let made = make_dir(path)?;
    if made {
        // A umask can only take bits away, and some take too many.
        set_mode(path, DIRECTORY_MODE)?;
    }
    Ok(made)
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(FileError::of("chmod", path))
}

/// Makes a file that was not there, for reading and writing.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Writes a file, in place of one that a dead process left half-written.
pub(crate) fn write_new(path: &Path, bytes: &[u8], policy: SyncPolicy) -> Result<(), FileError> {
    remove_file(path)?;
    let mut file = create_file(path).map_err(FileError::of("create", path))?;
    file.write_all(bytes)
        .map_err(FileError::of("write", path))?;
    sync(&file, path, policy)
}

/// Opens a file or directory for reading; no link is followed at its end, and a fifo does not block.
pub(crate) fn open_nofollow(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path)
}

/// Reads a regular file of at most `limit_bytes`; `None` where there is nothing.
pub(crate) fn read_limited(path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match open_nofollow(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::of("open", path)(error)),
    };
    read_all(&file, limit_bytes)
        .map(Some)
        .map_err(FileError::of("read", path))
}

/// Reads an open regular file of at most `limit_bytes` to its end.
pub(crate) fn read_all(file: &File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    read_described(file, &file.metadata()?, limit_bytes)
}

/// Reads an open file to its end, like [`read_all`], which is known to be what `metadata` says.
pub(crate) fn read_described(
    file: &File,
    metadata: &Metadata,
    limit_bytes: u64,
) -> io::Result<Vec<u8>> {
    if !metadata.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "it is no regular file",
        ));
    }
    let mut bytes = Vec::with_capacity(size_hint(metadata.len(), limit_bytes));
    let mut limited = file.take(limit_bytes.saturating_add(1));
    limited.read_to_end(&mut bytes)?;
    if limited.limit() == 0 {
        let text = format!("it has more than {limit_bytes} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Returns how much memory a file that says it has `size_bytes` is worth at first; one byte more, so
/// that the end is found without another allocation.
fn size_hint(size_bytes: u64, limit_bytes: u64) -> usize {
    usize::try_from(size_bytes.min(limit_bytes)).map_or(0, |size| size.saturating_add(1))
}

/// Syncs a file's bytes and size, where the policy asks for it.
pub(crate) fn sync(file: &File, path: &Path, policy: SyncPolicy) -> Result<(), FileError> {
    match policy {
        SyncPolicy::None => Ok(()),
        SyncPolicy::Full => file.sync_all().map_err(FileError::of("fsync", path)),
    }
}

/// Syncs the names in a directory, where the policy asks for it.
pub(crate) fn sync_dir(path: &Path, policy: SyncPolicy) -> Result<(), FileError> {
    if policy == SyncPolicy::None {
        return Ok(());
    }
    let dir = open_nofollow(path).map_err(FileError::of("open", path))?;
    sync(&dir, path, policy)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::of("rename to", to))
}

/// Removes a file; where there is none, that is well.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FileError::of("unlink", path)(error))
        }
        _ => Ok(()),
    }
}

/// Returns the paths of what is in a directory, in no order.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = || {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
    };
    read().map_err(FileError::of("read directory", path))
}

/// Returns a file name that nothing has: 64 random bits. Who makes the file still asks for one that
/// was not there.
pub(crate) fn random_name() -> String {
    // The keys of a `RandomState` come from the system's random numbers.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
