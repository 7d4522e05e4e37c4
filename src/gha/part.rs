//! Content on its way to the service: read once, and sent in parts, some of them beside each other.

use std::io::{self, Read};
use std::thread;

use crate::error::Failure;
use crate::limits::{PART_BYTES, PARTS_AT_ONCE};

/// Content that is stored, which is read once from its beginning to its end.
pub(crate) struct Content<'c> {
    pub(crate) reader: &'c mut (dyn Read + Send),
    pub(crate) size_bytes: u64,
}

/// Some of the bytes of an entry. They are in memory, since a connection may break and what is read may not be had again.
pub(crate) struct Part {
    pub(crate) number: u64,
    /// Where it stands in the entry, in bytes.
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Content<'_> {
    /// Returns the parts that it is sent in.
    pub(crate) fn parts(&mut self, part_bytes: u64) -> Parts<'_> {
        Parts {
            reader: self.reader,
            part_bytes,
            size_bytes: self.size_bytes,
            next: 0,
        }
    }

    /// Tells whether one part has all of it.
    pub(crate) fn is_one_part(&self) -> bool {
        self.size_bytes <= PART_BYTES
    }

    /// Reads all of it, which is one part.
    pub(crate) fn read_whole(&mut self) -> Result<Vec<u8>, Failure> {
        let mut parts = self.parts(PART_BYTES);
        match parts.next() {
            Some(part) => part.map(|part| part.bytes),
            None => Ok(Vec::new()),
        }
    }
}

/// The parts of an entry, as they are read.
pub(crate) struct Parts<'c> {
    reader: &'c mut (dyn Read + Send),
    part_bytes: u64,
    size_bytes: u64,
    next: u64,
}

impl Parts<'_> {
    fn read(&mut self, number: u64, start: u64) -> Result<Part, Failure> {
        let left = self.size_bytes.saturating_sub(start);
        let length = left.min(self.part_bytes);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let reader = &mut *self.reader;
        let read = reader.take(length).read_to_end(&mut bytes);
        let count = read.map_err(Failure::Content)?;
        if count as u64 != length {
            return Err(Failure::Content(io::ErrorKind::UnexpectedEof.into()));
        }
        let part = Part {
            number,
            start,
            bytes,
        };
        Ok(part)
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Part, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.saturating_mul(self.part_bytes);
        if start >= self.size_bytes {
            return None;
        }
        let number = self.next;
        self.next += 1;
        Some(self.read(number, start))
    }
}

/// Has a function send each part, several at once. The first failure ends it.
pub(crate) fn send_all<S>(mut parts: Parts<'_>, send: S) -> Result<(), Failure>
where
    S: Fn(&Part) -> Result<(), Failure> + Sync,
{
    loop {
        let some: Vec<_> = parts
            .by_ref()
            .take(PARTS_AT_ONCE)
            .collect::<Result<_, _>>()?;
        let Some((first, others)) = some.split_first() else {
            return Ok(());
        };
        thread::scope(|scope| {
            let threads: Vec<_> = others
                .iter()
                .map(|part| scope.spawn(|| send(part)))
                .collect();
            let mut sent = send(first);
            for thread in threads {
                let joined = thread.join();
                let joined = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                sent = sent.and(joined);
            }
            sent
        })?;
    }
}
