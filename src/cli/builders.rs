//! Builders: what `buildx create` makes, kept between commands, and which of them a build takes.
//!
//! A builder is a named list of nodes, each a place with the platforms that it is for. All that are built on now are this
//! machine; what lies elsewhere is kept, and a build on it says so. Nothing runs between builds, so there is
//! nothing to start or to stop.

mod chosen;
mod model;
mod name;
mod state;

pub(crate) use chosen::{Chosen, ChosenError};
pub(crate) use model::{Builder, Driver, DriverError, Node, Place, PlaceError};
pub(crate) use name::{BuilderName, NameError, made_up};
pub(crate) use state::{Builders, StateError};
