//! Streams that end with the job: where a build takes long, it reads or writes one.

use std::io::{self, Read, Write};

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

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::CancelReason;

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
