//! What decides which sources and earlier results may be used, and what scripts for buildx pass along.

use std::path::PathBuf;

use clap::Args;

use super::CacheArguments;
use crate::builders::Chosen;

/// The arguments of `build` about sources and earlier results.
#[derive(Debug, Clone, Default, Args)]
pub struct PolicyArguments {
    /// When base images are asked for at their registries: `always`, `missing`, `never` or `newer` [default: missing]
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub pull: Option<String>,
    /// Do not use results that are older, as `24h` or `90m`
    #[arg(long, value_name = "DURATION")]
    pub cache_ttl: Option<String>,
    /// Rules about sources, as JSON [env: `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY`]
    #[arg(long, value_name = "FILE")]
    pub source_policy_file: Option<PathBuf>,
    /// Where results are found and left, beside the store.
    #[command(flatten)]
    pub cache: CacheArguments,
    /// What buildx takes, and what changes nothing here or is refused.
    #[command(flatten)]
    pub buildx: BuildxArguments,
}

/// Flags of buildx that change nothing here, and such that are refused by name.
#[derive(Debug, Clone, Default, Args)]
pub struct BuildxArguments {
    /// Builder that builds [env: `BUILDX_BUILDER`] [default: the one that `use` named]
    #[arg(long, value_name = "BUILDER")]
    pub builder: Option<String>,
    /// Whether the builder that `use` named is none for this command.
    #[arg(skip)]
    pub passes_over_current: bool,
    /// The builder, when it has been found.
    #[arg(skip)]
    pub(crate) chosen: Option<Chosen>,
    /// Provenance attestation; only `false` is supported
    #[arg(long, value_name = "VALUE", hide = true)]
    pub provenance: Option<String>,
    /// SBOM attestation; only `false` is supported
    #[arg(long, value_name = "VALUE", hide = true)]
    pub sbom: Option<String>,
    /// Attestations; only disabled ones are supported
    #[arg(long, value_name = "VALUE", hide = true)]
    pub attest: Vec<String>,
    /// Not supported: `--source-policy-file` takes rules as JSON
    #[arg(long, value_name = "VALUE", hide = true)]
    pub policy: Vec<String>,
}
