//! From what a user wrote to the place: [`open_source`] and [`open_target`].

use ::registry::Registry;
use oci::{Platform, Reference};
use store::{Lease, Store};

mod pinned;

use crate::archive::{ArchiveTarget, ImageFile};
use crate::directory::{DirectorySource, DirectoryTarget};
use crate::layout::{LayoutSource, LayoutTarget};
use crate::location::Location;
use crate::place::{PlaceError, Source, Target};
use crate::registry::{RegistrySource, RegistryTarget};
use crate::stop::Stop;
use crate::store::{StoreSource, StoreTarget};

/// What places need.
#[derive(Debug)]
pub struct Context<'a> {
    /// careen's store.
    pub store: &'a Store,
    /// Keeps what is read from the store, and what is put there until it has a name.
    pub lease: &'a Lease,
    /// The registries; none where the caller knows that no place is in one.
    pub registry: Option<&'a Registry>,
    /// The platform that an archive of docker is for, if it has several.
    pub platform: &'a Platform,
    /// Ends what waits.
    pub stop: Stop,
}

/// A place cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none, no such image in it, or it cannot be read.
    #[error("cannot read `{location}`")]
    Source {
        /// The place.
        location: Box<Location>,
        /// Why.
        source: PlaceError,
    },
    /// It cannot be made or written to.
    #[error("cannot write `{location}`")]
    Target {
        /// The place.
        location: Box<Location>,
        /// Why.
        source: PlaceError,
    },
}

/// A place is in a registry, and the caller knows none.
#[derive(Debug, thiserror::Error)]
#[error("no registry can be asked here")]
struct NoRegistry;

impl<'a> Context<'a> {
    fn registry(&self) -> Result<&'a Registry, PlaceError> {
        self.registry.ok_or_else(|| NoRegistry.into())
    }

    fn source(&self, location: &Location) -> Result<Box<dyn Source>, PlaceError> {
        Ok(match location {
            Location::Registry(name) => Box::new(RegistrySource::new(self.registry()?, name)?),
            Location::Store(name) => Box::new(StoreSource::open(self.store, self.lease, name)?),
            Location::Layout { path, selector } => Box::new(LayoutSource::open(path, selector)?),
            Location::OciArchive { path, selector } => {
                let archive = ImageFile::open(path, self.store, &self.stop)?;
                Box::new(archive.in_layout(selector)?)
            }
            Location::DockerArchive { path, name } => {
                let archive = ImageFile::open(path, self.store, &self.stop)?;
                Box::new(archive.named(name.as_ref())?)
            }
            Location::Directory(path) => Box::new(DirectorySource::open(path)?),
        })
    }

    fn target(&self, location: &Location) -> Result<Box<dyn Target>, PlaceError> {
        let target = self.place(location)?;
        match location {
            Location::Registry(name) | Location::Store(name) => Ok(pinned::to(name, target)),
            _ => Ok(target),
        }
    }

    fn place(&self, location: &Location) -> Result<Box<dyn Target>, PlaceError> {
        Ok(match location {
            Location::Registry(name) => Box::new(RegistryTarget::new(self.registry()?, name)?),
            Location::Store(name) => {
                let names = vec![name.clone()];
                Box::new(StoreTarget::new(self.store, self.lease, names))
            }
            Location::Layout { path, selector } => {
                Box::new(LayoutTarget::open(path, selector, &self.stop)?)
            }
            Location::OciArchive { path, selector } => {
                Box::new(ArchiveTarget::oci(path, selector)?)
            }
            Location::DockerArchive { path, name } => {
                let names: Vec<Reference> = name.iter().cloned().collect();
                Box::new(ArchiveTarget::docker(path, &names, self.platform)?)
            }
            Location::Directory(path) => Box::new(DirectoryTarget::open(path)?),
        })
    }
}

/// Opens an image to read it.
///
/// # Errors
///
/// Fails when it is not there, or cannot be read.
pub fn open_source(
    location: &Location,
    context: &Context<'_>,
) -> Result<Box<dyn Source>, OpenError> {
    let opened = context.source(location);
    opened.map_err(|source| OpenError::Source {
        location: Box::new(location.clone()),
        source,
    })
}

/// Opens a place to put an image there.
///
/// # Errors
///
/// Fails when it cannot be made or written to.
pub fn open_target(
    location: &Location,
    context: &Context<'_>,
) -> Result<Box<dyn Target>, OpenError> {
    let opened = context.target(location);
    opened.map_err(|source| OpenError::Target {
        location: Box::new(location.clone()),
        source,
    })
}
