//! Finding the place for a mount inside a root, and making what is missing.
//!
//! The path is from a Dockerfile and leads through an image: a symbolic link may stand anywhere in
//! it and point anywhere. The walk goes by descriptors, one name at a time and never through a
//! link: a link is read and its words are walked in its stead, `..` goes back along the way that
//! was come, and neither gets above the root. A directory that another sandbox swaps for a link
//! meanwhile is therefore not followed out.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{FileStat, SFlag};

use crate::protocol::{StubRecord, Time};
use crate::spec::TargetKind;
use crate::sys::{CallError, Called as _, file, quoted, shown};

/// How many links may be on one way, as in the kernel (`path_resolution(7)`).
const LINKS_LIMIT: u32 = 40;

/// A file or directory that was made to be mounted on.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) record: StubRecord,
    /// The directory it is in.
    pub(crate) parent: OwnedFd,
    /// The stub itself.
    pub(crate) entry: OwnedFd,
}

/// Finds the place at `path` in `root`, and makes it and the directories on the way if they are
/// missing.
///
/// What was made is added to `stubs`, outer ones first.
pub(crate) fn find_or_make(
    root: BorrowedFd<'_>,
    path: &[u8],
    kind: TargetKind,
    stubs: &mut Vec<Stub>,
) -> Result<OwnedFd, CallError> {
    let mut walk = Walk {
        root,
        way: Vec::new(),
        words: words(path).collect(),
        links: 0,
    };
    while let Some(word) = walk.words.pop_front() {
        if word == b".." {
            walk.way.pop();
            continue;
        }
        let wanted = if walk.words.is_empty() {
            kind
        } else {
            TargetKind::Directory
        };
        let name = c_name(&word)?;
        let entry = walk.open_or_make(&name, wanted, stubs)?;
        match kind_of(&file::stat(entry.as_fd())?) {
            SFlag::S_IFLNK => walk.follow(&entry)?,
            SFlag::S_IFDIR => walk.way.push(entry),
            _ if walk.words.is_empty() && kind == TargetKind::File => return Ok(entry),
            _ => return Err(walk.wrong(&name, Errno::ENOTDIR)),
        }
    }
    match (kind, walk.way.pop()) {
        (TargetKind::Directory, Some(directory)) => Ok(directory),
        (TargetKind::Directory, None) => open_path(root, c".", OFlag::O_DIRECTORY),
        (TargetKind::File, _) => Err(CallError::new(
            format!("mount a file on {}", quoted(path)),
            Errno::EISDIR,
        )),
    }
}

/// A walk that has come some way.
struct Walk<'r> {
    root: BorrowedFd<'r>,
    /// The directories that were entered; empty at the root.
    way: Vec<OwnedFd>,
    /// The words that are still to be walked.
    words: VecDeque<Vec<u8>>,
    links: u32,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.way
            .last()
            .map_or(self.root, |directory| directory.as_fd())
    }

    fn open_or_make(
        &self,
        name: &CString,
        wanted: TargetKind,
        stubs: &mut Vec<Stub>,
    ) -> Result<OwnedFd, CallError> {
        match open_path(self.here(), name, OFlag::empty()) {
            Err(error) if error.errno() == Errno::ENOENT => {}
            found => return found,
        }
        let parent = file::open(self.here(), c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
        let changed_before = changed(&file::stat(parent.as_fd())?);
        match make(parent.as_fd(), name, wanted) {
            // Another sandbox that shares this directory was faster: it is not ours to remove.
            Err(error) if error.errno() == Errno::EEXIST => {
                return open_path(self.here(), name, OFlag::empty());
            }
            made => made?,
        }
        let entry = open_path(self.here(), name, OFlag::empty())?;
        let record = StubRecord {
            name: name.as_bytes().to_vec(),
            kind: wanted,
            changed_before,
            changed_by_us: changed(&file::stat(parent.as_fd())?),
        };
        let kept = entry.try_clone().map_err(|error| clone_failed(&error))?;
        stubs.push(Stub {
            record,
            parent,
            entry: kept,
        });
        Ok(entry)
    }

    /// Walks the words of a link instead of the link.
    fn follow(&mut self, link: &OwnedFd) -> Result<(), CallError> {
        self.links += 1;
        let describe = || format!("readlinkat({}, \"\")", shown(link.as_fd()));
        if self.links > LINKS_LIMIT {
            return Err(CallError::new(describe(), Errno::ELOOP));
        }
        let target = readlinkat(link, c"").called(describe)?.into_vec();
        if target.first() == Some(&b'/') {
            self.way.clear();
        }
        for word in words(&target).rev() {
            self.words.push_front(word);
        }
        Ok(())
    }

    fn wrong(&self, name: &CString, errno: Errno) -> CallError {
        CallError::new(
            format!("openat({}, {name:?}, O_DIRECTORY)", shown(self.here())),
            errno,
        )
    }
}

fn make(parent: BorrowedFd<'_>, name: &CString, kind: TargetKind) -> Result<(), CallError> {
    match kind {
        TargetKind::Directory => file::make_directory(parent, name, 0o755),
        TargetKind::File => {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            file::open(parent, name, flags, 0o644).map(drop)
        }
    }
}

fn open_path(
    directory: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    flags: OFlag,
) -> Result<OwnedFd, CallError> {
    file::open(
        directory,
        name,
        OFlag::O_PATH | OFlag::O_NOFOLLOW | flags,
        0,
    )
}

fn words(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|word| !word.is_empty() && *word != b".")
        .map(<[u8]>::to_vec)
}

fn c_name(word: &[u8]) -> Result<CString, CallError> {
    CString::new(word)
        .map_err(|_zero| Errno::EINVAL)
        .called(|| format!("openat({})", quoted(word)))
}

pub(crate) fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

pub(crate) fn changed(stat: &FileStat) -> Time {
    Time {
        seconds: stat.st_mtime,
        nanoseconds: stat.st_mtime_nsec,
    }
}

fn clone_failed(error: &std::io::Error) -> CallError {
    CallError::new(
        "fcntl(F_DUPFD_CLOEXEC)",
        Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    )
}

#[cfg(test)]
mod tests;
