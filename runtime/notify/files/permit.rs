//! `chmod` and its like: a mode that is recorded is changed with that on disk.
//!
//! A file without a record has its mode on disk alone, and the kernel changes that for root. `bind` is not asked about, so
//! that a socket has no record at first; daemons bind one and change its mode. It is recorded as that caller's then.

use std::os::fd::{AsFd as _, AsRawFd as _};

use caps::Capability;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, Mode as Permissions, fchmodat};
use rootfs::{Mode, OwnerRecord};

use crate::notify::caller::Caller;
use crate::notify::files::place::{Named, Place, low_half};
use crate::notify::files::record::{Records, Seen, is_link, is_socket};
use crate::notify::ids::Credentials;
use crate::sys::attribute::{self, LastLink};
use crate::sys::notification::Answer;
use crate::sys::status::Status;

/// Changes a mode, where one is recorded.
pub(super) fn permit(
    name: &str,
    arguments: &[u64; 6],
    (records, caller, credentials): (&mut Records, &Caller<'_>, &Credentials),
) -> Result<Answer, Errno> {
    let [first, second, third, fourth, ..] = *arguments;
    let (named, mode) = match name {
        "chmod" => (Named::path(first, LastLink::Followed), second),
        "fchmod" => (Named::descriptor(first), second),
        "fchmodat" => (Named::at(first, second, 0), third),
        "fchmodat2" => (Named::at(first, second, fourth), third),
        _ => return Err(Errno::ENOSYS),
    };
    let place = named.find(caller)?;
    let may_always = credentials.may(Capability::CAP_FOWNER);
    if place == Place::Kernels || may_always && records.glance(&place, caller).is_none() {
        return Ok(Answer::GoesOn);
    }
    let seen = records.see(place.open(caller)?)?;
    let now = owned(&seen, credentials);
    if is_link(&seen.status) {
        return Err(Errno::EOPNOTSUPP);
    }
    if credentials.users.file != now.uid && !may_always {
        return Err(Errno::EPERM);
    }
    let mode = Mode::new(low_half(mode));
    let path = attribute::path_of(seen.file.as_raw_fd());
    let permissions = Permissions::from_bits_truncate(mode.bits());
    let follow = FchmodatFlags::FollowSymlink;
    fchmodat(AT_FDCWD, path.as_c_str(), permissions, follow)?;
    let status = Status::of(seen.file.as_fd())?;
    let record = OwnerRecord { mode, ..now };
    records.set(seen.file.as_fd(), &status, record)?;
    Ok(Answer::DONE)
}

/// Returns what a file seems to be; a socket that nothing is recorded of is the caller's.
fn owned(seen: &Seen, credentials: &Credentials) -> OwnerRecord {
    let now = seen.now();
    if seen.record.is_some() || !is_socket(&seen.status) {
        return now;
    }
    OwnerRecord {
        uid: credentials.users.file,
        gid: credentials.groups.file,
        ..now
    }
}
