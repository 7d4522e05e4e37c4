//! Extended attributes of an object that a descriptor leads to.
//!
//! The f-calls refuse `O_PATH` descriptors, and an object that cannot be opened (a fifo, a symlink, a
//! file of mode 000) has no other. The link in `/proc/self/fd` leads to the very object, and to a name
//! in a directory held by a descriptor the l-calls go without following it: no swap of a name in
//! between can change what is read or set.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::BorrowedFd;

use rustix::fs as rustix_fs;
use rustix::io::Errno;

use crate::call::proc_path;
use crate::error::{FsError, Quoted, Shown};

/// The first guess of the size of a list of names or a value, in bytes; most have none.
const FIRST_BUFFER_BYTES: usize = 256;

/// The most that the kernel holds in one value or list (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const KERNEL_LIMIT_BYTES: usize = 64 * 1024;

/// An object whose attributes are meant.
pub(crate) struct XattrPlace<'a> {
    fd: BorrowedFd<'a>,
    name: Option<&'a [u8]>,
    path: Vec<u8>,
}

impl<'a> XattrPlace<'a> {
    /// Means the object behind a descriptor.
    pub(crate) fn inode(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            name: None,
            path: proc_path(fd).into_bytes(),
        }
    }

    /// Means a name in a directory.
    pub(crate) fn name(dir: BorrowedFd<'a>, name: &'a [u8]) -> Self {
        let path = [proc_path(dir).as_bytes(), b"/", name].concat();
        Self {
            fd: dir,
            name: Some(name),
            path,
        }
    }

    fn error(&self, errno: Errno, call: &str, attribute: Option<&[u8]>) -> FsError {
        let attribute = attribute
            .map(|name| format!(", {}", Quoted(name)))
            .unwrap_or_default();
        FsError::call(errno, format_args!("{call}({self}{attribute})"))
    }
}

impl fmt::Display for XattrPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{}, {}", Shown(self.fd), Quoted(name)),
            None => write!(f, "{}", Shown(self.fd)),
        }
    }
}

/// Returns the value of an attribute, `None` where there is none.
pub(crate) fn get(place: &XattrPlace<'_>, name: &[u8]) -> Result<Option<Vec<u8>>, FsError> {
    let read = |buffer: &mut [u8]| match place.name {
        Some(_) => rustix_fs::lgetxattr(place.path.as_slice(), name, buffer),
        None => rustix_fs::getxattr(place.path.as_slice(), name, buffer),
    };
    match grow(read) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(place.error(errno, "getxattr", Some(name))),
    }
}

/// Returns the names of all attributes, sorted.
pub(crate) fn names(place: &XattrPlace<'_>) -> Result<Vec<Vec<u8>>, FsError> {
    let read = |buffer: &mut [u8]| match place.name {
        Some(_) => rustix_fs::llistxattr(place.path.as_slice(), buffer),
        None => rustix_fs::listxattr(place.path.as_slice(), buffer),
    };
    let list = match grow(read) {
        Ok(list) => list,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(place.error(errno, "listxattr", None)),
    };
    let names = list
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    let mut names: Vec<_> = names.map(<[u8]>::to_vec).collect();
    names.sort();
    Ok(names)
}

/// Returns all attributes.
pub(crate) fn all(place: &XattrPlace<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, FsError> {
    let mut found = BTreeMap::new();
    for name in names(place)? {
        // One that went away since it was listed is not there.
        if let Some(value) = get(place, &name)? {
            found.insert(name, value);
        }
    }
    Ok(found)
}

/// Sets an attribute.
pub(crate) fn set(place: &XattrPlace<'_>, name: &[u8], value: &[u8]) -> Result<(), FsError> {
    let flags = rustix_fs::XattrFlags::empty();
    let set = match place.name {
        Some(_) => rustix_fs::lsetxattr(place.path.as_slice(), name, value, flags),
        None => rustix_fs::setxattr(place.path.as_slice(), name, value, flags),
    };
    set.map_err(|errno| place.error(errno, "setxattr", Some(name)))
}

/// Sets an attribute of an open file, with no look-up of a name.
pub(crate) fn set_on_open(fd: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<(), FsError> {
    let flags = rustix_fs::XattrFlags::empty();
    rustix_fs::fsetxattr(fd, name, value, flags).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("fsetxattr({}, {})", Shown(fd), Quoted(name)),
        )
    })
}

/// Removes an attribute, if it is there.
pub(crate) fn remove(place: &XattrPlace<'_>, name: &[u8]) -> Result<(), FsError> {
    let removed = match place.name {
        Some(_) => rustix_fs::lremovexattr(place.path.as_slice(), name),
        None => rustix_fs::removexattr(place.path.as_slice(), name),
    };
    match removed {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(errno) => Err(place.error(errno, "removexattr", Some(name))),
    }
}

/// Reads with a small buffer, and with the largest where that is too small.
fn grow(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; FIRST_BUFFER_BYTES];
    match read(&mut small) {
        Ok(length) => return Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(errno) => return Err(errno),
    }
    let mut large = vec![0; KERNEL_LIMIT_BYTES];
    let length = read(&mut large)?;
    large.truncate(length);
    Ok(large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn attributes_are_set_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"").unwrap();
        let handle = std::fs::File::open(dir.path()).unwrap();
        let place = XattrPlace::name(handle.as_fd(), b"f");
        let long = vec![7; 3000];
        set(&place, b"user.long", &long).unwrap();
        set(&place, b"user.a", b"x\ny").unwrap();
        assert_eq!(
            names(&place).unwrap(),
            [b"user.a".to_vec(), b"user.long".to_vec()]
        );
        assert_eq!(get(&place, b"user.long").unwrap(), Some(long));
        assert_eq!(get(&place, b"user.none").unwrap(), None);
        remove(&place, b"user.long").unwrap();
        remove(&place, b"user.long").unwrap();
        let only = BTreeMap::from([(b"user.a".to_vec(), b"x\ny".to_vec())]);
        assert_eq!(all(&place).unwrap(), only);
    }

    #[test]
    fn an_attribute_of_a_symlink_is_not_set_on_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("victim"), b"").unwrap();
        std::os::unix::fs::symlink("victim", dir.path().join("l")).unwrap();
        let handle = std::fs::File::open(dir.path()).unwrap();
        let error = set(&XattrPlace::name(handle.as_fd(), b"l"), b"user.a", b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::EPERM));
        let text = error.to_string();
        assert!(
            text.starts_with("setxattr([") && text.ends_with(", \"l\", \"user.a\")"),
            "{text}"
        );
        assert_eq!(
            names(&XattrPlace::name(handle.as_fd(), b"victim")).unwrap(),
            [[0; 0]; 0]
        );
    }
}
