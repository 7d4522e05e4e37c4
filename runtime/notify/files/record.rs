//! What is recorded of files: in an attribute, or in a table for what can hold none (symlinks, pipes, sockets, and
//! file systems without attributes).
//!
//! No memory is kept of which files have a record: to ask for the attribute takes one call, and so would the number of the
//! file by which such a memory would be asked.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::makedev;
use rootfs::{Device, FileTime, Mode, OwnerRecord};

use crate::executor::RecordedOwner;
use crate::notify::caller::Caller;
use crate::notify::files::place::Place;
use crate::sys::attribute::{self, LastLink};
use crate::sys::status::{Instant, Status};

/// The attribute of a record, as system calls want it.
pub(super) const ATTRIBUTE: &std::ffi::CStr = c"user.careen.owner";

/// The bits of a mode that are its kind (`S_IFMT`).
const KIND_BITS: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const SOCKET: u32 = 0o140_000;

/// Records of files that can hold no attribute, by number.
#[derive(Debug, Default)]
pub(super) struct Records {
    others: BTreeMap<FileNumber, Other>,
}

/// The file system that a file is on, and its number there.
type FileNumber = (u64, u64);

#[derive(Debug, Clone, Copy)]
struct Other {
    record: OwnerRecord,
    /// When the file was made that the record is of: numbers are used again. `None` where that is not known, and of a
    /// file of the layers below, whose number nobody else gets, but which may be copied up.
    born: Option<Instant>,
}

/// An open file and what it seems to be.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) file: OwnedFd,
    pub(super) status: Status,
    /// What is recorded.
    pub(super) record: Option<OwnerRecord>,
}

impl Records {
    /// Returns those of files that are there already.
    pub(super) fn new(recorded: &[RecordedOwner]) -> Self {
        let other = |owner: &RecordedOwner| {
            let RecordedOwner {
                device,
                inode,
                born,
                record,
            } = *owner;
            let born = born.map(|born| (born.seconds, born.nanos));
            ((device, inode), Other { record, born })
        };
        Self {
            others: recorded.iter().map(other).collect(),
        }
    }

    /// Returns those of files that hold no attribute.
    pub(super) fn of_others(&self) -> Vec<RecordedOwner> {
        let others = self.others.iter();
        others
            .map(|((device, inode), other)| RecordedOwner {
                device: *device,
                inode: *inode,
                born: other
                    .born
                    .map(|(seconds, nanos)| FileTime { seconds, nanos }),
                record: other.record,
            })
            .collect()
    }

    /// Returns what is recorded of a place, if anything is. Looks only.
    pub(super) fn glance(&self, place: &Place, caller: &Caller<'_>) -> Option<OwnerRecord> {
        if let Place::Descriptor(number) = place
            && let Ok(found) = self.glance_at(*number, caller)
        {
            return found;
        }
        let (path, last) = place.shortcut(caller)?;
        match attribute::get(&path, ATTRIBUTE, last) {
            Ok(text) => OwnerRecord::parse(&text).ok(),
            Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::EPERM) if !self.others.is_empty() => {
                let flags = match last {
                    LastLink::Followed => 0,
                    LastLink::Meant => libc::AT_SYMLINK_NOFOLLOW,
                };
                self.other(&Status::at(&path, flags).ok()?)
            }
            Err(_) => None,
        }
    }

    /// Returns what is recorded of what a descriptor of the caller's is.
    ///
    /// Fails if it cannot be copied, and with `EBADF` if it was opened for its name alone.
    fn glance_at(&self, number: i32, caller: &Caller<'_>) -> Result<Option<OwnerRecord>, Errno> {
        let file = caller.copy(number)?;
        match attribute::get_of(file.as_fd(), ATTRIBUTE) {
            Ok(text) => Ok(OwnerRecord::parse(&text).ok()),
            Err(Errno::EBADF) => Err(Errno::EBADF),
            Err(_) if self.others.is_empty() => Ok(None),
            Err(_) => Status::of(file.as_fd()).map(|status| self.other(&status)),
        }
    }

    /// Returns an open file with what is recorded of it.
    pub(super) fn see(&self, file: OwnedFd) -> Result<Seen, Errno> {
        let status = Status::of(file.as_fd())?;
        let path = attribute::path_of(file.as_raw_fd());
        let record = match attribute::get(&path, ATTRIBUTE, LastLink::Followed) {
            Ok(text) => OwnerRecord::parse(&text).ok(),
            Err(_) => self.other(&status),
        };
        Ok(Seen {
            file,
            status,
            record,
        })
    }

    fn other(&self, status: &Status) -> Option<OwnerRecord> {
        let other = self.others.get(&number(status))?;
        let is_same = other.born.is_none() || other.born == status.born();
        is_same.then_some(other.record)
    }

    /// Records what a file seems to be from now on.
    pub(super) fn set(
        &mut self,
        file: BorrowedFd<'_>,
        status: &Status,
        record: OwnerRecord,
    ) -> Result<(), Errno> {
        let path = attribute::path_of(file.as_raw_fd());
        let says_nothing = record == plain(status);
        let done = if !holds_attributes(status) {
            Err(Errno::EPERM)
        } else if says_nothing {
            match attribute::remove(&path, ATTRIBUTE) {
                Err(Errno::ENODATA) => Ok(()),
                removed => removed,
            }
        } else {
            attribute::set(&path, ATTRIBUTE, record.to_string().as_bytes(), 0)
        };
        match done {
            Err(Errno::EPERM | Errno::EOPNOTSUPP) => {
                let number = number(status);
                let is_from_below = self
                    .others
                    .get(&number)
                    .is_some_and(|other| other.born.is_none());
                let born = status.born().filter(|_| !is_from_below);
                self.others.insert(number, Other { record, born });
                Ok(())
            }
            done => done,
        }
    }
}

impl Seen {
    /// Returns what the file seems to be, whether it is recorded or not.
    pub(super) fn now(&self) -> OwnerRecord {
        self.record.map_or_else(
            || plain(&self.status),
            |record| shown(&record, &self.status),
        )
    }
}

/// Returns a record as it holds for a file: a mode that was changed on disk counts.
pub(super) fn shown(record: &OwnerRecord, status: &Status) -> OwnerRecord {
    let disk = Mode::new(status.mode());
    let kept = kept_mode(status, record.mode);
    OwnerRecord {
        mode: if disk == kept { record.mode } else { disk },
        ..*record
    }
}

/// Changes what the kernel says of a file to what is recorded.
pub(super) fn apply(status: &mut Status, record: &OwnerRecord) {
    let record = shown(record, status);
    status.set_owner(record.uid, record.gid);
    let mut kind = status.mode() & KIND_BITS;
    match record.device {
        Some(Device::Char { major, minor }) => {
            kind = CHARACTER;
            status.set_device((major, minor));
        }
        Some(Device::Block { major, minor }) => {
            kind = BLOCK;
            status.set_device((major, minor));
        }
        None => {}
    }
    status.set_mode(kind | record.mode.bits());
}

/// Returns what a file without a record is.
fn plain(status: &Status) -> OwnerRecord {
    OwnerRecord {
        uid: status.uid(),
        gid: status.gid(),
        mode: Mode::new(status.mode()),
        device: None,
    }
}

/// Returns the mode on disk of a file that was given this one when a layer was unpacked (`rootfs::Owners`).
fn kept_mode(status: &Status, mode: Mode) -> Mode {
    match status.mode() & KIND_BITS {
        SYMLINK => Mode::new(0o777),
        DIRECTORY => Mode::new(mode.bits() & 0o777 | 0o700),
        _ => Mode::new(mode.bits() & 0o777 | 0o600),
    }
}

/// Tells whether a file can hold attributes of ours.
pub(super) fn holds_attributes(status: &Status) -> bool {
    matches!(status.mode() & KIND_BITS, REGULAR | DIRECTORY)
}

/// Tells whether a file is a regular one.
pub(super) fn is_regular(status: &Status) -> bool {
    status.mode() & KIND_BITS == REGULAR
}

/// Tells whether a file is a directory.
pub(super) fn is_directory(status: &Status) -> bool {
    status.mode() & KIND_BITS == DIRECTORY
}

/// Tells whether a file is a socket.
pub(super) fn is_socket(status: &Status) -> bool {
    status.mode() & KIND_BITS == SOCKET
}

/// Tells whether a file is a symbolic link.
pub(super) fn is_link(status: &Status) -> bool {
    status.mode() & KIND_BITS == SYMLINK
}

fn number(status: &Status) -> FileNumber {
    let (major, minor) = status.file_system();
    (makedev(major.into(), minor.into()), status.inode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_is_that_of_layers() {
        assert_eq!(ATTRIBUTE.to_bytes(), rootfs::OWNER_XATTR);
    }

    fn status(mode: u32) -> Status {
        let file = tempfile::tempfile().unwrap();
        let mut status = Status::of(file.as_fd()).unwrap();
        status.set_mode(mode);
        status
    }

    fn record(mode: u32) -> OwnerRecord {
        OwnerRecord {
            uid: 3,
            gid: 4,
            mode: Mode::new(mode),
            device: None,
        }
    }

    #[test]
    fn a_mode_that_was_changed_on_disk_counts() {
        for (disk, recorded, expected) in [
            (0o100_755, 0o4755, 0o4755),
            (0o100_700, 0o4755, 0o700),
            (0o100_640, 0o040, 0o040),
            (0o100_040, 0o040, 0o040),
            (0o040_755, 0o2755, 0o2755),
            (0o042_750, 0o2755, 0o2750),
        ] {
            let found = shown(&record(recorded), &status(disk));
            assert_eq!(found.mode, Mode::new(expected), "{disk:o} {recorded:o}");
        }
    }

    #[test]
    fn a_placeholder_is_shown_as_its_device() {
        let mut status = status(0o100_640);
        let device = Some(Device::Block { major: 8, minor: 1 });
        apply(
            &mut status,
            &OwnerRecord {
                device,
                ..record(0o640)
            },
        );
        assert_eq!(status.mode(), 0o060_640);
        assert_eq!(status.device(), (8, 1));
        assert_eq!((status.uid(), status.gid()), (3, 4));
    }
}
