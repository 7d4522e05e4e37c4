//! What is done with steps that fail, and what a kept one is entered with.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use solver::{FailedStep, Given};

use super::{RegistryUsageError, registry};
use crate::args::{FailureArguments, OnFailureArgument};
use crate::env::Environment;

/// Buildx' word for a shell in a step that fails.
const ON_ERROR: &str = "on-error";

/// What is said of steps that fail cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum OnFailureError {
    /// Buildx opens something else, or at another time.
    #[error(
        "`--invoke {text}` is not supported: `--on-failure=shell` opens a shell in a step that fails, and `careen run` \
         runs a command on an image"
    )]
    Invoke {
        /// The text.
        text: String,
    },
    /// Two wishes.
    #[error("`--invoke=on-error` asks for a shell, and `--on-failure={name}` does not")]
    Two {
        /// What the other one asks for.
        name: &'static str,
    },
}

/// What is done with steps that fail.
#[derive(Debug, Clone)]
pub struct FailureOptions {
    /// What is done with what they leave.
    pub what: OnFailureArgument,
    /// Who is told of those that are kept, once the build has begun.
    pub told: Option<Sender<FailedStep>>,
}

impl FailureOptions {
    /// Works out what is to be done.
    ///
    /// # Errors
    ///
    /// Fails on what careen does not have.
    pub fn new(arguments: &FailureArguments) -> Result<Self, OnFailureError> {
        let what = on_failure(arguments)?;
        Ok(Self { what, told: None })
    }
}

fn on_failure(arguments: &FailureArguments) -> Result<OnFailureArgument, OnFailureError> {
    let Some(text) = &arguments.invoke else {
        return Ok(arguments.on_failure.unwrap_or(OnFailureArgument::Remove));
    };
    if text != ON_ERROR {
        let text = text.clone();
        return Err(OnFailureError::Invoke { text });
    }
    let name = match arguments.on_failure {
        None | Some(OnFailureArgument::Shell) => return Ok(OnFailureArgument::Shell),
        Some(OnFailureArgument::Keep) => "keep",
        Some(OnFailureArgument::Remove) => "remove",
    };
    Err(OnFailureError::Two { name })
}

/// Returns what is entered with where no build goes on: the proxies of this moment, and no secrets.
///
/// # Errors
///
/// Fails when docker's configuration cannot be read.
pub(crate) fn given(env: &Environment) -> Result<Given, RegistryUsageError> {
    let proxies = registry::proxy_args(env, &BTreeMap::new())?;
    let variables = proxies.into_iter();
    Ok(Given {
        untracked_env: variables
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        ..Given::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use OnFailureArgument::{Keep, Remove, Shell};

    #[test]
    fn what_is_done_is_said_in_one_way_or_another() {
        let cases = [
            ((None, None), Ok(Remove)),
            ((Some(Keep), None), Ok(Keep)),
            ((None, Some("on-error")), Ok(Shell)),
            ((Some(Shell), Some("on-error")), Ok(Shell)),
            (
                (Some(Keep), Some("on-error")),
                Err("`--invoke=on-error` asks for a shell, and `--on-failure=keep` does not"),
            ),
            (
                (None, Some("/bin/sh")),
                Err(
                    "`--invoke /bin/sh` is not supported: `--on-failure=shell` opens a shell in a step that fails, \
                     and `careen run` runs a command on an image",
                ),
            ),
        ];
        for ((asked, invoke), expected) in cases {
            let arguments = FailureArguments {
                on_failure: asked,
                invoke: invoke.map(str::to_owned),
            };
            let found = on_failure(&arguments).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{arguments:?}");
        }
    }
}
