//! What a vertex does: the operations of the graph.
//!
//! The set is closed, and every field that changes a result is part of the vertex digest
//! ([`crate::vertex::VertexDigest`]). What must not reach a cache key (proxy settings, limits) is not
//! here but in the job.

use std::path::PathBuf;

use oci::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::mount::ExecMount;
use crate::remote::{GitSource, HttpSource};
use crate::sandbox::SandboxSettings;

/// What a vertex does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Op {
    /// Brings something from outside into the build. No inputs.
    Source(SourceOp),
    /// Runs a command in a sandbox. Input 0 is the root file system; the others are those that its
    /// mounts name.
    Exec(ExecOp),
    /// Changes files without running anything. Input 0 is the file system that is changed, input 1,
    /// where there is one, the one that is copied from.
    File(FileOp),
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum SourceOp {
    /// The file system of an image for one platform.
    Image(ImageSource),
    /// A directory of the user's: the build context, or a named one.
    Local(LocalSource),
    /// A file that a server has.
    Http(HttpSource),
    /// Files of a git repository that a server has.
    Git(GitSource),
}

/// One platform's image, already resolved to its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageSource {
    /// The name in the `FROM` line, for display.
    #[serde(skip)]
    pub name: String,
    /// The digest of the image manifest.
    pub manifest: Digest,
    /// The platform that was asked for.
    pub platform: Platform,
    /// Where the manifest and what it names are found.
    #[serde(skip)]
    pub origin: ImageOrigin,
    /// The whole name of an image of a registry with the digest that it stands for, of an index maybe; for display.
    #[serde(skip)]
    pub pinned: Option<String>,
}

/// Where the blobs of an image are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageOrigin {
    /// In the store.
    Store,
    /// In an OCI image layout directory of the user's.
    Layout {
        /// The directory with `oci-layout` and `index.json`.
        path: PathBuf,
    },
    /// In a repository of a registry; what was fetched of it is in the store.
    Registry {
        /// The repository.
        repository: Reference,
    },
}

/// A directory of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalSource {
    /// `context`, or the name given with `--build-context`.
    pub name: String,
    /// The `.dockerignore` patterns, in the order of the file.
    pub ignore: Vec<String>,
}

/// A command and what it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOp {
    /// The argument vector; the first is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The environment, `NAME=value`, in order.
    pub env: Vec<String>,
    /// The absolute working directory.
    pub working_directory: String,
    /// The user as `USER` has it (`name`, `uid`, `name:group`, …); empty is root.
    pub user: String,
    /// The sandbox's host name.
    pub hostname: String,
    /// Which network the command sees.
    pub network: NetworkMode,
    /// Files put into the sandbox for this command alone, never committed (the body of a heredoc
    /// that starts with `#!`).
    pub files: Vec<ExecFile>,
    /// What else is mounted, in this order.
    pub mounts: Vec<ExecMount>,
    /// What else was asked for of its sandbox.
    #[serde(default, skip_serializing_if = "SandboxSettings::is_default")]
    pub sandbox: SandboxSettings,
}

/// A file that exists while one command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecFile {
    /// The absolute path in the sandbox.
    pub target: String,
    /// Its bytes.
    pub content: String,
    /// Its permission bits.
    pub mode: u32,
}

/// Which network a command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// What the job's options say.
    Default,
    /// A loop-back interface and nothing else.
    None,
    /// The network of the machine.
    Host,
}

/// A change of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileOp {
    /// What is changed.
    pub action: FileAction,
}

/// The ways to change files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum FileAction {
    /// `COPY` and `ADD`.
    Copy(CopyAction),
    /// `WORKDIR`.
    MakeDirectory(MakeDirectory),
}

/// Copies files from input 1 (or out of the Dockerfile) to input 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyAction {
    /// What is copied, in order.
    pub sources: Vec<CopySource>,
    /// The absolute destination. A trailing `/` says that it is a directory.
    pub destination: String,
    /// `--chown`: names or ids; names are looked up in the destination.
    pub owner: Option<String>,
    /// `--chmod`: an octal number or a symbolic mode.
    pub mode: Option<String>,
    /// `--exclude` patterns, relative to each source.
    pub exclude: Vec<String>,
    /// What happens to local archives.
    pub archives: Archives,
    /// `--link`: what is made has a place of its own, whatever is below. Links of the destination are not
    /// followed, and directories on the way are made anew.
    pub link: bool,
}

/// What a copy does with a source that is a tar archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archives {
    /// Copied as they are (`COPY`).
    Keep,
    /// Unpacked when their content says that they are archives (`ADD`).
    Unpack,
}

/// One source of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopySource {
    /// A path in input 1, with the wildcards of Go's `filepath.Match`.
    Path(String),
    /// What a pattern matches below a directory of input 1, with the directories on the way there
    /// (`--parents`).
    Parents {
        /// The directory, with the wildcards of Go's `filepath.Match`.
        base: String,
        /// A pattern as in `.dockerignore`, relative to the directory; all of it when empty.
        pattern: String,
    },
    /// A file whose text stands in the Dockerfile (a heredoc).
    Inline {
        /// The file's name.
        name: String,
        /// The file's text.
        content: String,
    },
    /// What another input is: a file that was fetched, or all files of a repository.
    Remote {
        /// Which input.
        input: usize,
        /// What happens to it if it is an archive.
        archives: Archives,
    },
}

impl CopySource {
    /// Tells whether the path has wildcards, so that it may match nothing.
    pub fn is_wildcard(path: &str) -> bool {
        let mut escaped = false;
        for c in path.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '*' | '?' | '[' => return true,
                _ => {}
            }
        }
        false
    }
}

/// Makes a directory and its missing parents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MakeDirectory {
    /// The absolute path.
    pub path: String,
    /// The permission bits of what is made.
    pub mode: u32,
    /// The owner of what is made, as `USER` has it; none is root.
    pub owner: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_seen_unless_it_is_escaped() {
        for (path, expected) in [
            ("a", false),
            ("a*", true),
            ("a\\*", false),
            ("file[.]txt", true),
            ("q?", true),
            ("a\\\\*", true),
        ] {
            assert_eq!(CopySource::is_wildcard(path), expected, "{path}");
        }
    }
}
