//! What is fetched before a graph exists: contexts, the Dockerfile, and what `SOURCE_DATE_EPOCH` names.

use std::io::Read as _;

use dockerfile::giturl::GitUrl;
use graph::{GitSource, HttpSource};
use oci::Timestamp;
use rootfs::{FileTime, RootPath};
use solver::Workshop;
use solver::context::{HeldDirectory, UnpackError};
use solver::event::StepId;
use solver::remote::{Checkout, FetchedFile, RemoteError, fetch_git, fetch_http};

use super::super::failure;
use super::context::{MainContext, Tree, of_unpack};
use super::source::LIMIT_BYTES;
use crate::options::context::without_password;
use crate::report::Report;

/// What a file is called that is all of a context.
const FILE_NAME: &str = "context";

/// Fetches a repository.
///
/// # Errors
///
/// Fails when it cannot be fetched, or does not have what the URL means.
pub(crate) fn git(
    url: &GitUrl,
    keep_git_dir: bool,
    workshop: &Workshop,
) -> Result<Tree, Box<Report>> {
    let mut source = url.source();
    source.keep_git_dir |= keep_git_dir;
    let checkout = fetch_repository(&source, workshop)?;
    let held = HeldDirectory::kept(checkout.root, &without_password(&source.remote));
    Ok(Tree::of_files(held).at(Some(checkout.commit_time)))
}

/// Fetches a file: an archive is a context, anything else the only file of one, and maybe its Dockerfile.
///
/// # Errors
///
/// Fails when it cannot be fetched or unpacked.
pub(crate) fn http(url: &str, workshop: &Workshop) -> Result<MainContext, Box<Report>> {
    let fetched = fetch(url, workshop)?;
    let shown = without_password(url);
    if is_archive(&fetched, &shown, workshop)? {
        let tree = unpacked(&fetched, &shown, workshop)?;
        return Ok(MainContext {
            tree: tree.at(fetched.last_modified),
            dockerfile: None,
        });
    }
    let file = open(&fetched, workshop)?;
    let time = fetched.last_modified.unwrap_or(Timestamp::UNIX_EPOCH);
    let mtime = FileTime {
        seconds: time.seconds(),
        nanos: time.nanos(),
    };
    let name = RootPath::strict(FILE_NAME).expect("the name is one component");
    let held = HeldDirectory::with_file(workshop, &name, (&file, mtime), &shown);
    let held = held.map_err(|error| of_unpack(&error))?;
    Ok(MainContext {
        tree: Tree::of_files(held).at(fetched.last_modified),
        dockerfile: Some(read(&fetched, &shown, workshop)?),
    })
}

/// Fetches a Dockerfile; one that is too large is cut off behind its limit.
///
/// # Errors
///
/// Fails when it cannot be fetched.
pub(crate) fn dockerfile(url: &str, workshop: &Workshop) -> Result<Vec<u8>, Box<Report>> {
    let fetched = fetch(url, workshop)?;
    read(&fetched, &without_password(url), workshop)
}

/// Returns the time of a file of a server: what the server says, or else that of the newest file if it is an archive.
///
/// # Errors
///
/// Fails when it cannot be fetched, is another file, or is a damaged archive.
pub(crate) fn http_time(
    source: &HttpSource,
    workshop: &Workshop,
) -> Result<Option<Timestamp>, Box<Report>> {
    let fetched = fetch_file(source, workshop)?;
    let shown = without_password(&source.url);
    if fetched.last_modified.is_some() || !is_archive(&fetched, &shown, workshop)? {
        return Ok(fetched.last_modified);
    }
    unpacked(&fetched, &shown, workshop)?.time()
}

/// Returns the time of a commit.
///
/// # Errors
///
/// Fails when the repository cannot be fetched, or the commit is another one.
pub(crate) fn git_time(
    source: &GitSource,
    workshop: &Workshop,
) -> Result<Option<Timestamp>, Box<Report>> {
    let checkout = fetch_repository(source, workshop)?;
    Ok(Some(checkout.commit_time))
}

fn fetch_repository(source: &GitSource, workshop: &Workshop) -> Result<Checkout, Box<Report>> {
    let name = format!(
        "[internal] load git source {}",
        without_password(&source.remote)
    );
    shown_as_step(&name, workshop, || fetch_git(workshop, source))
}

fn fetch(url: &str, workshop: &Workshop) -> Result<FetchedFile, Box<Report>> {
    let source = HttpSource {
        url: url.to_owned(),
        checksum: None,
    };
    fetch_file(&source, workshop)
}

fn fetch_file(source: &HttpSource, workshop: &Workshop) -> Result<FetchedFile, Box<Report>> {
    let name = format!("[internal] load {}", without_password(&source.url));
    shown_as_step(&name, workshop, || fetch_http(workshop, source))
}

/// Shows what takes long as a step of its own: there is no graph yet that it could be a part of.
fn shown_as_step<T>(
    name: &str,
    workshop: &Workshop,
    fetch: impl FnOnce() -> Result<T, RemoteError>,
) -> Result<T, Box<Report>> {
    let step = StepId(name.to_owned());
    let fetched = workshop.events.show((&step, name), fetch);
    fetched.map_err(|error| of_remote(&error))
}

fn open(fetched: &FetchedFile, workshop: &Workshop) -> Result<rootfs::File, Box<Report>> {
    fetched.open(workshop).map_err(|error| of_remote(&error))
}

fn is_archive(
    fetched: &FetchedFile,
    shown: &str,
    workshop: &Workshop,
) -> Result<bool, Box<Report>> {
    let file = open(fetched, workshop)?;
    layer::is_archive(&file).map_err(|error| unreadable(shown, error))
}

fn unpacked(fetched: &FetchedFile, shown: &str, workshop: &Workshop) -> Result<Tree, Box<Report>> {
    let (root, path) = fetched.place(workshop).map_err(|error| of_remote(&error))?;
    let held = HeldDirectory::of_archive(workshop, (&root, &path), &fetched.digest, shown);
    held.map(Tree::of_archive)
        .map_err(|error| of_unpack(&error))
}

fn read(fetched: &FetchedFile, shown: &str, workshop: &Workshop) -> Result<Vec<u8>, Box<Report>> {
    let mut bytes = Vec::new();
    let file = open(fetched, workshop)?;
    let read = file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(shown, error))?;
    Ok(bytes)
}

fn unreadable(shown: &str, source: std::io::Error) -> Box<Report> {
    of_unpack(&UnpackError::Read {
        shown: shown.to_owned(),
        source,
    })
}

fn of_remote(error: &RemoteError) -> Box<Report> {
    Box::new(failure::remote::of(error))
}
