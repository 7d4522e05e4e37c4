//! What is told and kept when a build ends.

use std::path::PathBuf;

use crate::args::{BuildArguments, ExplainFormat};
use crate::config::Config;
use crate::env::Environment;
use crate::progress::Way;

use super::{ProgressOptions, ResultOptions, UsageError};

/// How many builds are kept where nobody says it.
const BUILDS: usize = 50;

/// How many builds are kept at most: each ending looks at all of them.
const BUILDS_MAX: usize = 1000;

/// What is said of the end of a build cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum EndUsageError {
    /// Two results for standard output.
    #[error("standard output has room for one result: `--explain-cache=json` and {other}")]
    SeveralOnStdout {
        /// What else goes there.
        other: &'static str,
    },
    /// `CAREEN_HISTORY` is no number.
    #[error(
        "`CAREEN_HISTORY={text}`: a number of builds up to {BUILDS_MAX} is meant; 0 keeps none"
    )]
    Number {
        /// The text.
        text: String,
    },
    /// `history` in the configuration is too large a number.
    #[error("`history = {number}` in the configuration: at most {BUILDS_MAX} builds are kept")]
    TooMany {
        /// The number.
        number: usize,
    },
}

/// What is told and kept when a build ends.
#[derive(Debug, Clone)]
pub struct EndOptions {
    /// Whether its layers and largest files are shown.
    pub summary: bool,
    /// How many builds are kept, this one among them; with 0 this one is not.
    pub kept_builds: usize,
    /// How it is told why steps ran that an earlier build had.
    pub explain: Option<ExplainFormat>,
    /// The file for what the page of a workflow shows.
    pub page: Option<PathBuf>,
}

impl EndOptions {
    /// Works it out.
    fn new(
        arguments: &BuildArguments,
        env: &Environment,
        config: &Config,
        (progress, result): (&ProgressOptions, &ResultOptions),
    ) -> Result<Self, EndUsageError> {
        let given = &arguments.end;
        if given.explain_cache == Some(ExplainFormat::Json) {
            check_stdout(result)?;
        }
        let is_live = matches!(progress.way, Way::Tty(_));
        let page = progress.job.summary.clone();
        Ok(Self {
            summary: given.summary.or(config.summary).unwrap_or(is_live) && !result.quiet,
            kept_builds: if given.no_history {
                0
            } else {
                kept_builds(env, config)?
            },
            explain: given.explain_cache,
            page: page.filter(|_| env.job.wants_page),
        })
    }
}

/// Works out how progress is shown, and what is told and kept when it ends.
pub(super) fn with_progress(
    arguments: &BuildArguments,
    env: &Environment,
    config: &Config,
    result: &ResultOptions,
) -> Result<(ProgressOptions, EndOptions), UsageError> {
    let progress = ProgressOptions::new(arguments, env, config)?;
    let end = EndOptions::new(arguments, env, config, (&progress, result))?;
    Ok((progress, end))
}

fn check_stdout(result: &ResultOptions) -> Result<(), EndUsageError> {
    let other = if result.quiet {
        "`--quiet`"
    } else if result.outputs.iter().any(export::OutputSpec::is_stdout) {
        "an output"
    } else {
        return Ok(());
    };
    Err(EndUsageError::SeveralOnStdout { other })
}

fn kept_builds(env: &Environment, config: &Config) -> Result<usize, EndUsageError> {
    if let Some(text) = &env.history {
        let number = text.parse().ok().filter(|number| *number <= BUILDS_MAX);
        return number.ok_or_else(|| EndUsageError::Number { text: text.clone() });
    }
    match config.history.unwrap_or(BUILDS) {
        number if number > BUILDS_MAX => Err(EndUsageError::TooMany { number }),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_configuration() {
        let config = |history| Config {
            history,
            ..Config::default()
        };
        let env = |text: Option<&str>| Environment {
            history: text.map(str::to_owned),
            ..Environment::default()
        };
        for (text, file, expected) in [
            (None, None, Ok(50)),
            (None, Some(7), Ok(7)),
            (Some("0"), Some(7), Ok(0)),
            (
                Some("many"),
                None,
                Err("`CAREEN_HISTORY=many`: a number of builds up to 1000 is meant; 0 keeps none"),
            ),
            (
                None,
                Some(1001),
                Err("`history = 1001` in the configuration: at most 1000 builds are kept"),
            ),
        ] {
            let kept = kept_builds(&env(text), &config(file));
            let kept = kept.map_err(|error| error.to_string());
            assert_eq!(kept, expected.map_err(str::to_owned), "{text:?} {file:?}");
        }
    }
}
