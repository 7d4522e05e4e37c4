//! The agents of the build: the user's own, and those that hold the keys of files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::CallError;
use vendor_shim::agent::{Agent, KeyError, Keys, Listener, Upstream};

use crate::options::{BuildOptions, DEFAULT_SSH_ID as DEFAULT_ID};
use crate::report::{Kind, Report};

/// The agents of the build.
pub(super) type Agents = BTreeMap<String, Arc<dyn Agent>>;

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
    /// There is no place for a socket.
    #[error("cannot make a place for the socket of an SSH agent")]
    Place(#[source] CallError),
    /// There is no socket.
    #[error("cannot make the socket of an SSH agent")]
    Socket(#[source] io::Error),
}

/// The agent of sources, at a socket for `git` and its `ssh`. It ends with the value.
#[derive(Debug)]
pub(super) struct SourceAgent {
    listener: Listener,
    // It is in no place but behind this descriptor, which others of our processes find below `/proc`.
    _directory: OwnedFd,
}

impl SourceAgent {
    /// Gives `default` a socket, if it is one of the agents.
    ///
    /// # Errors
    ///
    /// Fails when the machine has no place for it.
    pub(super) fn start(agents: &Agents) -> Result<Option<Self>, Box<Report>> {
        let agent = agents.get(DEFAULT_ID).map(Arc::clone);
        let started = agent.map(Self::serve).transpose();
        started.map_err(|failure| Box::new(Report::new(Kind::Host, &failure)))
    }

    fn serve(agent: Arc<dyn Agent>) -> Result<Self, AgentFailure> {
        let directory = runtime::memory_directory().map_err(AgentFailure::Place)?;
        let (process, number) = (std::process::id(), directory.as_raw_fd());
        let path = PathBuf::from(format!("/proc/{process}/fd/{number}/agent"));
        let listener = Listener::bind(path, agent).map_err(AgentFailure::Socket)?;
        Ok(Self {
            listener,
            _directory: directory,
        })
    }

    /// Returns where it is.
    pub(super) fn socket(&self) -> PathBuf {
        self.listener.path().to_owned()
    }
}

/// Returns an agent for each `--ssh`. Keys are read now, and sockets are connected to when a command
/// asks for a key.
///
/// # Errors
///
/// Fails when a file is neither a socket nor a key, or a socket is not alone.
pub(super) fn agents(options: &BuildOptions) -> Result<Agents, Box<Report>> {
    let agents = options.ssh.iter();
    agents
        .map(|(id, paths)| {
            let agent = agent(id, paths).map_err(|failure| report(id, &failure))?;
            Ok((id.clone(), agent))
        })
        .collect()
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
        AgentFailure::NotFound { .. }
        | AgentFailure::Key(_)
        | AgentFailure::Place(_)
        | AgentFailure::Socket(_) => None,
    };
    Box::new(report)
}
