//! The Dockerfile and the ignore files of the contexts.
//!
//! | `-f` | directory | tar on standard input | git, URL | a Dockerfile |
//! | --- | --- | --- | --- | --- |
//! | | `Dockerfile`, `dockerfile`, `Containerfile` in it | as left | as left | the context |
//! | `-`, a URL | that | (`-` is the context) that | that | standard input: refused; a URL: that |
//! | a path | a file of this machine | a file in it | in it; an absolute one is of this machine | as left, or not looked at |
//!
//! A file of a context is read through its directory: no link leads out of it. A file that `-f` names is the user's
//! own word, and may be anywhere.

mod loading;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockerfile::source::SourceFile;
use rootfs::{FsError, Root, RootPath};
use solver::Workshop;
use solver::context::DirectorySource;

use super::super::failure;
use super::context::{MainContext, Tree};
use super::remote;
use crate::options::context::without_password;
use crate::options::{BuildOptions, ContextSource, DockerfileSource, NamedContext};
use crate::report::{Kind, Report};

/// No Dockerfile is larger (BuildKit's limit is the same).
pub(crate) const LIMIT_BYTES: u64 = 1024 * 1024;

/// What a Dockerfile is called in a context. The last one is buildah's word for it.
pub(crate) const USUAL_NAMES: [&str; 3] = ["Dockerfile", "dockerfile", "Containerfile"];

/// The ignore file of a context, and what the name of a Dockerfile's own ends with.
const IGNORE_FILE: &str = ".dockerignore";

/// A Dockerfile and where it is.
#[derive(Debug)]
pub(crate) struct Dockerfile {
    /// Its text.
    pub(crate) source: SourceFile,
    /// The directory that it is in and its name there, where it has an ignore file beside it.
    place: Option<(Arc<Root>, RootPath)>,
}

/// Where a Dockerfile was found.
struct Found {
    bytes: Vec<u8>,
    /// What it is called in messages.
    shown: PathBuf,
    /// The directory that it is in and its name there, where it has an ignore file beside it.
    place: Option<(Arc<Root>, RootPath)>,
}

/// Reads the Dockerfile.
///
/// # Errors
///
/// Fails when there is none, and when it is no text or too large.
pub(crate) fn read(
    options: &BuildOptions,
    main: &MainContext,
    workshop: &Workshop,
) -> Result<Dockerfile, Box<Report>> {
    let found = loading::definition(options, workshop, || find_small(options, main, workshop))?;
    let refuse =
        |error: &io::Error| failure::unreadable("Dockerfile", &found.shown, error, options);
    let text = String::from_utf8(found.bytes).map_err(|_not_utf8| {
        let error = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        refuse(&error)
    })?;
    let name = shown(&found.shown, options);
    Ok(Dockerfile {
        source: SourceFile::new(name, text),
        place: found.place,
    })
}

/// Reads the ignore patterns of the build context: those of the file that goes with the Dockerfile.
///
/// # Errors
///
/// Fails when the file cannot be used.
pub(crate) fn read_ignore(
    dockerfile: &Dockerfile,
    options: &BuildOptions,
    main: &MainContext,
    workshop: &Workshop,
) -> Result<Vec<String>, Box<Report>> {
    let read = || ignore_of_main(options, &main.tree, dockerfile.place.as_ref());
    Ok(loading::ignore_file(workshop, read)?.patterns)
}

/// Finds a Dockerfile that is not too large.
fn find_small(
    options: &BuildOptions,
    main: &MainContext,
    workshop: &Workshop,
) -> Result<Found, Box<Report>> {
    let found = find(options, main, workshop)?;
    if found.bytes.len() as u64 > LIMIT_BYTES {
        return Err(failure::too_large("Dockerfile", &found.shown, LIMIT_BYTES));
    }
    Ok(found)
}

fn find(
    options: &BuildOptions,
    main: &MainContext,
    workshop: &Workshop,
) -> Result<Found, Box<Report>> {
    match &options.file {
        DockerfileSource::Stdin => read_stdin(options),
        DockerfileSource::Http(url) => Ok(Found {
            bytes: remote::dockerfile(url, workshop)?,
            shown: PathBuf::from(without_password(url)),
            place: None,
        }),
        DockerfileSource::Path(path) if is_of_machine(path, options) => {
            read_path(&options.current_directory.join(path), options)
        }
        DockerfileSource::Path(_) | DockerfileSource::Usual if main.dockerfile.is_some() => {
            Ok(Found {
                bytes: main.dockerfile.clone().unwrap_or_default(),
                shown: PathBuf::from(options.context.to_string()),
                place: None,
            })
        }
        DockerfileSource::Path(path) => {
            let name = path.to_string_lossy().into_owned();
            read_in_tree(&alternatives(&name), &main.tree, options)
        }
        DockerfileSource::Usual => {
            let names = USUAL_NAMES.map(str::to_owned);
            read_in_tree(&names, &main.tree, options)
        }
    }
}

/// Tells whether `-f` names a file of this machine and not one of a context that is somewhere else.
fn is_of_machine(path: &Path, options: &BuildOptions) -> bool {
    match options.context {
        ContextSource::Directory(_) => true,
        ContextSource::Stdin => false,
        ContextSource::Git(_) | ContextSource::Http(_) => path.is_absolute(),
    }
}

fn read_stdin(options: &BuildOptions) -> Result<Found, Box<Report>> {
    let shown = PathBuf::from("standard input");
    let mut bytes = Vec::new();
    let read = io::stdin().take(LIMIT_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| failure::unreadable("Dockerfile", &shown, &error, options))?;
    Ok(Found {
        bytes,
        shown,
        place: None,
    })
}

/// Reads a file of this machine. Its size is not asked for: it may be a pipe, or a link to something that never
/// ends.
fn read_path(path: &Path, options: &BuildOptions) -> Result<Found, Box<Report>> {
    let refuse = |error: &io::Error| failure::unreadable("Dockerfile", path, error, options);
    let path = match lower_case(path) {
        Some(lower) if !is_there(path) && is_there(&lower) => lower,
        _ => path.to_owned(),
    };
    let mut bytes = Vec::new();
    let read =
        File::open(&path).and_then(|file| file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| refuse(&error))?;
    Ok(Found {
        bytes,
        place: place_of(&path),
        shown: path,
    })
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Returns `dockerfile` beside `Dockerfile`, which stands for it.
fn lower_case(path: &Path) -> Option<PathBuf> {
    let [usual, lower, _] = USUAL_NAMES;
    (path.file_name()? == usual).then(|| path.with_file_name(lower))
}

fn alternatives(name: &str) -> Vec<String> {
    let lower = lower_case(Path::new(name)).map(|path| path.to_string_lossy().into_owned());
    [name.to_owned()].into_iter().chain(lower).collect()
}

/// Returns the directory of a file and its name there.
fn place_of(path: &Path) -> Option<(Arc<Root>, RootPath)> {
    let name = RootPath::lexical(path.file_name()?.as_encoded_bytes()).ok()?;
    let root = Root::open(path.parent()?).ok()?;
    Some((Arc::new(root), name))
}

/// Reads the first file of a context that is there.
fn read_in_tree<S: AsRef<str>>(
    names: &[S],
    tree: &Tree,
    options: &BuildOptions,
) -> Result<Found, Box<Report>> {
    let root = root_of(tree, options)?;
    for name in names.iter().map(AsRef::as_ref) {
        let shown = shown_in(tree, name);
        let refuse = |error| unreadable(&shown, error);
        let path = RootPath::lexical(name).map_err(|error| refuse(error.into()))?;
        if root.metadata(&path).map_err(refuse)?.is_none() {
            continue;
        }
        let bytes = match root.read_to_end_limited(&path, LIMIT_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(leads_nowhere(&shown, options)),
            Err(FsError::TooLarge { .. }) => {
                return Err(failure::too_large("Dockerfile", &shown, LIMIT_BYTES));
            }
            Err(error) => return Err(refuse(error)),
        };
        return Ok(Found {
            bytes,
            shown,
            place: Some((root, path)),
        });
    }
    let first = names.first().map_or("", AsRef::as_ref);
    Err(missing(&shown_in(tree, first), options))
}

/// Reports that there is no Dockerfile.
fn missing(shown: &Path, options: &BuildOptions) -> Box<Report> {
    let error = io::Error::from_raw_os_error(NOT_FOUND);
    failure::unreadable("Dockerfile", shown, &error, options)
}

/// Reports a link that leads out of the context, or nowhere at all.
fn leads_nowhere(shown: &Path, options: &BuildOptions) -> Box<Report> {
    let mut report = missing(shown, options);
    let note = "it is a link, and what it leads to is not in the context";
    report.notes.push(note.to_owned());
    report
}

/// `ENOENT`: no such file or directory.
const NOT_FOUND: i32 = 2;

fn unreadable(shown: &Path, error: FsError) -> Box<Report> {
    Box::new(Report::new(
        Kind::User,
        &failure::Unreadable::new("Dockerfile", shown, error),
    ))
}

fn root_of(tree: &Tree, options: &BuildOptions) -> Result<Arc<Root>, Box<Report>> {
    match &tree.source {
        DirectorySource::Held(held) => Ok(Arc::clone(held.root())),
        DirectorySource::Path(path) => {
            let root = Root::open(path).map_err(|error| {
                let source = io::Error::other(error.to_string());
                failure::unreadable("build context", path, &source, options)
            })?;
            Ok(Arc::new(root))
        }
    }
}

/// Returns what a file of a context is called: a path of this machine, or the path in the context.
fn shown_in(tree: &Tree, name: &str) -> PathBuf {
    match &tree.source {
        DirectorySource::Path(directory) => directory.join(name),
        DirectorySource::Held(_) => PathBuf::from(name),
    }
}

/// Returns a path as the user would write it.
fn shown(path: &Path, options: &BuildOptions) -> String {
    let directory = options.context.directory();
    directory
        .and_then(|directory| path.strip_prefix(directory).ok())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// An ignore file, or that there is none.
#[derive(Debug, Default)]
struct IgnoreFile {
    patterns: Vec<String>,
    size_bytes: u64,
}

/// Returns the ignore patterns of the build context: of the Dockerfile's own file, or else of the context's. What
/// comes from a repository or a server is taken as it is.
fn ignore_of_main(
    options: &BuildOptions,
    tree: &Tree,
    dockerfile: Option<&(Arc<Root>, RootPath)>,
) -> Result<IgnoreFile, Box<Report>> {
    if let ContextSource::Git(_) | ContextSource::Http(_) = options.context {
        return Ok(IgnoreFile::default());
    }
    if let Some((root, path)) = dockerfile {
        let own = [path.as_bytes(), IGNORE_FILE.as_bytes()].concat();
        if let Some(file) = ignore_file(root, &own, options)? {
            return Ok(file);
        }
    }
    let root = root_of(tree, options)?;
    let file = ignore_file(&root, IGNORE_FILE.as_bytes(), options)?;
    Ok(file.unwrap_or_default())
}

/// Reads the ignore files of the named contexts: only directories of this machine have any.
///
/// # Errors
///
/// Fails when one cannot be used.
pub(crate) fn named_ignores(
    options: &BuildOptions,
) -> Result<BTreeMap<String, Vec<String>>, Box<Report>> {
    let mut ignores = BTreeMap::new();
    for (name, context) in &options.contexts {
        let file = match context {
            NamedContext::Directory(path) => {
                let tree = Tree::of_path(path);
                let root = root_of(&tree, options)?;
                ignore_file(&root, IGNORE_FILE.as_bytes(), options)?
            }
            other if other.is_directory() => None,
            _ => continue,
        };
        ignores.insert(name.clone(), file.unwrap_or_default().patterns);
    }
    Ok(ignores)
}

/// Reads an ignore file; none if there is none.
fn ignore_file(
    root: &Root,
    name: &[u8],
    options: &BuildOptions,
) -> Result<Option<IgnoreFile>, Box<Report>> {
    let name = RootPath::lexical(name).unwrap_or_else(|_| RootPath::root());
    let shown_path = root.shown_below(&name);
    let refuse = |error: FsError| {
        Box::new(Report::new(
            Kind::User,
            &failure::Unreadable::new("ignore file", &shown_path, error),
        ))
    };
    if root.metadata(&name).map_err(refuse)?.is_none() {
        return Ok(None);
    }
    let bytes = match root.read_to_end_limited(&name, LIMIT_BYTES) {
        Err(FsError::TooLarge { .. }) => {
            return Err(failure::too_large("ignore file", &shown_path, LIMIT_BYTES));
        }
        read => read.map_err(refuse)?.unwrap_or_default(),
    };
    let text = String::from_utf8_lossy(&bytes);
    // What is malformed is told here, with the file; the patterns themselves are part of the graph.
    dockerfile::ignore::parse_ignore_file(&text).map_err(|error| {
        let mut report = Report::new(Kind::User, &error);
        let path = shown(&shown_path, options);
        report.notes.push(format!("ignore file: {path}"));
        Box::new(report)
    })?;
    Ok(Some(IgnoreFile {
        patterns: dockerfile::ignore::patterns(&text),
        size_bytes: bytes.len() as u64,
    }))
}
