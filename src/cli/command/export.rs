//! `careen export`: the files of an image as one archive.

use export::output::{Destination, PlatformSplit, TreeOptions};
use export::{OutputSpec, export_all};
use oci::Platform;
use solver::{BuildResult, PlatformResult, StepError};

use super::failure;
use super::located::Finder;
use super::transfer::Surroundings;
use super::workspace;
use crate::args::ExportArguments;
use crate::exit;
use crate::options::image_platform;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Nobody can read an archive on a terminal.
#[derive(Debug, thiserror::Error)]
#[error("the archive would go to a terminal: `-o FILE` names a file")]
struct ToTerminal;

/// Runs `export` in the builder.
pub(crate) fn run(arguments: &ExportArguments, around: Surroundings<'_>) -> Outcome {
    let env = around.env;
    let platform = image_platform(arguments.platform.as_deref(), env)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    let destination = match &arguments.output {
        Some(path) if path.as_os_str() != "-" => {
            Destination::Path(env.current_directory.join(path))
        }
        None if env.stdout_is_terminal => {
            return Err(Box::new(Report::new(Kind::Usage, &ToTerminal)));
        }
        _ => Destination::Stdout,
    };
    let output = OutputSpec::Tar {
        destination,
        tree: TreeOptions {
            split: PlatformSplit::Never,
            ..TreeOptions::default()
        },
    };
    workspace::with(
        (around, &arguments.registry),
        &[&arguments.image],
        |finder| {
            write(finder, (&arguments.image, platform.as_ref()), output)?;
            Ok(exit::DONE)
        },
    )
}

/// Writes the files of an image somewhere.
pub(crate) fn write(
    finder: &Finder<'_>,
    (image, platform): (&str, Option<&Platform>),
    output: OutputSpec,
) -> Result<(), Box<Report>> {
    let result = result(finder, image, platform)?;
    export_all(&[output], &result, finder.workshop)
        .map(drop)
        .map_err(|error| failure::of_export(&error, finder.workshop.store.path()))
}

/// Finds an image, as if it had just been built.
pub(crate) fn result(
    finder: &Finder<'_>,
    image: &str,
    platform: Option<&Platform>,
) -> Result<BuildResult, Box<Report>> {
    let found = finder.image(image, platform)?;
    let stack = solver::stack_of(finder.workshop, &found.source);
    let stack = stack.map_err(|error: StepError| Report::new(Kind::User, &error))?;
    Ok(BuildResult {
        platforms: vec![PlatformResult {
            platform: found.config.platform(),
            stack,
            config: found.config,
            history: Vec::new(),
        }],
    })
}
