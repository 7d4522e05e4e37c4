//! What can be typed behind `login` and `logout`.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

use super::RegistryArguments;

/// The arguments of `login`.
#[derive(Clone, Args)]
pub struct LoginArguments {
    /// Registry, or a part of one (`registry.example/team`) [default: docker.io]
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// User [default: asked for]
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Password or token; others can see it on the command line [default: asked for]
    #[arg(
        short,
        long,
        value_name = "PASSWORD",
        conflicts_with = "password_stdin"
    )]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Print the user that is logged in, and do nothing
    #[arg(long, conflicts_with_all = ["username", "password", "password_stdin"])]
    pub get_login: bool,
    /// File that the login is kept in [env: `REGISTRY_AUTH_FILE`] [default: ~/.docker/config.json]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Directory of certificates (`*.crt`, `*.cert` with `*.key`), the only one that counts
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
    /// Whether the registry's certificate is looked at; `false` allows plain HTTP as well
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<String>,
}

impl LoginArguments {
    /// Returns what they say about registries.
    pub fn registry(&self) -> RegistryArguments {
        RegistryArguments {
            authfile: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            tls_verify: self.tls_verify.clone(),
            ..RegistryArguments::default()
        }
    }
}

impl fmt::Debug for LoginArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginArguments")
            .field("server", &self.server)
            .field("username", &self.username)
            .field("authfile", &self.authfile)
            .finish_non_exhaustive()
    }
}

/// The arguments of `logout`.
#[derive(Debug, Clone, Args)]
pub struct LogoutArguments {
    /// Registry, or a part of one [default: docker.io]
    #[arg(value_name = "SERVER", conflicts_with = "all")]
    pub server: Option<String>,
    /// Forget every login of the file
    #[arg(short, long)]
    pub all: bool,
    /// File that the login is kept in [env: `REGISTRY_AUTH_FILE`] [default: ~/.docker/config.json]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
}
