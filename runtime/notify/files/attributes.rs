//! Extended attributes: what this program records in them is hidden, and lists of rights may name any user.
//!
//! | Attribute | Answer |
//! | --- | --- |
//! | `user.careen.*` | not shown and not listed; `EPERM` for who sets or removes one, who would forge an owner |
//! | `system.posix_acl_*` with other ids than 0 | recorded: the kernel takes no id that the sandbox has not |
//! | any other | as the kernel has it |
//!
//! Calls that set or remove are made here and not let through, since the name could be another one by then.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, Mode as Permissions, fchmodat};
use rootfs::{Mode, OwnerRecord};

use crate::notify::caller::Caller;
use crate::notify::files::acl;
use crate::notify::files::place::{Named, Place, low_half};
use crate::notify::files::record::{Records, Seen};
use crate::sys::attribute::{self, LastLink};
use crate::sys::notification::Answer;
use crate::sys::status::Status;

/// What the names of our own attributes begin with.
const OWN_PREFIX: &[u8] = b"user.careen.";

/// The longest name, with its final zero (`XATTR_NAME_MAX`).
const NAME_LIMIT_BYTES: usize = 256;

/// Where the list of rights of a file is recorded.
pub(super) const ACCESS_RECORD: &CStr = c"user.careen.acl.access";

/// Where the list is recorded that a directory hands down.
pub(super) const DEFAULT_RECORD: &CStr = c"user.careen.acl.default";

/// Lists of rights, and where they are recorded.
const LISTS: [(&CStr, &CStr); 2] = [
    (c"system.posix_acl_access", ACCESS_RECORD),
    (c"system.posix_acl_default", DEFAULT_RECORD),
];

/// What a call does with attributes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Get,
    List,
    Set,
    Remove,
}

/// Answers a call about attributes.
pub(super) fn consider(
    name: &str,
    arguments: &[u64; 6],
    (records, caller): (&mut Records, &Caller<'_>),
) -> Result<Answer, Errno> {
    let (named, doing) = read(name, *arguments).ok_or(Errno::ENOSYS)?;
    let place = named.find(caller)?;
    if doing == Doing::List {
        return list(&place, *arguments, caller);
    }
    let [_, name_at, ..] = *arguments;
    let name = caller.text(name_at, NAME_LIMIT_BYTES, Errno::ERANGE)?;
    let name = CString::new(name).map_err(|_zero| Errno::EINVAL)?;
    let is_own = name.to_bytes().starts_with(OWN_PREFIX);
    let recorded = LISTS.into_iter().find(|(list, _)| *list == name.as_c_str());
    match (doing, is_own, recorded) {
        (Doing::Get, true, _) => Err(Errno::ENODATA),
        (Doing::Get, false, Some((_, record))) => get(&place, record, *arguments, caller),
        (Doing::Get | Doing::List, false, _) | (Doing::List, true, _) => Ok(Answer::GoesOn),
        (_, true, _) => Err(Errno::EPERM),
        // Of the kernel's own files nothing is recorded.
        _ if place == Place::Kernels => Ok(Answer::GoesOn),
        (Doing::Set, false, recorded) => {
            let seen = records.see(place.open(caller)?)?;
            let value = value(*arguments, caller)?;
            match recorded {
                Some(list) if acl::names_others(&value) => {
                    set_list(records, &seen, (list, &name), &value)
                }
                _ => set(&seen, (&name, recorded), &value, *arguments),
            }
        }
        (Doing::Remove, false, recorded) => {
            let file = place.open(caller)?;
            let path = attribute::path_of(file.as_raw_fd());
            let was_recorded =
                recorded.is_some_and(|(_, record)| attribute::remove(&path, record).is_ok());
            match attribute::remove(&path, &name) {
                Err(Errno::ENODATA) if was_recorded => Ok(Answer::DONE),
                removed => removed.map(|()| Answer::DONE),
            }
        }
    }
}

/// Returns what a call is about, and what it does. The calls without a path take what they are about and all else in the
/// same places.
fn read(name: &str, arguments: [u64; 6]) -> Option<(Named, Doing)> {
    let [first, ..] = arguments;
    let (rest, named) = match name.split_at_checked(1)? {
        ("l", rest) if rest != "istxattr" => (rest, Named::path(first, LastLink::Meant)),
        ("f", rest) => (rest, Named::descriptor(first)),
        _ => (name, Named::path(first, LastLink::Followed)),
    };
    let doing = match rest {
        "getxattr" => Doing::Get,
        "listxattr" => Doing::List,
        "setxattr" => Doing::Set,
        "removexattr" => Doing::Remove,
        _ => return None,
    };
    Some((named, doing))
}

fn value(arguments: [u64; 6], caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    let [_, _, value_at, size, ..] = arguments;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > attribute::LIMIT_BYTES {
        return Err(Errno::E2BIG);
    }
    caller.bytes(value_at, size)
}

fn list(place: &Place, arguments: [u64; 6], caller: &Caller<'_>) -> Result<Answer, Errno> {
    let [_, buffer, size, ..] = arguments;
    let Some((path, last)) = place.shortcut(caller) else {
        return Ok(Answer::GoesOn);
    };
    let Ok(names) = attribute::list(&path, last) else {
        return Ok(Answer::GoesOn);
    };
    let shown = shown_names(&names);
    if shown == names {
        return Ok(Answer::GoesOn);
    }
    answer(&shown, (buffer, size), caller)
}

/// Returns the names of a list that programs see: without ours, and with the lists of rights that are recorded.
fn shown_names(names: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let listed = LISTS
            .into_iter()
            .find(|(_, record)| record.to_bytes_with_nul() == name);
        match listed {
            Some((list, _)) => shown.extend_from_slice(list.to_bytes_with_nul()),
            None if name.starts_with(OWN_PREFIX) => {}
            None => shown.extend_from_slice(name),
        }
    }
    shown
}

/// Returns a list of rights that is recorded.
fn get(
    place: &Place,
    record: &CStr,
    arguments: [u64; 6],
    caller: &Caller<'_>,
) -> Result<Answer, Errno> {
    let [_, _, buffer, size, ..] = arguments;
    let found = place
        .shortcut(caller)
        .and_then(|(path, last)| attribute::get(&path, record, last).ok());
    match found {
        Some(value) => answer(&value, (buffer, size), caller),
        None => Ok(Answer::GoesOn),
    }
}

/// Returns bytes as calls about attributes do: their number alone where there is no room for any.
fn answer(bytes: &[u8], (buffer, size): (u64, u64), caller: &Caller<'_>) -> Result<Answer, Errno> {
    let length = bytes.len() as u64;
    if size != 0 && size < length {
        return Err(Errno::ERANGE);
    }
    if size != 0 && length != 0 {
        caller.write(buffer, bytes)?;
    }
    Ok(Answer::Value(length.cast_signed()))
}

fn set(
    seen: &Seen,
    (name, recorded): (&CStr, Option<(&CStr, &CStr)>),
    value: &[u8],
    arguments: [u64; 6],
) -> Result<Answer, Errno> {
    let [_, _, _, _, flags, _] = arguments;
    let path = attribute::path_of(seen.file.as_raw_fd());
    attribute::set(&path, name, value, low_half(flags).cast_signed())?;
    if let Some((_, record)) = recorded {
        // In the place of one that was recorded, if there was.
        attribute::remove(&path, record).ok();
    }
    Ok(Answer::DONE)
}

/// Records a list of rights, and gives the file the mode that goes with it.
fn set_list(
    records: &mut Records,
    seen: &Seen,
    ((list, record), name): ((&CStr, &CStr), &CStr),
    value: &[u8],
) -> Result<Answer, Errno> {
    debug_assert_eq!(list, name, "the list of that name");
    let path = attribute::path_of(seen.file.as_raw_fd());
    attribute::set(&path, record, value, 0)?;
    if list != LISTS[0].0 {
        return Ok(Answer::DONE);
    }
    let now = seen.now();
    let mode = Mode::new(acl::mode(value, now.mode.bits()));
    let permissions = Permissions::from_bits_truncate(mode.bits());
    let follow = FchmodatFlags::FollowSymlink;
    fchmodat(AT_FDCWD, path.as_c_str(), permissions, follow)?;
    if seen.record.is_some() {
        let status = Status::of(seen.file.as_fd())?;
        records.set(seen.file.as_fd(), &status, OwnerRecord { mode, ..now })?;
    }
    Ok(Answer::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_by_their_names() {
        let arguments = [9, 0, 0, 0, 0, 0];
        let followed = Named::path(9, LastLink::Followed);
        let meant = Named::path(9, LastLink::Meant);
        let open = Named::descriptor(9);
        for (name, expected) in [
            ("getxattr", (followed, Doing::Get)),
            ("lgetxattr", (meant, Doing::Get)),
            ("fgetxattr", (open, Doing::Get)),
            ("listxattr", (followed, Doing::List)),
            ("llistxattr", (meant, Doing::List)),
            ("flistxattr", (open, Doing::List)),
            ("setxattr", (followed, Doing::Set)),
            ("lsetxattr", (meant, Doing::Set)),
            ("fsetxattr", (open, Doing::Set)),
            ("removexattr", (followed, Doing::Remove)),
            ("lremovexattr", (meant, Doing::Remove)),
            ("fremovexattr", (open, Doing::Remove)),
        ] {
            assert_eq!(read(name, arguments), Some(expected), "{name}");
        }
        assert_eq!(read("fstat", arguments), None);
    }

    #[test]
    fn our_own_names_are_not_listed() {
        let names = b"user.a\0user.careen.owner\0security.capability\0user.careen.acl.access\0";
        let expected = b"user.a\0security.capability\0system.posix_acl_access\0";
        assert_eq!(shown_names(names), expected);
        assert_eq!(shown_names(b""), b"");
    }
}
