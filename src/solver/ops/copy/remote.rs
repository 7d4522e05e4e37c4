//! Sources of a copy that were fetched: a file, or all files of a repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{CopyAction, CopySource};
use layer::{Attributes, Content, Node, NodeKind};
use oci::Timestamp;
use rootfs::{FileTime, Mode, RootPath};

use super::collect::{Found, entry};
use super::source::SourceTree;
use crate::context::LocalDirectory;
use crate::error::StepError;
use crate::job::Workshop;
use crate::remote::FetchedFile;
use crate::result::Output;
use crate::worker::Step;

/// What a file is called whose URL has no path (BuildKit's name).
const UNNAMED: &str = "__unnamed__";

/// The mode of a file that was fetched.
const FILE_MODE: u32 = 0o600;

/// What was fetched for a copy, by the number of the input.
pub(crate) type Fetched = BTreeMap<usize, FetchedSource>;

/// One input that was fetched.
pub(crate) enum FetchedSource {
    /// A file.
    File(FetchedFileAt),
    /// All files of a directory.
    Tree(SourceTree),
}

/// A file that was fetched, with where it is.
pub(crate) struct FetchedFileAt {
    file: Arc<FetchedFile>,
    content: Content,
}

/// Returns what was fetched for a copy.
pub(crate) fn of(step: &Step<'_>, action: &CopyAction) -> Result<Fetched, StepError> {
    let mut fetched = Fetched::new();
    for source in &action.sources {
        let CopySource::Remote { input, .. } = source else {
            continue;
        };
        let found = match step.inputs.get(*input) {
            Some(Some(Output::Fetched(file))) => file_at(step.workshop, file)?,
            Some(Some(Output::Local(directory))) => tree(directory),
            _ => return Err(StepError::MissingInput { index: *input }),
        };
        fetched.insert(*input, found);
    }
    Ok(fetched)
}

fn tree(directory: &Arc<LocalDirectory>) -> FetchedSource {
    FetchedSource::Tree(SourceTree::Local(Arc::clone(directory)))
}

fn file_at(workshop: &Workshop, file: &Arc<FetchedFile>) -> Result<FetchedSource, StepError> {
    let (root, path) = file.place(workshop)?;
    Ok(FetchedSource::File(FetchedFileAt {
        file: Arc::clone(file),
        content: Content::File {
            root,
            path,
            expected: Some(file.digest.clone()),
        },
    }))
}

impl FetchedFileAt {
    /// Returns the file as a source of a copy: its owner is root, and its time that of its last change, or 1970.
    pub(crate) fn found(&self) -> Found {
        let time = self.file.last_modified.unwrap_or(Timestamp::UNIX_EPOCH);
        let attributes = Attributes {
            uid: 0,
            gid: 0,
            mode: Mode::new(FILE_MODE),
            mtime: FileTime {
                seconds: time.seconds(),
                nanos: time.nanos(),
            },
            xattrs: BTreeMap::new(),
        };
        let kind = NodeKind::File {
            size: self.file.size_bytes,
            content: self.content.clone(),
        };
        let name = self.file.file_name.as_deref().unwrap_or(UNNAMED);
        Found {
            name: name.as_bytes().to_vec(),
            entries: [entry(RootPath::root(), Node { attributes, kind })]
                .into_iter()
                .collect(),
            keeps_directories: false,
            archives: graph::Archives::Keep,
        }
    }
}
