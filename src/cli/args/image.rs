//! What can be typed about the images of the store.

use clap::{ArgAction, Args, Subcommand};

use super::ImageTransfer;

/// What can be done with images.
#[derive(Debug, Clone, Subcommand)]
pub enum ImageCommand {
    /// List the images of the store
    #[command(alias = "list")]
    Ls(ImageLsArguments),
    /// Show what is known of images, as JSON
    Inspect(ImageInspectArguments),
    /// Give an image another name
    Tag(ImageTagArguments),
    /// Take names away, and remove the images that have none left
    #[command(alias = "remove")]
    Rm(ImageRmArguments),
    /// Remove images without a name
    Prune(ImagePruneArguments),
    /// Show how an image was made
    History(ImageHistoryArguments),
    /// What brings images into the store and out of it.
    #[command(flatten)]
    Transfer(Box<ImageTransfer>),
}

/// The arguments of `image ls`.
#[derive(Debug, Clone, Args)]
pub struct ImageLsArguments {
    /// Images of this name, or of names that fit this pattern
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub repository: Option<String>,
    /// All images; there are no others than those that are shown
    #[arg(short, long)]
    pub all: bool,
    /// Show the digests
    #[arg(long)]
    pub digests: bool,
    /// Show only images that fit: `dangling=BOOL`, `label=NAME[=VALUE]`, `before=IMAGE`, `since=IMAGE`,
    /// `until=TIME`, `reference=PATTERN`
    #[arg(short, long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
    /// How to show them: `table`, `table TEMPLATE`, `json`, or a Go template for each
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["digests", "tree"])]
    pub format: Option<String>,
    /// Show ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Show ids alone
    #[arg(short, long, conflicts_with_all = ["digests", "format", "tree"])]
    pub quiet: bool,
    /// Show the platforms of each image below it
    #[arg(long)]
    pub tree: bool,
}

/// The arguments of `image inspect`.
#[derive(Debug, Clone, Args)]
pub struct ImageInspectArguments {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// A Go template for each image, or `json`
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Which of its platforms [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}

/// The arguments of `image tag`.
#[derive(Debug, Clone, Args)]
pub struct ImageTagArguments {
    /// Name or id of the image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The new name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// The arguments of `image rm`.
#[derive(Debug, Clone, Args)]
pub struct ImageRmArguments {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Take all names away from an image that is given by its id, and pass over what is not there
    #[arg(short, long)]
    pub force: bool,
    /// Taken, without effect: images of the store have no parents
    #[arg(long)]
    pub no_prune: bool,
}

/// The arguments of `image prune`.
#[derive(Debug, Clone, Args)]
pub struct ImagePruneArguments {
    /// Remove all images, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Remove only images that fit: `until=TIME`, `label=NAME[=VALUE]`, `label!=NAME[=VALUE]`
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
}

/// The arguments of `image history`.
#[derive(Debug, Clone, Args)]
pub struct ImageHistoryArguments {
    /// Name or id of the image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// How to show it: `table`, `table TEMPLATE`, `json`, or a Go template for each step
    #[arg(long, value_name = "FORMAT", conflicts_with = "quiet")]
    pub format: Option<String>,
    /// Sizes and dates for people; with `--human=false` in bytes and in full
    #[arg(short = 'H', long, action = ArgAction::Set, value_name = "BOOL", default_value_t = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub human: bool,
    /// Show instructions and ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Show ids alone
    #[arg(short, long)]
    pub quiet: bool,
    /// Which of its platforms [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}
