//! What a store lies on: the file system, whether other machines write to it, and how much room it has.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{Statfs, statfs};

use crate::policy::Room;

/// The file systems that other machines write to, by the number that `statfs(2)` gives, with the name that people know.
const NETWORK: [(u64, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x7461_636f, "OCFS2"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
];

/// Others that stores are often on.
const LOCAL: [(u64, &str); 12] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x794c_7630, "overlayfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0xca45_1a4e, "bcachefs"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
    (0xe0f5_e1e2, "erofs"),
];

/// Less than this is as good as nothing, in bytes: who finds no room gives the last of it back.
const NO_ROOM_BYTES: u64 = 1 << 20;

/// With less than this a single file may find no room, in bytes: what was written of it is removed before anybody looks.
const SCARCE_BYTES: u64 = 256 << 20;

/// The file system of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// Its name, as people know it.
    pub name: &'static str,
    /// Whether other machines may write to it.
    pub is_network: bool,
    /// How much room ordinary users have on it, in bytes.
    pub free_bytes: u64,
    /// Whether another file can be made on it; one that makes them as it needs them says so, too.
    pub takes_files: bool,
}

/// It cannot be found out what a directory is on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find out which file system `{}` is on", path.display())]
pub struct MediumError {
    path: PathBuf,
    source: Errno,
}

impl Medium {
    /// Looks at what `path` is on, or would be on if it were made.
    ///
    /// # Errors
    ///
    /// Fails when no directory on the way to it can be asked.
    pub fn of(path: &Path) -> Result<Self, MediumError> {
        let found = nearest(path)?;
        // Numbers of file systems have 32 bits; some processors have a sign there.
        let number = found.filesystem_type().0.cast_unsigned() & u64::from(u32::MAX);
        let takes_files = found.files() == 0 || found.files_free() != 0;
        Ok(Self {
            takes_files,
            ..Self::named(number, Room::from(&found).free_bytes)
        })
    }

    fn named(number: u64, free_bytes: u64) -> Self {
        let name_in = |table: &[(u64, &'static str)]| {
            let mut rows = table.iter();
            rows.find(|row| row.0 == number).map(|row| row.1)
        };
        let network = name_in(&NETWORK);
        Self {
            name: network
                .or_else(|| name_in(&LOCAL))
                .unwrap_or("another file system"),
            is_network: network.is_some(),
            free_bytes,
            takes_files: true,
        }
    }

    /// Tells whether nothing more can be written to it.
    pub fn is_full(&self) -> bool {
        self.free_bytes < NO_ROOM_BYTES || !self.takes_files
    }

    /// Tells whether it may have been too full for one file more, a large one.
    pub fn is_scarce(&self) -> bool {
        self.free_bytes < SCARCE_BYTES || !self.takes_files
    }
}

/// Asks about the path, or what is above it where it is not there.
fn nearest(path: &Path) -> Result<Statfs, MediumError> {
    let mut last = Errno::ENOENT;
    for place in path.ancestors() {
        let place = if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            place
        };
        match statfs(place) {
            Ok(found) => return Ok(found),
            Err(errno @ (Errno::ENOENT | Errno::ENOTDIR)) => last = errno,
            Err(errno) => {
                last = errno;
                break;
            }
        }
    }
    Err(MediumError {
        path: path.to_owned(),
        source: last,
    })
}

impl Room {
    /// Looks at the file system that `path` is on, or would be on if it were made.
    ///
    /// # Errors
    ///
    /// Fails when no directory on the way to it can be asked.
    pub fn of(path: &Path) -> Result<Self, MediumError> {
        nearest(path).map(|found| Self::from(&found))
    }
}

impl From<&Statfs> for Room {
    fn from(found: &Statfs) -> Self {
        let block_bytes = u64::try_from(found.block_size()).unwrap_or(0);
        let bytes = |blocks: u64| blocks.saturating_mul(block_bytes);
        Self {
            free_bytes: bytes(found.blocks_available()),
            size_bytes: bytes(found.blocks()),
            used_bytes: bytes(found.blocks().saturating_sub(found.blocks_free())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_networks_are_known_by_their_numbers() {
        let cases = [
            (0x6969, "NFS", true),
            (0xff53_4d42, "CIFS", true),
            (0x0bd0_0bd0, "Lustre", true),
            (0xef53, "ext4", false),
            (0x0102_1994, "tmpfs", false),
            (0x1234, "another file system", false),
        ];
        for (number, name, is_network) in cases {
            let free_bytes = 7;
            let expected = Medium {
                name,
                is_network,
                free_bytes,
                takes_files: true,
            };
            assert_eq!(Medium::named(number, free_bytes), expected);
        }
    }

    #[test]
    fn a_file_system_is_full_without_room_and_without_files() {
        let with = |free_bytes, takes_files| {
            let medium = Medium {
                takes_files,
                ..Medium::named(0xef53, free_bytes)
            };
            medium.is_full()
        };
        assert!(with(0, true) && with(4096, true) && with(1 << 30, false));
        assert!(!with(1 << 20, true));
        let scarce = |free_bytes| Medium::named(0xef53, free_bytes).is_scarce();
        assert!(scarce(100 << 20) && !scarce(1 << 30));
    }

    #[test]
    fn what_is_not_there_yet_would_be_on_what_is_above_it() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        let names = [directory.path(), &deep].map(|path| Medium::of(path).unwrap().name);
        assert_eq!(names[0], names[1]);
    }
}
