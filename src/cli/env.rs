//! Every environment variable that is read, once.

#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, if it is absolute.
    pub data_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, if it is absolute.
    pub config_home: Option<PathBuf>,
    /// `CAREEN_CONFIG`: the configuration file.
    pub config: Option<PathBuf>,
    /// `CAREEN_STORE`: the directory of the store.
    pub store: Option<PathBuf>,
    /// `PATH`, in which helpers are looked for.
    pub search_path: OsString,
    /// `SOURCE_DATE_EPOCH`.
    pub source_date_epoch: Option<String>,
    /// `DOCKER_DEFAULT_PLATFORM`.
    pub default_platform: Option<String>,
    /// `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY`: the file of the source policy.
    pub source_policy: Option<PathBuf>,
    /// `BUILDKIT_PROGRESS`.
    pub progress: Option<String>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// All of it, for the builder, which is the same program.
    pub all: Vec<(OsString, OsString)>,
    /// The working directory.
    pub current_directory: PathBuf,
}

impl Environment {
    /// Reads it.
    pub fn read() -> Self {
        Self {
            home: path("HOME"),
            data_home: path("XDG_DATA_HOME").filter(|path| path.is_absolute()),
            config_home: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            config: path("CAREEN_CONFIG"),
            store: path("CAREEN_STORE"),
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            default_platform: text("DOCKER_DEFAULT_PLATFORM"),
            source_policy: path("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"),
            progress: text("BUILDKIT_PROGRESS"),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            all: std::env::vars_os().collect(),
            current_directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }

    /// Returns the value of a variable that the user named (`--build-arg NAME`).
    pub fn named(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Returns the directory that data of the user's goes to.
    pub fn data_directory(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(".local/share"));
        self.data_home.clone().or_else(home)
    }

    /// Returns the directory that configuration of the user's is in.
    pub fn config_directory(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(".config"));
        self.config_home.clone().or_else(home)
    }
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
