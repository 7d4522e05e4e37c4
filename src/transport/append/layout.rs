//! A tag of an OCI image layout.

use std::path::Path;

use oci::{Descriptor, Digest, Reference};
use store::{ForeignError, LayoutSelector};

use super::{Tag, Written};
use crate::combine::entries_of;
use crate::layout::{LayoutError, LayoutSource, LayoutSourceError, LayoutTarget};
use crate::place::{Document, PlaceError, Source as _, Target as _};
use crate::stop::Stop;

/// A name in a layout.
#[derive(Debug)]
pub struct LayoutTag<'a> {
    path: &'a Path,
    selector: LayoutSelector,
    /// The whole name that the image gets with its tag, if it has one.
    name: Option<&'a Reference>,
    stop: &'a Stop,
}

impl<'a> LayoutTag<'a> {
    /// Names a tag.
    pub fn new(path: &'a Path, selector: &LayoutSelector, stop: &'a Stop) -> Self {
        Self {
            path,
            selector: selector.clone(),
            name: None,
            stop,
        }
    }

    /// Names a tag by a whole name, which its image gets too.
    pub fn named(path: &'a Path, name: &'a Reference, stop: &'a Stop) -> Self {
        let selector = name.tag().map_or(LayoutSelector::Default, |tag| {
            LayoutSelector::Tag(tag.to_owned())
        });
        Self {
            path,
            selector,
            name: Some(name),
            stop,
        }
    }

    /// Opens the layout to write to it. Nobody else writes as long as the result is there.
    fn target(&self) -> Result<LayoutTarget, LayoutError> {
        match self.name {
            Some(name) => LayoutTarget::named(self.path, std::slice::from_ref(name), self.stop),
            None => LayoutTarget::open(self.path, &self.selector, self.stop),
        }
    }

    /// Opens what the tag names; `None` where there is no such tag, or no layout yet.
    fn source(&self) -> Result<Option<LayoutSource>, PlaceError> {
        match LayoutSource::open(self.path, &self.selector) {
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
        let target = self.target()?;
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
