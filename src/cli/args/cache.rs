//! Where results of builds are found and left, beside the store.

use clap::Args;

/// The arguments of `build` about caches elsewhere.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheArguments {
    /// Use results that are there: `REF`, or `type=registry,ref=REF`, `type=local,src=DIR`, `type=gha`
    #[arg(long, value_name = "CACHE")]
    pub cache_from: Vec<String>,
    /// Leave results there: `REF`, or `type=registry,ref=REF[,mode=max]`, `type=local,dest=DIR`, `type=gha`, `type=inline`
    #[arg(long, value_name = "CACHE")]
    pub cache_to: Vec<String>,
    /// What kaniko takes, and what is refused.
    #[command(flatten)]
    pub kaniko: KanikoCacheArguments,
}

/// Flags of kaniko's about its caches, which are refused by name.
#[derive(Debug, Clone, Default, Args)]
pub struct KanikoCacheArguments {
    /// Not supported: `--cache-to` and `--cache-from` are
    #[arg(long, value_name = "REPOSITORY", hide = true)]
    pub cache_repo: Option<String>,
    /// Not supported: `--cache-from type=local,src=DIR` is
    #[arg(long, value_name = "DIR", hide = true)]
    pub cache_dir: Option<String>,
    /// Not supported: `mode=` of `--cache-to` is
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    pub cache_copy_layers: Option<String>,
    /// Not supported: `mode=` of `--cache-to` is
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    pub cache_run_layers: Option<String>,
    /// Not supported: no `--cache-to` is
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    pub no_push_cache: Option<String>,
    /// Not supported: `compression=` of `--cache-to` is
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    pub compressed_caching: Option<String>,
}
