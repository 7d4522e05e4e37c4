//! What can be typed.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod binfmt;
mod builders;
mod cache;
mod debug;
mod disk;
mod docker;
mod doctor;
mod files;
mod fsck;
mod history;
mod image;
mod index;
mod login;
mod pages;
mod policy;
mod progress;
mod registry;
mod registry_access;
mod result;
mod run;
mod sandbox;
mod transfer;
mod version;

pub use binfmt::BinfmtArguments;
pub use builders::{
    BuilderCommand, BuilderCreateArguments, BuilderInspectArguments, BuilderLsArguments,
    BuilderRmArguments, BuilderStopArguments, BuilderUseArguments, BuildxCommand, BuildxGroup,
};
pub use cache::{CacheArguments, KanikoCacheArguments};
pub use debug::{
    BuildxDebugArguments, BuildxDebugCommand, DebugArguments, DebugCommand, DebugLsArguments,
    DebugRmArguments, FailureArguments, OnFailureArgument,
};
pub use disk::{
    CacheOfArguments, DfArguments, DiskCommand, DuArguments, PruneArguments, SystemCommand,
    SystemPruneArguments,
};
pub use docker::{ClientArguments, DockerArguments};
pub use doctor::DoctorArguments;
pub use files::{
    CheckBaseArguments, DiffArguments, DiffFormat, ExportArguments, RepackArguments,
    UnpackArguments,
};
pub use fsck::FsckArguments;
pub use history::{
    EndArguments, ExplainFormat, HistoryCommand, HistoryGroup, HistoryInspectArguments,
    HistoryLogsArguments, HistoryLsArguments, HistoryRmArguments, LogsProgress,
};
pub use image::{
    ImageCommand, ImageHistoryArguments, ImageInspectArguments, ImageLsArguments,
    ImagePruneArguments, ImageRmArguments, ImageTagArguments,
};
pub use index::{
    ImagetoolsCommand, ImagetoolsCreateArguments, ImagetoolsInspectArguments, ManifestAccess,
    ManifestAddArguments, ManifestAnnotateArguments, ManifestCommand, ManifestCreateArguments,
    ManifestInspectArguments, ManifestPushArguments, ManifestRmArguments, MergeArguments,
};
pub use login::{LoginArguments, LogoutArguments};
pub use pages::{CompletionArguments, ManArguments, ShellArgument};
pub use policy::{BuildxArguments, PolicyArguments};
pub use progress::{ProgressArgument, ProgressArguments};
pub use registry::{RegistryCommand, ServeArguments};
pub use registry_access::RegistryArguments;
pub use result::{ResultArguments, SquashArgument};
pub use run::{PullArgument, RefusedArguments, RunArguments, RunLimitArguments};
pub use sandbox::{LegacyArguments, SandboxArguments};
pub use transfer::{
    CopyArguments, DeleteArguments, DigestArguments, FormatArgument, ImageTransfer,
    ImportArguments, LoadArguments, PlaceCommand, PullArguments, PushArguments, SaveArguments,
    TagsArguments,
};
pub use version::VersionArguments;

/// Builds container images on Linux without a daemon and without root.
#[derive(Debug, Parser)]
#[command(
    name = "careen",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
    /// What docker's client takes before a command, under its name alone.
    #[arg(skip)]
    pub client: ClientArguments,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalArguments {
    /// Directory of the store [env: `CAREEN_STORE`] [default: ~/.local/share/careen]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Wait for no disk: what is made is lost with the machine's power, for machines that are thrown away [env:
    /// `CAREEN_NO_SYNC`]
    #[arg(long, global = true)]
    pub no_sync: bool,
    /// What runs commands: `auto`, `userns-multi`, `userns-single`, `chroot`, `none` [env: `CAREEN_EXECUTOR`]
    #[arg(long, global = true, value_name = "MODE")]
    pub executor: Option<String>,
    /// Authority to trust beside the usual ones, for RUN commands too: a file of certificates, or `system` for those of
    /// this machine [env: `CAREEN_CA`]
    #[arg(long = "ca", global = true, value_name = "FILE | system")]
    pub authorities: Vec<String>,
    /// Proxy, for RUN commands too: a URL, `none`, or `system` for what the environment says
    #[arg(long, global = true, value_name = "URL | system | none")]
    pub proxy: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a Dockerfile
    Build(Box<BuildArguments>),
    /// Make an image of what was changed in the files that `unpack` wrote
    Repack(RepackArguments),
    /// Run a command on an image, to try it
    Run(Box<RunArguments>),
    /// Look into what a step left that failed: a shell in it, or a command
    Debug(DebugArguments),
    /// Tell whether a newer base of an image is there; exit code 1 says so too
    CheckBase(CheckBaseArguments),
    /// Tell how two images differ; exit code 1 says that they do
    Diff(DiffArguments),
    /// Write the files of an image into an archive
    Export(ExportArguments),
    /// Write the files of an image into a directory that OCI runtimes run
    Unpack(UnpackArguments),
    /// Log in to a registry
    Login(LoginArguments),
    /// Log out of a registry
    Logout(LogoutArguments),
    /// What brings images into the store and out of it.
    #[command(flatten)]
    Transfer(Box<ImageTransfer>),
    /// What is done with images wherever they are.
    #[command(flatten)]
    Places(Box<PlaceCommand>),
    /// Work with the images of the store
    Image {
        /// What is to be done with them.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Run a registry of one's own
    Registry {
        /// What is to be done with it.
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Work with indexes and images, wherever they are
    Imagetools {
        /// What is to be done with them.
        #[command(subcommand)]
        command: ImagetoolsCommand,
    },
    /// Put an index together step by step
    Manifest {
        /// What is to be done with the list.
        #[command(subcommand)]
        command: ManifestCommand,
    },
    /// Make one index of archives that several machines made
    Merge(MergeArguments),
    /// List the images of the store
    Images(ImageLsArguments),
    /// Take names away, and remove the images that have none left
    Rmi(ImageRmArguments),
    /// Give an image another name
    Tag(ImageTagArguments),
    /// Tell what this machine allows, what commands are run with, and what would improve it
    Doctor(DoctorArguments),
    /// Look at everything in the store, and tell what is damaged; exit code 1 says that something is
    Fsck(FsckArguments),
    /// Work with builders
    #[command(flatten)]
    Builders(BuilderCommand),
    /// What is done about the disk.
    #[command(flatten)]
    Disk(DiskCommand),
    /// Work with builds of the past
    History(HistoryGroup),
    /// The same in buildx' words
    #[command(arg_required_else_help = true)]
    Buildx(BuildxGroup),
    /// Tell which processors' programs run here, and say which emulators are wanted
    Binfmt(BinfmtArguments),
    /// Print what a shell completes the command line with
    Completion(CompletionArguments),
    /// Write pages for `man`
    Man(ManArguments),
    /// Print the version
    Version(VersionArguments),
    /// What there is not.
    #[command(skip)]
    Other(Vec<OsString>),
}

/// The arguments of `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArguments {
    /// Build context: a directory, a git or HTTP URL, or `-` for standard input
    #[arg(value_name = "PATH | URL | -")]
    pub context: Option<PathBuf>,
    /// Dockerfile: a path, a URL, or `-` for standard input [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Name of the image
    #[arg(short, long = "tag", value_name = "NAME")]
    pub tags: Vec<String>,
    /// Stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Build argument; without a value it is taken from the environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub build_args: Vec<String>,
    /// File of build arguments, one `NAME=VALUE` a line; `--build-arg` goes before it
    #[arg(long = "build-arg-file", value_name = "FILE")]
    pub build_arg_files: Vec<PathBuf>,
    /// Image that the first stage is built on, whatever its FROM says
    #[arg(long = "from", value_name = "IMAGE")]
    pub first_base: Option<String>,
    /// Context by a name: a directory, a git or HTTP URL, `oci-layout://PATH[:TAG|@DIGEST]` or
    /// `docker-image://NAME`
    #[arg(long = "build-context", value_name = "NAME=VALUE")]
    pub build_contexts: Vec<String>,
    /// Platforms to build for [env: `DOCKER_DEFAULT_PLATFORM`] [default: this machine's]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// Build for every platform that all base images have
    #[arg(long)]
    pub all_platforms: bool,
    /// What is asked for of the result.
    #[command(flatten)]
    pub result: ResultArguments,
    /// Label of the image
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub labels: Vec<String>,
    /// Secret for `RUN --mount=type=secret`: `id=ID[,src=PATH]` or `id=ID,env=NAME`
    #[arg(long = "secret", value_name = "SECRET")]
    pub secrets: Vec<String>,
    /// File or directory of this machine that RUN commands see: `PATH:TARGET[:ro|rw|O]`
    #[arg(short, long = "volume", value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// Build everything again, whatever the cache has
    #[arg(long)]
    pub no_cache: bool,
    /// Build these stages again, whatever the cache has
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Network of RUN commands
    #[arg(long, value_name = "MODE")]
    pub network: Option<NetworkArgument>,
    /// What is asked for of the sandboxes of RUN commands.
    #[command(flatten)]
    pub sandbox: SandboxArguments,
    /// Tell about the Dockerfile instead of building: `check`, `outline`, `targets`, `subrequests.describe`
    #[arg(long, alias = "print", value_name = "QUESTION[,format=json]")]
    pub call: Option<String>,
    /// Check the Dockerfile instead of building: `--call=check`
    #[arg(long, conflicts_with = "call")]
    pub check: bool,
    /// How progress is shown, and where it is recorded.
    #[command(flatten)]
    pub progress: ProgressArguments,
    /// What is done with steps that fail.
    #[command(flatten)]
    pub failure: FailureArguments,
    /// What is told and kept when the build ends.
    #[command(flatten)]
    pub end: EndArguments,
    /// How many RUN commands run at the same time [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// How much memory the commands that run at the same time may be expected to need: `4g` [default: not limited]
    #[arg(long, value_name = "SIZE")]
    pub memory_budget: Option<String>,
    /// Which sources and earlier results may be used.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The networks that a command line may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkArgument {
    /// What careen takes by itself: `sandbox` where that is possible, else `host`; `run` takes `host`
    Default,
    /// A network of the build's own: what this machine reaches, and nothing of this machine
    Sandbox,
    /// The machine's network
    Host,
    /// A loop-back interface and nothing else
    None,
}
