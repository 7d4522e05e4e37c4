//! Every environment variable that is read, once.

#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]

mod runner;
mod screen;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use solver::ops::exec::Secret;

pub use runner::{Runner, RunnerJob};
pub use screen::Screen;

use crate::options::Reach;

/// The token of a workflow's job: who has it can write the caches of a repository.
pub(crate) const ACTIONS_TOKEN: &str = "ACTIONS_RUNTIME_TOKEN";

/// The variables that are read here, which the builder needs too.
const OWN: [&str; 20] = [
    "HOME",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "CAREEN_CONFIG",
    "CAREEN_STORE",
    "CAREEN_EXECUTOR",
    "CAREEN_NO_SYNC",
    "CAREEN_CA",
    "PATH",
    "SOURCE_DATE_EPOCH",
    "DOCKER_DEFAULT_PLATFORM",
    "BUILDKIT_PROGRESS",
    "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "CONTAINERS_REGISTRIES_CONF",
    "BUILDX_BUILDER",
    "BUILDX_CONFIG",
];

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, if it is absolute.
    pub data_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`, if it is absolute.
    pub cache_home: Option<PathBuf>,
    /// `CAREEN_EXECUTOR`: what commands are to be run with.
    pub executor: Option<String>,
    /// `CAREEN_NO_SYNC`: whether no disk is waited for.
    pub no_sync: bool,
    /// `XDG_CONFIG_HOME`, if it is absolute.
    pub config_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, if it is absolute.
    pub runtime_directory: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the directory of docker's configuration.
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: the file of credentials for registries.
    pub registry_auth_file: Option<PathBuf>,
    /// `CONTAINERS_REGISTRIES_CONF`: the file with the configuration of registries.
    pub registries_conf: Option<PathBuf>,
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
    /// `SSH_AUTH_SOCK`: the socket of the user's SSH agent.
    pub ssh_agent: Option<PathBuf>,
    /// `BUILDKIT_PROGRESS`.
    pub progress: Option<String>,
    /// `CAREEN_HISTORY`: how many builds are kept.
    pub history: Option<String>,
    /// `HTTP_PROXY` or `http_proxy`.
    pub http_proxy: Option<String>,
    /// `HTTPS_PROXY` or `https_proxy`.
    pub https_proxy: Option<String>,
    /// `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
    /// `SSL_CERT_FILE`: the certificates that are trusted.
    pub certificates: Option<PathBuf>,
    /// `CAREEN_CA`: authorities that are trusted beside the usual ones, with colons between them.
    pub authorities: Option<String>,
    /// What all of it and the command line come down to, once that is read.
    pub reach: Reach,
    /// What a workflow of GitHub's says of its cache service (`ACTIONS_…`, `GITHUB_…`).
    pub actions: gha::Surroundings,
    /// What `BUILDX_…` variables say.
    pub buildx: BuildxVariables,
    /// What reads what we print, if that is a runner.
    pub job: RunnerJob,
    /// What progress is shown on.
    pub screen: Screen,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// All of it that other programs may see.
    pub all: Vec<(OsString, OsString)>,
    /// Variables that are in the environment of no process of ours, since others could read them there.
    pub secrets: BTreeMap<OsString, Secret>,
    /// The working directory.
    pub current_directory: PathBuf,
}

impl Environment {
    /// Reads it.
    pub fn read() -> Self {
        Self {
            home: path("HOME"),
            data_home: path("XDG_DATA_HOME").filter(|path| path.is_absolute()),
            cache_home: path("XDG_CACHE_HOME").filter(|path| path.is_absolute()),
            config_home: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            runtime_directory: path("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            registries_conf: path("CONTAINERS_REGISTRIES_CONF"),
            config: path("CAREEN_CONFIG"),
            store: path("CAREEN_STORE"),
            executor: text("CAREEN_EXECUTOR"),
            no_sync: is_true("CAREEN_NO_SYNC"),
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            default_platform: text("DOCKER_DEFAULT_PLATFORM"),
            source_policy: path("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"),
            ssh_agent: path("SSH_AUTH_SOCK"),
            progress: text("BUILDKIT_PROGRESS"),
            history: text("CAREEN_HISTORY"),
            http_proxy: text("HTTP_PROXY").or_else(|| text("http_proxy")),
            https_proxy: text("HTTPS_PROXY").or_else(|| text("https_proxy")),
            no_proxy: text("NO_PROXY").or_else(|| text("no_proxy")),
            certificates: path("SSL_CERT_FILE"),
            authorities: text("CAREEN_CA"),
            reach: Reach::default(),
            actions: gha::Surroundings {
                runtime_token: text(ACTIONS_TOKEN),
                results_url: text("ACTIONS_RESULTS_URL"),
                cache_url: text("ACTIONS_CACHE_URL"),
                service_v2: text("ACTIONS_CACHE_SERVICE_V2"),
                repository: text("GITHUB_REPOSITORY"),
                api_url: text("GITHUB_API_URL"),
            },
            buildx: BuildxVariables::read(),
            job: RunnerJob::read(text),
            screen: Screen::read(text),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            all: std::env::vars_os().collect(),
            secrets: BTreeMap::new(),
            current_directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }

    /// Returns the value of a variable that the user named (`--build-arg NAME`).
    pub fn named(&self, name: &str) -> Option<String> {
        let secret = self.secrets.get(OsStr::new(name));
        match secret {
            Some(secret) => String::from_utf8(secret.expose().to_vec()).ok(),
            None => std::env::var(name).ok(),
        }
    }

    /// Returns the value of a variable that holds a secret.
    pub fn variable(&self, name: &OsStr) -> Option<Secret> {
        let plain = || {
            let value = std::env::var_os(name)?;
            Some(Secret::new(value.into_vec()))
        };
        self.secrets.get(name).cloned().or_else(plain)
    }

    /// Tells whether there is a variable of this name.
    pub fn has(&self, name: &str) -> bool {
        let name = OsStr::new(name);
        self.secrets.contains_key(name) || self.all.iter().any(|(known, _)| known == name)
    }

    /// Takes variables out of what other programs may see.
    ///
    /// What careen reads itself is no secret and stays.
    pub fn hide(&mut self, names: &BTreeSet<String>) {
        let is_hidden = |(name, _): &mut (OsString, OsString)| {
            let name = name.to_str().unwrap_or_default();
            names.contains(name) && !OWN.contains(&name)
        };
        let hidden = self.all.extract_if(.., is_hidden);
        self.secrets
            .extend(hidden.map(|(name, value)| (name, Secret::new(value.into_vec()))));
    }

    /// Returns the names of what [`hide`](Self::hide) took.
    pub fn hidden(&self) -> Vec<&[u8]> {
        self.secrets.keys().map(|name| name.as_bytes()).collect()
    }

    /// Returns all of it, with what [`hide`](Self::hide) took: for this program, started once more.
    pub fn everything(&self) -> impl Iterator<Item = (&OsStr, &[u8])> {
        let plain = self.all.iter();
        let plain = plain.map(|(name, value)| (name.as_os_str(), value.as_bytes()));
        let secret = self.secrets.iter();
        plain.chain(secret.map(|(name, value)| (name.as_os_str(), value.expose())))
    }

    /// Returns the directory that data of the user's goes to.
    pub fn data_directory(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(".local/share"));
        self.data_home.clone().or_else(home)
    }

    /// Returns the directory that what can be found out again goes to.
    pub fn cache_directory(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(".cache"));
        self.cache_home.clone().or_else(home)
    }

    /// Returns the directory that configuration of the user's is in.
    pub fn config_directory(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(".config"));
        self.config_home.clone().or_else(home)
    }
}

/// The variables of buildx that mean something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildxVariables {
    /// `BUILDX_BUILDER`: the builder that builds.
    pub builder: Option<String>,
    /// `BUILDX_CONFIG`: the directory of buildx' state.
    pub config: Option<PathBuf>,
    /// `BUILDX_NO_DEFAULT_LOAD`: whether an image with a name is kept only if that is asked for.
    pub no_default_load: bool,
    /// Those that are set and would change a result of buildx', and change nothing here.
    pub idle: Vec<&'static str>,
}

impl BuildxVariables {
    fn read() -> Self {
        let idle = [
            "BUILDX_GIT_LABELS",
            "BUILDX_METADATA_PROVENANCE",
            "BUILDX_METADATA_WARNINGS",
            "BUILDX_DEFAULT_POLICY",
        ];
        Self {
            builder: text("BUILDX_BUILDER"),
            config: path("BUILDX_CONFIG"),
            no_default_load: is_true("BUILDX_NO_DEFAULT_LOAD"),
            idle: idle
                .into_iter()
                .filter(|name| text(name).is_some())
                .collect(),
        }
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

fn is_true(name: &str) -> bool {
    let text = text(name);
    text.is_some_and(|text| matches!(&*text, "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_what_others_see() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let mut env = Environment {
            all: vec![
                pair("A", "1"),
                pair("TOKEN", "hidden"),
                pair("PATH", "/bin"),
            ],
            ..Environment::default()
        };
        let names = ["TOKEN", "PATH", "NONE"].map(str::to_owned).into();
        env.hide(&names);
        assert_eq!(env.hidden(), [b"TOKEN"]);
        assert_eq!(env.all, [pair("A", "1"), pair("PATH", "/bin")]);
        assert!(env.has("TOKEN") && env.has("A") && !env.has("NONE"));
        assert_eq!(env.named("TOKEN").as_deref(), Some("hidden"));
        assert!(!format!("{env:?}").contains("hidden"));
    }
}
