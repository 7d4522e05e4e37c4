//! What a copy looks after while blobs are read: that they end when it does, and are what was chosen.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Cursor, Read};

use oci::check;
use oci::limits::CONFIG_MAX_BYTES;
use oci::{Descriptor, Digest, ImageConfig, Platform, Reference};
use rootfs::{Root, RootPath};
use store::Lent;

use super::CopyError;
use crate::place::{Document, PlaceError, Source};
use crate::stop::Stop;

/// What the index said of the images that were chosen for it: the platform of each configuration, by its digest.
pub(super) type Promised = BTreeMap<String, Platform>;

/// A source whose blobs end when the copy does, and whose configurations say what the index said.
pub(super) struct Watched<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) stop: Stop,
    pub(super) promised: &'a Promised,
}

impl Watched<'_> {
    /// Reads a configuration, if it is for the platform that was promised.
    fn config(
        &self,
        reader: Box<dyn Read + Send>,
        expected: &Platform,
    ) -> Result<Box<dyn Read + Send>, PlaceError> {
        let mut bytes = Vec::new();
        reader.take(CONFIG_MAX_BYTES).read_to_end(&mut bytes)?;
        let found = ImageConfig::parse(&bytes)?.platform();
        if check::platforms_agree(expected, &found) {
            return Ok(Box::new(Cursor::new(bytes)));
        }
        Err(Box::new(CopyError::WrongPlatform {
            shown: self.shown(),
            expected: Box::new(expected.clone()),
            found: Box::new(found),
        }))
    }
}

impl fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Source for Watched<'_> {
    fn shown(&self) -> String {
        self.source.shown()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        self.source.root()
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        self.source.document(descriptor)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        let inner = self.source.blob(descriptor, from)?;
        let stop = self.stop.clone();
        let reader = Box::new(WatchedReader { inner, stop });
        match self.promised.get(descriptor.digest().as_ref()) {
            Some(platform) if from == 0 => self.config(reader, platform),
            _ => Ok(reader),
        }
    }

    fn lend(&self, blob: &Descriptor, to: (&Root, &RootPath)) -> Result<Lent, PlaceError> {
        // One that has to say a platform is read.
        if self.promised.contains_key(blob.digest().as_ref()) {
            return Ok(Lent::No);
        }
        self.source.lend(blob, to)
    }

    fn repository(&self) -> Option<&Reference> {
        self.source.repository()
    }

    fn repository_of(&self, blob: &Descriptor) -> Option<&Reference> {
        self.source.repository_of(blob)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        self.source.referrers(subject)
    }
}

struct WatchedReader {
    inner: Box<dyn Read + Send>,
    stop: Stop,
}

impl Read for WatchedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_stopped() {
            // Not `Interrupted`: that is tried again.
            return Err(io::Error::other("the copy was ended"));
        }
        self.inner.read(buffer)
    }
}
