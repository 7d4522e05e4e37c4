//! The agents of the build: the user's own, and those that hold the keys of files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vendor_shim::agent::{Agent, KeyError, Keys, Upstream};

use crate::options::BuildOptions;
use crate::report::{Kind, Report};

/// The agent that is meant where none is named.
const DEFAULT: &str = "default";

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
enum AgentFailure {
    /// A file is missing.
    #[error("cannot find the SSH agent or key `{}`", path.display())]
    NotFound { path: PathBuf, source: io::Error },
    /// A socket is not alone.
    #[error("`--ssh {id}` gives the socket `{}` and other files", path.display())]
    SeveralFiles { id: String, path: PathBuf },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Returns an agent for each `--ssh`. Keys are read now, and sockets are connected to when a command
/// asks for a key.
///
/// # Errors
///
/// Fails when a file is neither a socket nor a key, or a socket is not alone.
pub(super) fn agents(
    options: &BuildOptions,
) -> Result<BTreeMap<String, Arc<dyn Agent>>, Box<Report>> {
    let agents = options.ssh.iter();
    agents
        .map(|(id, paths)| {
            let agent = agent(id, paths).map_err(|failure| report(id, &failure))?;
            Ok((id.clone(), agent))
        })
        .collect()
}

/// Returns the socket of the user's agent where the build may use it: for repositories that are fetched with ssh.
pub(super) fn socket(options: &BuildOptions) -> Option<PathBuf> {
    let [path] = options.ssh.get(DEFAULT)?.as_slice() else {
        return None;
    };
    is_socket(path).ok()?.then(|| path.clone())
}

fn agent(id: &str, paths: &[PathBuf]) -> Result<Arc<dyn Agent>, AgentFailure> {
    let mut keys = Keys::default();
    for path in paths {
        if !is_socket(path)? {
            keys.add_file(path)?;
        } else if paths.len() == 1 {
            return Ok(Arc::new(Upstream::new(path.clone())));
        } else {
            let (id, path) = (id.to_owned(), path.clone());
            return Err(AgentFailure::SeveralFiles { id, path });
        }
    }
    Ok(Arc::new(keys))
}

fn is_socket(path: &Path) -> Result<bool, AgentFailure> {
    let metadata = fs::metadata(path).map_err(|source| AgentFailure::NotFound {
        path: path.to_owned(),
        source,
    })?;
    Ok(metadata.file_type().is_socket())
}

fn report(id: &str, failure: &AgentFailure) -> Box<Report> {
    let mut report = Report::new(Kind::User, failure);
    report.help = match failure {
        AgentFailure::Key(KeyError::Passphrase { path }) => Some(format!(
            "`ssh-add {}` gives it to your agent, and `--ssh {id}` that to the build",
            path.display()
        )),
        AgentFailure::SeveralFiles { .. } => {
            Some("give either one socket or keys, or each an id of its own".to_owned())
        }
        AgentFailure::NotFound { .. } | AgentFailure::Key(_) => None,
    };
    Box::new(report)
}
