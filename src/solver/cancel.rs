//! Streams that end with the job: where a build takes long, it reads or writes one.

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use runtime::CancelToken;

/// A reader or writer that fails as soon as the job is cancelled.
///
/// Of a cancelled job nobody reports what failed because of that, so the error need not tell itself
/// from others.
#[derive(Debug)]
pub struct Cancellable<'a, T> {
    inner: T,
    cancel: &'a CancelToken,
}

impl<'a, T> Cancellable<'a, T> {
    /// Wraps a stream.
    pub fn new(inner: T, cancel: &'a CancelToken) -> Self {
        Self { inner, cancel }
    }

    fn check(&self) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            // Not `Interrupted`: that is tried again.
            return Err(io::Error::other("the build was cancelled"));
        }
        Ok(())
    }
}

impl<T: Read> Read for Cancellable<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for Cancellable<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The bytes that a pipe takes at once where it takes any (pipe(7), `PIPE_BUF`).
const PIPE_BYTES: usize = 4096;

/// A writer to a pipe, or whatever else there is, that does not wait for a reader when the job is
/// cancelled.
#[derive(Debug)]
pub struct CancellablePipe<'a, T> {
    inner: T,
    cancel: &'a CancelToken,
}

impl<'a, T: Write + AsFd> CancellablePipe<'a, T> {
    /// Wraps a writer that keeps no bytes back.
    pub fn new(inner: T, cancel: &'a CancelToken) -> Self {
        Self { inner, cancel }
    }
}

impl<T: Write + AsFd> Write for CancellablePipe<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let waited = self.cancel.wait_writable(&self.inner);
        waited.map_err(io::Error::other)?;
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("the build was cancelled"));
        }
        // More would wait for room again, and nothing ends a call that waits.
        self.inner.write(&bytes[..bytes.len().min(PIPE_BYTES)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Tells whether an error is that somebody stopped reading what was written: whoever closes our output has read what
/// they wanted.
pub fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::BrokenPipe;
        }
        next = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::CancelReason;

    #[test]
    fn a_pipe_that_nobody_reads_is_written_to_until_the_job_is_cancelled() {
        let cancel = CancelToken::create().unwrap();
        let (_reader, writer) = io::pipe().unwrap();
        let mut pipe = CancellablePipe::new(writer, &cancel);
        assert_eq!(pipe.write(&[0; 10_000]).unwrap(), PIPE_BYTES);
        std::thread::scope(|scope| {
            let written = scope.spawn(|| io::copy(&mut io::repeat(0), &mut pipe));
            cancel.cancel(CancelReason::Abandoned);
            let error = written.join().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "the build was cancelled");
        });
    }

    #[test]
    fn streams_work_until_the_job_is_cancelled() {
        let cancel = CancelToken::create().unwrap();
        let mut reader = Cancellable::new(b"abc".as_slice(), &cancel);
        let mut written = Vec::new();
        let mut writer = Cancellable::new(&mut written, &cancel);
        let mut one = [0; 1];
        reader.read_exact(&mut one).unwrap();
        writer.write_all(&one).unwrap();
        cancel.cancel(CancelReason::Abandoned);
        let read = reader.read_exact(&mut one).unwrap_err();
        let write = writer.write_all(&one).unwrap_err();
        assert_eq!(read.to_string(), "the build was cancelled");
        assert_eq!(write.to_string(), "the build was cancelled");
        assert_eq!(written, b"a");
    }
}
