//! `careen push`: an image of the store → a registry, or another place.

use oci::Reference;
use store::FoundImage;
use transport::{Location, StoreSource};

use super::progress::note;
use super::{Carrier, Lines, Surroundings, Words, misused, say};
use crate::args::PushArguments;
use crate::exit;
use crate::options::transfer::PushRequest;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// An image without a name has no place of its own.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is an id, which says no registry: `careen push {text} NAME`")]
struct NoPlace {
    text: String,
}

/// The store has nothing of a repository.
#[derive(Debug, thiserror::Error)]
#[error("the store has no image of the repository `{repository}`")]
struct NoTags {
    repository: String,
}

/// Runs `push` in the builder.
pub(super) fn run(arguments: &PushArguments, around: Surroundings<'_>) -> Outcome {
    let request = PushRequest::new(arguments, around.env).map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &request.registries)?;
    let push = Push {
        carrier: &carrier,
        request: &request,
        quiet: arguments.quiet,
    };
    let without_latest = push.without_latest(&arguments.image)?;
    match request.repository.as_ref().or(without_latest.as_ref()) {
        Some(repository) => push.all_tags(repository)?,
        None => push.named(&arguments.image)?,
    }
    Ok(exit::DONE)
}

struct Push<'a> {
    carrier: &'a Carrier,
    request: &'a PushRequest,
    quiet: bool,
}

impl Push<'_> {
    /// Pushes an image to the place that was named, or that its name says.
    fn named(&self, text: &str) -> Result<(), Box<Report>> {
        let found = self.carrier.find(text)?;
        let target = match (&self.request.target, &found.name) {
            (Some(target), _) => target.clone(),
            (None, Some(name)) => Location::Registry(name.clone()),
            (None, None) => {
                let text = text.to_owned();
                return Err(Box::new(Report::new(Kind::User, &NoPlace { text })));
            }
        };
        if let (Location::Registry(name), false) = (&target, self.quiet) {
            note(&format!("The push refers to repository [{}]", name.name()));
        }
        self.one(&found, &target)
    }

    /// Returns the repository that was given without a tag, where the store has tags of it and none is `latest`, and says
    /// that all are meant: docker did so before its version 20.10, and what its posts type still means that.
    fn without_latest(&self, text: &str) -> Result<Option<Reference>, Box<Report>> {
        let is_elsewhere = self.request.target.is_some() || self.request.repository.is_some();
        let given = Reference::parse(text)
            .ok()
            .filter(|name| !is_elsewhere && name.tag().is_none() && name.digest().is_none());
        let Some(repository) = given.map(|name| name.into_docker_ref().repository()) else {
            return Ok(None);
        };
        let tags = self.carrier.store.content().tags();
        let tags = tags.map_err(|error| self.carrier.of(&error))?;
        let mut known = tags
            .iter()
            .filter(|(name, _)| name.name() == repository.name())
            .filter_map(|(name, _)| name.tag())
            .peekable();
        if known.peek().is_none() || known.any(|tag| tag == "latest") {
            return Ok(None);
        }
        if !self.quiet {
            let shown = repository.familiar_name();
            note(&format!(
                "There is no `{shown}:latest`: all tags of it are pushed"
            ));
        }
        Ok(Some(repository))
    }

    /// Pushes every tag that the store has of a repository.
    fn all_tags(&self, repository: &Reference) -> Result<(), Box<Report>> {
        let tags = self.carrier.store.content().tags();
        let tags = tags.map_err(|error| self.carrier.of(&error))?;
        let names = tags.into_iter().map(|(name, _)| name);
        let names: Vec<_> = names
            .filter(|name| name.name() == repository.name() && name.tag().is_some())
            .collect();
        if names.is_empty() {
            let repository = repository.familiar_name();
            return Err(Box::new(Report::new(Kind::User, &NoTags { repository })));
        }
        if !self.quiet {
            note(&format!(
                "The push refers to repository [{}]",
                repository.name()
            ));
        }
        for name in names {
            let found = self.carrier.find(&name.to_string())?;
            self.one(&found, &Location::Registry(name))?;
        }
        Ok(())
    }

    fn one(&self, found: &FoundImage, target: &Location) -> Result<(), Box<Report>> {
        let shown = found.name.as_ref().map(Reference::familiar);
        let shown = shown.unwrap_or_else(|| found.image.digest.to_string());
        let carrier = self.carrier;
        let top = &found.image.descriptor;
        let source = StoreSource::of(&carrier.store, &carrier.lease, top, shown);
        let opened = carrier.target(target)?;
        let words = if self.quiet { Words::None } else { Words::Push };
        let lines = Lines::new(words);
        let places = (&source as &dyn transport::Source, opened.as_ref());
        let report = carrier.carry(places, self.request.selection.clone(), &lines)?;
        let name = match target {
            Location::Registry(name) => name.tag().map(str::to_owned),
            _ => None,
        };
        say(&if self.quiet {
            match target {
                Location::Registry(name) => name.to_string(),
                other => other.to_string(),
            }
        } else {
            let prefix = name.map(|tag| format!("{tag}: ")).unwrap_or_default();
            let (digest, size) = (report.root.digest(), report.root.size());
            format!("{prefix}digest: {digest} size: {size}")
        });
        Ok(())
    }
}
