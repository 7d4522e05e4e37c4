//! `careen diff`: how two images differ, in configuration, layers and files.
//!
//! Annotations and compression are no part of what is compared: two images that differ in nothing else are equal,
//! though their digests are not.

mod config;
mod files;
mod show;

use oci::{ImageConfig, Platform};
use serde::Serialize;
use solver::base::ResolvedImage;
use solver::event::StepId;
use solver::{StepError, Tree};

use super::files::{FileEntry, FilesError, of_tree};
use super::located::Finder;
use super::transfer::Surroundings;
use super::workspace;
use crate::args::{DiffArguments, DiffFormat};
use crate::exit;
use crate::format;
use crate::options::image_platform;
use crate::report::{Kind, Report};
use crate::run::Outcome;

use config::ConfigChange;
use files::FileChange;

/// Whether something is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Yes,
    No,
}

/// What is compared beside all the rest.
#[derive(Debug, Clone, Copy)]
struct Scope {
    times: Compared,
    history: Compared,
}

/// How two images differ.
#[derive(Debug, Serialize)]
struct Differences {
    one: Side,
    other: Side,
    equal: bool,
    config: Vec<ConfigChange>,
    layers: Layers,
    files: Vec<FileChange>,
}

/// One of two images.
#[derive(Debug, Serialize)]
struct Side {
    image: String,
    platform: String,
    manifest: String,
}

/// The layers of both, by the digests of their tars.
#[derive(Debug, Serialize)]
struct Layers {
    /// How many are the same, counted from the lowest.
    shared: usize,
    one: Vec<String>,
    other: Vec<String>,
}

/// Runs `diff` in the builder.
pub(crate) fn run(arguments: &DiffArguments, around: Surroundings<'_>) -> Outcome {
    let env = around.env;
    let platform = image_platform(arguments.platform.as_deref(), env)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    let compared = |is_ignored| {
        if is_ignored {
            Compared::No
        } else {
            Compared::Yes
        }
    };
    let scope = Scope {
        times: compared(arguments.ignore_times),
        history: compared(arguments.ignore_history),
    };
    workspace::with_answer(
        (around, &arguments.registry),
        &[&arguments.one, &arguments.other],
        |finder| {
            let names = [&arguments.one, &arguments.other];
            let differences = compare(finder, names, platform.as_ref(), scope)?;
            let text = match arguments.format {
                DiffFormat::Text => show::text(&differences),
                DiffFormat::Json => show::json(&differences),
            };
            format::print(&text)?;
            Ok(if differences.equal {
                exit::DONE
            } else {
                exit::FAILED
            })
        },
    )
}

fn compare(
    finder: &Finder<'_>,
    [one, other]: [&String; 2],
    platform: Option<&Platform>,
    scope: Scope,
) -> Result<Differences, Box<Report>> {
    let images = [finder.image(one, platform)?, finder.image(other, platform)?];
    let [first, second] = &images;
    let is_same = first.source.manifest == second.source.manifest;
    let files = if is_same {
        Vec::new()
    } else {
        let trees = [tree(finder, first)?, tree(finder, second)?];
        let found = files::compare(trees, scope.times);
        found.map_err(|error| Box::new(Report::new(Kind::User, &error)))?
    };
    let config = config::compare([&first.config, &second.config], scope);
    let layers = layers([&first.config, &second.config]);
    let has_same_layers = scope.times == Compared::No || layers.one == layers.other;
    Ok(Differences {
        equal: config.is_empty() && files.is_empty() && has_same_layers,
        one: side(one, first),
        other: side(other, second),
        config,
        layers,
        files,
    })
}

fn side(name: &str, image: &ResolvedImage) -> Side {
    Side {
        image: name.to_owned(),
        platform: image.config.platform().to_string(),
        manifest: image.source.manifest.to_string(),
    }
}

fn layers([one, other]: [&ImageConfig; 2]) -> Layers {
    let ids = |config: &ImageConfig| -> Vec<String> {
        let ids = config.rootfs.diff_ids.iter();
        ids.map(ToString::to_string).collect()
    };
    let (one, other) = (ids(one), ids(other));
    let same = one
        .iter()
        .zip(&other)
        .take_while(|(one, other)| one == other);
    Layers {
        shared: same.count(),
        one,
        other,
    }
}

fn tree(finder: &Finder<'_>, image: &ResolvedImage) -> Result<Vec<FileEntry>, Box<Report>> {
    let stack = solver::stack_of(finder.workshop, &image.source);
    let stack = stack.map_err(|error: StepError| Report::new(Kind::User, &error))?;
    let tree = Tree::open(finder.workshop, StepId("diff".to_owned()), &stack);
    let tree = tree.map_err(|error| Report::new(Kind::User, &error))?;
    of_tree(&tree).map_err(|error: FilesError| Box::new(Report::new(Kind::User, &error)))
}
