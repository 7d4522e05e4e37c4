//! The content of an entry as it comes, over as many connections as it takes.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use fetch::{Attempts, FetchError, Method, Response};
use oci::{Digest, VerifiedReader};

use crate::answer::refused_by_store;
use crate::error::Failure;
use crate::limits::{BREAKS_MAX, ERROR_MAX_BYTES, PROGRESS_BYTES};
use crate::protocol::{Found, Wanted};
use crate::session::Session;

/// The bytes of a blob as they come. The last ones are given out only when the digest is right. An error of which the
/// service is the cause is a [`GhaError`](crate::GhaError) ([`behind`](crate::GhaError::behind)).
pub struct EntryReader {
    inner: VerifiedReader<Resuming>,
}

impl EntryReader {
    /// Opens the blob of an entry that was found.
    pub(crate) fn open(
        session: &Arc<Session>,
        found: Found,
        (digest, size_bytes): (&Digest, u64),
    ) -> Result<Self, Failure> {
        let mut reader = Resuming::new(session, found, Some(size_bytes));
        reader.reopen()?;
        Ok(Self {
            inner: VerifiedReader::new(reader, digest, size_bytes),
        })
    }
}

impl Read for EntryReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl fmt::Debug for EntryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryReader").finish_non_exhaustive()
    }
}

/// Reads the whole content of an entry.
pub(crate) fn read_whole(
    session: &Arc<Session>,
    found: Found,
    limit_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    let mut reader = Resuming::new(session, found, None);
    reader.reopen()?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = reader.read_some(&mut buffer)?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if bytes.len() as u64 > limit_bytes {
            let url = reader.found.url.origin_url();
            return Err(FetchError::TooLarge { url, limit_bytes }.into());
        }
    }
}

/// The content of an entry, read from where the last connection broke.
struct Resuming {
    session: Arc<Session>,
    found: Found,
    /// How long it is, if that is known: announced before, or by the first answer.
    size_bytes: Option<u64>,
    at: u64,
    response: Option<Response>,
    attempts: Attempts,
    breaks: u64,
    /// Whether the URL is a new one, which nothing came from yet.
    is_fresh: bool,
}

impl Resuming {
    fn new(session: &Arc<Session>, found: Found, size_bytes: Option<u64>) -> Self {
        Self {
            session: Arc::clone(session),
            found,
            size_bytes,
            at: 0,
            response: None,
            attempts: Attempts::new(),
            breaks: 0,
            is_fresh: true,
        }
    }

    /// Asks for the content from where the reading is. A signed URL that is no longer good is asked for anew.
    fn reopen(&mut self) -> Result<(), Failure> {
        match self.opened() {
            Err(failure) if failure.is_expired() && !self.is_fresh => {
                let found = self.session.find(Wanted::Exactly(&self.found.key))?;
                self.found = found.ok_or(Failure::Missing)?;
                self.is_fresh = true;
                self.opened()
            }
            // The entry was removed between the answer of the service and our question.
            Err(Failure::Refused { status: 404, .. }) => Err(Failure::Missing),
            opened => opened,
        }
    }

    fn opened(&mut self) -> Result<(), Failure> {
        let request = self.session.request_at(Method::Get, &self.found.url);
        let request = match self.at {
            0 => request,
            at => request.header("range", &format!("bytes={at}-")),
        };
        let mut response = self.session.ask(&request, None)?;
        match (response.status(), self.at) {
            (200, _) => self.skip(&mut response)?,
            (206, 1..) => self.check_range(&response)?,
            (200..=299, _) => {
                return Err(Failure::Malformed {
                    what: "another part of the entry than was asked for",
                    source: None,
                });
            }
            _ => return Err(refused_by_store(response)),
        }
        self.response = Some(response);
        Ok(())
    }

    /// Reads what was read before, of a store that cannot begin in the middle.
    fn skip(&mut self, response: &mut Response) -> Result<(), Failure> {
        let length = response.header("content-length");
        self.check_size(length.and_then(|length| length.parse().ok()))?;
        let mut before = response.by_ref().take(self.at);
        let skipped = io::copy(&mut before, &mut io::sink());
        let skipped = match skipped {
            Ok(count) if count < self.at => Err(io::ErrorKind::UnexpectedEof.into()),
            skipped => skipped,
        };
        match skipped {
            Ok(_) => Ok(()),
            Err(error) => Err(response.broken(0, error).at_origins().into()),
        }
    }

    /// Checks `Content-Range: bytes 5-9/10`.
    fn check_range(&mut self, response: &Response) -> Result<(), Failure> {
        let range = response.header("content-range").unwrap_or_default();
        let range = range.strip_prefix("bytes ").unwrap_or_default();
        let (range, total) = range.split_once('/').unwrap_or_default();
        let start = range.split_once('-').map(|(start, _)| start.trim().parse());
        if start != Some(Ok(self.at)) {
            return Err(Failure::Malformed {
                what: "another part of the entry than was asked for",
                source: None,
            });
        }
        self.check_size(total.trim().parse().ok())
    }

    fn check_size(&mut self, found: Option<u64>) -> Result<(), Failure> {
        match (self.size_bytes, found) {
            (Some(expected_bytes), Some(found_bytes)) if expected_bytes != found_bytes => {
                Err(Failure::WrongSize {
                    expected_bytes,
                    found_bytes,
                })
            }
            (known, found) => {
                self.size_bytes = known.or(found);
                Ok(())
            }
        }
    }

    /// Reads what comes; nothing at the end.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        loop {
            if self.session.client.is_stopped() {
                return Err(FetchError::Cancelled.into());
            }
            let Some(response) = &mut self.response else {
                return Ok(0);
            };
            let is_early = self.size_bytes.is_some_and(|size| self.at < size);
            let error = match response.read(buffer) {
                Ok(0) if !is_early => {
                    self.response = None;
                    return Ok(0);
                }
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(count) => {
                    self.came(count as u64);
                    return Ok(count);
                }
                Err(error) => error,
            };
            let error = response.broken(self.at, error);
            self.resume(error)?;
        }
    }

    fn came(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
        self.attempts.progressed();
        self.is_fresh = false;
    }

    /// Goes on after a connection that broke. A store that hangs up on purpose is not waited for without an end.
    fn resume(&mut self, error: FetchError) -> Result<(), Failure> {
        self.breaks += 1;
        if self.breaks > BREAKS_MAX + self.at / PROGRESS_BYTES {
            return Err(error.at_origins().into());
        }
        if let Some(response) = self.response.take() {
            response.discard(ERROR_MAX_BYTES);
        }
        self.session.pause(&mut self.attempts, error)?;
        self.reopen()
    }
}

impl Read for Resuming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_some(buffer).map_err(|failure| {
            let asked = format!("read the entry `{}`", self.found.key);
            self.session.error(asked, failure).into()
        })
    }
}
