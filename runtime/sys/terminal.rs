#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! Terminals: a pair of them, who controls one, how large one is.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use libc::c_int;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::fd::owned;
use super::{CallError, Called as _, file, shown};
use crate::spec::TerminalSize;

/// Makes a pair of terminals in the `devpts` at `pts` below a directory; returns the end that is ours, and
/// the end of the command.
///
/// The command's end is had by its other end and not by a path, which a link could lead elsewhere
/// (CVE-2025-52565). Since Linux 4.13.
pub(crate) fn open_pair(dev: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd), CallError> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
    let ours = file::open(dev, c"pts/ptmx", flags, 0)?;
    let locked: c_int = 0;
    // SAFETY: the number lives on our stack and is of the type that TIOCSPTLCK reads.
    let result = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw const locked) };
    Errno::result(result).called(|| "ioctl(TIOCSPTLCK, 0)".to_owned())?;
    let flags = (flags | OFlag::O_CLOEXEC).bits();
    // SAFETY: TIOCGPTPEER takes its flags as a number.
    let result = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    // SAFETY: the call makes a descriptor.
    let theirs = unsafe { owned(result.into()) }.called(|| "ioctl(TIOCGPTPEER)".to_owned())?;
    Ok((ours, theirs))
}

/// Makes a terminal the one of this process's session, which must have none.
pub(crate) fn take_control(terminal: BorrowedFd<'_>) -> Result<(), CallError> {
    // SAFETY: TIOCSCTTY takes a number.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) };
    Errno::result(result)
        .map(drop)
        .called(|| format!("ioctl({}, TIOCSCTTY)", shown(terminal)))
}

/// Returns how large a terminal is.
pub(crate) fn size(terminal: BorrowedFd<'_>) -> Result<TerminalSize, CallError> {
    let mut size = window(TerminalSize::default());
    // SAFETY: the size lives on our stack and is of the type that TIOCGWINSZ writes.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    Errno::result(result).called(|| format!("ioctl({}, TIOCGWINSZ)", shown(terminal)))?;
    Ok(TerminalSize {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// Makes a terminal this large; whoever works with it is told by a signal.
pub(crate) fn set_size(terminal: BorrowedFd<'_>, size: TerminalSize) -> Result<(), CallError> {
    let size = window(size);
    // SAFETY: the size lives on our stack and is of the type that TIOCSWINSZ reads.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(result)
        .map(drop)
        .called(|| format!("ioctl({}, TIOCSWINSZ)", shown(terminal)))
}

fn window(size: TerminalSize) -> libc::winsize {
    libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        // In pixels, which nobody asks for.
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;

    fn pair() -> (OwnedFd, OwnedFd) {
        let dev = File::open("/dev").unwrap();
        open_pair(dev.as_fd()).unwrap()
    }

    #[test]
    fn what_is_written_to_one_end_is_read_at_the_other() {
        let (ours, theirs) = pair();
        File::from(theirs).write_all(b"a\n").unwrap();
        let mut text = [0; 8];
        let count = File::from(ours).read(&mut text).unwrap();
        assert_eq!(&text[..count], b"a\r\n");
    }

    #[test]
    fn both_ends_have_one_size() {
        let (ours, theirs) = pair();
        let wanted = TerminalSize {
            rows: 24,
            columns: 132,
        };
        set_size(ours.as_fd(), wanted).unwrap();
        assert_eq!(size(theirs.as_fd()), Ok(wanted));
    }

    #[test]
    fn a_file_has_no_size() {
        let null = File::open("/dev/null").unwrap();
        assert_eq!(size(null.as_fd()).unwrap_err().errno(), Errno::ENOTTY);
    }
}
