//! The body of a request: what comes behind the head, by its length or in chunks.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write as _};

use super::head::{Framing, Head, number};
use super::pace::Paced;
use crate::limits::{CHUNK_LINE_LIMIT_BYTES, DRAIN_LIMIT_BYTES};

/// The body of one request. Its end is where the request says; that a client goes away before is an error.
#[derive(Debug)]
pub(crate) struct Body<'r, 's> {
    reader: &'r mut BufReader<Paced<'s>>,
    left: Left,
    /// The client waits for a word before it sends anything.
    is_awaited: bool,
}

/// What is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Bytes(u64),
    /// The rest of a chunk; the line of the next one follows.
    Chunk(u64),
    /// The line of a chunk.
    ChunkLine,
    Nothing,
}

impl<'r, 's> Body<'r, 's> {
    pub(crate) fn new(head: &Head, reader: &'r mut BufReader<Paced<'s>>) -> Self {
        let left = match head.framing {
            Framing::None | Framing::Length(0) => Left::Nothing,
            Framing::Length(length) => Left::Bytes(length),
            Framing::Chunked => Left::ChunkLine,
        };
        Self {
            reader,
            left,
            is_awaited: head.expects_continue && left != Left::Nothing,
        }
    }

    /// Returns how many bytes come, where the request says so.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.left {
            Left::Bytes(length) => Some(length),
            Left::Nothing => Some(0),
            Left::Chunk(_) | Left::ChunkLine => None,
        }
    }

    /// Tells whether the rest is little enough to be read for the sake of the next request.
    pub(crate) fn can_be_drained(&self) -> bool {
        let is_small = self
            .length()
            .is_some_and(|length| length <= DRAIN_LIMIT_BYTES);
        is_small && !(self.is_awaited && self.left != Left::Nothing)
    }

    /// Reads the rest away.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// Tells a client that waits to go on (RFC 9110, section 10.1.1).
    fn invite(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_awaited) {
            return Ok(());
        }
        let mut stream = self.reader.get_ref().stream();
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
    }

    /// Reads the line of a chunk: its length in hexadecimal digits, and what nobody uses.
    fn read_chunk_line(&mut self) -> io::Result<()> {
        let line = self.read_line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = u64::from_str_radix(digits, 16).ok().filter(|_| is_number);
        match length {
            Some(0) => {
                self.read_trailers()?;
                self.left = Left::Nothing;
            }
            Some(length) => self.left = Left::Chunk(length),
            None => return Err(malformed("a chunk of the body has no length")),
        }
        Ok(())
    }

    /// Reads what stands behind the last chunk; nothing of it is used.
    fn read_trailers(&mut self) -> io::Result<()> {
        let mut left_bytes = CHUNK_LINE_LIMIT_BYTES;
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(());
            }
            left_bytes = left_bytes
                .checked_sub(line.len())
                .ok_or_else(|| malformed("there is too much behind the body"))?;
        }
    }

    /// Reads a line that is not too long, without its end.
    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut *self.reader).take(CHUNK_LINE_LIMIT_BYTES as u64);
        limited.read_until(b'\n', &mut line)?;
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(malformed(
                "a line between two chunks of the body does not end",
            ));
        };
        String::from_utf8(line.to_vec()).map_err(|_not_text| malformed("a chunk has no length"))
    }

    fn read_some(&mut self, buffer: &mut [u8], left_bytes: u64) -> io::Result<usize> {
        let most = usize::try_from(left_bytes)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let window = buffer.get_mut(..most).unwrap_or_default();
        match self.reader.read(window)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.invite()?;
        if self.left == Left::ChunkLine {
            self.read_chunk_line()?;
        }
        match self.left {
            Left::Nothing | Left::ChunkLine => Ok(0),
            Left::Bytes(left_bytes) => {
                let count = self.read_some(buffer, left_bytes)?;
                self.left = match left_bytes.saturating_sub(count as u64) {
                    0 => Left::Nothing,
                    rest => Left::Bytes(rest),
                };
                Ok(count)
            }
            Left::Chunk(left_bytes) => {
                let count = self.read_some(buffer, left_bytes)?;
                self.left = match left_bytes.saturating_sub(count as u64) {
                    0 => self.end_chunk()?,
                    rest => Left::Chunk(rest),
                };
                Ok(count)
            }
        }
    }
}

impl Body<'_, '_> {
    fn end_chunk(&mut self) -> io::Result<Left> {
        match self.read_line()?.as_str() {
            "" => Ok(Left::ChunkLine),
            _ => Err(malformed("a chunk of the body is longer than it says")),
        }
    }
}

fn malformed(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

/// Parses `first-last` of a `Content-Range` as uploads have it (distribution-spec, "Pushing a blob in
/// chunks"): both ends belong to it.
pub(crate) fn parse_upload_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}
