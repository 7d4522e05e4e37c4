//! What can be typed about what a build leaves: outputs, annotations, and what is told of them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of `build` that are about its result.
#[derive(Debug, Clone, Default, Args)]
pub struct ResultArguments {
    /// Where the result goes, several times if it goes to several places: a directory, `-` for an archive
    /// on standard output, or `type=KIND,dest=PATH[,…]` with `local`, `tar`, `oci`, `docker`,
    /// `image`, `registry` or `cacheonly`
    #[arg(short, long = "output", value_name = "OUTPUT")]
    pub outputs: Vec<String>,
    /// Annotation of the image; `manifest`, `manifest-descriptor`, `index` and `index-descriptor`, each with
    /// `[PLATFORM]` if it is for one, say where it stands
    #[arg(long = "annotation", value_name = "[TARGET[,…]:]NAME=VALUE")]
    pub annotations: Vec<String>,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write what is known of the result to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Show nothing but warnings, and print the image's id
    #[arg(short, long)]
    pub quiet: bool,
    /// Make one layer of those that the build adds, or of all
    #[arg(long, value_name = "LAYERS", num_args = 0..=1, require_equals = true,
        default_missing_value = "new")]
    pub squash: Option<SquashArgument>,
    /// Time of the image and of all files in its new layers, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    pub timestamp: Option<String>,
    /// Leave out how the image was made
    #[arg(long)]
    pub omit_history: bool,
    /// Push the image under its names: `--output type=registry`
    #[arg(long)]
    pub push: bool,
    /// Keep the image in the store under its names: `--output type=docker`
    #[arg(long)]
    pub load: bool,
    /// Add each image to the index that its names have, in the place of the one for its platform, safely while others
    /// add to it
    #[arg(long)]
    pub append: bool,
    /// Keep the stages that the target is built from as images of the store too
    #[arg(long)]
    pub save_stages: bool,
    /// Give those images labels that say which stage of which build each is
    #[arg(long, requires = "save_stages")]
    pub stage_labels: bool,
}

/// Which layers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SquashArgument {
    /// Those that the build adds to its base
    New,
    /// Those of the base too
    All,
}
