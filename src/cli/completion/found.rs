//! What there is to be named: stages of the Dockerfile that is meant, builders, images, kept steps, past builds, platforms.
//!
//! Files are looked at and nothing is opened for writing; what cannot be read is not there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dockerfile::call::targets;
use dockerfile::limits::MAX_FILE_BYTES;
use dockerfile::parse::parse;
use dockerfile::source::SourceFile;
use oci::{Clock, Reference};
use solver::KeptStep;
use store::Glance;
use vendor_shim::emulation::Architecture;

use super::candidate::Candidate;
use super::line::Given;
use crate::args::GlobalArguments;
use crate::builders::{BuilderName, Builders, Chosen};
use crate::command::build::USUAL_NAMES;
use crate::command::builders::platforms;
use crate::config::Config;
use crate::env::Environment;
use crate::history::Shelf;
use crate::human;
use crate::options::Places;

/// How many past builds are offered, the latest.
const BUILDS_MAX: usize = 20;

/// What can be found where a command line is typed.
#[derive(Debug)]
pub(super) struct Found<'a> {
    env: &'a Environment,
    given: &'a Given,
}

impl<'a> Found<'a> {
    /// Looks with what was typed; nothing is looked at yet.
    pub(super) fn new(env: &'a Environment, given: &'a Given) -> Self {
        Self { env, given }
    }

    /// Returns the stages of the Dockerfile.
    pub(super) fn stages(&self) -> Vec<Candidate> {
        let Some(text) = self.dockerfile() else {
            return Vec::new();
        };
        let parsed = parse(&SourceFile::new("Dockerfile", text));
        let stages = targets(&parsed.ast).into_iter();
        stages
            .map(|stage| match stage.description.as_str() {
                "" => Candidate::new(stage.name, &format!("FROM {}", stage.base)),
                description => Candidate::new(stage.name, description),
            })
            .collect()
    }

    /// Reads the Dockerfile that is meant, if it is a file.
    fn dockerfile(&self) -> Option<String> {
        if let Some(file) = self.given.last("file") {
            return read(&self.path(file));
        }
        let context = self.path(self.given.last("context").unwrap_or("."));
        USUAL_NAMES
            .iter()
            .find_map(|name| read(&context.join(name)))
    }

    /// Returns where a word leads: bash hands `~` on as it is typed.
    fn path(&self, word: &str) -> PathBuf {
        let in_home = word.strip_prefix("~/").zip(self.env.home.as_ref());
        match in_home {
            Some((rest, home)) => home.join(rest),
            None => self.env.current_directory.join(word),
        }
    }

    /// Returns the builders.
    pub(super) fn builders(&self) -> Vec<Candidate> {
        let Ok(builders) = Builders::find(self.env) else {
            return Vec::new();
        };
        let mut names = vec![BuilderName::of_default()];
        names.extend(builders.names().unwrap_or_default());
        let current = builders.current().ok().flatten();
        let current = current.unwrap_or_else(BuilderName::of_default);
        let about = |name: &BuilderName| {
            if *name == current {
                "builds take it"
            } else {
                ""
            }
        };
        names
            .iter()
            .map(|name| Candidate::new(name.as_str(), about(name)))
            .collect()
    }

    /// Returns the names of the images of the user's store, with this before them.
    pub(super) fn images(&self, scheme: &str) -> Vec<Candidate> {
        let Some(places) = self.places() else {
            return Vec::new();
        };
        let names = Glance::at(&places.store).image_names();
        let named = |(name, digest): (Reference, oci::Digest)| {
            let id: String = digest.encoded().chars().take(12).collect();
            Candidate::new(format!("{scheme}{}", name.familiar()), &id)
        };
        names.into_iter().map(named).collect()
    }

    /// Returns the steps that failed and were kept, the latest first.
    pub(super) fn kept_steps(&self) -> Vec<Candidate> {
        let Some(places) = self.builders_places() else {
            return Vec::new();
        };
        let mut steps: Vec<(store::KeptId, KeptStep)> = Glance::at(&places.store).kept();
        steps.sort_by_key(|(_, step)| std::cmp::Reverse(step.created));
        let candidate = |(id, step): (store::KeptId, KeptStep)| {
            Candidate::new(id.as_str(), &step.label.to_string())
        };
        steps.into_iter().map(candidate).collect()
    }

    /// Returns past builds, the latest first.
    pub(super) fn builds(&self) -> Vec<Candidate> {
        let Some(places) = self.builders_places() else {
            return Vec::new();
        };
        let entries = Shelf::of(&places.store).entries().unwrap_or_default();
        let now = Clock::System.now();
        let candidate = |entry: &crate::history::Entry| {
            let record = entry.record().ok()??;
            let (name, status) = (&record.built.name, record.status.word());
            let ago = record.created().map(|created| human::ago(created, now));
            let about = format!("{name}, {status}, {}", ago.unwrap_or_default());
            Some(Candidate::new(entry.id.to_string(), &about))
        };
        entries
            .iter()
            .take(BUILDS_MAX)
            .filter_map(candidate)
            .collect()
    }

    /// Returns platforms: those that commands run for here, then the others that are known.
    pub(super) fn platforms(&self) -> Vec<Candidate> {
        let runnable = self
            .places()
            .map_or_else(Vec::new, |places| platforms::of_this_machine(&places));
        let mut candidates: Vec<Candidate> = runnable
            .into_iter()
            .map(|known| {
                let how = known
                    .emulator
                    .map(|path| format!("emulated by {}", path.display()));
                Candidate::new(known.platform, how.as_deref().unwrap_or("runs here"))
            })
            .collect();
        for architecture in Architecture::ALL {
            let platform = match architecture {
                Architecture::Arm => "linux/arm/v7".to_owned(),
                other => format!("linux/{other}"),
            };
            if candidates.iter().all(|known| known.value != platform) {
                candidates.push(Candidate::new(platform, "no emulator for it here"));
            }
        }
        candidates
    }

    /// Returns the processors that emulators are for.
    pub(super) fn processors() -> Vec<Candidate> {
        let names = Architecture::others().map(|one| Candidate::plain(one.name()));
        [Candidate::plain("all")].into_iter().chain(names).collect()
    }

    /// Returns the places of the user.
    fn places(&self) -> Option<Places> {
        let global = GlobalArguments {
            store: self.given.last("store").map(|store| self.path(store)),
            ..GlobalArguments::default()
        };
        let config = Config::load(self.env).ok()?;
        Places::find(&global, self.env, &config).ok()
    }

    /// Returns those of the builder that is meant.
    fn builders_places(&self) -> Option<Places> {
        let chosen = Chosen::find(self.env, self.given.last("builder")).ok()?;
        Some(self.places()?.of_builder(Some(&chosen)))
    }
}

/// Reads a Dockerfile. What is no regular file might have no end.
fn read(path: &Path) -> Option<String> {
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let file = File::open(path).ok().filter(|_| is_file)?;
    let mut text = String::new();
    let limit = u64::try_from(MAX_FILE_BYTES).ok()?;
    file.take(limit).read_to_string(&mut text).ok()?;
    Some(text)
}
