//! `careen doctor`: what this machine allows, found by trying all of it anew; in the first process, since there may be no
//! builder.

mod apparmor;
mod diagnosis;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::args::{DoctorArguments, GlobalArguments};
use crate::config::{Config, ConfigError};
use crate::env::Environment;
use crate::exit;
use crate::options::{Places, UsageError};
use crate::report::{Kind, Report};
use crate::run::Outcome;

use self::diagnosis::Diagnosis;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("find out where this program is")]
    Program(#[source] io::Error),
    #[error("this program is at `{}`, for which there can be no profile", .0.display())]
    Path(PathBuf),
    #[error("write what was found as JSON")]
    Json(#[source] serde_json::Error),
}

/// Tells what there is to tell; the exit code says whether commands can be run.
pub(crate) fn run(
    arguments: &DoctorArguments,
    global: &GlobalArguments,
    env: &Environment,
) -> Outcome {
    told(arguments, global, env).map_err(|error| {
        let kind = match &error {
            DoctorError::Config(_) | DoctorError::Usage(_) => Kind::Usage,
            DoctorError::Program(_) | DoctorError::Path(_) => Kind::Host,
            DoctorError::Json(_) => Kind::Internal,
        };
        Box::new(Report::new(kind, &error))
    })
}

fn told(
    arguments: &DoctorArguments,
    global: &GlobalArguments,
    env: &Environment,
) -> Result<u8, DoctorError> {
    if arguments.apparmor_profile {
        let program = std::fs::read_link("/proc/self/exe").map_err(DoctorError::Program)?;
        print(&apparmor::profile(&program).ok_or(DoctorError::Path(program))?);
        return Ok(exit::DONE);
    }
    let config = Config::load(env)?;
    let places = Places::find(global, env, &config)?;
    let diagnosis = Diagnosis::make(&places, env);
    let text = if arguments.json {
        serde_json::to_string_pretty(&diagnosis).map_err(DoctorError::Json)? + "\n"
    } else {
        text::render(&diagnosis)
    };
    print(&text);
    Ok(if diagnosis.runs_commands() {
        exit::DONE
    } else {
        exit::HOST
    })
}

/// Writes to standard output. A reader that is gone has read what it wanted.
fn print(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}
