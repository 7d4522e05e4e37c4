//! The pipes that a command reads from and writes to, and the builder's ends of them.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::executor::ExecError;
use crate::sys::{CallError, Called as _};
use crate::userns::BuilderId;

/// Makes a pipe for output of a command, of which our end does not block.
pub(super) fn output_pipe(owner: (BuilderId, BuilderId)) -> Result<(File, OwnedFd), ExecError> {
    let (reading, writing) = pipe(owner)?;
    do_not_block(&reading).map_err(ExecError::Watch)?;
    Ok((reading.into(), writing))
}

/// Makes a pipe for what a command reads, of which our end does not block.
pub(super) fn input_pipe(owner: (BuilderId, BuilderId)) -> Result<(OwnedFd, File), ExecError> {
    let (reading, writing) = pipe(owner)?;
    do_not_block(&writing).map_err(ExecError::Watch)?;
    Ok((reading, writing.into()))
}

/// Makes a pipe that a command's user owns.
fn pipe((uid, gid): (BuilderId, BuilderId)) -> Result<(OwnedFd, OwnedFd), ExecError> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)
        .called(|| "pipe2(O_CLOEXEC)".to_owned())
        .map_err(ExecError::Watch)?;
    // Both ends are one file.
    fchown(
        &writing,
        Some(Uid::from_raw(uid.0)),
        Some(Gid::from_raw(gid.0)),
    )
    .called(|| format!("fchown(pipe, {}, {})", uid.0, gid.0))
    .map_err(ExecError::Watch)?;
    Ok((reading, writing))
}

/// Only for the end that is ours: a program expects its standard output to block.
pub(super) fn do_not_block(pipe: &OwnedFd) -> Result<(), CallError> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map(drop)
        .called(|| "fcntl(F_SETFL, O_NONBLOCK)".to_owned())
}
