//! What can be typed about the files of images that are there: `export`, `unpack`, `repack`, `diff`, `check-base`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::RegistryArguments;

/// The arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArguments {
    /// Image: `REF`, `store:REF`, `oci:DIR[:TAG|@DIGEST]`, …
    #[arg(value_name = "LOCATION")]
    pub image: String,
    /// File to write to, `-` for standard output [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Platform of the image [env: `DOCKER_DEFAULT_PLATFORM`] [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `unpack`.
#[derive(Debug, Clone, Args)]
pub struct UnpackArguments {
    /// Image: `REF`, `store:REF`, `oci:DIR[:TAG|@DIGEST]`, …
    #[arg(long, value_name = "LOCATION")]
    pub image: String,
    /// Directory to make
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Platform of the image [env: `DOCKER_DEFAULT_PLATFORM`] [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Have all files belong to the user: so it is anyway
    #[arg(long)]
    pub rootless: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `repack`.
#[derive(Debug, Clone, Args)]
pub struct RepackArguments {
    /// Image to make: `REF`, `store:REF`, `oci:DIR:TAG`, …
    #[arg(long, value_name = "LOCATION")]
    pub image: String,
    /// Directory that `unpack` made
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArguments {
    /// One image: `REF`, `store:REF`, `oci:DIR[:TAG|@DIGEST]`, …
    #[arg(value_name = "ONE")]
    pub one: String,
    /// Another image
    #[arg(value_name = "OTHER")]
    pub other: String,
    /// Platform of both [env: `DOCKER_DEFAULT_PLATFORM`] [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Form of what is told
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: DiffFormat,
    /// Pass over times: of files, and of how the images were made
    #[arg(long)]
    pub ignore_times: bool,
    /// Pass over the history of how the images were made
    #[arg(long)]
    pub ignore_history: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// In which form differences are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// Lines
    Text,
    /// JSON
    Json,
}

/// The arguments of `check-base`.
#[derive(Debug, Clone, Args)]
pub struct CheckBaseArguments {
    /// Image: `REF`, `store:REF`, `oci:DIR[:TAG|@DIGEST]`, …
    #[arg(value_name = "LOCATION")]
    pub image: String,
    /// Base to compare with [default: what the image's annotations name]
    #[arg(long, value_name = "LOCATION")]
    pub base: Option<String>,
    /// Digest that the base had [default: what the image's annotations name]
    #[arg(long, value_name = "DIGEST", requires = "base")]
    pub digest: Option<String>,
    /// Platform of both [default: all that the image is for]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Tell nothing
    #[arg(short, long)]
    pub quiet: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}
