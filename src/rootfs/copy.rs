//! The bytes of a file: copied in the cheapest way that the file systems allow, and written.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use rustix::fs::{SeekFrom as Place, copy_file_range};
use rustix::io::Errno;

use crate::error::{FsError, Shown};

/// How a file was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Both files share their blocks until one changes (`FICLONE`).
    Shared,
    /// The bytes were copied, this many.
    Bytes(u64),
}

/// How many bytes one `copy_file_range` is asked for.
const RANGE_BYTES: usize = 1 << 30;

/// How many bytes are copied at once where the kernel does not copy.
const BUFFER_BYTES: usize = 256 * 1024;

/// Copies all of `from` from its start into the empty file `to`. Holes stay holes, where the file system tells them.
///
/// # Errors
///
/// Fails where one cannot be read or the other written.
pub fn copy_contents(from: &File, to: &File) -> Result<Copied, FsError> {
    if share_contents(from, to) {
        return Ok(Copied::Shared);
    }
    let copied = match holes(from)? {
        Some(size) => copy_around_holes(from, to, size)?,
        None => copy_in_kernel(from, to)?,
    };
    Ok(Copied::Bytes(copied))
}

/// What `stat` counts blocks in, in bytes, whatever those of the file system are (stat(2), `st_blocks`).
const STAT_BLOCK_BYTES: u64 = 512;

/// Returns the size of a file that takes less room than that: it has holes, or its file system compresses it.
fn holes(file: &File) -> Result<Option<u64>, FsError> {
    let metadata = file.metadata().map_err(|error| {
        let fd = Shown(file.as_fd());
        FsError::call(error, format_args!("fstat({fd})"))
    })?;
    let room = metadata.blocks().saturating_mul(STAT_BLOCK_BYTES);
    Ok((room < metadata.size()).then(|| metadata.size()))
}

/// Returns where the next data of a file are, from an offset on; nothing where only a hole is left.
pub fn next_data(file: &File, from: u64) -> Option<u64> {
    match rustix::fs::seek(file, Place::Data(from)) {
        Ok(start) => Some(start),
        // (lseek(2), `SEEK_DATA`)
        Err(Errno::NXIO) => None,
        // A file system that does not tell where there is data: all counts as such.
        Err(_) => Some(from),
    }
}

/// Copies the regions of a file that have data, and returns how many bytes they are.
fn copy_around_holes(from: &File, to: &File, size: u64) -> Result<u64, FsError> {
    let (mut end, mut copied) = (0, 0);
    while end < size {
        let Some(start) = next_data(from, end) else {
            break;
        };
        end = match rustix::fs::seek(from, Place::Hole(start)) {
            Ok(hole) if hole > start => hole,
            _ => size,
        };
        copied += copy_region(from, to, (start, end))?;
    }
    set_length(to, size)?;
    Ok(copied)
}

/// Copies what is between two places of a file, and returns how many bytes that is: fewer where the file ends before.
fn copy_region(from: &File, to: &File, (start, end): (u64, u64)) -> Result<u64, FsError> {
    let (mut read, mut written) = (start, start);
    while read < end {
        let left = usize::try_from(end - read).unwrap_or(RANGE_BYTES);
        let asked = left.min(RANGE_BYTES);
        match copy_file_range(from, Some(&mut read), to, Some(&mut written), asked) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => {
                return copy_region_by_hand(from, to, (read, end)).map(|more| read - start + more);
            }
        }
    }
    Ok(read - start)
}

fn copy_region_by_hand(from: &File, to: &File, (start, end): (u64, u64)) -> Result<u64, FsError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut place = start;
    while place < end {
        let left = usize::try_from(end - place).unwrap_or(BUFFER_BYTES);
        let asked = left.min(BUFFER_BYTES);
        let count = match from.read_at(&mut buffer[..asked], place) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let fd = Shown(from.as_fd());
                return Err(FsError::call(
                    error,
                    format_args!("pread({fd}, …, {asked}, {place})"),
                ));
            }
        };
        to.write_all_at(&buffer[..count], place).map_err(|error| {
            let fd = Shown(to.as_fd());
            FsError::call(error, format_args!("pwrite({fd}, …, {count}, {place})"))
        })?;
        place += count as u64;
    }
    Ok(place - start)
}

/// Lets the empty file `to` share the blocks of `from`, and tells whether the file system can do that.
/// Why it cannot (two file systems, one without the feature) is of no interest: `to` is empty still.
pub fn share_contents(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

fn copy_in_kernel(from: &File, to: &File) -> Result<u64, FsError> {
    let mut copied = 0;
    loop {
        match copy_file_range(from, None, to, None, RANGE_BYTES) {
            // Files of /proc say that they are empty, and read otherwise.
            Ok(0) if copied == 0 => return copy_by_hand(from, to),
            Ok(0) => return Ok(copied),
            Ok(count) => copied += u64::try_from(count).unwrap_or(0),
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
                if copied == 0 =>
            {
                return copy_by_hand(from, to);
            }
            Err(errno) => {
                let (from, to) = (Shown(from.as_fd()), Shown(to.as_fd()));
                let call = format_args!("copy_file_range({from}, {to}, {RANGE_BYTES})").to_string();
                return Err(FsError::Call {
                    call,
                    source: errno.into(),
                });
            }
        }
    }
}

fn copy_by_hand(mut from: &File, to: &File) -> Result<u64, FsError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(FsError::call(
                    error,
                    format_args!("read({})", Shown(from.as_fd())),
                ));
            }
        };
        write_all(to, &buffer[..count])?;
        copied += u64::try_from(count).unwrap_or(0);
    }
}

/// Writes all bytes where a file stands.
///
/// # Errors
///
/// Fails where the file takes no more; [`FsError::is_full`] tells why.
pub fn write_all(mut file: &File, bytes: &[u8]) -> Result<(), FsError> {
    file.write_all(bytes).map_err(|error| {
        let (fd, count) = (Shown(file.as_fd()), bytes.len());
        FsError::call(error, format_args!("write({fd}, …, {count})"))
    })
}

/// Sets where in a file the next bytes go, in bytes from its start.
///
/// # Errors
///
/// Fails where the file system has no file as long.
pub fn seek(mut file: &File, offset: u64) -> Result<(), FsError> {
    file.seek(SeekFrom::Start(offset))
        .map(|_| ())
        .map_err(|error| {
            FsError::call(
                error,
                format_args!("lseek({}, {offset}, SEEK_SET)", Shown(file.as_fd())),
            )
        })
}

/// Sets the length of a file in bytes; what is added is a hole.
///
/// # Errors
///
/// Fails where the file system has no file as long.
pub fn set_length(file: &File, length: u64) -> Result<(), FsError> {
    file.set_len(length).map_err(|error| {
        FsError::call(
            error,
            format_args!("ftruncate({}, {length})", Shown(file.as_fd())),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Root, RootPath};

    /// A file with a block of data at each of these places, in blocks, and a hole at its end.
    fn with_holes(path: &std::path::Path, blocks: &[u64], size: u64) -> Vec<u8> {
        let file = File::create_new(path).unwrap();
        for block in blocks {
            file.write_all_at(&[b'x'; 4096], block * 4096).unwrap();
        }
        file.set_len(size).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn holes_stay_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for (blocks, size, most) in [
            (&[0, 100][..], 1 << 20, 2 * 4096),
            (&[3], 4 * 4096, 4096),
            (&[], 1 << 40, 0),
            (&[1 << 20], (1 << 33) + 1, 4096),
        ] {
            let bytes = (size < 1 << 30).then(|| with_holes(&from, blocks, size));
            if bytes.is_none() {
                let file = File::create_new(&from).unwrap();
                for block in blocks {
                    file.write_all_at(b"x", block * 4096).unwrap();
                }
                file.set_len(size).unwrap();
            }
            let target = File::create_new(&to).unwrap();
            let copied = copy_around_holes(&File::open(&from).unwrap(), &target, size).unwrap();
            assert_eq!(target.metadata().unwrap().len(), size);
            assert!(copied <= most, "{copied} of {blocks:?}");
            if let Some(bytes) = bytes {
                assert!(std::fs::read(&to).unwrap() == bytes, "{blocks:?}");
            }
            std::fs::remove_file(&from).unwrap();
            std::fs::remove_file(&to).unwrap();
        }
    }

    #[test]
    fn a_region_is_copied_by_hand_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..700_000_u32)
            .map(|number| number.to_le_bytes()[1])
            .collect();
        std::fs::write(dir.path().join("from"), &bytes).unwrap();
        let from = File::open(dir.path().join("from")).unwrap();
        let to = File::create_new(dir.path().join("to")).unwrap();
        assert_eq!(
            copy_region_by_hand(&from, &to, (1000, 900_000)).unwrap(),
            699_000
        );
        let copied = std::fs::read(dir.path().join("to")).unwrap();
        assert!(copied[..1000] == [0; 1000] && copied[1000..] == bytes[1000..]);
    }

    #[test]
    fn a_file_is_copied_whole() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        for (number, bytes) in [vec![], vec![7; 3_000_000]].into_iter().enumerate() {
            std::fs::write(dir.path().join(format!("from{number}")), &bytes).unwrap();
            let from = root
                .open_file(&RootPath::strict(format!("from{number}")).unwrap())
                .unwrap();
            let to_path = RootPath::strict(format!("to{number}")).unwrap();
            let to = root.create_file(&to_path).unwrap();
            let copied = copy_contents(&from, &to).unwrap();
            let length = u64::try_from(bytes.len()).unwrap();
            assert!(matches!(copied, Copied::Shared) || copied == Copied::Bytes(length));
            assert_eq!(
                root.read_to_end_limited(&to_path, 3_000_000)
                    .unwrap()
                    .unwrap(),
                bytes
            );
        }
    }

    #[test]
    fn a_file_that_hides_its_size_is_copied_too() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let to = root.create_file(&RootPath::strict("f").unwrap()).unwrap();
        let from = File::open("/proc/self/status").unwrap();
        let Copied::Bytes(length) = copy_contents(&from, &to).unwrap() else {
            panic!("a file of /proc cannot be shared");
        };
        assert_eq!(
            length,
            std::fs::metadata(dir.path().join("f")).unwrap().len()
        );
        assert!(length > 0);
    }
}
