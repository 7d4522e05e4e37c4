//! The builder's ends of a command's streams, read as far as there is something.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::executor::{ExecError, OutputSink, Stream};
use crate::parent::pipe::do_not_block;

/// How much is read from a pipe at once, in bytes: what a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;

/// How often a stream is read after its sandbox is gone: enough for the largest pipe that a user can
/// make, 1 MiB, and for what a terminal holds, 68 KiB in parts of 4.
const DRAIN_LIMIT_CHUNKS: usize = 32;

/// Our ends of the command's streams; `None` after the last writer closed one.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) input: Option<File>,
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
}

impl Streams {
    /// Puts a terminal in the place of all streams; returns it for what is asked of a terminal alone.
    pub(super) fn join(&mut self, terminal: OwnedFd) -> Result<OwnedFd, ExecError> {
        do_not_block(&terminal).map_err(ExecError::Watch)?;
        let copy = || {
            terminal
                .try_clone()
                .map(File::from)
                .map_err(ExecError::Start)
        };
        self.stdout = Some(copy()?);
        self.input = Some(copy()?);
        Ok(terminal)
    }

    pub(super) fn pass_on(
        &mut self,
        ready: [bool; 2],
        output: &mut dyn OutputSink,
    ) -> Result<(), ExecError> {
        let streams = [
            (Stream::Stdout, &mut self.stdout),
            (Stream::Stderr, &mut self.stderr),
        ];
        for ((stream, pipe), ready) in streams.into_iter().zip(ready) {
            if ready {
                pass_on(stream, pipe, output).map_err(ExecError::Start)?;
            }
        }
        Ok(())
    }

    /// Reads what is there and does not wait for more: a pipe can outlive the sandbox in a process
    /// outside that was handed it over a socket, and that may go on writing for ever.
    pub(super) fn drain(&mut self, output: &mut dyn OutputSink) -> Result<(), ExecError> {
        for _ in 0..DRAIN_LIMIT_CHUNKS {
            self.pass_on([true; 2], output)?;
        }
        Ok(())
    }
}

/// Reads once from a pipe that does not block, and says whether there may be more.
fn pass_on(
    stream: Stream,
    pipe: &mut Option<File>,
    output: &mut dyn OutputSink,
) -> io::Result<bool> {
    let Some(open) = pipe else { return Ok(false) };
    let mut chunk = vec![0; CHUNK_BYTES];
    match open.read(&mut chunk) {
        Ok(0) => {
            *pipe = None;
            Ok(false)
        }
        Ok(count) => {
            output.write(stream, chunk.get(..count).unwrap_or_default());
            if !output.is_open(stream) {
                *pipe = None;
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        // A terminal that nobody has open any more.
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => {
            *pipe = None;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
