//! How a build shows its progress, and where it records it.

use std::path::PathBuf;

use clap::ValueEnum as _;
use oci::Digest;
use store::{NameError, SnapshotId};

use super::UsageError;
use super::result;
use crate::args::{BuildArguments, ProgressArgument};
use crate::builders::{Builder, Chosen};
use crate::config::Config;
use crate::env::{Environment, RunnerJob};
use crate::progress::{Folding, Look, Way};

/// What is said of progress cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ProgressUsageError {
    /// `BUILDKIT_PROGRESS`, or the configuration, asks for a display that there is not.
    #[error(
        "`{text}` is no way to show progress: `auto`, `tty`, `plain`, `rawjson`, `quiet` and `none` are"
    )]
    Unknown {
        /// The text.
        text: String,
    },
    /// A live display is asked for where there is no terminal.
    #[error("`--progress tty` needs a terminal as standard error; `--progress plain` needs none")]
    NoTerminal,
    /// The machine gives no random numbers.
    #[error("cannot make up a word for the runner")]
    Random(#[source] NameError),
}

/// How a build shows its progress, and where it records it.
#[derive(Debug, Clone)]
pub struct ProgressOptions {
    /// How it is shown.
    pub(crate) way: Way,
    /// What is said before the steps: which builder it is.
    pub(crate) opening: Option<String>,
    /// A word that nobody else knows, for runners.
    pub(crate) token: String,
    /// What reads what is shown, and where it looks for more.
    pub job: RunnerJob,
    /// The file for events.
    pub event_log: Option<PathBuf>,
    /// The directory for what steps print.
    pub log_directory: Option<PathBuf>,
    /// The file for a page with a chart of the build.
    pub timeline: Option<PathBuf>,
    /// What is wrong with how it is to look.
    pub warnings: Vec<String>,
}

impl ProgressOptions {
    /// Makes them of what the command line, the environment and the configuration say, in this order.
    pub(super) fn new(
        arguments: &BuildArguments,
        env: &Environment,
        config: &Config,
    ) -> Result<Self, UsageError> {
        let given = &arguments.progress;
        let asked = match result::quiet_progress(&arguments.result, given.progress)? {
            Some(quiet) => quiet,
            None => asked(given.progress, env, config)?,
        };
        let (look, wrong) = Look::of(&env.screen);
        let way = way(asked, look, env);
        let is_live = matches!(way, Way::Tty(_));
        let wrong = wrong.iter().filter(|_| is_live);
        Ok(Self {
            warnings: wrong.map(ToString::to_string).collect(),
            way,
            opening: arguments.policy.buildx.chosen.as_ref().map(opening),
            token: token(env)?,
            job: env.job.clone(),
            event_log: given.event_log.clone(),
            log_directory: given.log_dir.clone(),
            timeline: given.timeline.clone(),
        })
    }
}

/// Returns what buildx says of a builder.
fn opening(chosen: &Chosen) -> String {
    let Builder { name, driver, .. } = &chosen.builder;
    format!("building with \"{name}\" instance using {driver} driver")
}

fn asked(
    given: Option<ProgressArgument>,
    env: &Environment,
    config: &Config,
) -> Result<ProgressArgument, ProgressUsageError> {
    if given == Some(ProgressArgument::Tty) && !env.screen.is_terminal {
        return Err(ProgressUsageError::NoTerminal);
    }
    if let Some(given) = given {
        return Ok(given);
    }
    let Some(text) = env.progress.as_ref().or(config.progress.as_ref()) else {
        return Ok(ProgressArgument::Auto);
    };
    let unknown = |_| ProgressUsageError::Unknown { text: text.clone() };
    ProgressArgument::from_str(text, false).map_err(unknown)
}

/// Chooses what can be: a terminal that knows no sequences has plain text, and so has what is no terminal.
fn way(asked: ProgressArgument, look: Look, env: &Environment) -> Way {
    let folding = |folding| env.job.runner.map(|runner| (runner, folding));
    match asked {
        ProgressArgument::Auto | ProgressArgument::Tty if env.screen.can_move() => Way::Tty(look),
        ProgressArgument::Auto | ProgressArgument::Tty => Way::Plain(folding(Folding::Steps)),
        // Scripts read it, and know no folds.
        ProgressArgument::Plain => Way::Plain(folding(Folding::Nothing)),
        ProgressArgument::Rawjson => Way::Rawjson,
        ProgressArgument::Quiet => Way::Quiet,
        ProgressArgument::None => Way::None,
    }
}

/// Makes up a word that no step of the build can know, where one is needed.
pub(crate) fn token(env: &Environment) -> Result<String, ProgressUsageError> {
    if env.job.runner.is_none() {
        return Ok(String::new());
    }
    let random = SnapshotId::random("token").map_err(ProgressUsageError::Random)?;
    Ok(Digest::of(random.as_str().as_bytes()).encoded().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Screen;

    fn env(is_terminal: bool, kind: &str) -> Environment {
        Environment {
            screen: Screen {
                is_terminal,
                kind: Some(kind.to_owned()),
                ..Screen::default()
            },
            ..Environment::default()
        }
    }

    #[test]
    fn what_is_shown_is_what_the_terminal_can_show() {
        use ProgressArgument::{Auto, None, Plain, Quiet, Rawjson, Tty};
        for (asked, is_terminal, kind, expected) in [
            (Auto, true, "xterm", "tty"),
            (Auto, true, "dumb", "plain"),
            (Auto, false, "xterm", "plain"),
            (Tty, true, "dumb", "plain"),
            (Tty, true, "screen", "tty"),
            (Plain, true, "xterm", "plain"),
            (Rawjson, true, "xterm", "rawjson"),
            (Quiet, true, "xterm", "quiet"),
            (None, true, "xterm", "none"),
        ] {
            let (look, _) = Look::of(&Screen::default());
            let shown = match way(asked, look, &env(is_terminal, kind)) {
                Way::Tty(_) => "tty",
                Way::Plain(_) => "plain",
                Way::Rawjson => "rawjson",
                Way::Quiet => "quiet",
                Way::None => "none",
            };
            assert_eq!(shown, expected, "{asked:?} {is_terminal} {kind}");
        }
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_configuration() {
        let config = Config {
            progress: Some("quiet".to_owned()),
            ..Config::default()
        };
        let mut env = env(false, "xterm");
        let ask = |given, env: &Environment, config: &Config| asked(given, env, config);
        let none = Config::default();
        assert_eq!(ask(None, &env, &none).unwrap(), ProgressArgument::Auto);
        assert_eq!(ask(None, &env, &config).unwrap(), ProgressArgument::Quiet);
        env.progress = Some("rawjson".to_owned());
        assert_eq!(ask(None, &env, &config).unwrap(), ProgressArgument::Rawjson);
        let plain = Some(ProgressArgument::Plain);
        assert_eq!(ask(plain, &env, &config).unwrap(), ProgressArgument::Plain);
        let refused = ask(Some(ProgressArgument::Tty), &env, &config).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`--progress tty` needs a terminal as standard error; `--progress plain` needs none"
        );
        env.progress = Some("fancy".to_owned());
        assert_eq!(
            ask(None, &env, &config).unwrap_err().to_string(),
            "`fancy` is no way to show progress: `auto`, `tty`, `plain`, `rawjson`, `quiet` and `none` are"
        );
    }
}
