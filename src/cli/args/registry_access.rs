//! How registries are reached: the arguments of every command that talks to one.

use std::path::PathBuf;

use clap::Args;

/// The arguments about registries.
#[derive(Clone, Default, Args)]
pub struct RegistryArguments {
    /// File of credentials, the only one that counts [env: `REGISTRY_AUTH_FILE`] [default: those of docker and podman]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// User and password for the registries that the command line names; `careen login` keeps them off it
    #[arg(long, value_name = "USER[:PASSWORD]")]
    pub creds: Option<String>,
    /// Directory of certificates (`*.crt`, `*.cert` with `*.key`), the only one that counts
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
    /// Whether certificates of registries are looked at; `false` allows plain HTTP as well
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<String>,
    /// How often a request is tried again that may succeed [default: for as long as a minute]
    #[arg(long, value_name = "N")]
    pub retry: Option<u32>,
    /// How long is waited before that, as `2s` or `500ms` [default: longer each time]
    #[arg(long, value_name = "DURATION")]
    pub retry_delay: Option<String>,
}

impl std::fmt::Debug for RegistryArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryArguments")
            .field("authfile", &self.authfile)
            .field("creds", &self.creds.as_ref().map(|_secret| "…"))
            .field("cert_dir", &self.cert_dir)
            .field("tls_verify", &self.tls_verify)
            .field("retry", &self.retry)
            .field("retry_delay", &self.retry_delay)
            .finish()
    }
}
