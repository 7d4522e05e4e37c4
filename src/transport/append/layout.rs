//! A tag of an OCI image layout.

use std::path::Path;

use oci::{Descriptor, Digest};
use store::{ForeignError, LayoutSelector};

use super::{Tag, Written};
use crate::combine::entries_of;
use crate::layout::{LayoutSource, LayoutSourceError, LayoutTarget};
use crate::place::{Document, PlaceError, Source as _, Target as _};
use crate::stop::Stop;

/// A name in a layout.
#[derive(Debug)]
pub struct LayoutTag<'a> {
    path: &'a Path,
    selector: &'a LayoutSelector,
    stop: &'a Stop,
}

impl<'a> LayoutTag<'a> {
    /// Names a tag.
    pub fn new(path: &'a Path, selector: &'a LayoutSelector, stop: &'a Stop) -> Self {
        Self {
            path,
            selector,
            stop,
        }
    }

    /// Opens what the tag names; `None` where there is no such tag, or no layout yet.
    fn source(&self) -> Result<Option<LayoutSource>, PlaceError> {
        match LayoutSource::open(self.path, self.selector) {
            Ok(source) => Ok(Some(source)),
            Err(LayoutSourceError::Layout(error)) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_nothing(error: &ForeignError) -> bool {
    match error {
        ForeignError::Open { source, .. } => source.is_not_found(),
        ForeignError::NotALayout { .. } | ForeignError::NoSuchImage { .. } => true,
        _ => false,
    }
}

impl Tag for LayoutTag<'_> {
    fn shown(&self) -> String {
        let location = crate::Location::Layout {
            path: self.path.to_owned(),
            selector: self.selector.clone(),
        };
        location.to_string()
    }

    fn read(&self) -> Result<Option<Document>, PlaceError> {
        self.source()?.map(|source| source.root()).transpose()
    }

    fn look(&self) -> Result<Option<Digest>, PlaceError> {
        let found = self.read()?;
        let digest = found.as_ref().map(Document::digest);
        Ok(digest.transpose()?)
    }

    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        match self.source()? {
            Some(source) => Ok(entries_of(&source, document)?),
            None => Ok(Vec::new()),
        }
    }

    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError> {
        // Nobody else writes as long as this is there.
        let target = LayoutTarget::open(self.path, self.selector, self.stop)?;
        if self.look()?.as_ref() != expected {
            return Ok(Written::Changed);
        }
        target.finish(index)?;
        Ok(Written::Yes)
    }

    fn is_exact(&self, _index: &Document) -> bool {
        true
    }
}
