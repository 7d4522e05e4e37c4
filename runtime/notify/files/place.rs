//! Which file a call means: from its arguments to a path that leads there from our side.
//!
//! The supervisor's root is the caller's, and its working directory is the `/proc` in which callers are. So an absolute
//! path leads where it leads the caller, and a relative one begins with `NUMBER/cwd` or `NUMBER/fd/N`.
//!
//! What is in `/proc`, `/sys` and `/dev/fd` is the kernel's: it has no owner that a record could tell of, and its links lead
//! each reader elsewhere. But a path that is the name of an own descriptor there means what is open.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};

use crate::notify::caller::Caller;
use crate::sys::attribute::LastLink;
use crate::sys::file;

/// `AT_FDCWD`, as callers give it.
const AT_FDCWD_NUMBER: i32 = libc::AT_FDCWD;

/// Arguments that name a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// Where a relative path begins; `None` for the working directory.
    start: Option<i32>,
    /// Where the path is in the caller's memory; `None` where there is no path, but the descriptor.
    path: Option<u64>,
    last: LastLink,
    /// Whether an empty path means the descriptor (`AT_EMPTY_PATH`).
    may_be_empty: bool,
}

/// A file that a caller means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// What a descriptor of the caller's is.
    Descriptor(i32),
    /// Its working directory.
    WorkingDirectory,
    /// What a path leads to.
    Path {
        start: Option<i32>,
        path: Vec<u8>,
        last: LastLink,
    },
    /// Something that is the kernel's alone.
    Kernels,
}

/// A name that a caller would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewName {
    /// The directory.
    pub(super) parent: Place,
    /// The name in it.
    pub(super) name: CString,
}

impl Named {
    /// A path that begins in the working directory.
    pub(super) fn path(path: u64, last: LastLink) -> Self {
        Self {
            start: None,
            path: Some(path),
            last,
            may_be_empty: false,
        }
    }

    /// A descriptor.
    pub(super) fn descriptor(number: u64) -> Self {
        Self {
            start: start(number),
            path: None,
            last: LastLink::Followed,
            may_be_empty: true,
        }
    }

    /// A path that begins at a descriptor, with flags (`AT_*`).
    pub(super) fn at(number: u64, path: u64, flags: u64) -> Self {
        let has = |flag: i32| low_half(flags) & flag.cast_unsigned() != 0;
        Self {
            start: start(number),
            path: Some(path),
            last: if has(libc::AT_SYMLINK_NOFOLLOW) {
                LastLink::Meant
            } else {
                LastLink::Followed
            },
            may_be_empty: has(libc::AT_EMPTY_PATH),
        }
    }

    /// Reads the path.
    pub(super) fn find(self, caller: &Caller<'_>) -> Result<Place, Errno> {
        let path = match self.path {
            None => Vec::new(),
            // As the kernel has it since Linux 6.11.
            Some(0) if self.may_be_empty => Vec::new(),
            Some(address) => caller.path(address)?,
        };
        match (path.is_empty(), self.may_be_empty, self.start) {
            (true, false, _) => Err(Errno::ENOENT),
            (true, true, None) => Ok(Place::WorkingDirectory),
            (true, true, Some(number)) => Ok(Place::Descriptor(number)),
            (false, _, start) => Ok(Place::of_path(start, path, self.last)),
        }
    }

    /// Reads the path as one of something new.
    pub(super) fn find_new(self, caller: &Caller<'_>) -> Result<NewName, Errno> {
        let path = caller.path(self.path.unwrap_or_default())?;
        let (parent, name) = divide(&path)?;
        let name = CString::new(name).map_err(|_zero| Errno::EINVAL)?;
        let parent = Place::of_path(self.start, parent.to_vec(), LastLink::Followed);
        Ok(NewName { parent, name })
    }
}

impl Place {
    pub(super) fn of_path(start: Option<i32>, path: Vec<u8>, last: LastLink) -> Self {
        if last == LastLink::Followed
            && let Some(number) = own_descriptor(&path)
        {
            return Self::Descriptor(number);
        }
        let is_below = |top: &[u8]| {
            let rest = path.strip_prefix(top);
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        if [&b"/proc"[..], b"/sys", b"/dev/fd"]
            .into_iter()
            .any(is_below)
        {
            return Self::Kernels;
        }
        Self::Path { start, path, last }
    }

    /// Returns a path that leads to it from `/proc`, in one look-up, and whether a last link is followed on the way.
    /// It may lead through more links of `/proc` than the caller may follow: for looking alone.
    pub(super) fn shortcut(&self, caller: &Caller<'_>) -> Option<(CString, LastLink)> {
        let thread = caller.thread();
        let (text, last) = match self {
            Self::Kernels => return None,
            // The links of /proc are not the file.
            Self::Descriptor(number) => {
                (format!("{thread}/fd/{number}").into(), LastLink::Followed)
            }
            Self::WorkingDirectory => (format!("{thread}/cwd").into(), LastLink::Followed),
            Self::Path { path, last, .. } if path.starts_with(b"/") => (path.clone(), *last),
            Self::Path { start, path, last } => {
                let before = match start {
                    None => format!("{thread}/cwd/"),
                    Some(number) => format!("{thread}/fd/{number}/"),
                };
                ([before.as_bytes(), path].concat(), *last)
            }
        };
        CString::new(text).ok().map(|text| (text, last))
    }

    /// Opens it for its name alone, as the caller could have.
    pub(super) fn open(&self, caller: &Caller<'_>) -> Result<OwnedFd, Errno> {
        let (start, path, last) = match self {
            Self::Kernels => return Err(Errno::EPERM),
            Self::Descriptor(number) => return caller.opened(*number),
            Self::WorkingDirectory => return caller.start(None),
            Self::Path { start, path, last } => (*start, path.as_slice(), *last),
        };
        let mut flags = OFlag::O_PATH;
        if last == LastLink::Meant {
            flags |= OFlag::O_NOFOLLOW;
        }
        open_as(caller, (start, path), (flags, 0))
    }
}

/// Opens what a path of a caller's leads to, or makes a file there.
pub(super) fn open_as(
    caller: &Caller<'_>,
    (start, path): (Option<i32>, &[u8]),
    (flags, mode): (OFlag, u32),
) -> Result<OwnedFd, Errno> {
    let opened = if path.starts_with(b"/") {
        caller.check()?;
        file::open_from(AT_FDCWD, path, flags, mode)
    } else {
        let start = caller.start(start)?;
        file::open_from(start.as_fd(), path, flags, mode)
    };
    opened.map_err(|error| error.errno())
}

/// Returns the number where a path is the name of a descriptor of whoever uses it.
fn own_descriptor(path: &[u8]) -> Option<i32> {
    let number = match path {
        b"/dev/stdin" => return Some(0),
        b"/dev/stdout" => return Some(1),
        b"/dev/stderr" => return Some(2),
        path => path
            .strip_prefix(b"/proc/self/fd/")
            .or_else(|| path.strip_prefix(b"/proc/thread-self/fd/"))
            .or_else(|| path.strip_prefix(b"/dev/fd/")),
    };
    std::str::from_utf8(number?).ok()?.parse().ok()
}

fn start(number: u64) -> Option<i32> {
    let number = low_half(number).cast_signed();
    (number != AT_FDCWD_NUMBER).then_some(number)
}

/// Returns what the kernel looks at of an argument that is an `int` to it.
pub(super) fn low_half(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Divides the path of something new into directory and name. Slashes behind it are for directories, and others fail
/// in the kernel.
pub(super) fn divide(path: &[u8]) -> Result<(&[u8], &[u8]), Errno> {
    let slashes = path.iter().rev().take_while(|byte| **byte == b'/').count();
    let whole = path.get(..path.len() - slashes).unwrap_or_default();
    let (parent, name) = match whole.iter().rposition(|byte| *byte == b'/') {
        None => (&b"."[..], whole),
        Some(0) => whole.split_at(1),
        Some(at) => (
            whole.get(..at).unwrap_or_default(),
            whole.get(at + 1..).unwrap_or_default(),
        ),
    };
    match name {
        b"" if path.is_empty() => Err(Errno::ENOENT),
        b"" | b"." | b".." => Err(Errno::EEXIST),
        name => Ok((parent, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_own_descriptors_mean_what_is_open() {
        for (path, last, expected) in [
            ("/proc/self/fd/7", LastLink::Followed, Place::Descriptor(7)),
            (
                "/proc/thread-self/fd/7",
                LastLink::Followed,
                Place::Descriptor(7),
            ),
            ("/dev/fd/0", LastLink::Followed, Place::Descriptor(0)),
            ("/dev/stderr", LastLink::Followed, Place::Descriptor(2)),
            ("/proc/self/fd/7", LastLink::Meant, Place::Kernels),
            ("/proc/self/fd/7/x", LastLink::Followed, Place::Kernels),
            ("/proc", LastLink::Followed, Place::Kernels),
            ("/sys/kernel", LastLink::Followed, Place::Kernels),
        ] {
            assert_eq!(Place::of_path(None, path.into(), last), expected, "{path}");
        }
        for path in ["/procession", "/dev/null", "proc/self", "/dev/fdx"] {
            let found = Place::of_path(None, path.into(), LastLink::Followed);
            assert!(matches!(found, Place::Path { .. }), "{path}");
        }
    }

    #[test]
    fn flags_say_what_is_meant() {
        let above = 0xdead_0000_0000;
        let cwd = u64::from(AT_FDCWD_NUMBER.cast_unsigned());
        let found = Named::at(5 | above, 9, 0x100 | above);
        assert_eq!((found.start, found.last), (Some(5), LastLink::Meant));
        assert!(!found.may_be_empty);
        let found = Named::at(cwd | above, 9, 0x1000);
        assert_eq!((found.start, found.last), (None, LastLink::Followed));
        assert!(found.may_be_empty);
    }

    #[test]
    fn new_names_are_divided_as_the_kernel_does() {
        for (path, expected) in [
            ("a", Ok((".", "a"))),
            ("a/b", Ok(("a", "b"))),
            ("a/b/", Ok(("a", "b"))),
            ("/b", Ok(("/", "b"))),
            ("/a//b//", Ok(("/a/", "b"))),
            ("", Err(Errno::ENOENT)),
            ("/", Err(Errno::EEXIST)),
            ("a/..", Err(Errno::EEXIST)),
            (".", Err(Errno::EEXIST)),
        ] {
            let expected =
                expected.map(|(parent, name): (&str, &str)| (parent.as_bytes(), name.as_bytes()));
            assert_eq!(divide(path.as_bytes()), expected, "{path}");
        }
    }
}
