//! What can be typed about indexes: `imagetools`, `manifest`, `merge`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RegistryArguments;

/// What can be done with indexes and images, wherever they are.
#[derive(Debug, Subcommand)]
pub enum ImagetoolsCommand {
    /// Show an image or an index
    Inspect(ImagetoolsInspectArguments),
    /// Make an index of images
    Create(Box<ImagetoolsCreateArguments>),
}

/// The arguments of `imagetools inspect`.
#[derive(Debug, Clone, Args)]
pub struct ImagetoolsInspectArguments {
    /// Where it is: a registry's reference, `store:REF`, `oci:DIR[:TAG]`, …
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// A Go template over `.Name`, `.Manifest`, `.Image`, `.Provenance` and `.SBOM`
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Show the manifest or the index as it is
    #[arg(long, conflicts_with = "format")]
    pub raw: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The arguments of `imagetools create`.
#[derive(Debug, Clone, Args)]
pub struct ImagetoolsCreateArguments {
    /// Images and indexes, wherever they are; or a descriptor as JSON, or a digest, of the first `--tag`'s repository
    #[arg(value_name = "SOURCE", required_unless_present = "files")]
    pub sources: Vec<String>,
    /// Where the index goes, and its name there
    #[arg(
        short,
        long = "tag",
        value_name = "NAME",
        required_unless_present = "dry_run"
    )]
    pub tags: Vec<String>,
    /// File with the descriptor of a source
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Add to the index that is there; an image takes the place of the one for its platform
    #[arg(long, requires = "tags")]
    pub append: bool,
    /// Annotation: `index:NAME=VALUE`, `manifest-descriptor[PLATFORM]:NAME=VALUE`
    #[arg(long = "annotation", value_name = "TARGET:NAME=VALUE")]
    pub annotations: Vec<String>,
    /// Show the index, and do not write it
    #[arg(long)]
    pub dry_run: bool,
    /// Take these platforms alone
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// Make an index of a single image too; with `false` it is copied as it is
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub prefer_index: bool,
    /// Write what is known of the index to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// What can be done with lists of manifests, which are put together step by step.
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Begin a list of manifests, or add to one with `--amend`
    Create(ManifestCreateArguments),
    /// Add manifests to a list
    Add(ManifestAddArguments),
    /// Say what a manifest of a list is for
    Annotate(ManifestAnnotateArguments),
    /// Show a list, or a manifest or an index wherever it is
    Inspect(ManifestInspectArguments),
    /// Push a list as an index
    Push(ManifestPushArguments),
    /// Remove lists; nothing that was pushed is removed
    Rm(ManifestRmArguments),
}

/// The arguments of `manifest create`.
#[derive(Debug, Clone, Args)]
pub struct ManifestCreateArguments {
    /// Name of the list: where it will be pushed to
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Images of one platform each, wherever they are
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Add to the list if there is one
    #[arg(short, long)]
    pub amend: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub access: ManifestAccess,
}

/// The arguments of `manifest add`.
#[derive(Debug, Clone, Args)]
pub struct ManifestAddArguments {
    /// Name of the list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Images of one platform each, wherever they are
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// How registries are reached.
    #[command(flatten)]
    pub access: ManifestAccess,
}

/// The arguments of `manifest annotate`.
#[derive(Debug, Clone, Args)]
pub struct ManifestAnnotateArguments {
    /// Name of the list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// The image, as it was added, or its digest
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Its operating system
    #[arg(long, value_name = "NAME")]
    pub os: Option<String>,
    /// Its processor
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// The variant of its processor
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// The version of its operating system
    #[arg(long, value_name = "VERSION")]
    pub os_version: Option<String>,
    /// What its operating system must have
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub os_features: Vec<String>,
}

/// The arguments of `manifest inspect`.
#[derive(Debug, Clone, Args)]
pub struct ManifestInspectArguments {
    /// A list, or where an image is; or a list, and one of its images
    #[arg(value_name = "LIST", required = true, num_args = 1..=2)]
    pub images: Vec<String>,
    /// Show the descriptor as well, and what an index names
    #[arg(short, long)]
    pub verbose: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub access: ManifestAccess,
}

/// The arguments of `manifest push`.
#[derive(Debug, Clone, Args)]
pub struct ManifestPushArguments {
    /// Name of the list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Where it goes [default: the registry that the name of the list says]
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,
    /// Remove the list when it is pushed
    #[arg(short, long)]
    pub purge: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub access: ManifestAccess,
}

/// The arguments of `manifest rm`.
#[derive(Debug, Clone, Args)]
pub struct ManifestRmArguments {
    /// Names of lists
    #[arg(value_name = "LIST", required = true)]
    pub lists: Vec<String>,
}

/// How the commands below `manifest` reach registries.
#[derive(Debug, Clone, Args)]
pub struct ManifestAccess {
    /// Allow plain HTTP, and certificates that nobody vouches for: `--tls-verify=false`
    #[arg(long, conflicts_with = "tls_verify")]
    pub insecure: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

impl ManifestAccess {
    /// Returns what is said about registries, with `--insecure` in the words of `--tls-verify`.
    pub fn registry(&self) -> RegistryArguments {
        let mut registry = self.registry.clone();
        if self.insecure {
            registry.tls_verify = Some("false".to_owned());
        }
        registry
    }
}

/// The arguments of `merge`.
#[derive(Debug, Clone, Args)]
pub struct MergeArguments {
    /// Archives and layouts, each with images for other platforms; or places, as `careen copy` names them
    #[arg(value_name = "ARCHIVE", required = true)]
    pub sources: Vec<String>,
    /// Name of the index
    #[arg(
        short,
        long = "tag",
        value_name = "NAME",
        required_unless_present = "output"
    )]
    pub tags: Vec<String>,
    /// Push it to the registries that the names say
    #[arg(long, requires = "tags")]
    pub push: bool,
    /// Write it to an archive, an OCI image layout as a tar
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}
