//! From a name to an image: one of the store, or one of a registry.

use oci::{Platform, Reference};

use super::loading::Labels;
use super::lookup::{platforms_of_stored, reference_of};
use super::remote::{self, Patience};
use super::{BaseError, ResolvedImage, resolve_stored};
use crate::job::Workshop;

/// When registries are asked for base images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Each time.
    Always,
    /// If the store does not have it.
    Missing,
    /// Never: without a network.
    Never,
    /// Each time, and what the store has is used if there is nothing newer, or no answer.
    Newer,
}

/// An image that is wanted by its name.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The platforms that it is wanted for.
    pub platforms: &'a [Platform],
    /// When its registry is asked.
    pub pull: Pull,
    /// What is shown meanwhile.
    pub labels: Labels,
}

/// One of the platforms, by its place, cannot be resolved.
type NotResolved = (usize, BaseError);

/// Resolves an image for its platforms, in their order.
///
/// # Errors
///
/// Fails with the first platform for which there is none, or what is there is malformed, and when its registry is to
/// be asked and cannot.
pub fn resolve_named(
    workshop: &Workshop,
    wanted: &Named<'_>,
) -> Result<Vec<ResolvedImage>, NotResolved> {
    reference_of(wanted.name).map_err(|error| (0, error))?;
    if let Some(found) = workshop.found.get(wanted, &workshop.events) {
        return Ok(found);
    }
    let (events, told) = workshop.events.copied();
    let workshop = &Workshop {
        events,
        ..workshop.clone()
    };
    let asked = Asked { workshop, wanted };
    let found = match wanted.pull {
        Pull::Missing => asked.stored_or(|platforms| asked.remote(platforms, Patience::Usual)),
        Pull::Never => asked.stored_or(|platforms| asked.remembered(platforms)),
        Pull::Always => asked.remote(wanted.platforms, Patience::Needed),
        Pull::Newer => asked.newer(),
    }?;
    workshop
        .found
        .add(wanted, &found, told.try_iter().collect());
    Ok(found)
}

/// An image whose place is being found.
#[derive(Clone, Copy)]
struct Asked<'a> {
    workshop: &'a Workshop,
    wanted: &'a Named<'a>,
}

impl Asked<'_> {
    /// Takes what the store has, and the rest from elsewhere.
    fn stored_or(
        &self,
        elsewhere: impl FnOnce(&[Platform]) -> Result<Vec<ResolvedImage>, NotResolved>,
    ) -> Result<Vec<ResolvedImage>, NotResolved> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for (place, platform) in self.wanted.platforms.iter().enumerate() {
            match resolve_stored(&self.workshop.store, self.wanted.name, platform) {
                Ok(image) => found.push((place, image)),
                Err(error) if is_absent(&error) => missing.push((place, error)),
                Err(error) => return Err((place, error)),
            }
        }
        if !missing.is_empty() {
            let places = missing.iter().map(|(place, _)| *place);
            let platforms: Vec<_> = places
                .filter_map(|place| self.wanted.platforms.get(place).cloned())
                .collect();
            let images =
                elsewhere(&platforms).map_err(|(at, error)| nearer(missing.remove(at), error));
            found.extend(missing.iter().map(|(place, _)| *place).zip(images?));
        }
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, image)| image).collect())
    }

    /// Asks the registry, and takes what the store has if nobody answers.
    fn newer(&self) -> Result<Vec<ResolvedImage>, NotResolved> {
        let platforms = self.wanted.platforms;
        self.remote(platforms, Patience::Usual).or_else(|failed| {
            if !is_no_answer(&failed.1) {
                return Err(failed);
            }
            self.stored_or(|_| Err(failed))
        })
    }

    fn remote(
        &self,
        platforms: &[Platform],
        patience: Patience,
    ) -> Result<Vec<ResolvedImage>, NotResolved> {
        let reference = self.reference().map_err(|error| (0, error))?;
        let wanted = (platforms, self.wanted.labels);
        remote::resolve(self.workshop, &reference, wanted, patience)
    }

    fn remembered(&self, platforms: &[Platform]) -> Result<Vec<ResolvedImage>, NotResolved> {
        let reference = self.reference().map_err(|error| (0, error))?;
        remote::resolve_remembered(self.workshop, &reference, platforms)
    }

    fn reference(&self) -> Result<Reference, BaseError> {
        remote_reference(self.workshop, self.wanted.name)
    }
}

/// Returns the image of a registry that a name means: for one without a registry the configuration says which.
fn remote_reference(workshop: &Workshop, name: &str) -> Result<Reference, BaseError> {
    let named = workshop.registries.named(name);
    named.map_err(|source| BaseError::Ambiguous {
        name: name.to_owned(),
        source,
    })
}

/// Tells whether an error says that the store does not have it.
fn is_absent(error: &BaseError) -> bool {
    matches!(
        error,
        BaseError::NotFound { .. } | BaseError::NoPlatform { .. }
    )
}

/// Tells whether an error says that the registry does not know it, or that nobody answered.
fn is_no_answer(error: &BaseError) -> bool {
    match error {
        BaseError::Unknown { .. } => true,
        BaseError::Registry { source, .. } => source.is_unreachable(),
        _ => false,
    }
}

/// Returns what there is to say of an image that neither place has: the store has it for other platforms, or else
/// what the registry says.
fn nearer(stored: NotResolved, remote: BaseError) -> NotResolved {
    match stored {
        (place, error @ BaseError::NoPlatform { .. }) => (place, error),
        (place, _) => (place, remote),
    }
}

/// Returns the platforms that an image is for.
///
/// # Errors
///
/// Fails when neither the store nor, where it may be asked, its registry has one of that name, or what is there is
/// malformed.
pub fn platforms_of_named(
    workshop: &Workshop,
    name: &str,
    pull: Pull,
) -> Result<Vec<Platform>, BaseError> {
    let remote = |patience| {
        let reference = remote_reference(workshop, name)?;
        remote::platforms(workshop, &reference, patience)
    };
    let stored = || platforms_of_stored(&workshop.store, name);
    match pull {
        Pull::Always => remote(Patience::Needed),
        Pull::Never => stored(),
        Pull::Missing => match stored() {
            Err(error) if is_absent(&error) => remote(Patience::Usual),
            found => found,
        },
        Pull::Newer => match remote(Patience::Usual) {
            Err(error) if is_no_answer(&error) => stored().map_err(|_not_there_either| error),
            found => found,
        },
    }
}
