//! `--ssh`: which agents and keys the build may use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why an `--ssh` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// There is nothing before the `=`.
    #[error("`--ssh {text}` is not `ID`, `ID=SOCKET` or `ID=KEY[,KEY…]`: it has no id")]
    NoId {
        /// What was typed.
        text: String,
    },
    /// One of several paths is empty.
    #[error("`--ssh {text}` names a file without a name")]
    EmptyPath {
        /// What was typed.
        text: String,
    },
    /// An id is there twice.
    #[error("`--ssh {text}`: `{id}` was given before")]
    Duplicate {
        /// What was typed.
        text: String,
        /// The id.
        id: String,
    },
    /// There is no agent to pass on.
    #[error(
        "`--ssh {text}` passes on your SSH agent, and `SSH_AUTH_SOCK` is not set; \
         `--ssh {id}=KEYFILE` gives a key"
    )]
    NoAgent {
        /// What was typed.
        text: String,
        /// The id.
        id: String,
    },
}

/// Returns the files of each id: the socket of an agent, or keys.
pub(super) fn agents(
    texts: &[String],
    own_agent: Option<&Path>,
    directory: &Path,
) -> Result<BTreeMap<String, Vec<PathBuf>>, SshError> {
    let mut agents = BTreeMap::new();
    // buildx passes over a flag without a value.
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let (id, paths) = agent(text, own_agent, directory)?;
        if agents.insert(id.clone(), paths).is_some() {
            let text = text.clone();
            return Err(SshError::Duplicate { text, id });
        }
    }
    Ok(agents)
}

fn agent(
    text: &str,
    own_agent: Option<&Path>,
    directory: &Path,
) -> Result<(String, Vec<PathBuf>), SshError> {
    let (id, paths) = text.split_once('=').unwrap_or((text, ""));
    let (given, id) = (text.to_owned(), id.to_owned());
    if id.is_empty() {
        return Err(SshError::NoId { text: given });
    }
    if paths.is_empty() {
        let own = own_agent.ok_or_else(|| SshError::NoAgent {
            text: given,
            id: id.clone(),
        })?;
        return Ok((id, vec![own.to_owned()]));
    }
    if paths.split(',').any(str::is_empty) {
        return Err(SshError::EmptyPath { text: given });
    }
    let paths = paths.split(',').map(|path| directory.join(path)).collect();
    Ok((id, paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str], own: Option<&str>) -> Result<Vec<(String, Vec<PathBuf>)>, String> {
        let texts: Vec<String> = texts.iter().copied().map(str::to_owned).collect();
        agents(&texts, own.map(Path::new), Path::new("/here"))
            .map(|agents| agents.into_iter().collect())
            .map_err(|error| error.to_string())
    }

    fn entry(id: &str, paths: &[&str]) -> (String, Vec<PathBuf>) {
        (id.to_owned(), paths.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn an_id_alone_is_the_users_agent() {
        let own = Some("/run/agent");
        let expected = vec![
            entry("default", &["/run/agent"]),
            entry("other", &["/run/agent"]),
        ];
        assert_eq!(parsed(&["default", "other"], own), Ok(expected));
        assert_eq!(
            parsed(&["default="], own),
            Ok(vec![entry("default", &["/run/agent"])])
        );
        assert_eq!(parsed(&[""], None), Ok(Vec::new()));
    }

    #[test]
    fn files_are_found_from_the_working_directory() {
        let expected = vec![entry("keys", &["/here/a", "/b=c"])];
        assert_eq!(parsed(&["keys=a,/b=c"], None), Ok(expected));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (texts, expected) in [
            (
                &["=x"][..],
                "`--ssh =x` is not `ID`, `ID=SOCKET` or `ID=KEY[,KEY…]`: it has no id",
            ),
            (&["a=x,"], "`--ssh a=x,` names a file without a name"),
            (&["a=x", "a=y"], "`--ssh a=y`: `a` was given before"),
            (
                &["default"],
                "`--ssh default` passes on your SSH agent, and `SSH_AUTH_SOCK` is not set; \
                 `--ssh default=KEYFILE` gives a key",
            ),
        ] {
            assert_eq!(parsed(texts, None), Err(expected.to_owned()));
        }
    }
}
