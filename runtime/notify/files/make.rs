//! Files that are made by somebody else than root, or in a directory that hands its group or a list of rights down: their
//! owner is recorded, and the list.
//!
//! All others are made by the kernel: they belong to root, as what has no record does.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode as Permissions, SFlag, mknodat, umask};
use rootfs::{Mode, OwnerRecord};

use crate::notify::caller::Caller;
use crate::notify::files::acl;
use crate::notify::files::attributes::{ACCESS_RECORD, DEFAULT_RECORD};
use crate::notify::files::place::{Named, NewName, Place, low_half, open_as};
use crate::notify::files::record::{Records, holds_attributes, is_directory};
use crate::notify::ids::Credentials;
use crate::sys::attribute::{self, LastLink};
use crate::sys::file;
use crate::sys::notification::Answer;
use crate::sys::status::Status;

const SET_GROUP: u32 = 0o2000;

/// `struct open_how` of Linux 5.6, in bytes.
const OPEN_HOW_BYTES: usize = 24;

/// Whom a new file belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heir {
    uid: u32,
    gid: u32,
    /// Whether a new directory hands its group down as well.
    hands_down: bool,
    /// The list of rights that the directory hands down, if it is recorded. Of any other the kernel knows.
    list: Option<Vec<u8>>,
}

impl Heir {
    /// Returns the mode that a file is to be made with, where the caller wants this one, and sets the mask for that.
    fn mode(&self, caller: &Caller<'_>, wanted: u32) -> Result<u32, Errno> {
        let (mask, mode) = match &self.list {
            // What kind of node it is stays.
            Some(list) => (
                0,
                wanted & !0o7777 | acl::inherited(list, wanted & 0o7777).1,
            ),
            None => (caller.rights()?.umask, wanted),
        };
        umask(Permissions::from_bits_truncate(mask));
        Ok(mode)
    }
}

/// What is made under a new name.
enum New {
    Directory { mode: u32 },
    Link { target: CString },
    Node { mode: u32 },
}

/// Makes a directory, a symbolic link, a pipe, a socket or an empty file.
pub(super) fn make(
    name: &str,
    arguments: &[u64; 6],
    (records, caller, credentials): (&mut Records, &Caller<'_>, &Credentials),
) -> Result<Answer, Errno> {
    let [first, second, third, ..] = *arguments;
    let here = |path| Named::path(path, LastLink::Meant);
    let (named, new) = match name {
        "mkdir" => (
            here(first),
            New::Directory {
                mode: low_half(second),
            },
        ),
        "mkdirat" => (
            Named::at(first, second, 0),
            New::Directory {
                mode: low_half(third),
            },
        ),
        "mknod" => (
            here(first),
            New::Node {
                mode: low_half(second),
            },
        ),
        "mknodat" => (
            Named::at(first, second, 0),
            New::Node {
                mode: low_half(third),
            },
        ),
        "symlink" => (here(second), link(caller, first)?),
        "symlinkat" => (Named::at(second, third, 0), link(caller, first)?),
        _ => return Err(Errno::ENOSYS),
    };
    // The kernel says best what is wrong with a name.
    let Ok(NewName { parent, name }) = named.find_new(caller) else {
        return Ok(Answer::GoesOn);
    };
    let Some(heir) = heir(records, caller, credentials, &parent) else {
        return Ok(Answer::GoesOn);
    };
    let directory = parent.open(caller)?;
    let wanted = new.mode();
    let mode = heir.mode(caller, wanted)?;
    new.make((directory.as_fd(), &name), mode)?;
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let made = file::open(directory.as_fd(), &name, flags, 0).map_err(|error| error.errno())?;
    bequeath(records, &made, (&heir, wanted))?;
    Ok(Answer::DONE)
}

fn link(caller: &Caller<'_>, target: u64) -> Result<New, Errno> {
    let target = CString::new(caller.path(target)?).map_err(|_zero| Errno::EINVAL)?;
    Ok(New::Link { target })
}

impl New {
    /// Returns the mode that is asked for.
    fn mode(&self) -> u32 {
        match self {
            Self::Directory { mode } | Self::Node { mode } => *mode,
            Self::Link { .. } => 0o777,
        }
    }

    /// Makes it with this mode.
    fn make(&self, (directory, name): (BorrowedFd<'_>, &CString), mode: u32) -> Result<(), Errno> {
        match self {
            Self::Directory { .. } => file::make_directory(directory, name, mode & 0o1777),
            Self::Link { target } => file::symlink(target, directory, name),
            Self::Node { .. } => {
                let mut kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
                if kind.is_empty() {
                    kind = SFlag::S_IFREG;
                }
                let permissions = Permissions::from_bits_truncate(mode & 0o7777);
                return mknodat(directory, name.as_c_str(), kind, permissions, 0);
            }
        }
        .map_err(|error| error.errno())
    }
}

/// Opens a file that may have to be made.
pub(super) fn open(
    name: &str,
    arguments: &[u64; 6],
    answering: (&mut Records, &Caller<'_>, &Credentials),
    send: impl FnOnce(BorrowedFd<'_>, bool) -> Result<Answer, Errno>,
) -> Result<Answer, Errno> {
    let (records, caller, credentials) = answering;
    let Some(opening) = Opening::read(name, arguments, caller)? else {
        return Ok(Answer::GoesOn);
    };
    let Ok(path) = caller.path(opening.path) else {
        return Ok(Answer::GoesOn);
    };
    let Some(heir) = opening.heir(records, caller, credentials, path.clone()) else {
        return Ok(Answer::GoesOn);
    };
    let wanted = opening.mode & 0o7777;
    let mode = heir.mode(caller, wanted)?;
    let flags = OFlag::from_bits_retain(opening.flags.cast_signed());
    let place = (opening.start, path.as_slice());
    let made = open_as(caller, place, (flags, mode))?;
    bequeath(records, &made, (&heir, wanted))?;
    send(made.as_fd(), flags.contains(OFlag::O_CLOEXEC))
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
struct Opening {
    start: Option<i32>,
    path: u64,
    flags: u32,
    mode: u32,
}

impl Opening {
    /// Reads the arguments; `None` where no file can be made, or something is asked for that is the kernel's.
    fn read(name: &str, arguments: &[u64; 6], caller: &Caller<'_>) -> Result<Option<Self>, Errno> {
        let [first, second, third, fourth, ..] = *arguments;
        let start = |number: u64| {
            let number = low_half(number).cast_signed();
            (number != libc::AT_FDCWD).then_some(number)
        };
        let creating = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
        let (start, path, flags, mode) = match name {
            "open" => (None, first, low_half(second), low_half(third)),
            "creat" => (None, first, creating.cast_unsigned(), low_half(second)),
            "openat" => (start(first), second, low_half(third), low_half(fourth)),
            "openat2" => {
                let how = caller.bytes(third, OPEN_HOW_BYTES)?;
                let field = |at: usize| {
                    let bytes = how.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
                    u64::from_le_bytes(bytes.unwrap_or_default())
                };
                if field(16) != 0 {
                    return Ok(None);
                }
                (start(first), second, low_half(field(0)), low_half(field(8)))
            }
            _ => return Err(Errno::ENOSYS),
        };
        let flags = flags & OFlag::all().bits().cast_unsigned();
        let opening = Self {
            start,
            path,
            flags,
            mode,
        };
        let has = |flag: i32| flags & flag.cast_unsigned() != 0;
        let makes = opening.is_nameless() || has(libc::O_CREAT);
        Ok((makes && !has(libc::O_PATH)).then_some(opening))
    }

    fn is_nameless(&self) -> bool {
        let bits = libc::O_TMPFILE.cast_unsigned();
        self.flags & bits == bits
    }

    /// Returns whom the file will belong to; `None` where it is there already, or the kernel is to make it.
    fn heir(
        &self,
        records: &Records,
        caller: &Caller<'_>,
        credentials: &Credentials,
        path: Vec<u8>,
    ) -> Option<Heir> {
        if self.is_nameless() {
            let place = Place::of_path(self.start, path, LastLink::Followed);
            return heir(records, caller, credentials, &place);
        }
        let (parent, _) = super::place::divide(&path).ok()?;
        let parent = Place::of_path(self.start, parent.to_vec(), LastLink::Followed);
        let heir = heir(records, caller, credentials, &parent)?;
        let place = Place::of_path(self.start, path, LastLink::Followed);
        matches!(place.open(caller), Err(Errno::ENOENT)).then_some(heir)
    }
}

/// Returns whom a new file in a directory belongs to; `None` if to root, or if the directory is the kernel's.
fn heir(
    records: &Records,
    caller: &Caller<'_>,
    credentials: &Credentials,
    parent: &Place,
) -> Option<Heir> {
    if *parent == Place::Kernels {
        return None;
    }
    let (uid, gid) = (credentials.users.file, credentials.groups.file);
    let above = records.glance(parent, caller);
    let list = handed_down(parent, caller);
    if above.is_none() && list.is_none() && (uid, gid) == (0, 0) {
        return None;
    }
    let above = records.see(parent.open(caller).ok()?).ok()?;
    let hands_down = above.now().mode.bits() & SET_GROUP != 0;
    let gid = if hands_down { above.now().gid } else { gid };
    let heir = Heir {
        uid,
        gid,
        hands_down,
        list,
    };
    ((uid, gid) != (0, 0) || hands_down || heir.list.is_some()).then_some(heir)
}

/// Returns the list of rights that a directory hands down, if it is recorded.
fn handed_down(parent: &Place, caller: &Caller<'_>) -> Option<Vec<u8>> {
    let (path, last) = parent.shortcut(caller)?;
    attribute::get(&path, DEFAULT_RECORD, last).ok()
}

/// Records whom a new file belongs to, and who else has rights to it. `wanted` is the mode that the caller wants it to have.
fn bequeath(
    records: &mut Records,
    made: &OwnedFd,
    (heir, wanted): (&Heir, u32),
) -> Result<(), Errno> {
    let status = Status::of(made.as_fd())?;
    if let Some(list) = heir.list.as_deref().filter(|_| holds_attributes(&status)) {
        let path = attribute::path_of(made.as_raw_fd());
        attribute::set(&path, ACCESS_RECORD, &acl::inherited(list, wanted).0, 0)?;
        if is_directory(&status) {
            attribute::set(&path, DEFAULT_RECORD, list, 0)?;
        }
    }
    let hands_down = heir.hands_down && is_directory(&status);
    let more = if hands_down { SET_GROUP } else { 0 };
    let record = OwnerRecord {
        uid: heir.uid,
        gid: heir.gid,
        mode: Mode::new(status.mode() | more),
        device: None,
    };
    records.set(made.as_fd(), &status, record)
}
