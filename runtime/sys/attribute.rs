#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! Extended attributes, by path and of open files (`xattr(7)`).

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use libc::{c_char, c_int, c_void, size_t, ssize_t};
use nix::errno::Errno;

/// The first guess of the size of a value or a list of names, in bytes; most have none.
const FIRST_BUFFER_BYTES: usize = 256;

/// The most that the kernel holds in one value or list (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
pub(crate) const LIMIT_BYTES: usize = 64 << 10;

/// Whether a link at the end of a path is meant itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    /// What it leads to is meant.
    Followed,
    /// The link is meant.
    Meant,
}

/// Returns the value of an attribute.
pub(crate) fn get(path: &CStr, name: &CStr, last: LastLink) -> nix::Result<Vec<u8>> {
    let call = match last {
        LastLink::Followed => libc::getxattr,
        LastLink::Meant => libc::lgetxattr,
    };
    grow(|buffer, size| {
        // SAFETY: both texts end with a zero, and the kernel writes no more than `size` bytes to the buffer.
        unsafe { call(path.as_ptr(), name.as_ptr(), buffer, size) }
    })
}

/// Returns the value of an attribute of an open file, which must not be open for its name alone.
pub(crate) fn get_of(file: BorrowedFd<'_>, name: &CStr) -> nix::Result<Vec<u8>> {
    grow(|buffer, size| {
        // SAFETY: the text ends with a zero, and the kernel writes no more than `size` bytes to the buffer.
        unsafe { libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), buffer, size) }
    })
}

/// Returns the names of all attributes, each ended by a zero.
pub(crate) fn list(path: &CStr, last: LastLink) -> nix::Result<Vec<u8>> {
    let call = match last {
        LastLink::Followed => libc::listxattr,
        LastLink::Meant => libc::llistxattr,
    };
    grow(|buffer, size| {
        // SAFETY: the path ends with a zero, and the kernel writes no more than `size` bytes to the buffer.
        unsafe { call(path.as_ptr(), buffer.cast::<c_char>(), size) }
    })
}

/// Sets an attribute of what a path leads to. `flags` say whether it must or must not be there (`setxattr(2)`).
pub(crate) fn set(path: &CStr, name: &CStr, value: &[u8], flags: c_int) -> nix::Result<()> {
    let value_at = value.as_ptr().cast::<c_void>();
    // SAFETY: both texts end with a zero, and the value has the length that is given.
    let result =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value_at, value.len(), flags) };
    Errno::result(result).map(drop)
}

/// Removes an attribute of what a path leads to.
pub(crate) fn remove(path: &CStr, name: &CStr) -> nix::Result<()> {
    // SAFETY: both texts end with a zero.
    let result = unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Returns the path of an open file, which may be open for its name alone: below `/proc`, which must be the working
/// directory.
pub(crate) fn path_of(number: c_int) -> CString {
    CString::new(format!("self/fd/{number}")).unwrap_or_default()
}

/// Reads with a small buffer, and with the largest where that is too small.
fn grow(read: impl Fn(*mut c_void, size_t) -> ssize_t) -> nix::Result<Vec<u8>> {
    let mut buffer = vec![0_u8; FIRST_BUFFER_BYTES];
    let mut length = Errno::result(read(buffer.as_mut_ptr().cast(), buffer.len()));
    if length == Err(Errno::ERANGE) {
        buffer.resize(LIMIT_BYTES, 0);
        length = Errno::result(read(buffer.as_mut_ptr().cast(), buffer.len()));
    }
    buffer.truncate(usize::try_from(length?).unwrap_or_default());
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn attributes_are_set_listed_and_removed() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let path = CString::new(place.path().as_os_str().as_bytes()).unwrap();
        let long = vec![b'x'; 3000];
        let last = LastLink::Followed;
        set(&path, c"user.long", &long, 0).unwrap();
        assert_eq!(get(&path, c"user.long", last), Ok(long));
        assert_eq!(list(&path, last), Ok(b"user.long\0".to_vec()));
        let again = set(&path, c"user.long", b"", libc::XATTR_CREATE);
        assert_eq!(again, Err(Errno::EEXIST));
        remove(&path, c"user.long").unwrap();
        assert_eq!(get(&path, c"user.long", last), Err(Errno::ENODATA));
    }

    #[test]
    fn a_link_is_followed_or_meant() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), b"").unwrap();
        std::os::unix::fs::symlink("file", place.path().join("link")).unwrap();
        let path =
            |name: &str| CString::new(place.path().join(name).as_os_str().as_bytes()).unwrap();
        set(&path("file"), c"user.a", b"1", 0).unwrap();
        let found = |last| get(&path("link"), c"user.a", last);
        assert_eq!(found(LastLink::Followed), Ok(b"1".to_vec()));
        assert_eq!(found(LastLink::Meant), Err(Errno::ENODATA));
    }
}
