//! The configuration file: `~/.config/careen/config.toml`, or what `CAREEN_CONFIG` names.
//!
//! A flag counts more than the environment, the environment more than the file, the file more than the
//! default. A key that is not known is an error: it would be one that was mistyped.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::env::Environment;

mod gc;

pub use gc::{GcConfig, GcPolicy};

/// No configuration of a person is larger.
const CONFIG_LIMIT_BYTES: u64 = 1024 * 1024;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The directory of the store.
    pub store: Option<PathBuf>,
    /// How many commands run at the same time.
    pub jobs: Option<NonZeroUsize>,
    /// How much memory the commands that run at the same time may be expected to need: `4g`.
    pub memory_budget: Option<String>,
    /// The network of commands: `default`, `sandbox`, `host`, `none`.
    pub network: Option<String>,
    /// Authorities that are trusted beside the usual ones: files of certificates, or `system`.
    pub ca: Option<Vec<String>>,
    /// The proxy: a URL, `system`, `none`.
    pub proxy: Option<String>,
    /// How progress is shown: `auto`, `plain`, `quiet`, `none`.
    pub progress: Option<String>,
    /// How many builds `history` keeps; 0 keeps none.
    pub history: Option<usize>,
    /// Whether layers and the largest files are shown when a build ends.
    pub summary: Option<bool>,
    /// Directories in which QEMU's user emulators are looked for, before the usual ones.
    pub emulators: Option<Vec<PathBuf>>,
    /// What goes from the store after builds.
    pub gc: Option<GcConfig>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("the configuration `{}` is larger than {CONFIG_LIMIT_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is malformed, or has a key that is not known.
    #[error("the configuration `{}` is not valid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, and where.
        source: toml::de::Error,
    },
}

impl Config {
    /// Reads the configuration; what is not there says nothing.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is not valid, or is named by `CAREEN_CONFIG` and not there.
    pub fn load(env: &Environment) -> Result<Self, ConfigError> {
        let usual = env
            .config_directory()
            .map(|directory| directory.join("careen/config.toml"));
        let Some(path) = env.config.clone().or(usual) else {
            return Ok(Self::default());
        };
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > CONFIG_LIMIT_BYTES => {
                Err(ConfigError::TooLarge { path })
            }
            Ok(_) => Self::read(&path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && env.config.is_none() => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "store = \"/s\"\njobs = 3\nprogress = \"plain\"\nhistory = 7\nsummary = true\nemulators = [\"/e\"]\n\
                    ca = [\"/ca\"]\nproxy = \"none\"\n";
        let expected = Config {
            store: Some(PathBuf::from("/s")),
            jobs: NonZeroUsize::new(3),
            memory_budget: None,
            network: None,
            ca: Some(vec!["/ca".to_owned()]),
            proxy: Some("none".to_owned()),
            progress: Some("plain".to_owned()),
            history: Some(7),
            summary: Some(true),
            emulators: Some(vec![PathBuf::from("/e")]),
            gc: None,
        };
        assert_eq!(toml::from_str::<Config>(text).unwrap(), expected);
    }

    #[test]
    fn a_mistyped_key_is_refused_with_those_that_there_are() {
        let error = toml::from_str::<Config>("job = 3\n").unwrap_err();
        let message = error.message();
        assert_eq!(
            message,
            "unknown field `job`, expected one of `store`, `jobs`, `memory-budget`, `network`, `ca`, `proxy`, `progress`, `history`, `summary`, `emulators`, `gc`"
        );
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let env = Environment {
            config: Some(PathBuf::from("/no/such")),
            ..Environment::default()
        };
        assert!(matches!(Config::load(&env), Err(ConfigError::Read { .. })));
        assert_eq!(
            Config::load(&Environment::default()).unwrap(),
            Config::default()
        );
    }
}
