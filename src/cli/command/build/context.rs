//! The contexts of a build, brought to where they can be read: directories of this machine stay where they are, all
//! else becomes a directory in the store.
//!
//! The build context is brought at once, since the Dockerfile may be in it. A named context is only brought when the
//! graph needs it, or `SOURCE_DATE_EPOCH` names it.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use graph::{Definition, Op, SourceOp, SourcePolicy};
use oci::Timestamp;
use solver::Workshop;
use solver::context::{DirectorySource, HeldDirectory, UnpackError};

use super::super::failure;
use super::{policy, remote};
use crate::options::{BuildOptions, ContextSource, DockerfileSource, NamedContext};
use crate::report::{Kind, Report};

/// The name of the build context in the graph.
const CONTEXT: &str = "context";

/// How many bytes of standard input tell what it is: a tar has its first header in them.
const START_BYTES: u64 = 512;

/// A context that can be read.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// Where it is.
    pub(crate) source: DirectorySource,
    time: TreeTime,
}

/// Which time a context has.
#[derive(Debug, Clone, Copy)]
enum TreeTime {
    /// None: a directory of this machine changes.
    Unknown,
    /// That of its newest file.
    NewestFile,
    /// That of the commit, or what the server says.
    At(Timestamp),
}

/// What the build context turned out to be.
#[derive(Debug)]
pub(crate) struct MainContext {
    /// The directory.
    pub(crate) tree: Tree,
    /// The Dockerfile, where the context is nothing else.
    pub(crate) dockerfile: Option<Vec<u8>>,
}

/// The contexts of a build.
#[derive(Debug)]
pub(crate) struct Contexts<'a> {
    options: &'a BuildOptions,
    policy: &'a SourcePolicy,
    main: Tree,
    named: BTreeMap<String, Tree>,
}

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
enum ContextError {
    /// Standard input ended at once.
    #[error("standard input is empty, and should be a Dockerfile or a tar archive")]
    Empty,
    /// Two Dockerfiles.
    #[error("standard input is a Dockerfile, and `-f` names another one")]
    TwoDockerfiles,
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Read(#[source] io::Error),
    /// A context is asked for that nobody gave: our own fault.
    #[error("the context `{name}` was not given")]
    Unknown {
        /// Its name.
        name: String,
    },
}

/// Says that a directory is missing before a file in it is missed.
///
/// # Errors
///
/// Fails when one of the directories is not there, or is none.
pub(crate) fn check(options: &BuildOptions) -> Result<(), Box<Report>> {
    if let Some(path) = options.context.directory() {
        check_directory("build context", path, options)?;
    }
    for (name, context) in &options.contexts {
        if let NamedContext::Directory(path) = context {
            check_directory("named context", path, options).map_err(|mut report| {
                report.notes.push(format!("it is `--build-context {name}`"));
                report
            })?;
        }
    }
    Ok(())
}

/// Warns of named contexts that nothing can name.
pub(crate) fn warn_of_reserved(options: &BuildOptions, workshop: &Workshop) {
    let reserved = [CONTEXT, "scratch"];
    for name in reserved
        .iter()
        .filter(|name| options.contexts.contains_key(**name))
    {
        workshop.events.warn(format!(
            "the build context `{name}` is not used: the name is reserved"
        ));
    }
}

fn check_directory(
    what: &'static str,
    path: &Path,
    options: &BuildOptions,
) -> Result<(), Box<Report>> {
    let found = std::fs::metadata(path).and_then(|metadata| {
        let is_directory = metadata.is_dir();
        is_directory
            .then_some(())
            .ok_or_else(|| io::ErrorKind::NotADirectory.into())
    });
    found.map_err(|error| failure::unreadable(what, path, &error, options))
}

/// Brings the build context.
///
/// # Errors
///
/// Fails when it cannot be read, fetched or unpacked.
pub(crate) fn open_main(
    options: &BuildOptions,
    workshop: &Workshop,
) -> Result<MainContext, Box<Report>> {
    match &options.context {
        ContextSource::Directory(path) => Ok(MainContext {
            tree: Tree::of_path(path),
            dockerfile: None,
        }),
        ContextSource::Stdin => stdin(options, workshop),
        ContextSource::Git(url) => Ok(MainContext {
            tree: remote::git(url, keeps_git_dir(options), workshop)?,
            dockerfile: None,
        }),
        ContextSource::Http(url) => remote::http(url, workshop),
    }
}

/// Tells whether a build argument asks for the `.git` of the build context.
fn keeps_git_dir(options: &BuildOptions) -> bool {
    let argument = options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    argument.is_some_and(|text| dockerfile::parse_bool(text) == Some(true))
}

/// Reads standard input: a tar is a context, anything else the Dockerfile of an empty one.
fn stdin(options: &BuildOptions, workshop: &Workshop) -> Result<MainContext, Box<Report>> {
    let shown = options.context.to_string();
    let mut input = io::stdin();
    let mut start = Vec::new();
    let read = (&mut input).take(START_BYTES).read_to_end(&mut start);
    read.map_err(|error| user(&ContextError::Read(error)))?;
    if start.is_empty() {
        return Err(user(&ContextError::Empty));
    }
    if layer::begins_archive(&start) {
        let whole = io::Cursor::new(start).chain(input);
        let held = HeldDirectory::unpack(workshop, whole, &shown);
        return Ok(MainContext {
            tree: Tree::of_archive(held.map_err(|error| of_unpack(&error))?),
            dockerfile: None,
        });
    }
    if options.file != DockerfileSource::Usual {
        return Err(user(&ContextError::TwoDockerfiles));
    }
    let limit_bytes = super::source::LIMIT_BYTES + 1;
    let rest = input.take(limit_bytes).read_to_end(&mut start);
    rest.map_err(|error| user(&ContextError::Read(error)))?;
    let held = HeldDirectory::empty(workshop, &shown).map_err(|error| of_unpack(&error))?;
    Ok(MainContext {
        tree: Tree::of_files(held),
        dockerfile: Some(start),
    })
}

impl Tree {
    /// Makes the tree of a directory of this machine.
    pub(crate) fn of_path(path: &Path) -> Self {
        Self {
            source: DirectorySource::Path(path.to_owned()),
            time: TreeTime::Unknown,
        }
    }

    /// Makes the tree of an archive, which is as new as its newest file.
    pub(crate) fn of_archive(held: HeldDirectory) -> Self {
        Self {
            source: DirectorySource::Held(Arc::new(held)),
            time: TreeTime::NewestFile,
        }
    }

    /// Makes the tree of files that have no time.
    pub(crate) fn of_files(held: HeldDirectory) -> Self {
        Self {
            source: DirectorySource::Held(Arc::new(held)),
            time: TreeTime::Unknown,
        }
    }

    /// Gives the tree a time that counts more than those of its files.
    #[must_use]
    pub(crate) fn at(self, time: Option<Timestamp>) -> Self {
        let time = time.map_or(self.time, TreeTime::At);
        Self { time, ..self }
    }

    /// Returns the time that `SOURCE_DATE_EPOCH` takes from it, if it has one.
    ///
    /// # Errors
    ///
    /// Fails when its files cannot be read.
    pub(crate) fn time(&self) -> Result<Option<Timestamp>, Box<Report>> {
        match (&self.source, self.time) {
            (_, TreeTime::At(time)) => Ok(Some(time)),
            (DirectorySource::Held(held), TreeTime::NewestFile) => {
                held.newest_file().map_err(|error| of_unpack(&error))
            }
            (DirectorySource::Path(_) | DirectorySource::Held(_), _) => Ok(None),
        }
    }
}

impl<'a> Contexts<'a> {
    /// Takes the build context; the named ones are brought when they are needed.
    pub(crate) fn new((options, policy): (&'a BuildOptions, &'a SourcePolicy), main: Tree) -> Self {
        Self {
            options,
            policy,
            main,
            named: BTreeMap::new(),
        }
    }

    /// Returns the time of the build context; a directory of this machine has none.
    ///
    /// # Errors
    ///
    /// Fails when its files cannot be read.
    pub(crate) fn main_time(&self) -> Result<Option<Timestamp>, Box<Report>> {
        self.main.time()
    }

    /// Returns the time of a named context; directories of this machine and images have none.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be brought, or its files cannot be read.
    pub(crate) fn named_time(
        &mut self,
        name: &str,
        workshop: &Workshop,
    ) -> Result<Option<Timestamp>, Box<Report>> {
        let is_directory = self.options.contexts.get(name);
        if !is_directory.is_some_and(NamedContext::is_directory) {
            return Ok(None);
        }
        self.bring(name, workshop)?.time()
    }

    /// Returns the directories that a graph reads from, by their names in it.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be brought.
    pub(crate) fn directories(
        &mut self,
        graph: &Definition,
        workshop: &Workshop,
    ) -> Result<BTreeMap<String, DirectorySource>, Box<Report>> {
        // A named context cannot stand for the build context, whatever it is called.
        let main = (CONTEXT.to_owned(), self.main.source.clone());
        let mut directories = BTreeMap::from([main]);
        for id in graph.ids() {
            let Op::Source(SourceOp::Local(source)) = &graph.vertex(id).op else {
                continue;
            };
            if !directories.contains_key(&source.name) {
                let tree = self.bring(&source.name, workshop)?;
                directories.insert(source.name.clone(), tree.source);
            }
        }
        Ok(directories)
    }

    /// Brings a named context, once.
    fn bring(&mut self, name: &str, workshop: &Workshop) -> Result<Tree, Box<Report>> {
        if let Some(tree) = self.named.get(name) {
            return Ok(tree.clone());
        }
        let context = self.options.contexts.get(name);
        policy::check_named(context, self.policy)?;
        let tree = match context {
            Some(NamedContext::Directory(path)) => Tree::of_path(path),
            Some(NamedContext::Git(url)) => remote::git(url, false, workshop)?,
            Some(NamedContext::Http(url)) => remote::http(url, workshop)?.tree,
            // What is no directory is no source of the graph.
            Some(NamedContext::Layout(_) | NamedContext::Image(_) | NamedContext::Empty) | None => {
                let name = name.to_owned();
                let error = ContextError::Unknown { name };
                return Err(Box::new(Report::new(Kind::Internal, &error)));
            }
        };
        self.named.insert(name.to_owned(), tree.clone());
        Ok(tree)
    }
}

fn user(error: &ContextError) -> Box<Report> {
    Box::new(Report::new(Kind::User, error))
}

/// Reports a context that cannot be put into the store.
pub(crate) fn of_unpack(error: &UnpackError) -> Box<Report> {
    let kind = match error {
        UnpackError::Store { .. } | UnpackError::Files { .. } => Kind::Host,
        _ => Kind::User,
    };
    Box::new(Report::new(kind, error))
}
