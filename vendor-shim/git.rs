//! `git`: what remote repositories have, and how it gets into a directory.
//!
//! The user's configuration is none of ours: `git` runs with an empty home, no system configuration, no hooks and no
//! templates, asks nobody for a password, and reaches remotes by `https`, `http`, `ssh` and `git` alone. All
//! of that, and what is secret, stands in one file ([`Session`]): no argument and no variable of the environment has
//! it, since other processes can read those.
//!
//! What a server says is not trusted: names that could be taken for options or patterns are refused.

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::program::{Invocation, Program, ProgramError};

mod config;
mod refs;

pub use config::{RemoteAccess, SecretHeader, SessionSettings};
pub use refs::{RemoteRef, RemoteRefs};

/// The configuration, in the home: where `git` looks that is too old to be told (before 2.32).
const CONFIG: &str = ".gitconfig";

/// How long a question to a server may take.
const ASK_LIMIT: Duration = Duration::from_mins(2);

/// How long a transfer may take.
const TRANSFER_LIMIT: Duration = Duration::from_hours(1);

/// How long work on local files may take.
const LOCAL_LIMIT: Duration = Duration::from_mins(15);

/// A hash function that names objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 digits.
    Sha1,
    /// 64 digits.
    Sha256,
}

impl ObjectFormat {
    /// Returns the format of a whole name of an object; none if it is no such name.
    pub fn of(name: &str) -> Option<Self> {
        let is_name = name
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match name.len() {
            40 if is_name => Some(Self::Sha1),
            64 if is_name => Some(Self::Sha256),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// How much of the history is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The commits that are asked for, without those before them. Not every server can.
    One,
    /// Everything.
    All,
}

/// Why `git` did not do what was asked.
#[derive(Debug, Error)]
pub enum GitError {
    /// The place that it works in cannot be made.
    #[error("prepare `{}` for git", path.display())]
    Prepare {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It failed.
    #[error("{what}")]
    Run {
        /// What it was to do.
        what: String,
        /// What came of it.
        source: ProgramError,
    },
    /// What it printed is not what it prints.
    #[error("{what}: understand `{line}`")]
    Answer {
        /// What it was to do.
        what: String,
        /// The line.
        line: String,
    },
    /// A name of a server's or a user's could be taken for something else.
    #[error("`{}` is no name of a branch, tag or commit", name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
}

impl GitError {
    /// Tells whether the job was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Run {
                source: ProgramError::Cancelled { .. },
                ..
            }
        )
    }

    /// Tells whether the server can send the whole history only, or only what has a name.
    pub fn is_refused_by_server(&self) -> bool {
        let words = [
            "does not support shallow",
            "does not support --depth",
            "unadvertised object",
            "not our ref",
            "couldn't find remote ref",
            "remote error: want",
            "Cannot obtain needed object",
        ];
        says(self, &words)
    }

    /// Tells whether the repository here is at fault: another `git` was killed in it, or a disk failed.
    pub fn is_about_repository(&self) -> bool {
        let words = [
            ".lock': File exists",
            "not a git repository",
            "is corrupt",
            "unable to update local ref",
            "some local refs could not be updated",
            "bad object",
            "object file",
        ];
        says(self, &words)
    }
}

/// Tells whether the last words of a program have any of these.
fn says(error: &GitError, any: &[&str]) -> bool {
    match error {
        GitError::Run {
            source: ProgramError::Failed { last_words, .. },
            ..
        } => any.iter().any(|words| last_words.contains(words)),
        _ => false,
    }
}

/// Where and for how long one call works.
struct Call<'a> {
    what: String,
    directory: &'a Path,
    limit: Duration,
}

/// `git`, configured for one remote.
pub struct Session<'a> {
    program: Program,
    home: PathBuf,
    access: RemoteAccess,
    cancelled: &'a dyn Fn() -> bool,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("program", &self.program)
            .field("home", &self.home)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// Makes a home for `git` in an empty directory: its configuration, and nothing else.
    ///
    /// # Errors
    ///
    /// Fails when the configuration cannot be written.
    pub fn create(
        program: Program,
        home: &Path,
        settings: &SessionSettings,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Result<Self, GitError> {
        let path = home.join(CONFIG);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(settings.text().as_bytes()));
        written.map_err(|source| GitError::Prepare { path, source })?;
        Ok(Self {
            program,
            home: home.to_owned(),
            access: settings.access.clone(),
            cancelled,
        })
    }

    /// Asks the remote which commits some names stand for.
    ///
    /// # Errors
    ///
    /// Fails when the remote cannot be reached or says nonsense.
    pub fn refs(&self, names: &[String]) -> Result<RemoteRefs, GitError> {
        let remote = &self.access.remote;
        let what = format!("ask `{remote}` for its branches and tags");
        let mut arguments = texts(&["ls-remote", "--symref", "--", remote]);
        arguments.extend(names.iter().map(OsString::from));
        let call = Call {
            what: what.clone(),
            directory: &self.home,
            limit: ASK_LIMIT,
        };
        let text = self.run(&call, &arguments)?;
        RemoteRefs::parse(&text).map_err(|line| GitError::Answer { what, line })
    }

    /// Makes an empty repository without files beside it.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub fn create_bare(&self, directory: &Path, format: ObjectFormat) -> Result<(), GitError> {
        let format = format!("--object-format={}", format.as_str());
        let arguments = ["init", "-q", "--bare", "--template=", &format, "."];
        self.local("make a repository", directory, &arguments)
            .map(drop)
    }

    /// Tells whether a repository has a commit.
    ///
    /// # Errors
    ///
    /// Fails when the job is cancelled.
    pub fn has_commit(&self, directory: &Path, commit: &str) -> Result<bool, GitError> {
        let object = format!("{commit}^{{commit}}");
        match self.local("look for a commit", directory, &["cat-file", "-e", &object]) {
            Ok(_) => Ok(true),
            Err(GitError::Run {
                source: ProgramError::Failed { .. },
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fetches what stands behind names or commits of the remote, each `WHAT` or `WHAT:NAME-HERE`.
    ///
    /// # Errors
    ///
    /// Fails when the remote cannot be reached or does not have it, or cannot send so little of it.
    pub fn fetch(&self, directory: &Path, what: &[String], depth: Depth) -> Result<(), GitError> {
        for name in what {
            check_refspec(name)?;
        }
        let remote = &self.access.remote;
        let mut arguments = texts(&[
            "fetch",
            "-q",
            "--no-tags",
            "--force",
            "--no-write-fetch-head",
        ]);
        if depth == Depth::One {
            arguments.push("--depth=1".into());
        }
        arguments.extend(texts(&["--", remote]));
        arguments.extend(what.iter().map(OsString::from));
        let call = Call {
            what: format!("fetch `{remote}`"),
            directory,
            limit: TRANSFER_LIMIT,
        };
        self.run(&call, &arguments).map(drop)
    }

    /// Returns when a commit was made, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// Fails when the repository does not have it.
    pub fn commit_time(&self, directory: &Path, commit: &str) -> Result<i64, GitError> {
        let what = "read a commit";
        let arguments = ["show", "-s", "--format=%ct", commit, "--"];
        let text = self.local(what, directory, &arguments)?;
        text.trim().parse().map_err(|_no_number| GitError::Answer {
            what: what.to_owned(),
            line: text.trim().to_owned(),
        })
    }

    /// Makes a repository in an empty directory that takes its objects from another one.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub fn create_beside(
        &self,
        directory: &Path,
        objects_of: &Path,
        format: ObjectFormat,
    ) -> Result<(), GitError> {
        self.create_worktree(directory, format)?;
        let path = directory.join(".git/objects/info/alternates");
        let mut line = objects_of.join("objects").into_os_string();
        line.push("\n");
        std::fs::create_dir_all(directory.join(".git/objects/info"))
            .and_then(|()| std::fs::write(&path, line.as_encoded_bytes()))
            .map_err(|source| GitError::Prepare { path, source })
    }

    /// Makes a repository in an empty directory with one commit of another one, called `name` if that is given.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made, or the other one does not have the commit.
    pub fn create_copy(
        &self,
        directory: &Path,
        (source, commit): (&Path, &str),
        name: Option<&str>,
        format: ObjectFormat,
    ) -> Result<(), GitError> {
        self.create_worktree(directory, format)?;
        let refspec = match name {
            Some(name) => format!("{commit}:{name}"),
            None => commit.to_owned(),
        };
        check_refspec(&refspec)?;
        let mut arguments = texts(&["-c", "protocol.file.allow=always", "fetch", "-q"]);
        arguments.extend(texts(&["--no-tags", "--depth=1", "--no-write-fetch-head"]));
        arguments.extend(texts(&["--update-head-ok", "--"]));
        // By a transport, not by linking objects: the copy is whole.
        let mut url = OsString::from("file://");
        url.push(source);
        arguments.extend([url, refspec.into()]);
        let call = Call {
            what: "copy a commit".to_owned(),
            directory,
            limit: LOCAL_LIMIT,
        };
        self.run(&call, &arguments).map(drop)
    }

    fn create_worktree(&self, directory: &Path, format: ObjectFormat) -> Result<(), GitError> {
        let format = format!("--object-format={}", format.as_str());
        let arguments = ["init", "-q", "--template=", &format, "."];
        self.local("make a repository", directory, &arguments)?;
        let remote = &self.access.remote;
        let arguments = ["remote", "add", "--", "origin", remote];
        self.local("name the remote", directory, &arguments)
            .map(drop)
    }

    /// Puts the files of a commit into the directory of a repository.
    ///
    /// # Errors
    ///
    /// Fails when the repository does not have all of them, or they cannot be written.
    pub fn check_out(&self, directory: &Path, commit: &str) -> Result<(), GitError> {
        let arguments = ["checkout", "-q", "--force", "--detach", commit, "--"];
        self.local(&format!("check out {commit}"), directory, &arguments)
            .map(drop)
    }

    /// Makes the index say nothing of this machine: it has inode numbers and times otherwise.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be written.
    pub fn reset_index(&self, directory: &Path) -> Result<(), GitError> {
        self.local("write the index", directory, &["read-tree", "HEAD"])
            .map(drop)
    }

    /// Fetches and checks out the submodules, and theirs.
    ///
    /// # Errors
    ///
    /// Fails when one cannot be fetched.
    pub fn update_submodules(&self, directory: &Path, depth: Depth) -> Result<(), GitError> {
        let mut arguments = texts(&[
            "submodule",
            "-q",
            "update",
            "--init",
            "--recursive",
            "--force",
        ]);
        if depth == Depth::One {
            arguments.push("--depth=1".into());
        }
        let call = Call {
            what: format!("fetch the submodules of `{}`", self.access.remote),
            directory,
            limit: TRANSFER_LIMIT,
        };
        self.run(&call, &arguments).map(drop)
    }

    fn local(&self, what: &str, directory: &Path, arguments: &[&str]) -> Result<String, GitError> {
        let call = Call {
            what: what.to_owned(),
            directory,
            limit: LOCAL_LIMIT,
        };
        self.run(&call, &texts(arguments))
    }

    fn run(&self, call: &Call<'_>, arguments: &[OsString]) -> Result<String, GitError> {
        let invocation = Invocation {
            arguments,
            environment: &self.environment(),
            input: &[],
            directory: Some(call.directory),
            limit: call.limit,
            cancelled: self.cancelled,
        };
        let output = self.program.run_as(&invocation);
        let output = output.map_err(|source| GitError::Run {
            what: call.what.clone(),
            source,
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut environment: Vec<(&'static str, OsString)> = vec![
            ("HOME", self.home.clone().into()),
            ("GIT_CONFIG_GLOBAL", self.home.join(CONFIG).into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_ATTR_NOSYSTEM", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_OPTIONAL_LOCKS", "0".into()),
            // Repositories above the place that it works in are none of its business.
            ("GIT_CEILING_DIRECTORIES", self.home.clone().into()),
        ];
        environment.extend(self.access.environment());
        let owned = |(name, value): (&str, OsString)| (name.into(), value);
        environment.into_iter().map(owned).collect()
    }
}

fn texts(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

/// Refuses what could be taken for an option, a pattern or more than one name (gitrevisions(7)).
fn check_refspec(text: &str) -> Result<(), GitError> {
    let spec = text.strip_prefix('+').unwrap_or(text);
    let (from, to) = spec.split_once(':').unwrap_or((spec, "refs/x"));
    let is_pattern = from.ends_with("/*") && to.ends_with("/*");
    let is_good = |name: &str| {
        let name = if is_pattern {
            name.trim_end_matches('*')
        } else {
            name
        };
        !name.is_empty()
            && !name.starts_with(['-', '.', '/'])
            && !name.contains("..")
            && !name
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c))
    };
    if is_good(from) && is_good(to) {
        Ok(())
    } else {
        Err(GitError::Name {
            name: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
