//! What is to be copied: documents in their order, and each blob once.

use std::collections::BTreeSet;

use oci::check::{self, is_image_config};
use oci::descriptor;
use oci::limits::{CONFIG_MAX_BYTES, INDEX_MAX_DEPTH};
use oci::{Descriptor, Digest};

use super::select::Reader;
use super::watched::Promised;
use super::{Convert, CopyError, CopyOptions, LeftOut, Referrers, Selection, convert, parallel};
use crate::limits::{DOCUMENTS_MAX, DOCUMENTS_MAX_BYTES, REFERRERS_MAX_DEPTH};
use crate::place::{Document, Source};

/// What is to be copied.
#[derive(Debug)]
pub(super) struct Plan {
    /// Each blob once, in the order of the documents.
    pub(super) blobs: Vec<Descriptor>,
    /// The documents but the root: those of a list need those of the lists before it.
    pub(super) levels: Vec<Vec<Document>>,
    /// What the source's name leads to.
    pub(super) named: Descriptor,
    /// What the target's name is to lead to.
    pub(super) root: Document,
    /// What the other flavour has no place for.
    pub(super) left_out: LeftOut,
    /// What the images have to be that were chosen by their platforms.
    pub(super) promised: Promised,
}

/// Reads the documents that are selected.
pub(super) fn make(source: &dyn Source, options: &CopyOptions<'_>) -> Result<Plan, CopyError> {
    let reader = Reader {
        source,
        stop: &options.stop,
    };
    let root = reader.root()?;
    let named = root.descriptor.clone();
    let root = match &options.selection {
        Selection::All => root,
        Selection::System(platform) => reader.system(root, platform)?,
        Selection::One(platform) => reader.one(root, platform)?,
        Selection::Platforms(platforms) => reader.filtered(root, platforms)?,
        Selection::IndexOnly => return index_only(&reader, root, options.convert),
    };
    let mut tree = Tree::new(&reader, options.jobs);
    tree.below(&root)?;
    if options.referrers == Referrers::Copied {
        tree.referrers(&root)?;
    }
    let promised = match options.selection {
        // Whoever wants everything gets it as it is.
        Selection::All => Promised::new(),
        _ => promised(&reader, tree.levels.iter().flatten().chain([&root]))?,
    };
    let (levels, root, left_out) = match options.convert {
        Convert::Keep => (tree.levels, root, LeftOut::default()),
        Convert::To(flavour) => {
            let converted = convert::convert(&reader, tree.levels, root, flavour)?;
            (converted.levels, converted.root, converted.left_out)
        }
    };
    Ok(Plan {
        blobs: blobs(&reader, &levels, &root)?,
        named,
        levels,
        root,
        left_out,
        promised,
    })
}

/// Returns for which platforms the images among these documents are said to be.
fn promised<'d>(
    reader: &Reader<'_>,
    documents: impl Iterator<Item = &'d Document>,
) -> Result<Promised, CopyError> {
    let mut promised = Promised::new();
    for document in documents {
        let Some(platform) = descriptor::platform_of(&document.descriptor) else {
            continue;
        };
        if check::is_index(&document.bytes) || check::is_attestation(&document.descriptor) {
            continue;
        }
        let config = reader.manifest(document)?.config().clone();
        if is_image_config(&config) && config.size() <= CONFIG_MAX_BYTES {
            promised.insert(config.digest().to_string(), platform);
        }
    }
    Ok(promised)
}

/// Copies an index and nothing that it names.
fn index_only(reader: &Reader<'_>, root: Document, convert: Convert) -> Result<Plan, CopyError> {
    if !check::is_index(&root.bytes) {
        return Err(CopyError::NoIndex {
            shown: reader.shown(),
        });
    }
    let named = root.descriptor.clone();
    let (root, left_out) = match convert {
        Convert::Keep => (root, LeftOut::default()),
        Convert::To(flavour) => {
            let converted = convert::convert(reader, Vec::new(), root, flavour)?;
            (converted.root, converted.left_out)
        }
    };
    Ok(Plan {
        blobs: Vec::new(),
        levels: Vec::new(),
        named,
        root,
        left_out,
        promised: Promised::new(),
    })
}

/// The documents below a root, each once.
struct Tree<'a> {
    reader: &'a Reader<'a>,
    jobs: usize,
    seen: BTreeSet<String>,
    bytes: u64,
    /// The deepest first.
    levels: Vec<Vec<Document>>,
}

impl<'a> Tree<'a> {
    fn new(reader: &'a Reader<'a>, jobs: usize) -> Self {
        Self {
            reader,
            jobs,
            seen: BTreeSet::new(),
            bytes: 0,
            levels: Vec::new(),
        }
    }

    /// Reads what an index names, and what that names.
    fn below(&mut self, root: &Document) -> Result<(), CopyError> {
        let mut level = self.read_level(&self.reader.entries(root)?)?;
        let mut levels = Vec::new();
        let mut depth = 0;
        while !level.is_empty() {
            depth += 1;
            if depth > INDEX_MAX_DEPTH {
                return Err(CopyError::TooDeep {
                    shown: self.reader.shown(),
                });
            }
            let entries = level.iter().map(|document| self.reader.entries(document));
            let entries = entries.collect::<Result<Vec<_>, _>>()?.concat();
            levels.push(level);
            level = self.read_level(&entries)?;
        }
        levels.reverse();
        self.levels.extend(levels);
        Ok(())
    }

    /// Reads the documents that were not read yet, several at a time.
    fn read_level(&mut self, entries: &[Descriptor]) -> Result<Vec<Document>, CopyError> {
        let mut new = Vec::new();
        for entry in entries {
            if self.seen.insert(entry.digest().to_string()) {
                self.bytes = self.bytes.saturating_add(entry.size());
                new.push(entry.clone());
            }
        }
        if self.seen.len() > DOCUMENTS_MAX || self.bytes > DOCUMENTS_MAX_BYTES {
            return Err(CopyError::TooLarge {
                shown: self.reader.shown(),
            });
        }
        parallel::map(&new, self.jobs, |entry| self.reader.document(entry))
    }

    /// Reads what refers to the root or to what is below it, and what refers to that.
    fn referrers(&mut self, root: &Document) -> Result<(), CopyError> {
        let mut subjects = vec![self.reader.digest(&root.descriptor)?];
        for document in self.levels.iter().flatten() {
            subjects.push(self.reader.digest(&document.descriptor)?);
        }
        for _ in 0..REFERRERS_MAX_DEPTH {
            let mut entries = Vec::new();
            for subject in &subjects {
                entries.extend(self.reader.referrers(subject)?);
            }
            let level = self.read_level(&entries)?;
            if level.is_empty() {
                break;
            }
            let digests = level
                .iter()
                .map(|document| self.reader.digest(&document.descriptor));
            subjects = digests.collect::<Result<_, _>>()?;
            for document in &level {
                self.below(document)?;
            }
            self.levels.push(level);
        }
        Ok(())
    }
}

/// Lists the blobs of all manifests, each once.
fn blobs(
    reader: &Reader<'_>,
    levels: &[Vec<Document>],
    root: &Document,
) -> Result<Vec<Descriptor>, CopyError> {
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    let mut blobs = Vec::new();
    for document in levels.iter().flatten().chain([root]) {
        if check::is_index(&document.bytes) {
            continue;
        }
        let manifest = reader.manifest(document)?;
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            if seen.insert(reader.digest(blob)?) {
                blobs.push(blob.clone());
            }
        }
    }
    Ok(blobs)
}
