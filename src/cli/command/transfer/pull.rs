//! `careen pull`: an image of a registry → the store.

use oci::Reference;
use registry::{Access, Repository};
use store::ContentStore;
use transport::{CopyReport, PlaceError, RegistrySource, StoreTarget};

use super::progress::note;
use super::{Carrier, Lines, Surroundings, Words, misused, say};
use crate::args::PullArguments;
use crate::exit;
use crate::options::transfer::PullRequest;
use crate::report::Report;
use crate::run::Outcome;

/// Runs `pull` in the builder.
pub(super) fn run(arguments: &PullArguments, around: Surroundings<'_>) -> Outcome {
    let request = PullRequest::new(arguments, around.env).map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &request.registries)?;
    let pull = Pull {
        carrier: &carrier,
        request: &request,
        quiet: arguments.quiet,
    };
    if arguments.all_tags {
        pull.all_tags()?;
    } else {
        if request.is_default_tag && !arguments.quiet {
            note("Using default tag: latest");
        }
        let is_new = pull.one(&request.name)?;
        pull.status(&request.name, is_new);
    }
    Ok(exit::DONE)
}

struct Pull<'a> {
    carrier: &'a Carrier,
    request: &'a PullRequest,
    quiet: bool,
}

impl Pull<'_> {
    fn source(&self, name: &Reference) -> Result<RegistrySource, Box<Report>> {
        let registry = self.carrier.registry()?;
        let source = RegistrySource::new(registry, name);
        source.map_err(|error| self.failed(name, error))
    }

    fn repository(&self) -> Result<Repository, Box<Report>> {
        let registry = self.carrier.registry()?;
        let repository = registry.repository(&self.request.name, Access::Pull);
        repository.map_err(|error| self.failed(&self.request.name, error))
    }

    fn failed<E: Into<PlaceError>>(&self, name: &Reference, error: E) -> Box<Report> {
        self.carrier.of_asked(("pull", &name.familiar()), error)
    }

    /// Pulls every tag; the last line speaks of all.
    fn all_tags(&self) -> Result<(), Box<Report>> {
        let tags = self.repository()?.tags();
        let tags = tags.map_err(|error| self.failed(&self.request.name, error))?;
        let mut is_new = false;
        for tag in tags {
            // What a registry calls a tag and is none cannot be asked for.
            if let Ok(name) = self.request.name.with_tag(&tag) {
                is_new |= self.one(&name)?;
            }
        }
        let repository = self.request.name.familiar_name();
        let whole = self.request.name.name();
        self.tell(is_new, (&repository, &whole));
        Ok(())
    }

    /// Pulls an image; tells whether anything changed.
    fn one(&self, name: &Reference) -> Result<bool, Box<Report>> {
        let what = name.tag().map_or_else(|| shown_digest(name), str::to_owned);
        if !self.quiet {
            note(&format!("{what}: Pulling from {}", name.path()));
        }
        let source = self.source(name)?;
        let store = &self.carrier.store;
        let before = resolved(store.content(), name);
        let target = StoreTarget::new(store, &self.carrier.lease, vec![name.clone()]);
        let words = if self.quiet { Words::None } else { Words::Pull };
        let report = self.carrier.carry(
            (&source, &target),
            self.request.selection.clone(),
            &Lines::new(words),
        )?;
        if !self.quiet {
            say(&format!("Digest: {}", report.named.digest()));
        }
        Ok(is_new(before.as_deref(), &report))
    }

    fn status(&self, name: &Reference, is_new: bool) {
        self.tell(is_new, (&name.familiar(), &name.to_string()));
    }

    fn tell(&self, is_new: bool, (short, whole): (&str, &str)) {
        if !self.quiet {
            let status = if is_new {
                "Downloaded newer image for"
            } else {
                "Image is up to date for"
            };
            say(&format!("Status: {status} {short}"));
        }
        say(whole);
    }
}

fn shown_digest(name: &Reference) -> String {
    name.digest().map(ToString::to_string).unwrap_or_default()
}

/// Returns the digest that a name led to before.
fn resolved(content: &ContentStore, name: &Reference) -> Option<String> {
    let found = content.resolve(name).ok()??;
    Some(found.digest().to_string())
}

/// Tells whether the store has something that it did not have before.
fn is_new(before: Option<&str>, report: &CopyReport) -> bool {
    before != Some(report.root.digest().as_ref()) || report.copied > 0
}
