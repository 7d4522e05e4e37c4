//! The name that the program was started under: under `docker` it takes docker's words.

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;

use crate::args::ClientArguments;
use crate::builders::BuilderName;

/// Tells whether the program was started under the name `docker`: a symbolic link, as a rule.
pub(crate) fn is_docker(arguments: &[OsString]) -> bool {
    let name = arguments
        .first()
        .and_then(|path| Path::new(path).file_name());
    name.is_some_and(|name| name == "docker")
}

/// Tells whether what clap says is what was asked for, and no mistake: help, which docker also gives to a command that
/// lacks the next word.
pub(crate) fn is_answer(error: &clap::Error, arguments: &[OsString]) -> bool {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            is_docker(arguments) || arguments.get(1).is_some_and(|word| word == "buildx")
        }
        _ => false,
    }
}

/// What docker's client would do somewhere else.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElsewhereError {
    /// Another daemon.
    #[error("`--host {text}`: there is no daemon to connect to, careen works on this machine")]
    Host { text: String },
    /// A context that somebody made.
    #[error(
        "`--context {text}`: `default`, `desktop-linux` and `rootless` are this machine, and there are no others"
    )]
    Context { text: String },
}

/// Checks that what stands before a command means this machine.
///
/// # Errors
///
/// Fails when it names another.
pub(crate) fn check(client: &ClientArguments) -> Result<(), ElsewhereError> {
    let is_socket = |text: &&String| text.starts_with("unix://");
    if let Some(text) = client.host.iter().find(|text| !is_socket(text)) {
        let text = text.clone();
        return Err(ElsewhereError::Host { text });
    }
    let is_local =
        |text: &&String| BuilderName::parse(text).is_ok_and(|name| name.is_local_engine());
    match client.context.as_ref().filter(|text| !is_local(text)) {
        None => Ok(()),
        Some(text) => Err(ElsewhereError::Context { text: text.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_name_counts() {
        let table = [
            ("docker", true),
            ("/usr/local/bin/docker", true),
            ("./docker", true),
            ("careen", false),
            ("/docker/careen", false),
            ("docker-buildx", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_docker(&[name.into()]), expected, "{name}");
        }
        assert!(!is_docker(&[]));
    }
}
