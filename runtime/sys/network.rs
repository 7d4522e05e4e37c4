#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! The loopback interface of a new network namespace.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use libc::{c_char, c_short};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{CallError, Called as _};

/// `IFF_UP`, in the width of a request.
const UP: c_short = 1;

/// Makes a socket whose only use is to ask the kernel about network interfaces.
pub(crate) fn interface_socket() -> Result<OwnedFd, CallError> {
    socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .called(|| "socket(AF_INET, SOCK_DGRAM)".to_owned())
}

/// Switches the loopback interface on. Its addresses come with that.
pub(crate) fn raise_loopback(socket: BorrowedFd<'_>) -> Result<(), CallError> {
    let mut name: [c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    for (place, byte) in name.iter_mut().zip(*b"lo") {
        *place = c_char::from_ne_bytes([byte]);
    }
    let ifr_ifru = libc::__c_anonymous_ifr_ifru { ifru_flags: UP };
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru,
    };
    // SAFETY: the request lives on our stack and is of the type that SIOCSIFFLAGS reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(result)
        .map(drop)
        .called(|| "ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)".to_owned())
}
