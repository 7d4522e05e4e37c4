//! Blobs: found and read, over as many connections as it takes (distribution-spec, "Pulling blobs").

use std::fmt;
use std::io::{self, Read};

use fetch::{FetchError, Method, Response};
use oci::descriptor::digest_of;
use oci::{Descriptor, Digest, VerifiedReader};

use crate::answer::refused;
use crate::error::{Failure, RegistryError};
use crate::patience::Patience;
use crate::repository::Repository;
use crate::session::Session;

/// How much is skipped at once where a registry cannot begin in the middle, in bytes.
const SKIP_BYTES: usize = 64 * 1024;

/// The bytes of a blob as they come. Read from its beginning it is verified: the last bytes are given out only when
/// the digest is right. An error that a registry is the cause of is a [`RegistryError`]
/// ([`RegistryError::in_error`]).
pub struct BlobStream {
    inner: Stream,
}

enum Stream {
    Whole(Box<VerifiedReader<Resuming>>),
    Rest(Box<Resuming>),
}

impl Repository {
    /// Returns the size of a blob in bytes; `None` when the registry does not have it.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be asked.
    pub fn has_blob(&self, digest: &Digest) -> Result<Option<u64>, RegistryError> {
        let found = self.reading(&format!("find the blob `{digest}`"), |_, session| {
            self.blob_size(session, digest)
        });
        match found {
            Err(error) if error.is_missing() => Ok(None),
            found => found.map(Some),
        }
    }

    pub(crate) fn blob_size(&self, session: &Session, digest: &Digest) -> Result<u64, Failure> {
        let request = session.request(Method::Head, &format!("blobs/{digest}"))?;
        let response = session.ask(&request, None, &self.scopes(session))?;
        if response.status() != 200 {
            return Err(refused(response));
        }
        let size = response.header("content-length");
        Ok(size.and_then(|size| size.parse().ok()).unwrap_or_default())
    }

    /// Opens a blob from an offset in bytes on. A connection that breaks is made again, where it broke.
    ///
    /// # Errors
    ///
    /// Fails when the registry does not have it or cannot be asked, and when it has another size there.
    pub fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<BlobStream, RegistryError> {
        let (reader, digest) = self.resuming(descriptor, from)?;
        let inner = if from == 0 {
            Stream::Whole(Box::new(VerifiedReader::new(
                reader,
                &digest,
                descriptor.size(),
            )))
        } else {
            Stream::Rest(Box::new(reader))
        };
        Ok(BlobStream { inner })
    }

    /// Opens a blob whose bytes nobody verifies, for whoever does it. A connection that breaks is made again, where
    /// it broke. There are never more bytes than the descriptor says.
    ///
    /// # Errors
    ///
    /// As [`Self::blob`].
    pub fn unverified_blob(&self, descriptor: &Descriptor) -> Result<BlobStream, RegistryError> {
        let (reader, _) = self.resuming(descriptor, 0)?;
        let inner = Stream::Rest(Box::new(reader));
        Ok(BlobStream { inner })
    }

    /// Asks for a blob from an offset on.
    fn resuming(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<(Resuming, Digest), RegistryError> {
        let asked = format!("read the blob `{}`", descriptor.digest());
        let digest = digest_of(descriptor).map_err(|error| RegistryError {
            asked: asked.clone(),
            repository: self.reference().name(),
            host: self.reference().domain().to_owned(),
            failure: Failure::malformed("a digest that is not supported", error),
        })?;
        let mut reader = Resuming {
            repository: self.clone(),
            asked,
            digest: digest.clone(),
            size_bytes: descriptor.size(),
            at: from,
            host: 0,
            response: None,
            patience: Patience::new(descriptor.size()),
        };
        reader.open()?;
        Ok((reader, digest))
    }

    /// Removes a blob.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, and when the registry does not do such things
    /// ([`RegistryError::is_unsupported`]).
    pub fn delete_blob(&self, digest: &Digest) -> Result<(), RegistryError> {
        self.delete(
            &format!("delete the blob `{digest}`"),
            &format!("blobs/{digest}"),
        )
    }
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Stream::Whole(reader) => reader.read(buffer),
            Stream::Rest(reader) => reader.read_rest(buffer),
        }
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream").finish_non_exhaustive()
    }
}

/// A blob that goes on where its connection broke.
struct Resuming {
    repository: Repository,
    asked: String,
    digest: Digest,
    size_bytes: u64,
    /// How much of the blob was given out.
    at: u64,
    /// Which of the hosts is asked.
    host: usize,
    /// The body as far as it was not read; none between two connections.
    response: Option<Response>,
    patience: Patience,
}

impl Resuming {
    /// Asks for the blob from where it was left.
    fn open(&mut self) -> Result<(), RegistryError> {
        let (response, host) =
            self.repository
                .on_hosts(self.host, &self.asked, |at, session| {
                    self.opened(session).map(|response| (response, at))
                })?;
        self.response = Some(response);
        self.host = host;
        Ok(())
    }

    fn opened(&self, session: &Session) -> Result<Response, Failure> {
        let mut request = session.request(Method::Get, &format!("blobs/{}", self.digest))?;
        if self.at > 0 {
            request = request.header("range", &format!("bytes={}-", self.at));
        }
        let mut attempts = session.attempts();
        loop {
            let response = session.ask(&request, None, &self.repository.scopes(session))?;
            match self.positioned(response) {
                Ok(response) => return Ok(response),
                Err(failure) => {
                    self.repository.core().pause(&mut attempts, failure)?;
                }
            }
        }
    }

    /// Takes an answer to where the reading goes on.
    fn positioned(&self, mut response: Response) -> Result<Response, Failure> {
        match response.status() {
            200 => {
                self.check_size(content_length(&response))?;
                skip(&mut response, self.at)?;
                Ok(response)
            }
            206 if self.at > 0 => {
                let range = response.header("content-range").and_then(content_range);
                let Some((start, total)) = range else {
                    return Err(Failure::Malformed {
                        what: "a part of a blob and not which",
                        source: None,
                    });
                };
                self.check_size(total)?;
                if start == self.at {
                    return Ok(response);
                }
                Err(Failure::Malformed {
                    what: "another part of the blob than was asked for",
                    source: None,
                })
            }
            // The end of the blob is a place from which there is nothing to be read.
            416 if self.at == self.size_bytes => Ok(response),
            _ => Err(refused(response)),
        }
    }

    fn check_size(&self, found: Option<u64>) -> Result<(), Failure> {
        match found {
            Some(found_bytes) if found_bytes != self.size_bytes => Err(Failure::WrongSize {
                expected_bytes: self.size_bytes,
                found_bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Reads up to the announced end and not beyond it.
    fn read_rest(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size_bytes.saturating_sub(self.at);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match buffer.get_mut(..most) {
            Some(window) if !window.is_empty() => match self.read(window)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            },
            _ => Ok(0),
        }
    }

    fn failed(&self, failure: Failure) -> io::Error {
        match self.repository.session(self.host) {
            Some(session) => self.repository.error(session, &self.asked, failure).into(),
            None => io::Error::other(failure),
        }
    }

    /// Reads what the connection gives; the failure of one that broke.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        let Some(response) = &mut self.response else {
            return Ok(0);
        };
        let read = response.read(buffer);
        read.map_err(|error| response.broken(self.at, error).without_queries())
    }

    /// Goes on after a connection that broke, or ended too early.
    fn reconnect(&mut self, failure: FetchError) -> io::Result<()> {
        self.response = None;
        let core = self.repository.core();
        if let Err(failure) = self.patience.pause(core, failure.into()) {
            return Err(self.failed(failure));
        }
        self.open().map_err(io::Error::from)
    }
}

impl Read for Resuming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.response.is_none() && self.at < self.size_bytes {
                self.open()?;
            }
            if self.repository.core().client.is_stopped() {
                return Err(self.failed(Failure::Cancelled));
            }
            match self.read_some(buffer) {
                Ok(0) if self.at < self.size_bytes => {
                    let early = self.early_end();
                    self.reconnect(early)?;
                }
                Ok(count) => {
                    self.patience.came(count as u64);
                    self.at += count as u64;
                    return Ok(count);
                }
                // All of it came, and what did not is the end of the answer.
                Err(_) if self.at >= self.size_bytes => return Ok(0),
                Err(failure) => self.reconnect(failure)?,
            }
        }
    }
}

impl Resuming {
    fn early_end(&self) -> FetchError {
        let url = self
            .response
            .as_ref()
            .map(|response| response.url().without_query());
        match url {
            Some(url) => FetchError::Broken {
                url,
                received_bytes: self.at,
                source: io::ErrorKind::UnexpectedEof.into(),
            },
            None => FetchError::Cancelled,
        }
    }
}

fn content_length(response: &Response) -> Option<u64> {
    response.header("content-length")?.parse().ok()
}

/// Returns where a part begins and how long the whole is, as a header `Content-Range` says it: `bytes 5-9/10`.
pub fn content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let range = header.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// Reads what was read before, of a registry that cannot begin in the middle.
fn skip(response: &mut Response, bytes: u64) -> Result<(), Failure> {
    let mut buffer = vec![0; SKIP_BYTES];
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(SKIP_BYTES).min(SKIP_BYTES);
        let window = buffer.get_mut(..most).unwrap_or_default();
        let read = match response.read(window) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        match read {
            Ok(count) => left -= count as u64,
            Err(error) => {
                return Err(response
                    .broken(bytes - left, error)
                    .without_queries()
                    .into());
            }
        }
    }
    Ok(())
}
