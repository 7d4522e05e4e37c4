//! `careen unpack`: an image → a directory that OCI runtimes run, and that `repack` makes an image of.

mod runtime_config;

use std::io;
use std::path::Path;

use export::output::{LocalMode, PlatformSplit, TreeOptions};
use export::{OutputSpec, export_all};
use oci::Platform;
use solver::base::ResolvedImage;
use solver::event::StepId;
use solver::{BuildResult, PlatformResult, Stack, Tree};

use super::bundle::{self, BundleError, CONFIG, ROOTFS, Record, RecordedImage};
use super::failure;
use super::files::{FileEntry, FilesError, add_digests, of_tree};
use super::located::Finder;
use super::transfer::Surroundings;
use super::workspace;
use crate::args::UnpackArguments;
use crate::exit;
use crate::options::image_platform;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Runs `unpack` in the builder.
pub(crate) fn run(arguments: &UnpackArguments, around: Surroundings<'_>) -> Outcome {
    let env = around.env;
    let platform = image_platform(arguments.platform.as_deref(), env)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    let bundle = env.current_directory.join(&arguments.bundle);
    workspace::with(
        (around, &arguments.registry),
        &[&arguments.image],
        |finder| {
            make(&bundle)?;
            let unpacked = unpack(finder, (&arguments.image, platform.as_ref()), &bundle);
            if unpacked.is_err() {
                // It was not there before. What cannot be removed is left.
                drop(std::fs::remove_dir_all(&bundle));
            }
            unpacked.map(|()| exit::DONE)
        },
    )
}

/// Makes the directory of a bundle; what is there already must be empty.
fn make(bundle: &Path) -> Result<(), Box<Report>> {
    let made = match std::fs::remove_dir(bundle) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BundleError::Exists {
            path: bundle.to_owned(),
        }),
        _ => std::fs::create_dir_all(bundle).map_err(|source| BundleError::Write {
            path: bundle.to_owned(),
            source,
        }),
    };
    made.map_err(|error| Box::new(Report::new(Kind::User, &error)))
}

fn unpack(
    finder: &Finder<'_>,
    (text, platform): (&str, Option<&Platform>),
    bundle: &Path,
) -> Result<(), Box<Report>> {
    let location = finder.location(text)?;
    let source = finder.source(text)?;
    let manifest = finder.bring(source.as_ref(), platform)?;
    let image = finder.stored(&manifest, source.shown())?;
    let stack = solver::stack_of(finder.workshop, &image.source);
    let stack = stack.map_err(|error| Report::new(Kind::User, &error))?;
    write_files(finder, (&image, &stack), bundle)?;
    let location = location.to_string();
    let record = Record::new(
        RecordedImage { location, manifest },
        recorded(finder, &stack)?,
    );
    let config = runtime_config::of(&image.config);
    if config.is_root_instead {
        finder.workshop.events.warn(
            "the image's user is not in the bundle, where there is only the user's own id: the command is root's",
        );
    }
    record
        .write(bundle)
        .and_then(|()| bundle::write(bundle, CONFIG, &config.to_bytes()))
        .map_err(|error| Box::new(Report::new(Kind::User, &error)))
}

fn write_files(
    finder: &Finder<'_>,
    (image, stack): (&ResolvedImage, &Stack),
    bundle: &Path,
) -> Result<(), Box<Report>> {
    let output = OutputSpec::Local {
        directory: bundle.join(ROOTFS),
        mode: LocalMode::Copy,
        tree: TreeOptions {
            split: PlatformSplit::Never,
            ..TreeOptions::default()
        },
    };
    let result = BuildResult {
        platforms: vec![PlatformResult {
            platform: image.config.platform(),
            stack: stack.clone(),
            config: image.config.clone(),
            history: Vec::new(),
        }],
    };
    export_all(&[output], &result, finder.workshop)
        .map(drop)
        .map_err(|error| failure::of_export(&error, finder.workshop.store.path()))
}

/// Returns each file as it is in the image.
fn recorded(finder: &Finder<'_>, stack: &Stack) -> Result<Vec<FileEntry>, Box<Report>> {
    let tree = Tree::open(finder.workshop, StepId("unpack".to_owned()), stack);
    let tree = tree.map_err(|error| Report::new(Kind::User, &error))?;
    let read = || -> Result<Vec<FileEntry>, FilesError> {
        let mut entries = of_tree(&tree)?;
        add_digests(entries.iter_mut())?;
        Ok(entries)
    };
    read().map_err(|error| Box::new(Report::new(Kind::User, &error)))
}
