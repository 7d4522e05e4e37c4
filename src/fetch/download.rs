//! A whole body to a sink, over several connections if one breaks.

use std::io::{self, Read as _};

use crate::client::Client;
use crate::error::FetchError;
use crate::failure::failure;
use crate::request::{Request, Response};

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 128 * 1024;

/// What takes the bytes of a file.
pub trait Sink {
    /// Forgets what was written: the file is sent again from its beginning.
    ///
    /// # Errors
    ///
    /// Fails when nothing can be written.
    fn restart(&mut self) -> io::Result<()>;

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// What came of a download.
#[derive(Debug)]
pub struct Downloaded {
    /// The head of the answer. Its body was read.
    pub head: Response,
    /// How many bytes the sink has.
    pub size_bytes: u64,
}

impl Client {
    /// Sends a request and writes the body of the answer. `is_wanted` sees the head first; a body that it does not want
    /// is not read.
    ///
    /// # Errors
    ///
    /// Fails as [`Client::send`] does, and when the status is an error, the file is larger than `limit_bytes`, the
    /// connection breaks again and again, or the sink fails.
    pub fn download(
        &self,
        request: &Request,
        limit_bytes: u64,
        is_wanted: &dyn Fn(&Response) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<Downloaded, FetchError> {
        self.attempt(|| {
            let mut head = self.follow(request, None)?;
            head.check_status()?;
            let size_bytes = if is_wanted(&head) {
                self.read_all(&mut head, limit_bytes, sink)?
            } else {
                0
            };
            Ok(Downloaded { head, size_bytes })
        })
    }

    fn read_all(
        &self,
        head: &mut Response,
        limit_bytes: u64,
        sink: &mut dyn Sink,
    ) -> Result<u64, FetchError> {
        let url = head.url().clone();
        let failed = |source| FetchError::Sink {
            url: url.clone(),
            source,
        };
        sink.restart().map_err(failed)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut received_bytes = 0;
        loop {
            if self.is_stopped() {
                return Err(FetchError::Cancelled);
            }
            let count = match head.read(&mut buffer) {
                Ok(0) => return Ok(received_bytes),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(head.broken(received_bytes, source)),
            };
            received_bytes += count as u64;
            if received_bytes > limit_bytes {
                return Err(FetchError::TooLarge { url, limit_bytes });
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            sink.write(bytes).map_err(failed)?;
        }
    }
}

impl Response {
    /// Says why reading the body failed, after so many bytes. The reader hides its own errors in those of streams.
    pub fn broken(&self, received_bytes: u64, source: io::Error) -> FetchError {
        match failure(self.url(), source.into()) {
            FetchError::Connect { url, source } => FetchError::Broken {
                url,
                received_bytes,
                source,
            },
            other => other,
        }
    }
}
