//! Opening a store, and making one that is not there.
//!
//! A store is made under its exclusive lock, and `VERSION` is written last: whoever finds that file
//! finds the rest. Who is killed before leaves directories that the next one takes over.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions as FileOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use nix::libc::O_NOFOLLOW;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::Uid;

use crate::content::{self, ContentError};
use crate::file::{self, DIRECTORY_MODE, FILE_MODE, FileError, SyncPolicy};
use crate::layout::{
    CLAIMS, COLLECTED, DIRECTORIES, EMULATORS, FORMAT, HINTS, HISTORY, LOCK, Layout, PROBE,
    UNSYNCED, VERSION, WHOLE,
};
use crate::limits::VERSION_LIMIT_BYTES;
use crate::lock::{Sharing, never, try_lock};
use crate::medium::{Medium, MediumError};
use crate::name::IdMapName;
use crate::wait::{Held, Waits};
use crate::{repair, unsynced};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The way in which the owners of files are kept: one name for each mapping of ids, so that
    /// snapshots of one are not taken for those of another.
    pub id_map: IdMapName,
    /// Whether the store has to survive a loss of power.
    pub sync: SyncPolicy,
    /// Who is told when a lock was not free.
    pub waits: Waits,
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is somebody else's.
    #[error("the store `{}` belongs to user {owner}, not to user {user}", path.display())]
    Owner {
        /// The store.
        path: PathBuf,
        /// Whose it is, as this process sees ids.
        owner: u32,
        /// Whom this process runs as.
        user: u32,
    },
    /// Others may enter the directory: programs with the set-user-ID bit lie in it.
    #[error("the store `{}` has mode {mode:04o}, and nobody but its owner may enter it: mode 0700", path.display())]
    Mode {
        /// The store.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The directory is on a file system that other machines write to.
    #[error("the store `{}` would be on {name}, a file system of a network", path.display())]
    Network {
        /// The store.
        path: PathBuf,
        /// The file system.
        name: &'static str,
    },
    /// Nobody knows what the directory is on.
    #[error(transparent)]
    Medium(MediumError),
    /// The directory is full of something else.
    #[error("`{}` is no store: it has no `VERSION`, and it has `{found}`", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// The first name in it that no store has.
        found: String,
    },
    /// The store was made by a newer careen.
    #[error("the store `{}` has format {found}, and this careen knows formats up to {FORMAT}", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// What should be the number of the format is none.
    #[error("the store `{}` has `{}` for its format", path.display(), found.escape_debug())]
    Version {
        /// The store.
        path: PathBuf,
        /// The text in `VERSION`.
        found: String,
    },
    /// A file or directory of the store cannot be made or read.
    #[error("open the store `{}`", path.display())]
    File {
        /// The store.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// The content store cannot be made or opened.
    #[error("open the store `{}`", path.display())]
    Content {
        /// The store.
        path: PathBuf,
        /// What failed.
        #[source]
        source: ContentError,
    },
}

impl OpenError {
    /// Returns a function that makes the error of a file, for `map_err`.
    fn file(path: &Path) -> impl Fn(FileError) -> Self {
        |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// Opens the store at `path`, or makes it, and removes what dead processes left in it.
pub(crate) fn open(path: &Path, options: OpenOptions) -> Result<Arc<Layout>, OpenError> {
    check_medium(&Medium::of(path).map_err(OpenError::Medium)?, path)?;
    let failed = OpenError::file(path);
    create_root(path).map_err(&failed)?;
    check_private(path)?;
    check_names(path)?;
    let lock = open_lock(path).map_err(&failed)?;
    lock_with_version(path, &lock, &options.waits)?;
    let opened_at = touch(path, &lock).map_err(&failed)?;
    let OpenOptions {
        id_map,
        sync,
        waits,
    } = options;
    let layout = Arc::new(Layout {
        root: path.to_owned(),
        id_map,
        sync,
        waits,
        opened_at,
        lock,
        is_grown: AtomicBool::new(false),
    });
    // A store that was made before there were caches has no directory for them, and somebody in need of room may have
    // removed others.
    let shared = DIRECTORIES.map(|name| path.join(name));
    let own = [
        layout.snapshots(),
        layout.records(),
        layout.caches(),
        layout.kept(),
    ];
    for directory in shared.iter().chain(&own) {
        file::create_dir(directory).map_err(&failed)?;
    }
    unsynced::look_after(&layout).map_err(&failed)?;
    repair::repair(&layout).map_err(&failed)?;
    Ok(layout)
}

/// Refuses a file system that other machines write to: it holds no attributes of users, no upper directory of an
/// overlay, and its locks say nothing about who is alive.
fn check_medium(medium: &Medium, path: &Path) -> Result<(), OpenError> {
    if !medium.is_network {
        return Ok(());
    }
    Err(OpenError::Network {
        path: path.to_owned(),
        name: medium.name,
    })
}

/// Makes the directory of the store, and those above it that are missing.
fn create_root(path: &Path) -> Result<(), FileError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_root(above)?;
    }
    file::create_dir(path).map(drop)
}

/// Refuses a store that is not ours alone. An empty directory that others may enter is closed to them: nothing was
/// ever in it that they could have opened.
fn check_private(path: &Path) -> Result<(), OpenError> {
    let failed = OpenError::file(path);
    if is_open_to_others(mode_of_ours(path)?) && file::entries(path).map_err(&failed)?.is_empty() {
        file::set_mode(path, DIRECTORY_MODE).map_err(&failed)?;
    }
    // Looked at once more: another process may have closed it, and filled it, in between.
    let mode = mode_of_ours(path)?;
    if is_open_to_others(mode) {
        return Err(OpenError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn is_open_to_others(mode: u32) -> bool {
    mode & 0o077 != 0
}

/// Returns the permission bits of a directory, which must be this user's.
fn mode_of_ours(path: &Path) -> Result<u32, OpenError> {
    let metadata = fs::metadata(path).map_err(FileError::of("stat", path));
    let metadata = metadata.map_err(OpenError::file(path))?;
    let (owner, user) = (metadata.uid(), Uid::effective().as_raw());
    if owner != user {
        return Err(OpenError::Owner {
            path: path.to_owned(),
            owner,
            user,
        });
    }
    Ok(metadata.mode() & 0o7777)
}

/// What a store may have that is in none of its directories.
const BESIDE: [&str; 7] = [LOCK, CLAIMS, EMULATORS, HINTS, HISTORY, UNSYNCED, COLLECTED];

/// Refuses a directory that holds something else, so that a wrong path does no harm there. A `VERSION` may come in
/// between: another process has made the store then.
fn check_names(path: &Path) -> Result<(), OpenError> {
    let failed = OpenError::file(path);
    if read_version(path)?.is_some() {
        return Ok(());
    }
    let mut names: Vec<_> = file::entries(path)
        .map_err(&failed)?
        .into_iter()
        .filter_map(|entry| Some(entry.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    let foreign = |name: &String| {
        let name = name.as_str();
        let is_known = BESIDE.contains(&name) || DIRECTORIES.contains(&name) || name == VERSION;
        !is_known && !name.starts_with(PROBE)
    };
    match names.into_iter().find(foreign) {
        Some(found) => Err(OpenError::NotAStore {
            path: path.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

fn open_lock(path: &Path) -> Result<File, FileError> {
    let lock = path.join(LOCK);
    let mut options = FileOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE);
    options
        .custom_flags(O_NOFOLLOW)
        .open(&lock)
        .map_err(FileError::of("open", &lock))
}

/// Shares the lock of a store that has a version, making the store first if it has none.
fn lock_with_version(path: &Path, lock: &File, waits: &Waits) -> Result<(), OpenError> {
    let failed = OpenError::file(path);
    let wait = |attempt: &dyn Fn() -> io::Result<bool>| {
        let taken = waits.wait((WHOLE, Held::Work), attempt, &never);
        let taken = taken.map_err(FileError::of("lock", &path.join(LOCK)));
        taken.map(drop).map_err(&failed)
    };
    let version = path.join(VERSION);
    let mut is_made_here = false;
    loop {
        wait(&|| try_lock(lock, Sharing::Shared))?;
        if read_version(path)?.is_some() {
            if is_made_here {
                // Nobody needs to wait for this one: a store without the name is made once more, and keeps what it has.
                file::sync_dir(path, SyncPolicy::Full).map_err(&failed)?;
            }
            return Ok(());
        }
        let is_ours = Cell::new(false);
        // Another process may have made it, which shares the lock from then on, for as long as it builds.
        wait(&|| {
            is_ours.set(try_lock(lock, Sharing::Exclusive)?);
            Ok(is_ours.get() || version.symlink_metadata().is_ok())
        })?;
        if is_ours.get() && read_version(path)?.is_none() {
            create(path).map_err(&failed)?;
            is_made_here = true;
        }
    }
}

/// Returns the format of a store that has one we know, `None` of one that is not made yet.
fn read_version(path: &Path) -> Result<Option<u32>, OpenError> {
    let bytes = file::read_limited(&path.join(VERSION), VERSION_LIMIT_BYTES);
    let bytes = bytes.map_err(OpenError::file(path))?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_end().parse() {
        Ok(found) if found > FORMAT => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
        }),
        Ok(found) if found == FORMAT => Ok(Some(found)),
        _ => Err(OpenError::Version {
            path: path.to_owned(),
            found: text.into_owned(),
        }),
    }
}

/// Makes everything that a store has; the exclusive lock is held. All but the name of `VERSION`, which is last, is on
/// the disk.
fn create(path: &Path) -> Result<(), FileError> {
    for directory in DIRECTORIES {
        file::create_dir(&path.join(directory))?;
    }
    file::write_new(&path.join(CLAIMS), b"", SyncPolicy::None)?;
    content::create(path)?;
    let temporary = path.join("ingest").join(VERSION);
    let text = format!("{FORMAT}\n");
    file::write_new(&temporary, text.as_bytes(), SyncPolicy::Full)?;
    file::sync_dir(path, SyncPolicy::Full)?;
    file::rename(&temporary, &path.join(VERSION))
}

/// Sets the time of the lock file and returns it: the time now, by the clock that also gives the
/// files of the store their times.
fn touch(path: &Path, lock: &File) -> Result<SystemTime, FileError> {
    let path = path.join(LOCK);
    futimens(lock, &TimeSpec::UTIME_OMIT, &TimeSpec::UTIME_NOW)
        .map_err(|errno| FileError::of("utimensat", &path)(errno.into()))?;
    let metadata = lock.metadata().and_then(|metadata| metadata.modified());
    metadata.map_err(FileError::of("stat", &path))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
