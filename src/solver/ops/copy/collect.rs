//! The source side of a copy: which files, and what is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::pattern::{self, ParentState, PatternSet};
use graph::{Archives, CopyAction, CopySource};
use layer::{Attributes, Change, ChangeKind, ChangeList, Content, Listed, Node, NodeKind};
use oci::{Clock, Digest};
use rootfs::{Entry, FileKind, Metadata, Mode, NamedEntry, Root, RootPath, Walk};
use runtime::CancelToken;

use super::contents::{digest, hash_contents};
use super::crew;
use super::error::CopyError;
use super::file_time;
use super::filter::{Decision, Filter, text};
use super::parents::Wanted;
use super::remote::{Fetched, FetchedSource};
use super::similar::similar;
use super::source::SourceTree;
use super::wildcard;

/// How many threads look at what a walk found.
const LOOKING_THREADS: usize = 2;

/// What a copy copies.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The sources, in the order of the instruction; a wildcard gives any number.
    pub sources: Vec<Found>,
    /// The digest of all of it but times.
    pub digest: Digest,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
}

/// One source, found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The last component of its path: its name in a destination that is a directory.
    pub name: Vec<u8>,
    /// The source itself, at the empty path, and all that is below it, parents first.
    pub entries: ChangeList,
    /// What happens to it if it is an archive.
    pub archives: Archives,
    /// Whether directories that are at the destination keep their attributes (`--parents`).
    pub keeps_directories: bool,
}

impl Collected {
    /// Digests sources whose files were digested.
    pub(crate) fn new(sources: Vec<Found>) -> Result<Self, CopyError> {
        let (digest, size_bytes) = digest(&sources)?;
        Ok(Self {
            sources,
            digest,
            size_bytes,
        })
    }
}

impl Found {
    /// Tells whether the source is a directory, whose contents are copied.
    pub fn is_directory(&self) -> bool {
        let first = self.entries.first();
        first.is_some_and(|entry| is_directory(&entry.change.kind))
    }
}

/// Returns the entry of something at a path below its source.
pub(super) fn entry(tail: RootPath, node: Node) -> Listed {
    let kind = ChangeKind::Put(node);
    Change { path: tail, kind }.into()
}

fn is_directory(kind: &ChangeKind) -> bool {
    matches!(kind, ChangeKind::Put(node) if matches!(node.kind, NodeKind::Directory { .. }))
}

/// Reads what a copy copies.
pub(crate) fn collect(
    (tree, fetched): (&SourceTree, &Fetched),
    action: &CopyAction,
    clock: &Clock,
    cancel: &CancelToken,
) -> Result<Collected, CopyError> {
    let exclude = patterns(&action.exclude)?;
    let exclude = exclude.as_ref();
    let mut sources = Vec::new();
    for source in &action.sources {
        match source {
            CopySource::Inline { name, content } => {
                sources.push(inline(name, content, clock));
            }
            CopySource::Path(path) => {
                let reader = Reader {
                    tree,
                    exclude,
                    cancel,
                };
                let found = reader.read(path)?.into_iter();
                sources.extend(found.map(|found| Found {
                    archives: action.archives,
                    ..found
                }));
            }
            CopySource::Remote { input, archives } => match fetched.get(input) {
                Some(FetchedSource::File(file)) => sources.push(Found {
                    archives: *archives,
                    ..file.found()
                }),
                Some(FetchedSource::Tree(tree)) => {
                    let reader = Reader {
                        tree,
                        exclude,
                        cancel,
                    };
                    sources.extend(reader.read("/")?);
                }
                None => {}
            },
            CopySource::Parents { base, pattern } => {
                let reader = Reader {
                    tree,
                    exclude,
                    cancel,
                };
                sources.extend(reader.read_parents(base, pattern)?);
            }
        }
    }
    hash_contents(&mut sources, tree.known(), cancel)?;
    Collected::new(sources)
}

/// Reads what is at one path, whatever characters it has.
pub(crate) fn literal(
    tree: &SourceTree,
    path: &str,
    cancel: &CancelToken,
) -> Result<Collected, CopyError> {
    let reader = Reader {
        tree,
        exclude: None,
        cancel,
    };
    let mut sources = match tree.root() {
        Some(root) => vec![reader.read_one(root, path, &root_path(path)?, None)?],
        None => reader.read_nothing(path)?,
    };
    hash_contents(&mut sources, tree.known(), cancel)?;
    Collected::new(sources)
}

/// Reads a whole tree as one source, whose contents are copied.
pub(crate) fn whole(tree: &SourceTree, cancel: &CancelToken) -> Result<Found, CopyError> {
    let mut found = Reader {
        tree,
        exclude: None,
        cancel,
    }
    .read("/")?;
    hash_contents(&mut found, tree.known(), cancel)?;
    found.pop().ok_or_else(|| CopyError::NotFound {
        path: "/".to_owned(),
        place: tree.place(),
        similar: None,
    })
}

fn patterns(texts: &[String]) -> Result<Option<PatternSet>, CopyError> {
    if texts.is_empty() {
        return Ok(None);
    }
    let set = PatternSet::new(texts).map_err(|source| CopyError::Pattern {
        pattern: texts.join(" "),
        source,
    })?;
    Ok(Some(set))
}

/// A file whose text stands in the Dockerfile: mode 0644, owned by root.
fn inline(name: &str, content: &str, clock: &Clock) -> Found {
    let attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: Mode::new(0o644),
        mtime: file_time(clock),
        xattrs: BTreeMap::new(),
    };
    let kind = NodeKind::File {
        size: content.len() as u64,
        content: Content::Bytes(Arc::from(content.as_bytes())),
    };
    let entry = entry(RootPath::root(), Node { attributes, kind });
    Found {
        name: name.as_bytes().to_vec(),
        entries: [entry].into_iter().collect(),
        archives: Archives::Keep,
        keeps_directories: false,
    }
}

/// Who takes the names that a walk hands out.
type Take<'a> = dyn FnMut((NamedEntry, RootPath)) + 'a;

pub(super) struct Reader<'a> {
    pub(super) tree: &'a SourceTree,
    exclude: Option<&'a PatternSet>,
    cancel: &'a CancelToken,
}

impl Reader<'_> {
    /// Reads the sources that a path or a wildcard names.
    fn read(&self, path: &str) -> Result<Vec<Found>, CopyError> {
        let Some(root) = self.tree.root() else {
            return self.read_nothing(path);
        };
        if !CopySource::is_wildcard(path) {
            let named = root_path(&wildcard::unescaped(path))?;
            return Ok(vec![self.read_one(root, path, &named, None)?]);
        }
        let matches = self.expand(root, path)?;
        matches
            .iter()
            .map(|named| self.read_one(root, path, named, None))
            .collect()
    }

    /// Reads an empty file system: its top is there, and nothing else.
    pub(super) fn read_nothing(&self, path: &str) -> Result<Vec<Found>, CopyError> {
        if CopySource::is_wildcard(path) {
            return Ok(Vec::new());
        }
        if !root_path(path)?.is_root() {
            return Err(self.not_found(path, None));
        }
        let kind = NodeKind::Directory { opaque: false };
        let node = Node {
            attributes: Attributes::default(),
            kind,
        };
        Ok(vec![Found {
            name: Vec::new(),
            entries: [entry(RootPath::root(), node)].into_iter().collect(),
            archives: Archives::Keep,
            keeps_directories: false,
        }])
    }

    pub(super) fn read_one(
        &self,
        root: &Arc<Root>,
        shown: &str,
        named: &RootPath,
        wanted: Option<&mut Wanted>,
    ) -> Result<Found, CopyError> {
        // Links in the path of a source are followed, links inside a source are not.
        let real = root.resolve(named)?;
        let Some(metadata) = root.metadata(&real)? else {
            return Err(self.not_found(shown, similar(root, &real)));
        };
        let is_directory = metadata.kind == FileKind::Directory;
        let ignored = || CopyError::Ignored {
            path: shown.to_owned(),
            place: self.tree.place(),
        };
        if !real.is_root() && !self.sees(&real, is_directory) {
            return Err(ignored());
        }
        let mut entries = ChangeList::default();
        if is_directory {
            let filter = Filter::new(self.tree.ignore(), self.exclude, &real).only(wanted);
            self.read_directory((root, &real), filter, &mut entries)?;
        } else {
            let entry = root.entry(&real)?;
            entries.extend(self.entry(root, &entry, RootPath::root())?);
        }
        // A directory that is ignored is there only for what a later pattern brings back below it.
        if entries.len() == 1 && !real.is_root() && self.hides(&real) {
            return Err(ignored());
        }
        let name = named.file_name().unwrap_or_default().to_vec();
        let archives = Archives::Keep;
        Ok(Found {
            name,
            entries,
            archives,
            keeps_directories: false,
        })
    }

    /// Reads a directory and what the filter takes below it.
    fn read_directory(
        &self,
        (root, real): (&Arc<Root>, &RootPath),
        mut filter: Filter<'_>,
        entries: &mut ChangeList,
    ) -> Result<(), CopyError> {
        let top = root.entry(real)?;
        entries.extend(self.entry(root, &top, RootPath::root())?);
        let mut walk = root.walk_below(real)?;
        let walked = |take: &mut Take<'_>| self.walk(&mut walk, (real, &mut filter), take);
        let look = |(named, tail): (NamedEntry, RootPath)| self.entry(root, &named.look()?, tail);
        let keep = |found: Option<Listed>| entries.extend(found);
        crew::in_order(LOOKING_THREADS, walked, look, keep)
    }

    /// Hands out the names that the filter takes below a directory, in order.
    fn walk(
        &self,
        walk: &mut Walk,
        (real, filter): (&RootPath, &mut Filter<'_>),
        take: &mut Take<'_>,
    ) -> Result<(), CopyError> {
        let mut held_back: Vec<(NamedEntry, RootPath)> = Vec::new();
        while let Some(named) = walk.next_name()? {
            check(self.cancel)?;
            let tail = named.path.strip_prefix(real).unwrap_or_else(RootPath::root);
            let is_directory = named.is_directory();
            held_back.retain(|(_, parent)| tail.starts_with(parent));
            match filter.decide(&named.path, &tail, is_directory) {
                Decision::Take => {
                    held_back.drain(..).for_each(&mut *take);
                    take((named, tail));
                }
                // A later pattern may bring back something below it, and then it is needed.
                Decision::Maybe => held_back.push((named, tail)),
                Decision::Leave => {
                    if is_directory {
                        walk.skip_directory();
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads one entry; none for a socket, which no layer can hold.
    fn entry(
        &self,
        root: &Arc<Root>,
        entry: &Entry,
        tail: RootPath,
    ) -> Result<Option<Listed>, CopyError> {
        let node = match self.tree {
            SourceTree::Stage(view) => layer::stored_node(root, entry, view.owners())?,
            SourceTree::Local(directory) => match &directory.owners {
                Some(owners) => layer::stored_node(root, entry, owners)?,
                None => match self.known(entry) {
                    Some(digest) => Some(layer::known_file(root, entry, digest)),
                    None => layer::local_node(root, entry)?,
                },
            },
            SourceTree::Empty => layer::local_node(root, entry)?,
        };
        let Metadata {
            kind,
            nlink,
            dev,
            ino,
            ..
        } = entry.metadata;
        let has_names = kind == FileKind::File && nlink > 1;
        Ok(node.map(|node| Listed {
            inode: has_names.then_some((dev, ino)),
            ..self::entry(tail, node)
        }))
    }

    /// Returns the digest of a file that an earlier build read, if it has not changed since.
    fn known(&self, entry: &Entry) -> Option<Digest> {
        self.tree.known()?.digest_of(&entry.metadata)
    }

    /// Tells whether the ignore file matches a path.
    fn hides(&self, path: &RootPath) -> bool {
        self.tree
            .ignore()
            .is_some_and(|ignore| ignore.matches(&text(path)))
    }

    /// Tells whether a path that the instruction names is one that the build sees.
    fn sees(&self, path: &RootPath, is_directory: bool) -> bool {
        let Some(ignore) = self.tree.ignore() else {
            return true;
        };
        let (matches, state) = ignore.match_with_parent(&text(path), &ParentState::default());
        !matches || (is_directory && ignore.may_take_back_below(&state))
    }

    /// Returns the paths that a wildcard matches, sorted; what matches is not searched further.
    pub(super) fn expand(&self, root: &Arc<Root>, named: &str) -> Result<Vec<RootPath>, CopyError> {
        let (prefix, wildcard) = wildcard::split(named);
        let base = root.resolve(&root_path(&wildcard::unescaped(&prefix))?)?;
        let is_directory = |found: Metadata| found.kind == FileKind::Directory;
        if !root.metadata(&base)?.is_some_and(is_directory) {
            return Ok(Vec::new());
        }
        let depth = wildcard.matches('/').count();
        let mut found = Vec::new();
        let mut walk = root.walk_below(&base)?;
        while let Some(entry) = walk.next() {
            check(self.cancel)?;
            let entry = entry?;
            let tail = entry
                .path
                .strip_prefix(&base)
                .unwrap_or_else(RootPath::root);
            let matches = pattern::glob_match(&wildcard, &text(&tail)).map_err(|source| {
                CopyError::Wildcard {
                    pattern: named.to_owned(),
                    source,
                }
            })?;
            let is_directory = entry.metadata.kind == FileKind::Directory;
            if is_directory && (matches || tail.components().count() > depth) {
                walk.skip_directory();
            }
            if matches && self.sees(&entry.path, is_directory) {
                found.push(entry.path);
            }
        }
        Ok(found)
    }

    pub(super) fn not_found(&self, path: &str, similar: Option<String>) -> CopyError {
        CopyError::NotFound {
            path: path.to_owned(),
            place: self.tree.place(),
            similar,
        }
    }
}

pub(super) fn root_path(path: &str) -> Result<RootPath, CopyError> {
    RootPath::lexical(path).map_err(|source| CopyError::Path {
        path: path.to_owned(),
        source,
    })
}

/// Fails when the job was cancelled.
pub(super) fn check(cancel: &CancelToken) -> Result<(), CopyError> {
    if cancel.is_cancelled() {
        return Err(CopyError::Cancelled);
    }
    Ok(())
}
