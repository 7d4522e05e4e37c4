//! This program as a file in memory that nobody can change: for the processes that a command begins as.
//!
//! An image may name `/proc/self/exe` as the interpreter of a script, or bring a loader of its own: then the command
//! has a way to the file of the program that started it, which is one of the machine (CVE-2019-5736). Where container
//! root is not the caller, that file is somebody else's to it. With one id container root is the caller, who may own
//! the file, so a copy is executed instead, whose seals (`memfd_create(2)`) hold against everybody.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::role::{PROGRAM_NAME, THIS_PROGRAM};
use crate::sys::{CallError, Called as _};

/// `MFD_EXEC`, since Linux 6.3; before that, every such file can be executed.
const EXECUTABLE: MFdFlags = MFdFlags::from_bits_retain(0x10);

/// A sealed copy of this program. It can be executed as long as this is held.
#[derive(Debug)]
pub(crate) struct SealedProgram {
    file: OwnedFd,
}

impl SealedProgram {
    /// Copies this program.
    pub(crate) fn create() -> Result<Self, CallError> {
        let file = File::from(create_executable()?);
        let copied = File::open(program()).and_then(|mut own| io::copy(&mut own, &mut &file));
        copied
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))
            .called(|| format!("copy {THIS_PROGRAM:?} into memory"))?;
        let seals = SealFlag::F_SEAL_SEAL
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_WRITE;
        fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))
            .called(|| format!("fcntl(F_ADD_SEALS, {seals:?})"))?;
        Ok(Self { file: file.into() })
    }

    /// Returns the path at which this process, and one that it starts, can execute it.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

/// Returns the path at which this process finds its own program.
pub(crate) fn program() -> PathBuf {
    THIS_PROGRAM.to_string_lossy().into_owned().into()
}

fn create_executable() -> Result<OwnedFd, CallError> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let made = match memfd_create(PROGRAM_NAME, flags | EXECUTABLE) {
        Err(Errno::EINVAL) => memfd_create(PROGRAM_NAME, flags),
        made => made,
    };
    made.called(|| format!("memfd_create({PROGRAM_NAME:?}, MFD_ALLOW_SEALING|MFD_EXEC)"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    #[test]
    fn a_sealed_copy_is_the_program_and_stays_it() {
        let sealed = SealedProgram::create().unwrap();
        let original = fs::read(program()).unwrap();
        assert!(fs::read(sealed.path()).unwrap() == original);
        let open = || OpenOptions::new().write(true).open(sealed.path());
        let file = open().unwrap();
        let error = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        let refused = Some(Errno::EPERM as i32);
        assert_eq!(error(io::Write::write_all(&mut &file, b"x")), refused);
        assert_eq!(error(file.set_len(0)), refused);
        assert!(fs::read(sealed.path()).unwrap() == original);
    }
}
