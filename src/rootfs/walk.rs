//! An ordered walk of a tree by descriptors.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::dir::{Dir, Type};
use nix::fcntl::OFlag;

use crate::attr::{FileKind, Inode, Metadata};
use crate::call::{self, Links};
use crate::error::{FsError, Shown};
use crate::path::RootPath;
use crate::root::Root;
use crate::xattr::{self, XattrPlace};

/// How many directories of the current path are held open; one above is opened again when the walk
/// comes back to it.
const OPEN_LIMIT: usize = 16;

/// An object met by a [`Walk`]. It holds the directory that it is in open, so it is not to be kept.
#[derive(Debug)]
pub struct Entry {
    /// The path below the root of the walk.
    pub path: RootPath,
    /// What `stat` says; symlinks are not followed.
    pub metadata: Metadata,
    dir: Arc<OwnedFd>,
}

impl Entry {
    fn name(&self) -> &[u8] {
        self.path.file_name().unwrap_or(b".")
    }

    /// Opens the file for reading. A fifo does not block, and a symlink is not followed.
    ///
    /// # Errors
    ///
    /// Fails where it may not be read.
    pub fn open_file(&self) -> Result<File, FsError> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        call::openat(self.dir.as_fd(), self.name(), flags).map(File::from)
    }

    /// Holds the object.
    ///
    /// # Errors
    ///
    /// Fails where it is gone.
    pub fn inode(&self) -> Result<Inode, FsError> {
        call::openat(self.dir.as_fd(), self.name(), OFlag::O_PATH).map(Inode::from_fd)
    }

    /// Returns what the symlink says.
    ///
    /// # Errors
    ///
    /// Fails where it is none.
    pub fn read_link(&self) -> Result<Vec<u8>, FsError> {
        call::readlinkat(self.dir.as_fd(), self.name())
    }

    /// Returns all extended attributes of the object that this process can see.
    ///
    /// # Errors
    ///
    /// Fails where one may not be read.
    pub fn xattrs(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, FsError> {
        xattr::all(&XattrPlace::name(self.dir.as_fd(), self.name()))
    }
}

/// A name met by a [`Walk`], of which only a directory was looked at. It holds the directory that it is in open, so it
/// is not to be kept.
#[derive(Debug)]
pub struct NamedEntry {
    /// The path below the root of the walk.
    pub path: RootPath,
    metadata: Option<Metadata>,
    dir: Arc<OwnedFd>,
}

impl NamedEntry {
    /// Tells whether it is a directory, which is entered next.
    pub fn is_directory(&self) -> bool {
        self.metadata
            .is_some_and(|metadata| metadata.kind == FileKind::Directory)
    }

    /// Looks at it; on whatever thread.
    ///
    /// # Errors
    ///
    /// Fails where it is gone, or became a directory since its name was read, which the walk did not enter.
    pub fn look(self) -> Result<Entry, FsError> {
        let Self {
            path,
            metadata,
            dir,
        } = self;
        let found = metadata.map_or_else(|| stat_of(&dir, &path), Ok)?;
        if metadata.is_none() && found.kind == FileKind::Directory {
            return Err(FsError::Replaced { path });
        }
        let metadata = found;
        Ok(Entry {
            path,
            metadata,
            dir,
        })
    }
}

fn stat_of(dir: &Arc<OwnedFd>, path: &RootPath) -> Result<Metadata, FsError> {
    let name = path.file_name().unwrap_or(b".");
    Ok(Metadata::from_stat(&call::fstatat(dir.as_fd(), name)?))
}

/// A directory whose names are being handed out.
#[derive(Debug)]
struct Level {
    path: RootPath,
    /// The directory, or what it was when it was open.
    fd: Option<Arc<OwnedFd>>,
    id: (u64, u64),
    /// The names that are left, the next one last.
    left: Vec<Name>,
}

/// A name in a directory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) text: CString,
    /// Whether the listing said that this is something else than a directory; some file systems never say.
    is_no_directory: bool,
}

/// A walk over everything below a root, without the root itself: depth first, each directory before
/// what is in it, names sorted by bytes.
///
/// The names of the directories on the current path are in memory, and a fixed number of descriptors
/// is open. After an error the walk goes on with the next name, except that a directory that cannot
/// be read is not entered.
#[derive(Debug)]
pub struct Walk {
    root: Root,
    levels: Vec<Level>,
    /// The directory that was handed out last and is entered next.
    pending: Option<(RootPath, Metadata, Arc<OwnedFd>)>,
}

impl Root {
    /// Starts a walk over everything below this directory.
    ///
    /// # Errors
    ///
    /// Fails where this directory may not be read.
    pub fn walk(&self) -> Result<Walk, FsError> {
        self.walk_below(&RootPath::root())
    }

    /// Starts a walk over everything below the directory at a path, which is not followed. The paths
    /// of the entries are below this root.
    ///
    /// # Errors
    ///
    /// Fails where there is no such directory or it may not be read.
    pub fn walk_below(&self, path: &RootPath) -> Result<Walk, FsError> {
        let directory = self.open_dir_nofollow(path)?;
        let metadata = Metadata::from_stat(&call::fstat(directory.as_fd())?);
        let mut walk = Walk {
            root: self.try_clone()?,
            levels: Vec::new(),
            pending: None,
        };
        let fd = call::duplicate(directory.as_fd())?;
        walk.enter(path.clone(), &metadata, Arc::new(fd))?;
        Ok(walk)
    }

    /// Returns the entry at a path, whose last component is not followed.
    ///
    /// # Errors
    ///
    /// Fails when nothing is there, or it cannot be looked at.
    pub fn entry(&self, path: &RootPath) -> Result<Entry, FsError> {
        let parent = self.open_dir(&path.parent().unwrap_or_else(RootPath::root))?;
        let dir = Arc::new(call::duplicate(parent.as_fd())?);
        let name = path.file_name().unwrap_or(b".");
        let stat = call::fstatat(dir.as_fd(), name)?;
        Ok(Entry {
            path: path.clone(),
            metadata: Metadata::from_stat(&stat),
            dir,
        })
    }
}

impl Walk {
    /// Leaves out what is in the directory that was handed out last.
    pub fn skip_directory(&mut self) {
        self.pending = None;
    }

    fn enter(
        &mut self,
        path: RootPath,
        metadata: &Metadata,
        fd: Arc<OwnedFd>,
    ) -> Result<(), FsError> {
        let mut left = sorted_names(fd.as_fd())?;
        left.reverse();
        if let Some(far) = self.levels.len().checked_sub(OPEN_LIMIT) {
            self.levels[far].fd = None;
        }
        self.levels.push(Level {
            path,
            fd: Some(fd),
            id: (metadata.dev, metadata.ino),
            left,
        });
        Ok(())
    }

    /// Enters the directory that was handed out last.
    fn enter_pending(&mut self) -> Result<(), FsError> {
        let Some((path, metadata, dir)) = self.pending.take() else {
            return Ok(());
        };
        let name = path.file_name().unwrap_or(b".");
        let fd = call::openat(dir.as_fd(), name, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        check_same(fd.as_fd(), (metadata.dev, metadata.ino), &path)?;
        self.enter(path, &metadata, Arc::new(fd))
    }

    /// Returns the next name, `None` at the end. What the listing of its directory says is no directory was not looked
    /// at, which can then be done by several threads.
    ///
    /// # Errors
    ///
    /// As the walk itself; it goes on after an error in the same way.
    pub fn next_name(&mut self) -> Result<Option<NamedEntry>, FsError> {
        self.advance(Look::AtDirectories)
    }

    /// Returns the next name, `None` at the end.
    fn advance(&mut self, look: Look) -> Result<Option<NamedEntry>, FsError> {
        self.enter_pending()?;
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some(name) = level.left.pop() else {
                self.levels.pop();
                continue;
            };
            let dir = open_again(&self.root, level)?;
            let path = level.path.child(name.text.as_bytes())?;
            let is_later = look == Look::AtDirectories && name.is_no_directory;
            let metadata = (!is_later).then(|| stat_of(&dir, &path)).transpose()?;
            let entry = NamedEntry {
                path,
                metadata,
                dir,
            };
            if let (Some(metadata), true) = (metadata, entry.is_directory()) {
                self.pending = Some((entry.path.clone(), metadata, Arc::clone(&entry.dir)));
            }
            return Ok(Some(entry));
        }
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, FsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance(Look::AtAll).transpose()?;
        Some(entry.and_then(NamedEntry::look))
    }
}

/// Returns the descriptor of a directory on the current path, opening it again if it was let go.
fn open_again(root: &Root, level: &mut Level) -> Result<Arc<OwnedFd>, FsError> {
    if let Some(fd) = &level.fd {
        return Ok(Arc::clone(fd));
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let fd = call::openat2(root.as_fd(), level.path.as_bytes(), flags, Links::Refuse)?;
    check_same(fd.as_fd(), level.id, &level.path)?;
    let fd = Arc::new(fd);
    level.fd = Some(Arc::clone(&fd));
    Ok(fd)
}

fn check_same(fd: BorrowedFd<'_>, id: (u64, u64), path: &RootPath) -> Result<(), FsError> {
    let stat = call::fstat(fd)?;
    if (stat.st_dev, stat.st_ino) == id {
        Ok(())
    } else {
        Err(FsError::Replaced { path: path.clone() })
    }
}

/// What a walk looks at by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    AtAll,
    AtDirectories,
}

/// Reads the names in a directory, sorted by bytes, without `.` and `..`.
pub(crate) fn sorted_names(dir: BorrowedFd<'_>) -> Result<Vec<Name>, FsError> {
    let error = |errno| FsError::call(errno, format_args!("getdents64({})", Shown(dir)));
    let mut listing = Dir::from_fd(call::open_for_reading(dir)?).map_err(error)?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let entry = entry.map_err(error)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(Name {
                text: entry.file_name().to_owned(),
                is_no_directory: !matches!(entry.file_type(), None | Some(Type::Directory)),
            });
        }
    }
    names.sort_unstable();
    Ok(names)
}
