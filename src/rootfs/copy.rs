//! The bytes of a file: copied in the cheapest way that the file systems allow, and written.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;

use rustix::fs::copy_file_range;
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

/// Copies all of `from` from its start into the empty file `to`.
///
/// # Errors
///
/// Fails where one cannot be read or the other written.
pub fn copy_contents(from: &File, to: &File) -> Result<Copied, FsError> {
    if share_contents(from, to) {
        return Ok(Copied::Shared);
    }
    copy_in_kernel(from, to).map(Copied::Bytes)
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
