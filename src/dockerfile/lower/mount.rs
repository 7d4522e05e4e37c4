//! `RUN --mount=…`: what a command sees beside its root file system.
//!
//! | `type=` | Becomes | Input of the vertex |
//! | --- | --- | --- |
//! | `bind` of a stage or an image | bind | its file system |
//! | `bind` of a context | bind | a copy of the named files onto nothing, whose key is their content |
//! | `cache` | cache | the file system that `from` names |
//! | `tmpfs`, `secret`, `ssh` | themselves | |
//!
//! Mounts are ordered by their targets, as in `BuildKit`, so that what is mounted below another mount is seen.

use graph::pattern::clean_path;
use graph::{
    Archives, BindMount, CacheMount, CacheSeed, CacheSharing, CopyAction, CopySource, ExecMount,
    FileAction, FileOp, Input, MountAccess, MountKey, MountOwner, Op, SecretMount, SshMount,
    StepLabel, TmpfsMount, Vertex,
};

use crate::ast::{self, Instruction, MountFlag, Word};
use crate::diagnostic::Diagnostic;
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, path};
use crate::source::Span;
use crate::stage::CopyFrom;
use crate::words;

/// Where the files of a context are in the vertex that is made of them.
const COPIED: &str = "/source";

/// The build argument that keeps the caches of one build apart from those of others.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// Where secrets are that do not say.
const SECRETS: &str = "/run/secrets";

/// Where the sockets of agents are that do not say; a number follows.
const AGENTS: &str = "/run/buildkit/ssh_agent.";

/// The mounts of one command and the inputs that they name, which are those of the vertex from 1 on.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) list: Vec<ExecMount>,
    pub(super) inputs: Vec<Input>,
    /// The first socket of an agent.
    pub(super) agent: Option<String>,
}

/// Lowers the mounts of a `RUN`, which stands at the index.
///
/// # Errors
///
/// Fails with everything that is wrong with their options and with what they are of.
pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    (index, instruction): (usize, &Instruction),
    flags: &[MountFlag],
) -> Lowered<Mounts> {
    let mut lowering = MountLowering {
        stage,
        instruction,
        done: Mounts::default(),
        agents: 0,
    };
    let mut faults = Vec::new();
    for (place, flag) in flags.iter().enumerate() {
        let from = lowering.stage.stage.mounts.get(&(index, place));
        if let Err(found) = lowering.mount(flag, from) {
            faults.extend(found);
        }
    }
    let mut done = lowering.done;
    done.list
        .sort_by(|one, other| one.target().cmp(&other.target()));
    if faults.is_empty() {
        Ok(done)
    } else {
        Err(faults)
    }
}

/// Tells whether a variable of the command holds a secret.
pub(super) fn is_secret(mounts: &[ExecMount], variable: &str) -> bool {
    mounts.iter().any(|mount| {
        matches!(mount, ExecMount::Secret(secret) if secret.env.as_deref() == Some(variable))
    })
}

/// The mounts of one command while they are lowered.
struct MountLowering<'s, 'a> {
    stage: &'s mut StageLowering<'a>,
    instruction: &'s Instruction,
    done: Mounts,
    /// How many sockets of agents there are.
    agents: usize,
}

impl MountLowering<'_, '_> {
    fn mount(&mut self, flag: &MountFlag, from: Option<&CopyFrom>) -> Lowered {
        let lowered = match resolve(self.stage, flag)? {
            ast::Mount::Bind(mount) => self.bind(&mount, flag, from)?,
            ast::Mount::Cache(mount) => self.cache(mount, flag, from)?,
            ast::Mount::Tmpfs(mount) => ExecMount::Tmpfs(TmpfsMount {
                target: self.target(&mount.target, flag)?,
                size_bytes: mount.size_bytes.filter(|size| *size > 0),
                access: access(mount.read_only),
            }),
            ast::Mount::Secret(mount) => self.secret(mount, flag)?,
            ast::Mount::Ssh(mount) => self.ssh(mount, flag)?,
        };
        self.done.list.push(lowered);
        Ok(())
    }

    fn bind(
        &mut self,
        mount: &ast::BindMount,
        flag: &MountFlag,
        from: Option<&CopyFrom>,
    ) -> Lowered<ExecMount> {
        let target = self.target(&mount.target, flag)?;
        let source = path::clean(mount.source.as_deref().unwrap_or("/"));
        let input = self.stage.copy_source(self.instruction, from)?;
        let (input, source, keyed_by) = match (input, from) {
            (input, None | Some(CopyFrom::Directory(_))) => {
                let copied = self.copied(input, &source, from);
                (copied, COPIED.to_owned(), MountKey::Definition)
            }
            (Input::Scratch, _) => (Input::Scratch, source, MountKey::Definition),
            (input, _) => (input, source, MountKey::Content),
        };
        Ok(ExecMount::Bind(BindMount {
            target,
            input: self.input(input),
            source,
            access: access(mount.read_only),
            keyed_by,
        }))
    }

    /// Copies files of a context onto nothing. They belong to root then, like all files of a context in a
    /// build, and the copy's key is that of their content.
    fn copied(&mut self, context: Input, source: &str, from: Option<&CopyFrom>) -> Input {
        let action = CopyAction {
            sources: vec![CopySource::Path(escaped(source))],
            destination: COPIED.to_owned(),
            owner: None,
            mode: None,
            exclude: Vec::new(),
            archives: Archives::Keep,
            link: false,
        };
        let text = match from {
            Some(CopyFrom::Directory(name)) => format!("[context {name}] load from client"),
            _ => "[internal] load build context".to_owned(),
        };
        let label = StepLabel {
            text,
            line: self.instruction.lines.first,
            ..StepLabel::default()
        };
        let platform = self.stage.plan.options.build_platform.clone();
        self.stage.add(Vertex {
            op: Op::File(FileOp {
                action: FileAction::Copy(action),
            }),
            inputs: vec![Input::Scratch, context],
            platform,
            label,
        })
    }

    fn cache(
        &mut self,
        mount: ast::CacheMount,
        flag: &MountFlag,
        from: Option<&CopyFrom>,
    ) -> Lowered<ExecMount> {
        let target = self.target(&mount.target, flag)?;
        let path = path::clean(mount.source.as_deref().unwrap_or("/"));
        let is_whole = path == "/";
        let (seed, source) = match from {
            Some(_) => {
                let input = self.seed(from, &path)?;
                (input, "/".to_owned())
            }
            None => (owned(&mount).filter(|_| is_whole), path),
        };
        let namespace = self.stage.plan.options.build_args.get(CACHE_NAMESPACE);
        Ok(ExecMount::Cache(CacheMount {
            target,
            namespace: namespace.cloned().unwrap_or_default(),
            // Of the target as it is written: the working directory is not part of it, as in BuildKit.
            id: mount.id.unwrap_or_else(|| clean_path(&mount.target)),
            sharing: sharing(mount.sharing),
            seed: seed.unwrap_or(CacheSeed::Empty),
            source,
            access: access(mount.read_only),
        }))
    }

    /// Returns what a new cache begins with; none if that is nothing.
    fn seed(&mut self, from: Option<&CopyFrom>, source: &str) -> Lowered<Option<CacheSeed>> {
        let input = self.stage.copy_source(self.instruction, from)?;
        let (input, path) = match (input, from) {
            (Input::Scratch, _) => return Ok(None),
            (input, Some(CopyFrom::Directory(_))) => {
                (self.copied(input, source, from), COPIED.to_owned())
            }
            (input, _) => (input, source.to_owned()),
        };
        let input = self.input(input);
        Ok(Some(CacheSeed::Input { input, path }))
    }

    fn secret(&mut self, mount: ast::SecretMount, flag: &MountFlag) -> Lowered<ExecMount> {
        let target = mount.target.as_deref();
        let id = mount.id.or(mount.source);
        let id = id.unwrap_or_else(|| base_name(target.unwrap_or_default()).to_owned());
        let file = match (target, &mount.env) {
            (Some(target), _) => Some(self.target(target, flag)?),
            (None, None) => Some(format!("{SECRETS}/{}", base_name(&id))),
            (None, Some(_)) => None,
        };
        Ok(ExecMount::Secret(SecretMount {
            id,
            target: file,
            env: mount.env,
            required: mount.required,
            owner: owner((mount.mode, mount.uid, mount.gid), 0o400),
        }))
    }

    fn ssh(&mut self, mount: ast::SshMount, flag: &MountFlag) -> Lowered<ExecMount> {
        let target = match &mount.target {
            Some(target) => self.target(target, flag)?,
            None => format!("{AGENTS}{}", self.agents),
        };
        self.agents += 1;
        self.done.agent.get_or_insert_with(|| target.clone());
        Ok(ExecMount::Ssh(SshMount {
            id: mount.id.unwrap_or_else(|| "default".to_owned()),
            target,
            required: mount.required,
            owner: owner((mount.mode, mount.uid, mount.gid), 0o600),
        }))
    }

    /// Returns where something is mounted: below the working directory if the path is relative.
    fn target(&self, target: &str, flag: &MountFlag) -> Lowered<String> {
        let full = path::destination(&self.stage.directory(), target);
        let full = path::clean(&full);
        if full != "/" {
            return Ok(full);
        }
        let (title, help) = if target.is_empty() {
            ("a mount needs a target", "write `target=/PATH`")
        } else {
            (
                "a mount cannot have `/` as its target",
                "mount on a directory below it",
            )
        };
        let span = target_span(flag);
        Err(vec![
            Diagnostic::error(title, span).with_help(help.to_owned()),
        ])
    }

    /// Returns the place of an input among those of the vertex; 0 is the root.
    fn input(&mut self, input: Input) -> usize {
        self.done.inputs.push(input);
        self.done.inputs.len()
    }
}

/// Expands the options of a mount. Variables that are not set are warned of.
fn resolve(stage: &mut StageLowering<'_>, flag: &MountFlag) -> Lowered<ast::Mount> {
    let mut expanded = Vec::new();
    let escape = stage.plan.ast.escape;
    let variables = &stage.state.variables;
    let lookup = |name: &str| variables.get(name).map(str::to_owned);
    let resolved = flag.resolve(&mut |word: &Word| {
        let found = words::expand_word(&word.value, &lookup, escape)?;
        expanded.push((found.clone(), word.clone()));
        Ok(found.value)
    });
    for (found, word) in &expanded {
        stage.warn_unset(found, word);
    }
    resolved.map_err(|error| vec![error.to_diagnostic()])
}

/// Returns the place of the last target of a mount, or of the mount.
fn target_span(flag: &MountFlag) -> Span {
    let is_target = |key: &str| ["target", "dst", "destination"].contains(&key);
    let fields = flag.fields.iter().rev();
    let mut targets = fields.filter(|field| is_target(&field.key.value));
    let value = targets.find_map(|field| field.value.as_ref());
    value.map_or(flag.text.span, |value| value.span)
}

/// Returns what a new cache is like, if the mount says it.
fn owned(mount: &ast::CacheMount) -> Option<CacheSeed> {
    let attributes = (mount.mode, mount.uid, mount.gid);
    let is_given = attributes != (None, None, None);
    is_given.then(|| CacheSeed::Owned(owner(attributes, 0o755)))
}

fn owner(
    (mode, uid, gid): (Option<u32>, Option<u32>, Option<u32>),
    default_mode: u32,
) -> MountOwner {
    MountOwner {
        mode: mode.unwrap_or(default_mode),
        uid: uid.unwrap_or(0),
        gid: gid.unwrap_or(0),
    }
}

fn access(read_only: bool) -> MountAccess {
    if read_only {
        MountAccess::ReadOnly
    } else {
        MountAccess::ReadWrite
    }
}

fn sharing(sharing: ast::CacheSharing) -> CacheSharing {
    match sharing {
        ast::CacheSharing::Shared => CacheSharing::Shared,
        ast::CacheSharing::Private => CacheSharing::Private,
        ast::CacheSharing::Locked => CacheSharing::Locked,
    }
}

/// Returns a path that is no wildcard: a mount has one source, whatever its name is.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn base_name(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_mount_is_no_wildcard() {
        for (path, expected) in [("/a", "/a"), ("/a*", "/a\\*"), ("/[b]?\\", "/\\[b]\\?\\\\")] {
            assert_eq!(escaped(path), expected);
            assert!(!CopySource::is_wildcard(&escaped(path)), "{path}");
        }
    }

    #[test]
    fn the_last_name_of_a_path_is_a_secrets_name() {
        for (path, expected) in [
            ("/etc/passwd", "passwd"),
            ("token", "token"),
            ("a/b/", "b"),
            ("", ""),
        ] {
            assert_eq!(base_name(path), expected);
        }
    }
}
