//! Caches in OCI image layouts: `type=local`.

use std::io::Read;
use std::path::PathBuf;

use oci::{Descriptor, Digest, Platform};
use solver::Workshop;
use store::{BlobError, ForeignError, LayoutSelector};
use transport::layout::LayoutSourceError;
use transport::{
    Document, LayoutSource, LayoutTag, LayoutTarget, PlaceError, Source, Stop, Tag, Target as _,
    Transferred, Written, appended_to,
};

use super::documents;
use super::ours::{CacheTag, read_earlier};
use super::registry::stop_of;
use crate::config::{CacheConfig, CacheLayer};
use crate::place::{CacheEntry, ExportPlace, ExportSession, ImportPlace, ReadError};

/// A name in a layout.
#[derive(Debug, Clone)]
pub struct LocalCache {
    /// The directory.
    pub path: PathBuf,
    /// The name in it.
    pub selector: LayoutSelector,
    /// What becomes of blobs that no name leads to, when it is written.
    pub unnamed: Unnamed,
}

/// What becomes of blobs that no name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unnamed {
    /// They stay.
    #[default]
    Kept,
    /// They are removed.
    Removed,
}

impl LocalCache {
    fn open_source(&self) -> Result<Option<LayoutSource>, ReadError> {
        match LayoutSource::open(&self.path, &self.selector) {
            Ok(source) => Ok(Some(source)),
            Err(LayoutSourceError::Layout(error)) if is_nothing(&error) => Ok(None),
            Err(error) => Err(ReadError::Unreadable(error.into())),
        }
    }

    fn open_layer(&self, layer: &CacheLayer) -> Result<Box<dyn Read + Send>, PlaceError> {
        let source = LayoutSource::open(&self.path, &self.selector)?;
        source.blob(&layer.descriptor(), 0)
    }
}

fn is_nothing(error: &ForeignError) -> bool {
    match error {
        ForeignError::Open { source, .. } => source.is_not_found(),
        ForeignError::NoSuchImage { .. } => true,
        _ => false,
    }
}

impl ImportPlace for LocalCache {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn read(
        &self,
        _workshop: &Workshop,
        platforms: &[Platform],
    ) -> Result<Option<Vec<CacheConfig>>, ReadError> {
        let Some(source) = self.open_source()? else {
            return Ok(None);
        };
        let root = source.root().map_err(ReadError::Unreadable)?;
        documents::read(&source, &root, platforms).map(Some)
    }

    fn open(
        &self,
        _workshop: &Workshop,
        layer: &CacheLayer,
    ) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.open_layer(layer)
    }
}

impl ExportPlace for LocalCache {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn kind(&self) -> &'static str {
        "client directory"
    }

    fn begin<'w>(
        &'w self,
        workshop: &'w Workshop,
    ) -> Result<Box<dyn ExportSession + 'w>, PlaceError> {
        let stop = stop_of(workshop);
        // The layout is locked from here on: what is read below is what is written over.
        let target = LayoutTarget::open(&self.path, &self.selector, &stop)?;
        let tag = LayoutTag::new(&self.path, &self.selector, &stop);
        if let Some(lost) = tag.read().err().filter(is_lost) {
            let shown = self.path.display();
            let text = format!("what is in the cache `{shown}` is not kept: {lost}");
            workshop.events.warn(text);
        }
        Ok(Box::new(LayoutSession {
            cache: self,
            target,
            stop,
        }))
    }
}

/// Tells whether what a tag names is lost or damaged: it is of no use to anybody, and no reason to fail.
fn is_lost(error: &PlaceError) -> bool {
    match error.downcast_ref() {
        Some(LayoutSourceError::Blob(error)) => match error {
            BlobError::Absent { .. } | BlobError::NotAFile { .. } | BlobError::Damaged(_) => true,
            BlobError::TooLarge { .. } | BlobError::Open { .. } | BlobError::Read { .. } => false,
        },
        _ => false,
    }
}

/// A tag that names nothing when what it names is lost.
#[derive(Debug)]
struct UsableTag<'a>(LayoutTag<'a>);

impl Tag for UsableTag<'_> {
    fn shown(&self) -> String {
        self.0.shown()
    }

    fn read(&self) -> Result<Option<Document>, PlaceError> {
        match self.0.read() {
            Err(error) if is_lost(&error) => Ok(None),
            read => read,
        }
    }

    fn look(&self) -> Result<Option<Digest>, PlaceError> {
        let found = self.read()?;
        Ok(found.as_ref().map(Document::digest).transpose()?)
    }

    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        self.0.entries(document)
    }

    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError> {
        self.0.write(index, expected)
    }

    fn is_exact(&self, index: &Document) -> bool {
        self.0.is_exact(index)
    }
}

/// An export to a layout, which is locked as long as this is there.
struct LayoutSession<'w> {
    cache: &'w LocalCache,
    target: LayoutTarget,
    stop: Stop,
}

impl LayoutSession<'_> {
    fn tag(&self) -> UsableTag<'_> {
        let LocalCache { path, selector, .. } = self.cache;
        UsableTag(LayoutTag::new(path, selector, &self.stop))
    }
}

impl ExportSession for LayoutSession<'_> {
    fn read(&self, platform: &Platform) -> Result<Option<CacheConfig>, PlaceError> {
        let tag = self.tag();
        if tag.look()?.is_none() {
            return Ok(None);
        }
        let source = LayoutSource::open(&self.cache.path, &self.cache.selector)?;
        read_earlier(&CacheTag(&tag), &source, platform)
    }

    fn open(&self, layer: &CacheLayer) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.cache.open_layer(layer)
    }

    fn put(&self, blob: &Descriptor, source: &dyn Source) -> Result<Transferred, PlaceError> {
        self.target.put_blob(blob, source)
    }

    fn write(&self, entries: &[CacheEntry]) -> Result<(), PlaceError> {
        let additions = documents::put_all(entries, &self.target)?;
        let index = appended_to(&CacheTag(&self.tag()), &additions)?;
        self.target.finish(&index)?;
        match self.cache.unnamed {
            Unnamed::Kept => Ok(()),
            Unnamed::Removed => Ok(self.target.remove_unnamed().map(drop)?),
        }
    }
}
