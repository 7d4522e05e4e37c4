//! Which sources and earlier results may be used.

use std::path::PathBuf;
use std::time::Duration;

use oci::{Clock, Timestamp};
use solver::Pulling;

pub use solver::base::Pull;

use crate::args::{BuildxArguments, PolicyArguments};
use crate::env::Environment;

/// Why the arguments about sources and earlier results cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum PolicyUsageError {
    /// `--pull` with a word that it does not know.
    #[error("`--pull={text}`: `always`, `missing`, `never` and `newer` are known")]
    Pull {
        /// The text.
        text: String,
    },
    /// `--cache-ttl` is no duration.
    #[error("`--cache-ttl {text}` is no duration like `24h` or `90m`")]
    CacheTtl {
        /// The text.
        text: String,
        /// Why; none if it is negative.
        source: Option<jiff::Error>,
    },
    /// An attestation is asked for.
    #[error("`{flag} {text}`: attestations are not supported yet")]
    Attestation {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
    },
    /// A policy in another language is given.
    #[error("`--policy {text}` is not supported: `--source-policy-file` takes rules as JSON")]
    Rego {
        /// The text.
        text: String,
    },
}

/// Which sources and earlier results may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOptions {
    /// When registries are asked for base images.
    pub pull: Pull,
    /// How old a result may be to count; any age if none.
    pub cache_ttl: Option<Duration>,
    /// The file of the source policy.
    pub source_policy: Option<PathBuf>,
}

impl PolicyOptions {
    /// Works them out.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be understood, and on what is not supported.
    pub fn new(arguments: &PolicyArguments, env: &Environment) -> Result<Self, PolicyUsageError> {
        refuse_unsupported(&arguments.buildx)?;
        let given = arguments.source_policy_file.as_ref();
        let file = given.or(env.source_policy.as_ref());
        Ok(Self {
            pull: arguments.pull.as_deref().map_or(Ok(Pull::Missing), pull)?,
            cache_ttl: arguments.cache_ttl.as_deref().map(duration).transpose()?,
            source_policy: file.map(|file| env.current_directory.join(file)),
        })
    }

    /// Returns whether registries are asked at all for base images.
    pub fn pulling(&self) -> Pulling {
        match self.pull {
            Pull::Never => Pulling::Forbidden,
            Pull::Always | Pull::Missing | Pull::Newer => Pulling::Allowed,
        }
    }

    /// Tells whether no earlier result counts, however young: buildah's meaning of `--cache-ttl 0`.
    pub fn nothing_counts(&self) -> bool {
        self.cache_ttl == Some(Duration::ZERO)
    }

    /// Returns since when a result must have been made to count. An age is counted from now, whatever
    /// `SOURCE_DATE_EPOCH` says.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.cache_ttl
            .map(|age| Clock::System.now().earlier_by(age))
    }
}

fn pull(text: &str) -> Result<Pull, PolicyUsageError> {
    if let Some(always) = go_bool(text) {
        return Ok(if always { Pull::Always } else { Pull::Missing });
    }
    match text {
        "always" => Ok(Pull::Always),
        // buildah's word for it as well.
        "missing" | "ifmissing" => Ok(Pull::Missing),
        "never" => Ok(Pull::Never),
        "newer" | "ifnewer" => Ok(Pull::Newer),
        _ => Err(PolicyUsageError::Pull {
            text: text.to_owned(),
        }),
    }
}

/// Reads a truth value as Go's `strconv.ParseBool` does, which buildx uses.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn duration(text: &str) -> Result<Duration, PolicyUsageError> {
    let wrong = |source| PolicyUsageError::CacheTtl {
        text: text.to_owned(),
        source,
    };
    // A number without a unit is nothing but zero.
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let duration: jiff::SignedDuration = text.parse().map_err(|error| wrong(Some(error)))?;
    Duration::try_from(duration).map_err(|_negative| wrong(None))
}

fn refuse_unsupported(buildx: &BuildxArguments) -> Result<(), PolicyUsageError> {
    let single = [
        ("--provenance", &buildx.provenance),
        ("--sbom", &buildx.sbom),
    ];
    for (flag, text) in single {
        let text = text.as_deref().unwrap_or("false");
        if go_bool(text) != Some(false) && !is_disabled(text) {
            return Err(attestation(flag, text));
        }
    }
    if let Some(text) = buildx.attest.iter().find(|text| !is_disabled(text)) {
        return Err(attestation("--attest", text));
    }
    match buildx.policy.first().cloned() {
        Some(text) => Err(PolicyUsageError::Rego { text }),
        None => Ok(()),
    }
}

/// Tells whether an attestation is given only to switch it off: `type=sbom,disabled=true`.
fn is_disabled(text: &str) -> bool {
    let value = text
        .split(',')
        .find_map(|field| field.strip_prefix("disabled="));
    value.and_then(go_bool) == Some(true)
}

fn attestation(flag: &'static str, text: &str) -> PolicyUsageError {
    PolicyUsageError::Attestation {
        flag,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &PolicyArguments) -> Result<PolicyOptions, String> {
        PolicyOptions::new(arguments, &Environment::default()).map_err(|error| error.to_string())
    }

    fn with(buildx: BuildxArguments) -> Result<PolicyOptions, String> {
        options(&PolicyArguments {
            buildx,
            ..PolicyArguments::default()
        })
    }

    #[test]
    fn pull_is_a_truth_value_or_a_word() {
        for (text, expected) in [
            (None, Ok(Pull::Missing)),
            (Some("true"), Ok(Pull::Always)),
            (Some("always"), Ok(Pull::Always)),
            (Some("false"), Ok(Pull::Missing)),
            (Some("0"), Ok(Pull::Missing)),
            (Some("missing"), Ok(Pull::Missing)),
            (Some("never"), Ok(Pull::Never)),
            (Some("newer"), Ok(Pull::Newer)),
            (
                Some("often"),
                Err(
                    "`--pull=often`: `always`, `missing`, `never` and `newer` are known".to_owned(),
                ),
            ),
        ] {
            let arguments = PolicyArguments {
                pull: text.map(str::to_owned),
                ..PolicyArguments::default()
            };
            let found = options(&arguments).map(|options| options.pull);
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn the_age_of_results_is_a_duration() {
        let wrong = |text: &str| {
            Err(format!(
                "`--cache-ttl {text}` is no duration like `24h` or `90m`"
            ))
        };
        for (text, expected) in [
            ("0", Ok(Duration::ZERO)),
            ("0s", Ok(Duration::ZERO)),
            ("24h", Ok(Duration::from_hours(24))),
            ("1h30m", Ok(Duration::from_mins(90))),
            ("5ms", Ok(Duration::from_millis(5))),
            ("24", wrong("24")),
            ("-1h", wrong("-1h")),
            ("soon", wrong("soon")),
        ] {
            let arguments = PolicyArguments {
                cache_ttl: Some(text.to_owned()),
                ..PolicyArguments::default()
            };
            let found = options(&arguments).map(|options| options.cache_ttl);
            assert_eq!(found, expected.map(Some), "{text}");
        }
    }

    #[test]
    fn attestations_may_be_switched_off_and_not_on() {
        for text in ["false", "0", "disabled=true"] {
            let off = with(BuildxArguments {
                provenance: Some(text.to_owned()),
                sbom: Some("false".to_owned()),
                attest: vec!["type=sbom,disabled=true".to_owned()],
                builder: Some("default".to_owned()),
                ..BuildxArguments::default()
            });
            assert_eq!(off.map(|options| options.pull), Ok(Pull::Missing), "{text}");
        }
        for text in ["true", "mode=max", "disabled=false"] {
            let on = with(BuildxArguments {
                provenance: Some(text.to_owned()),
                ..BuildxArguments::default()
            });
            let expected = format!("`--provenance {text}`: attestations are not supported yet");
            assert_eq!(on, Err(expected), "{text}");
        }
        let on = with(BuildxArguments {
            attest: vec!["type=sbom".to_owned()],
            ..BuildxArguments::default()
        });
        assert_eq!(
            on,
            Err("`--attest type=sbom`: attestations are not supported yet".to_owned())
        );
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let refused = with(BuildxArguments {
            policy: vec!["filename=x.rego".to_owned()],
            ..BuildxArguments::default()
        });
        let expected = "`--policy filename=x.rego` is not supported: `--source-policy-file` takes rules as JSON";
        assert_eq!(refused, Err(expected.to_owned()));
    }
}
