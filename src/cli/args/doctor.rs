//! The arguments of `doctor`.

use clap::Args;

/// The arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArguments {
    /// Tell it as JSON
    #[arg(long)]
    pub json: bool,
    /// Print a profile of AppArmor that lets this program make user namespaces, and nothing else
    #[arg(long, conflicts_with = "json")]
    pub apparmor_profile: bool,
}
