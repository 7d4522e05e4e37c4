//! The graph as text: one line a vertex, for golden tests and for people.

use std::fmt::Write as _;

use crate::definition::Definition;
use crate::op::{CopySource, ExecOp, FileAction, Op, SourceOp};
use crate::remote::{GitSource, HttpSource};
use crate::sandbox::SandboxSettings;
use crate::vertex::{Input, Vertex};

/// Renders a definition, a line a vertex and one for each of its mounts: `#3 (#1, #2) linux/amd64 copy a b -> /c/`.
pub fn to_text(definition: &Definition) -> String {
    let mut text = String::new();
    for id in definition.ids() {
        let vertex = definition.vertex(id);
        // Writing to a String cannot fail.
        writeln!(
            text,
            "#{} ({}) {} {}",
            id.index(),
            inputs(vertex),
            vertex.platform,
            op(&vertex.op)
        )
        .expect("a String takes what is written");
    }
    text
}

fn inputs(vertex: &Vertex) -> String {
    let names = vertex.inputs.iter().map(|input| match input {
        Input::Scratch => "scratch".to_owned(),
        Input::Vertex(id) => format!("#{}", id.index()),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn op(op: &Op) -> String {
    match op {
        Op::Source(SourceOp::Image(image)) => format!("image {} {}", image.name, image.manifest),
        Op::Source(SourceOp::Local(local)) => {
            format!("local {} ignoring {:?}", local.name, local.ignore)
        }
        Op::Source(SourceOp::Http(http)) => http_source(http),
        Op::Source(SourceOp::Git(git)) => git_source(git),
        Op::Exec(exec) => exec_op(exec),
        Op::File(file) => file_action(&file.action),
    }
}

fn exec_op(exec: &ExecOp) -> String {
    let mut text = format!(
        "exec {:?} env {:?} in {} as {:?} network {:?} files {:?}{}",
        exec.argv,
        exec.env,
        exec.working_directory,
        exec.user,
        exec.network,
        exec.files,
        sandbox(&exec.sandbox)
    );
    for mount in &exec.mounts {
        // Writing to a String cannot fail.
        write!(text, "\n    mount {mount:?}").expect("a String takes what is written");
    }
    text
}

fn http_source(http: &HttpSource) -> String {
    let checksum = http.checksum.iter().map(|digest| format!(" {digest}"));
    format!("http {}{}", http.url, checksum.collect::<String>())
}

fn git_source(git: &GitSource) -> String {
    format!(
        "git {} at {:?} checksum {:?} below {:?} keep-git-dir {} submodules {} times {:?} by-commit {}",
        git.remote,
        git.reference,
        git.checksum,
        git.subdirectory,
        git.keep_git_dir,
        git.submodules,
        git.times,
        git.fetch_by_commit
    )
}

/// Renders what was asked for of a sandbox; nothing if nothing was.
fn sandbox(settings: &SandboxSettings) -> String {
    if settings.is_default() {
        return String::new();
    }
    let SandboxSettings {
        security,
        extra_hosts,
        shared_memory_bytes,
        limits,
        cgroup_parent,
    } = settings;
    format!(
        " security {security:?} hosts {extra_hosts:?} shm {shared_memory_bytes:?} limits {limits:?} \
         cgroup {cgroup_parent:?}"
    )
}

fn file_action(action: &FileAction) -> String {
    match action {
        FileAction::Copy(copy) => {
            let sources = copy.sources.iter().map(|source| match source {
                CopySource::Path(path) => format!("{path:?}"),
                CopySource::Parents { base, pattern } => format!("{base:?}/./{pattern:?}"),
                CopySource::Inline { name, content } => format!("{name:?}={content:?}"),
                CopySource::Remote { input, archives } => format!("input {input} {archives:?}"),
            });
            format!(
                "copy {} -> {:?} owner {:?} mode {:?} exclude {:?} archives {:?}{}",
                sources.collect::<Vec<_>>().join(" "),
                copy.destination,
                copy.owner,
                copy.mode,
                copy.exclude,
                copy.archives,
                if copy.link { " link" } else { "" }
            )
        }
        FileAction::MakeDirectory(make) => {
            format!(
                "mkdir {:?} mode {:o} owner {:?}",
                make.path, make.mode, make.owner
            )
        }
    }
}
