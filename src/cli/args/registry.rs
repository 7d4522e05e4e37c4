//! What can be typed behind `registry`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done with registries of one's own.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Serve an image layout as a registry
    Serve(ServeArguments),
}

/// The arguments of `registry serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// Directory of the image layout; it is made where there is none
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,
    /// Take nothing, and write nothing to the directory
    #[arg(long)]
    pub read_only: bool,
    /// Log nothing
    #[arg(short, long)]
    pub quiet: bool,
}
