//! Whether a change of a file leaves a trace in what `stat` says of it.

use std::os::fd::AsFd as _;

use nix::sys::statfs::{FsType, fstatfs};

use crate::error::FsError;
use crate::root::Root;

/// The file systems (`f_type` of statfs(2)) whose inode numbers stay and whose times of change are this kernel's: nobody
/// sets them, and there is one for each change.
///
/// Others make up inode numbers when they are mounted and have the time of modification for that of change (FAT, most of
/// FUSE), or learn late of what another machine has written (NFS, SMB, 9p).
const TRACING: [FsType; 8] = [
    // ext2, ext3 and ext4
    FsType(0xef53),
    // xfs
    FsType(0x5846_5342),
    // btrfs
    FsType(0x9123_683e),
    // f2fs
    FsType(0xf2f5_2010),
    // bcachefs
    FsType(0xca45_1a4e),
    // zfs
    FsType(0x2fc1_2fc1),
    // tmpfs
    FsType(0x0102_1994),
    // overlay
    FsType(0x794c_7630),
];

impl Root {
    /// Tells whether a file on the file system of this directory has changed if, and only if, its inode number, size or
    /// times have. Of a file system that is not known the answer is no.
    ///
    /// # Errors
    ///
    /// Fails when the file system does not say what it is.
    pub fn traces_changes(&self) -> Result<bool, FsError> {
        let found = fstatfs(self.as_fd());
        let found = found.map_err(|errno| FsError::call(errno, format_args!("fstatfs()")))?;
        Ok(TRACING.contains(&found.filesystem_type()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn changes_are_traced_where_the_kernel_keeps_numbers_and_times() {
        let cases = [
            (0xef53, true),
            (0x0102_1994, true),
            // FUSE, NFS, 9p, SMB, FAT and exFAT
            (0x6573_5546, false),
            (0x6969, false),
            (0x0102_1997, false),
            (0xfe53_4d42, false),
            (0x4d44, false),
            (0x2011_bab0, false),
        ];
        for (number, expected) in cases {
            assert_eq!(TRACING.contains(&FsType(number)), expected, "{number:#x}");
        }
        let proc = Root::open(Path::new("/proc")).unwrap();
        assert!(!proc.traces_changes().unwrap());
    }
}
