#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! What the kernel says of a file (`statx(2)`), as the bytes that programs get.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use libc::{c_int, c_uint};
use nix::errno::Errno;

/// The size of `struct statx` (linux/stat.h).
pub(crate) const STATUS_BYTES: usize = 256;

/// `STATX_BASIC_STATS | STATX_BTIME`.
pub(crate) const USUAL_MASK: u32 = 0xfff;

/// `STATX_BTIME`.
const BIRTH_BIT: u32 = 0x800;

/// A `struct statx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub(crate) struct Status {
    bytes: [u8; STATUS_BYTES],
}

/// A point in time: seconds since 1970 and nanoseconds above them.
pub(crate) type Instant = (i64, u32);

impl Status {
    /// Returns what is behind a descriptor.
    pub(crate) fn of(file: BorrowedFd<'_>) -> nix::Result<Self> {
        Self::read(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH, USUAL_MASK)
    }

    /// The same, with the flags of how to get it and the fields that a program asks for.
    pub(crate) fn asked(file: BorrowedFd<'_>, flags: c_int, mask: u32) -> nix::Result<Self> {
        Self::read(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH | flags, mask)
    }

    /// Returns what a path leads to, or the link that it ends with.
    pub(crate) fn at(path: &CStr, flags: c_int) -> nix::Result<Self> {
        Self::read(libc::AT_FDCWD, path, flags, USUAL_MASK)
    }

    fn read(start: c_int, path: &CStr, flags: c_int, mask: c_uint) -> nix::Result<Self> {
        let mut status = Self {
            bytes: [0; STATUS_BYTES],
        };
        // SAFETY: the path ends with a zero, and the buffer has the size of what the kernel writes.
        let result = unsafe {
            libc::syscall(
                libc::SYS_statx,
                start,
                path.as_ptr(),
                flags,
                mask,
                &raw mut status.bytes,
            )
        };
        Errno::result(result).map(|_| status)
    }

    /// Returns all of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let found = self.bytes.get(at..at + N);
        found
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.number(at))
    }

    fn double(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.number(at))
    }

    fn instant(&self, at: usize) -> Instant {
        (i64::from_ne_bytes(self.number(at)), self.word(at + 8))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    pub(crate) fn block_bytes(&self) -> u32 {
        self.word(4)
    }

    pub(crate) fn links(&self) -> u32 {
        self.word(16)
    }

    pub(crate) fn uid(&self) -> u32 {
        self.word(20)
    }

    pub(crate) fn gid(&self) -> u32 {
        self.word(24)
    }

    /// Returns kind and permissions.
    pub(crate) fn mode(&self) -> u32 {
        u16::from_ne_bytes(self.number(28)).into()
    }

    pub(crate) fn inode(&self) -> u64 {
        self.double(32)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.double(40)
    }

    /// Returns how many parts of 512 bytes it takes.
    pub(crate) fn blocks(&self) -> u64 {
        self.double(48)
    }

    pub(crate) fn accessed(&self) -> Instant {
        self.instant(64)
    }

    /// Returns when it was made, where the file system knows.
    pub(crate) fn born(&self) -> Option<Instant> {
        (self.word(0) & BIRTH_BIT != 0).then(|| self.instant(80))
    }

    pub(crate) fn changed(&self) -> Instant {
        self.instant(96)
    }

    pub(crate) fn modified(&self) -> Instant {
        self.instant(112)
    }

    /// Returns the device that it stands for: major and minor.
    pub(crate) fn device(&self) -> (u32, u32) {
        (self.word(128), self.word(132))
    }

    /// Returns the device that it is on: major and minor.
    pub(crate) fn file_system(&self) -> (u32, u32) {
        (self.word(136), self.word(140))
    }

    pub(crate) fn set_owner(&mut self, uid: u32, gid: u32) {
        self.put(20, &uid.to_ne_bytes());
        self.put(24, &gid.to_ne_bytes());
    }

    /// Sets kind and permissions.
    pub(crate) fn set_mode(&mut self, mode: u32) {
        let mode = u16::try_from(mode & 0xffff).unwrap_or(u16::MAX);
        self.put(28, &mode.to_ne_bytes());
    }

    pub(crate) fn set_device(&mut self, (major, minor): (u32, u32)) {
        self.put(128, &major.to_ne_bytes());
        self.put(132, &minor.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    #[test]
    fn fields_are_where_the_kernel_writes_them() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(70_000).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o640))
            .unwrap();
        let expected = file.metadata().unwrap();
        let mut found = Status::of(file.as_fd()).unwrap();
        assert_eq!(
            (found.mode(), found.uid(), found.gid()),
            (expected.mode(), expected.uid(), expected.gid())
        );
        assert_eq!(
            (found.inode(), found.size_bytes(), found.blocks()),
            (expected.ino(), 70_000, expected.blocks())
        );
        assert_eq!(u64::from(found.links()), expected.nlink());
        assert_eq!(u64::from(found.block_bytes()), expected.blksize());
        assert_eq!(found.modified().0, expected.mtime());
        assert_eq!(found.changed().0, expected.ctime());
        assert_eq!(found.accessed().0, expected.atime());
        let (major, minor) = found.file_system();
        assert_eq!(
            nix::sys::stat::makedev(major.into(), minor.into()),
            expected.dev()
        );
        found.set_owner(7, 8);
        found.set_mode(0o020_600);
        found.set_device((5, 1));
        assert_eq!((found.uid(), found.gid()), (7, 8));
        assert_eq!((found.mode(), found.device()), (0o020_600, (5, 1)));
        assert_eq!(found.inode(), expected.ino());
    }
}
