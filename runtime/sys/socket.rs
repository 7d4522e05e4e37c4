#![expect(unsafe_code, reason = "received descriptors come as bare numbers")]
//! Stream sockets between two processes of ours, with descriptors beside the bytes.
//!
//! No call here is interrupted: the one handler that we have lets calls go on (`SA_RESTART`).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use super::{CallError, Called as _, shown};

/// How many descriptors the kernel takes with one message (`SCM_MAX_FD`, `unix(7)`).
pub(crate) const DESCRIPTORS_LIMIT: usize = 253;

/// Makes two connected sockets, both close-on-exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), CallError> {
    socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .called(|| "socketpair(AF_UNIX, SOCK_STREAM)".to_owned())
}

/// Sends the first of `bytes`, as many as the return value says, and copies of all `descriptors`.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<usize, CallError> {
    let numbers: Vec<RawFd> = descriptors
        .iter()
        .map(std::os::fd::AsRawFd::as_raw_fd)
        .collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() {
        &rights[..0]
    } else {
        &rights[..]
    };
    // Without a signal: a peer that is gone is an error like any other.
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        control,
        flags,
        None,
    )
    .called(|| format!("sendmsg({}, {} bytes)", shown(socket), bytes.len()))
}

/// Receives into the first of `buffer`, with the descriptors that were sent beside those bytes.
///
/// 0 bytes mean that the peer is gone.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), CallError> {
    let describe = || format!("recvmsg({})", shown(socket));
    let mut space = cmsg_space!([RawFd; DESCRIPTORS_LIMIT]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let mut target = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut target, Some(&mut space), flags).called(describe)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs().called(describe)? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just put these descriptors into our table, and nobody else was
            // told.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|number| unsafe { OwnedFd::from_raw_fd(number) }),
            );
        }
    }
    Ok((message.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use std::os::fd::AsFd as _;

    #[test]
    fn descriptors_arrive_with_the_bytes() {
        let (here, there) = pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(
            send(here.as_fd(), b"abc", &[file.as_fd(), file.as_fd()]).unwrap(),
            3
        );
        let mut buffer = [0; 2];
        let (count, descriptors) = receive(there.as_fd(), &mut buffer).unwrap();
        assert_eq!((count, &buffer, descriptors.len()), (2, b"ab", 2));
        let (count, descriptors) = receive(there.as_fd(), &mut buffer).unwrap();
        assert_eq!(
            (count, buffer.first(), descriptors.len()),
            (1, Some(&b'c'), 0)
        );
        drop(here);
        assert_eq!(receive(there.as_fd(), &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (here, there) = pair().unwrap();
        drop(there);
        let error = send(here.as_fd(), b"abc", &[]).unwrap_err();
        assert_eq!(error.errno(), Errno::EPIPE);
    }
}
