//! From what a user wrote to the place: [`open_source`] and [`open_target`].

use store::{Lease, Store};

use crate::layout::{LayoutSource, LayoutTarget};
use crate::location::Location;
use crate::place::{PlaceError, Source, Target};
use crate::stop::Stop;
use crate::store::{StoreSource, StoreTarget};

/// What places need.
#[derive(Debug)]
pub struct Context<'a> {
    /// careen's store.
    pub store: &'a Store,
    /// Keeps what is read from the store, and what is put there until it has a name.
    pub lease: &'a Lease,
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
    /// There is no way to such a place yet.
    #[error("`{location}` is not supported yet")]
    Unsupported {
        /// The place.
        location: Box<Location>,
    },
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
    let opened = match location {
        Location::Store(name) => {
            let source = StoreSource::open(context.store, context.lease, name);
            source.map(boxed_source).map_err(PlaceError::from)
        }
        Location::Layout { path, selector } => {
            let source = LayoutSource::open(path, selector);
            source.map(boxed_source).map_err(PlaceError::from)
        }
        _ => {
            return Err(OpenError::Unsupported {
                location: Box::new(location.clone()),
            });
        }
    };
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
    let opened = match location {
        Location::Store(name) => {
            let names = vec![name.clone()];
            let target = StoreTarget::new(context.store, context.lease, names);
            Ok(boxed_target(target))
        }
        Location::Layout { path, selector } => {
            let target = LayoutTarget::open(path, selector, &context.stop);
            target.map(boxed_target).map_err(PlaceError::from)
        }
        _ => {
            return Err(OpenError::Unsupported {
                location: Box::new(location.clone()),
            });
        }
    };
    opened.map_err(|source| OpenError::Target {
        location: Box::new(location.clone()),
        source,
    })
}

fn boxed_source<S: Source + 'static>(source: S) -> Box<dyn Source> {
    Box::new(source)
}

fn boxed_target<T: Target + 'static>(target: T) -> Box<dyn Target> {
    Box::new(target)
}
