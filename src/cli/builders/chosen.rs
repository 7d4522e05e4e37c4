//! Which builder a command takes.

use std::path::{Path, PathBuf};

use super::{Builder, BuilderName, Builders, Driver, NameError, StateError};
use crate::env::Environment;

/// The directory of a store that has the stores of builders.
const STORES: &str = "builders";

/// Why no builder can be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChosenError {
    /// What is kept of builders cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was given is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody made one of this name.
    #[error("no builder `{name}` found: there are {}", known.join(", "))]
    Unknown {
        name: BuilderName,
        known: Vec<String>,
    },
    /// It builds on another machine.
    #[error(
        "the builder `{builder}` has the node `{node}` at `{place}`: careen does not build on other machines yet"
    )]
    Elsewhere {
        builder: BuilderName,
        node: BuilderName,
        place: String,
    },
}

/// A builder, and whether somebody made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) builder: Builder,
    pub(crate) is_made: bool,
}

impl Chosen {
    /// Finds the builder of this name, which is there or was made.
    ///
    /// # Errors
    ///
    /// Fails where there is none, and names those that there are.
    pub(crate) fn named(builders: &Builders, text: &str) -> Result<Self, ChosenError> {
        let name = BuilderName::parse(text)?;
        if name.is_local_engine() {
            return Ok(Self::this_machine(name));
        }
        if let Some(builder) = builders.get(&name)? {
            return Ok(Self {
                builder,
                is_made: true,
            });
        }
        let mut known = vec![format!("`{}`", BuilderName::of_default())];
        known.extend(builders.names()?.iter().map(|name| format!("`{name}`")));
        Err(ChosenError::Unknown { name, known })
    }

    /// Finds the builder that commands take: the one that is given, else that of `BUILDX_BUILDER`, else the one that
    /// `use` took last.
    ///
    /// # Errors
    ///
    /// Fails where there is none of the name.
    pub(crate) fn find(env: &Environment, given: Option<&str>) -> Result<Self, ChosenError> {
        match (Self::of_environment(env, given)?, Builders::find(env)) {
            (Some(chosen), _) => Ok(chosen),
            (None, Ok(builders)) => match builders.current()? {
                Some(name) => Self::named(&builders, name.as_str()),
                None => Ok(Self::this_machine(BuilderName::of_default())),
            },
            // Who has no place for builders has made none.
            (None, Err(_)) => Ok(Self::this_machine(BuilderName::of_default())),
        }
    }

    /// Finds the builder that is given, else that of `BUILDX_BUILDER`.
    ///
    /// # Errors
    ///
    /// Fails where there is none of the name.
    pub(crate) fn of_environment(
        env: &Environment,
        given: Option<&str>,
    ) -> Result<Option<Self>, ChosenError> {
        let asked = given
            .or(env.buildx.builder.as_deref())
            .filter(|text| !text.is_empty());
        asked
            .map(|text| Self::named(&Builders::find(env)?, text))
            .transpose()
    }

    /// Returns the builder that is always there, under one of its names.
    pub(crate) fn this_machine(name: BuilderName) -> Self {
        Self {
            builder: Builder::of_this_machine(name),
            is_made: false,
        }
    }

    /// Checks that it builds here.
    ///
    /// # Errors
    ///
    /// Fails when a node is on another machine.
    pub(crate) fn check_here(&self) -> Result<(), ChosenError> {
        match self.builder.elsewhere() {
            None => Ok(()),
            Some(node) => Err(ChosenError::Elsewhere {
                builder: self.builder.name.clone(),
                node: node.name.clone(),
                place: node.endpoint.to_string(),
            }),
        }
    }

    /// Returns the store that it builds in, where that is not the user's.
    pub(crate) fn own_store(&self, users: &Path) -> Option<PathBuf> {
        let name = self.builder.name.as_str();
        match self.builder.driver {
            Driver::Docker => None,
            Driver::DockerContainer => Some(users.join(STORES).join(name)),
        }
    }
}
