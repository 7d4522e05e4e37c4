//! What can be typed about images on their way between places.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};

use super::RegistryArguments;

/// The arguments of `copy`.
#[derive(Debug, Clone, Args)]
pub struct CopyArguments {
    /// Image: a registry's, `store:REF`, `oci:DIR[:TAG|@DIGEST]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]`
    /// or `dir:DIR`
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Place for it, written in the same way
    #[arg(value_name = "DESTINATION")]
    pub destination: String,
    /// Copy an index with the images of all platforms
    #[arg(short, long, conflicts_with = "platforms")]
    pub all: bool,
    /// Copy the image for this platform, or an index of those for several [default: this machine's]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// Copy an index alone: what it names has to be there
    #[arg(long, conflicts_with_all = ["all", "platforms"])]
    pub index_only: bool,
    /// Copy what refers to the image too: signatures, SBOMs
    #[arg(long)]
    pub referrers: bool,
    /// Media types of the copy [default: those of the source]
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<FormatArgument>,
    /// File to write the digest of the copy to
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,
    /// How many blobs are copied at the same time
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    pub jobs: u8,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// Whose media types an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArgument {
    /// OCI's
    Oci,
    /// Docker's
    #[value(alias = "v2s2")]
    Docker,
}

/// The arguments of `pull`.
#[derive(Debug, Clone, Args)]
pub struct PullArguments {
    /// Image of a registry
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Pull all tags of the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// Pull the image for this platform, or an index of those for several [env: `DOCKER_DEFAULT_PLATFORM`] [default:
    /// this machine's]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// Pull the images for all platforms
    #[arg(long, conflicts_with = "platforms")]
    pub all_platforms: bool,
    /// Print nothing but the name
    #[arg(short, long)]
    pub quiet: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `push`.
#[derive(Debug, Clone, Args)]
pub struct PushArguments {
    /// Image of the store: a name or an id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Place for it [default: the registry that its name says]
    #[arg(value_name = "DESTINATION", conflicts_with = "all_tags")]
    pub destination: Option<String>,
    /// Push all tags of the repository that the store has
    #[arg(short, long)]
    pub all_tags: bool,
    /// Push the image for this platform alone
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Print nothing but the name
    #[arg(short, long)]
    pub quiet: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `save`.
#[derive(Debug, Clone, Args)]
pub struct SaveArguments {
    /// Images of the store: names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Archive to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Save the image for this platform, or an index of those for several [default: all that there are]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// What the archive is: for `docker load` of every age and OCI tools, or an OCI image layout alone
    #[arg(long, value_name = "FORMAT", default_value = "docker")]
    pub format: FormatArgument,
}

/// The arguments of `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArguments {
    /// Archive to read: an OCI image layout as a tar, or one of `docker save`, compressed or not [default: standard
    /// input]
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Load the images for this platform, or indexes of those for several [default: all that there are]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// The arguments of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArguments {
    /// Archive of a root file system: a file, a URL, or `-` for standard input
    #[arg(value_name = "FILE | URL | -")]
    pub source: String,
    /// Name of the image
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Instruction of a Dockerfile that the image's configuration is made with: `CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE`,
    /// `HEALTHCHECK`, `LABEL`, `ONBUILD`, `STOPSIGNAL`, `USER`, `VOLUME` or `WORKDIR`
    #[arg(short, long = "change", value_name = "INSTRUCTION", action = ArgAction::Append)]
    pub changes: Vec<String>,
    /// Comment in the image's history [default: where it was imported from]
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Platform that the programs are for [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}

/// The arguments of `digest`.
#[derive(Debug, Clone, Args)]
pub struct DigestArguments {
    /// Image, written as for `copy`
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Print the digest of the image for this platform
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Print the name with the digest
    #[arg(long)]
    pub full_ref: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `tags`.
#[derive(Debug, Clone, Args)]
pub struct TagsArguments {
    /// Repository of a registry, `store:REPOSITORY`, or `oci:DIR`
    #[arg(value_name = "REPOSITORY")]
    pub repository: String,
    /// Print no more than this many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArguments {
    /// Image of a registry, of the store, or of an OCI image layout
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// What brings images into the store and out of it.
#[derive(Debug, Clone, Subcommand)]
pub enum ImageTransfer {
    /// Pull an image from a registry into the store
    Pull(PullArguments),
    /// Push an image of the store to a registry
    Push(PushArguments),
    /// Save images of the store to an archive
    Save(SaveArguments),
    /// Load images from an archive into the store
    Load(LoadArguments),
    /// Make an image of the archive of a root file system
    Import(ImportArguments),
}

/// What is done with images wherever they are.
#[derive(Debug, Clone, Subcommand)]
pub enum PlaceCommand {
    /// Copy an image between registries, the store, layouts, archives and directories
    Copy(CopyArguments),
    /// Print the digest of an image
    Digest(DigestArguments),
    /// List the tags of a repository
    Tags(TagsArguments),
    /// Remove an image from a registry, the store or a layout
    Delete(DeleteArguments),
}
