//! The memory of a caller, read and written as the kernel would for a system call.
//!
//! Not by way of `/proc`: there a page that the caller may not write to is written all the same.

use std::io::{IoSlice, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};

use super::Caller;

/// The longest path that a system call takes, with its final zero (`PATH_MAX`).
const PATH_LIMIT_BYTES: usize = 4096;

/// Parts of memory that are read at once: most texts end in the first. A page has several, and behind a page may be
/// nothing.
const PART_BYTES: usize = 256;

impl Caller<'_> {
    /// Fills `bytes` from an address. Whose they are is known only after a [`check`](Self::check).
    pub(in crate::notify) fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let wanted = bytes.len();
        let remote = [remote(address, wanted)?];
        let mut local = [IoSliceMut::new(bytes)];
        match process_vm_readv(self.thread, &mut local, &remote) {
            Ok(read) if read == wanted => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    /// Returns as many bytes from an address.
    pub(in crate::notify) fn bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        if length != 0 {
            self.read(address, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Writes `bytes` to an address, where the caller could write itself.
    pub(in crate::notify) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.check()?;
        let remote = [remote(address, bytes.len())?];
        match process_vm_writev(self.thread, &[IoSlice::new(bytes)], &remote) {
            Ok(written) if written == bytes.len() => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    /// Returns the text that ends with a zero byte at an address of its memory, as a path.
    pub(in crate::notify) fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        self.text(address, PATH_LIMIT_BYTES, Errno::ENAMETOOLONG)
    }

    /// Returns the text that ends with a zero byte within `limit` bytes; fails with `too_long` if there is none.
    pub(in crate::notify) fn text(
        &self,
        address: u64,
        limit: usize,
        too_long: Errno,
    ) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let mut buffer = [0; PART_BYTES];
        while text.len() < limit {
            let place = usize::try_from(address)
                .ok()
                .and_then(|address| address.checked_add(text.len()))
                .ok_or(Errno::EFAULT)?;
            let left = PART_BYTES - place % PART_BYTES;
            let part = buffer.get_mut(..left).unwrap_or_default();
            self.read(place as u64, part)?;
            let end = part.iter().position(|byte| *byte == 0);
            text.extend_from_slice(part.get(..end.unwrap_or(left)).unwrap_or_default());
            if end.is_some() {
                break;
            }
        }
        if text.len() < limit {
            Ok(text)
        } else {
            Err(too_long)
        }
    }
}

fn remote(address: u64, len: usize) -> Result<RemoteIoVec, Errno> {
    let base = usize::try_from(address).map_err(|_too_large| Errno::EFAULT)?;
    Ok(RemoteIoVec { base, len })
}
