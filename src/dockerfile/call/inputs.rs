//! What one stage asks for from outside, noted while it is lowered.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Mount, MountFlag, Word};
use crate::source::LineRange;
use crate::words::ExpandError;

/// The arguments, secrets, agents and caches of a stage, those of its base not included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    /// The arguments that it declares.
    pub(super) used: BTreeSet<String>,
    /// Those of them that are its own, not the global ones of the name.
    pub(super) arguments: BTreeMap<String, Argument>,
    pub(super) secrets: BTreeMap<String, Need>,
    pub(super) agents: BTreeMap<String, Need>,
    pub(super) caches: BTreeMap<String, Need>,
}

/// A declared argument.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub(crate) value: String,
    pub(crate) description: String,
    pub(crate) lines: LineRange,
}

/// Something that a mount asks for; of several mounts the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    pub(super) required: bool,
    pub(super) lines: LineRange,
}

impl Inputs {
    /// Takes note of an argument: without one of its own, it is the global argument of the name.
    pub(crate) fn argument(&mut self, name: &str, own: Option<Argument>) {
        self.used.insert(name.to_owned());
        if let Some(own) = own {
            self.arguments.insert(name.to_owned(), own);
        }
    }

    /// Takes note of what a mount asks for. One that cannot be understood is refused elsewhere.
    pub(crate) fn mount(
        &mut self,
        flag: &MountFlag,
        lines: LineRange,
        expand: &mut dyn FnMut(&Word) -> Result<String, ExpandError>,
    ) {
        let need = |required| Need { required, lines };
        match flag.resolve(expand) {
            Ok(Mount::Secret(secret)) => {
                let target = || secret.target.as_deref().map(last_component);
                let id = secret.id.or(secret.source).or_else(target);
                let id = id.unwrap_or_default();
                self.secrets.entry(id).or_insert(need(secret.required));
            }
            Ok(Mount::Ssh(ssh)) => {
                let id = ssh.id.unwrap_or_else(|| DEFAULT_AGENT.to_owned());
                self.agents.entry(id).or_insert(need(ssh.required));
            }
            Ok(Mount::Cache(cache)) => {
                let id = cache.id.unwrap_or(cache.target);
                self.caches.entry(id).or_insert(need(false));
            }
            Ok(Mount::Bind(_) | Mount::Tmpfs(_)) | Err(_) => {}
        }
    }
}

/// The agent of a mount that does not name one.
const DEFAULT_AGENT: &str = "default";

fn last_component(path: &str) -> String {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path).to_owned()
}
