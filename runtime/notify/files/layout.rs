//! How `stat` answers, for each kind of programs: which bytes are which field.
//!
//! From the kernel's `asm/stat.h` of x86, arm64 (`asm-generic/stat.h`) and arm. Numbers are written lowest byte first, as
//! all of these processors have them.

use nix::errno::Errno;

use crate::seccomp::{AskedCall, ProgramKind};
use crate::sys::status::Status;

/// One of the structs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `struct stat` of amd64.
    Amd64,
    /// `struct stat` of arm64.
    Arm64,
    /// `struct stat` of 386 and of arm, which are the same.
    Short,
    /// `struct stat64` of 386, whose numbers of 64 bits stand at any multiple of four.
    Long386,
    /// `struct stat64` of arm.
    LongArm,
}

impl Layout {
    /// Returns that of a call.
    pub(super) fn of(call: AskedCall) -> Self {
        let is_long = call.name.ends_with("64");
        match (call.kind, is_long) {
            (ProgramKind::Amd64, _) => Self::Amd64,
            (ProgramKind::Arm64, _) => Self::Arm64,
            (ProgramKind::I386, true) => Self::Long386,
            (ProgramKind::Arm, true) => Self::LongArm,
            (ProgramKind::I386 | ProgramKind::Arm, false) => Self::Short,
        }
    }

    /// Writes an answer.
    ///
    /// Fails with `EOVERFLOW` where a number does not fit, as the kernel does.
    pub(super) fn encode(self, status: &Status) -> Result<Vec<u8>, Errno> {
        match self {
            Self::Amd64 => Ok(amd64(status)),
            Self::Arm64 => Ok(arm64(status)),
            Self::Short => short(status),
            Self::Long386 => Ok(long_386(status)),
            Self::LongArm => Ok(long_arm(status)),
        }
    }
}

/// Writes fields one after the other.
#[derive(Debug, Default)]
struct Fields {
    bytes: Vec<u8>,
}

impl Fields {
    fn half(mut self, number: u16) -> Self {
        self.bytes.extend(number.to_le_bytes());
        self
    }

    fn word(mut self, number: u32) -> Self {
        self.bytes.extend(number.to_le_bytes());
        self
    }

    fn double(mut self, number: u64) -> Self {
        self.bytes.extend(number.to_le_bytes());
        self
    }

    /// Writes a time with 64 bits for each part.
    fn wide_time(self, (seconds, nanos): (i64, u32)) -> Self {
        self.double(seconds.cast_unsigned()).double(nanos.into())
    }

    /// Writes a time with 32 bits for each part. Seconds beyond that are cut off, as in the kernel.
    fn narrow_time(self, (seconds, nanos): (i64, u32)) -> Self {
        self.word(low_word(seconds.cast_unsigned())).word(nanos)
    }

    fn zeros(mut self, count: usize) -> Self {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }
}

fn low_word(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Returns the number of a device as programs get it (`new_encode_dev`).
fn device_number((major, minor): (u32, u32)) -> u64 {
    u64::from(minor & 0xff) | u64::from(major & 0xfff) << 8 | u64::from(minor & !0xff) << 12
}

fn amd64(status: &Status) -> Vec<u8> {
    let fields = Fields::default()
        .double(device_number(status.file_system()))
        .double(status.inode())
        .double(status.links().into())
        .word(status.mode())
        .word(status.uid())
        .word(status.gid())
        .zeros(4)
        .double(device_number(status.device()))
        .double(status.size_bytes())
        .double(status.block_bytes().into())
        .double(status.blocks())
        .wide_time(status.accessed())
        .wide_time(status.modified())
        .wide_time(status.changed())
        .zeros(24);
    fields.bytes
}

fn arm64(status: &Status) -> Vec<u8> {
    let fields = Fields::default()
        .double(device_number(status.file_system()))
        .double(status.inode())
        .word(status.mode())
        .word(status.links())
        .word(status.uid())
        .word(status.gid())
        .double(device_number(status.device()))
        .zeros(8)
        .double(status.size_bytes())
        .word(status.block_bytes())
        .zeros(4)
        .double(status.blocks())
        .wide_time(status.accessed())
        .wide_time(status.modified())
        .wide_time(status.changed())
        .zeros(8);
    fields.bytes
}

fn short(status: &Status) -> Result<Vec<u8>, Errno> {
    let too_large = |_error| Errno::EOVERFLOW;
    let word = |number: u64| u32::try_from(number).map_err(too_large);
    let half = |number: u32| u16::try_from(number).map_err(too_large);
    let fields = Fields::default()
        .word(word(device_number(status.file_system()))?)
        .word(word(status.inode())?)
        .half(half(status.mode())?)
        .half(half(status.links())?)
        .half(short_id(status.uid()))
        .half(short_id(status.gid()))
        .word(word(device_number(status.device()))?)
        // The kernel has a size of 31 bits here, the largest that a program can have as a file's.
        .word(word(status.size_bytes()).ok().filter(|size| *size <= u32::MAX >> 1).ok_or(Errno::EOVERFLOW)?)
        .word(status.block_bytes())
        .word(low_word(status.blocks()))
        .narrow_time(status.accessed())
        .narrow_time(status.modified())
        .narrow_time(status.changed())
        .zeros(8);
    Ok(fields.bytes)
}

/// Returns an id of 16 bits; one that has more is shown as nobody's (`overflowuid`).
fn short_id(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(65_534)
}

fn long_386(status: &Status) -> Vec<u8> {
    let fields = long_head(status)
        .zeros(4)
        .double(status.size_bytes())
        .word(status.block_bytes())
        .double(status.blocks());
    long_tail(fields, status).bytes
}

fn long_arm(status: &Status) -> Vec<u8> {
    let fields = long_head(status)
        // Up to a multiple of eight.
        .zeros(8)
        .double(status.size_bytes())
        .word(status.block_bytes())
        .zeros(4)
        .double(status.blocks());
    long_tail(fields, status).bytes
}

fn long_head(status: &Status) -> Fields {
    Fields::default()
        .double(device_number(status.file_system()))
        .zeros(4)
        .word(low_word(status.inode()))
        .word(status.mode())
        .word(status.links())
        .word(status.uid())
        .word(status.gid())
        .double(device_number(status.device()))
}

fn long_tail(fields: Fields, status: &Status) -> Fields {
    fields
        .narrow_time(status.accessed())
        .narrow_time(status.modified())
        .narrow_time(status.changed())
        .double(status.inode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    fn status() -> Status {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1234).unwrap();
        let mut status = Status::of(file.as_fd()).unwrap();
        status.set_owner(7, 70_000);
        status.set_mode(0o020_640);
        status.set_device((259, 70_000));
        status
    }

    #[test]
    fn each_struct_has_its_size() {
        for (layout, expected) in [
            (Layout::Amd64, 144),
            (Layout::Arm64, 128),
            (Layout::Short, 64),
            (Layout::Long386, 96),
            (Layout::LongArm, 104),
        ] {
            let found = layout.encode(&status()).map(|bytes| bytes.len());
            assert_eq!(found, Ok(expected), "{layout:?}");
        }
    }

    #[test]
    fn owners_modes_and_sizes_are_at_their_offsets() {
        let word =
            |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        // Mode, user, group, device, size.
        for (layout, offsets) in [
            (Layout::Amd64, [24, 28, 32, 40, 48]),
            (Layout::Arm64, [16, 24, 28, 32, 48]),
            (Layout::Long386, [16, 24, 28, 32, 44]),
            (Layout::LongArm, [16, 24, 28, 32, 48]),
        ] {
            let bytes = layout.encode(&status()).unwrap();
            let found = offsets.map(|at| word(&bytes, at));
            let device = 0x1111_0370;
            assert_eq!(found, [0o020_640, 7, 70_000, device, 1234], "{layout:?}");
        }
        let bytes = Layout::Short.encode(&status()).unwrap();
        let owners = [bytes[12], bytes[13], bytes[14], bytes[15]];
        assert_eq!(owners, [7, 0, 0xfe, 0xff]);
        assert_eq!(word(&bytes, 20), 1234);
    }
}
