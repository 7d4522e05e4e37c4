//! What can be typed behind `fsck`.

use clap::Args;

/// The arguments of `fsck`.
#[derive(Debug, Clone, Args)]
pub struct FsckArguments {
    /// Mend what is damaged: it is removed, and made or fetched again by the next command that needs it
    #[arg(long)]
    pub repair: bool,
    /// Do not compare the files of layers with their blobs, which takes as long as unpacking them
    #[arg(long, short)]
    pub quick: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}
