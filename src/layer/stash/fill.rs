//! An index and its packs → a directory.
//!
//! Both come from outside. Everything is put where the index says, below directories that it made itself, and
//! what a pack has counts only if it hashes to its name.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use oci::{Digest, Hasher};
use rootfs::{File, FsError, IdStorage, OwnerTable, Root, RootPath};

use super::index::{StashEntry, StashIndex, StashObject};
use super::plan::digest_of;
use crate::limits::{Limits, STASH_BYTES_MAX, STASH_ENTRIES_MAX};
use crate::placer::{Linked, Placer};
use crate::tarread::{EntryKind, TarEntry, TarError, TarReader};

/// How much larger than the bytes of its files a pack may be: names, padding and headers.
const OVERHEAD_FACTOR: u64 = 4;

/// A stash that cannot become a directory.
#[derive(Debug, thiserror::Error)]
pub enum StashFillError {
    /// A pack cannot be read.
    #[error("read a pack of a cache mount")]
    Archive(#[source] TarError),
    /// A pack has something else than files that are named by their digests.
    #[error("a pack of a cache mount has the entry `{}`", name.escape_ascii())]
    Entry {
        /// Its name.
        name: Vec<u8>,
    },
    /// A file of a pack is another one than it is called.
    #[error("a pack of a cache mount has a file that is not `{expected}`")]
    Digest {
        /// What it is called.
        expected: Digest,
    },
    /// A file is in no pack.
    #[error("no pack of a cache mount has the file `{}`", path.absolute())]
    Missing {
        /// The file.
        path: RootPath,
    },
    /// An object cannot be made.
    #[error("write `{}` of a cache mount", path.absolute())]
    Write {
        /// The object.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
}

/// Fills an empty directory of its own with what an index says. What is in it before [`Self::finish`] is of no use.
#[derive(Debug)]
pub struct StashFiller<'a> {
    target: &'a Root,
    placer: Placer<'a>,
    index: &'a StashIndex,
    /// The files that are to come, by their contents.
    missing: BTreeMap<&'a Digest, Vec<&'a RootPath>>,
}

impl<'a> StashFiller<'a> {
    /// Makes the directories, and the files that have no bytes.
    ///
    /// # Errors
    ///
    /// Fails where one cannot be made.
    pub fn start(
        index: &'a StashIndex,
        target: &'a Root,
        ids: IdStorage,
    ) -> Result<Self, StashFillError> {
        let mut filler = Self {
            target,
            placer: Placer::new(target, ids),
            index,
            missing: BTreeMap::new(),
        };
        for (path, entry) in index.iter() {
            filler.begin(path, entry).map_err(at(path))?;
        }
        Ok(filler)
    }

    fn begin(&mut self, path: &'a RootPath, entry: &'a StashEntry) -> Result<(), FsError> {
        let attributes = &entry.attributes;
        match &entry.object {
            StashObject::Directory => self.placer.directory(path, attributes, false),
            StashObject::File { size: 0, .. } => self.placer.file(path, attributes, |_| Ok(())),
            StashObject::File { digest, .. } => {
                self.missing.entry(digest).or_default().push(path);
                Ok(())
            }
            StashObject::Symlink { .. } | StashObject::HardLink { .. } | StashObject::Fifo => {
                Ok(())
            }
        }
    }

    /// Tells whether a pack has something that is missing.
    pub fn needs(&self, pack: u32) -> bool {
        let is_in = |path: &&RootPath| {
            let object = self.index.get(path).map(|entry| &entry.object);
            matches!(object, Some(StashObject::File { pack: number, .. }) if *number == pack)
        };
        self.missing.values().flatten().any(is_in)
    }

    /// Takes what is missing from a pack, an uncompressed tar that is not trusted. It is read to its end.
    ///
    /// # Errors
    ///
    /// Fails where it is no pack, a file in it is not what it is called, or a file cannot be written.
    pub fn pack(&mut self, tar: &mut dyn Read) -> Result<(), StashFillError> {
        let limits = Limits {
            entries: STASH_ENTRIES_MAX,
            unpacked_bytes: STASH_BYTES_MAX,
            stream_bytes: STASH_BYTES_MAX.saturating_mul(OVERHEAD_FACTOR),
        };
        let mut reader = TarReader::new(tar, limits);
        while let Some(entry) = reader.next_entry().map_err(StashFillError::Archive)? {
            let digest = digest_of(&entry.name).filter(|_| is_plain(&entry));
            let digest = digest.ok_or_else(|| StashFillError::Entry {
                name: entry.name.clone(),
            })?;
            if let Some(paths) = self.missing.remove(&digest) {
                self.check_size(&entry, &digest, &paths)?;
                self.files(&mut reader, &entry, (&digest, &paths))?;
            }
        }
        Ok(())
    }

    /// The bounds were checked for the sizes that the index says.
    fn check_size(
        &self,
        entry: &TarEntry,
        digest: &Digest,
        paths: &[&RootPath],
    ) -> Result<(), StashFillError> {
        let has_size = |path: &&RootPath| {
            let object = self.index.get(path).map(|entry| &entry.object);
            matches!(object, Some(StashObject::File { size, .. }) if *size == entry.size)
        };
        if paths.iter().all(has_size) {
            return Ok(());
        }
        Err(StashFillError::Digest {
            expected: digest.clone(),
        })
    }

    /// Writes all files of one content: the first one from the pack, the others from the first one.
    fn files(
        &mut self,
        reader: &mut TarReader<BufReader<&mut dyn Read>>,
        entry: &TarEntry,
        (digest, paths): (&Digest, &[&RootPath]),
    ) -> Result<(), StashFillError> {
        let Some((first, others)) = paths.split_first() else {
            return Ok(());
        };
        let write = |file: &File| extract(reader, entry, (digest, first), file);
        self.file(first, write)?;
        for path in others {
            let target = self.target;
            self.file(path, |file| {
                let from = target.open_file_nofollow(first).map_err(at(first))?;
                rootfs::copy_contents(&from, file)
                    .map(drop)
                    .map_err(at(path))
            })?;
        }
        Ok(())
    }

    /// Puts one file, whose bytes `fill` writes.
    fn file(
        &mut self,
        path: &RootPath,
        fill: impl FnOnce(&File) -> Result<(), StashFillError>,
    ) -> Result<(), StashFillError> {
        let Some(entry) = self.index.get(path) else {
            return Ok(());
        };
        let mut failed = None;
        let put = self.placer.file(path, &entry.attributes, |file| {
            // The placer's error is that of the file system alone.
            failed = fill(file).err();
            Ok(())
        });
        put.map_err(at(path))?;
        failed.map_or(Ok(()), Err)
    }

    /// Makes the links, and sets the times of directories. Returns the owners to be kept beside the directory (none but
    /// for [`IdStorage::Recorded`]).
    ///
    /// # Errors
    ///
    /// Fails where no pack had a file, or something cannot be made.
    pub fn finish(mut self) -> Result<OwnerTable, StashFillError> {
        if let Some(path) = self.missing.values().flatten().next() {
            return Err(StashFillError::Missing {
                path: (*path).clone(),
            });
        }
        for (path, entry) in self.index.iter() {
            self.complete(path, entry)?;
        }
        let placed = self.placer.finish().map_err(at(&RootPath::root()))?;
        Ok(placed.owners.into_table())
    }

    fn complete(&mut self, path: &RootPath, entry: &StashEntry) -> Result<(), StashFillError> {
        let attributes = &entry.attributes;
        match &entry.object {
            StashObject::Directory | StashObject::File { .. } => Ok(()),
            StashObject::Symlink { target } => {
                let put = self.placer.symlink(path, attributes, target);
                put.map_err(at(path))
            }
            StashObject::Fifo => self.placer.fifo(path, attributes).map_err(at(path)),
            StashObject::HardLink { target } => {
                match self.placer.hard_link(path, target).map_err(at(path))? {
                    Linked::Here => Ok(()),
                    Linked::TargetMissing { .. } | Linked::TargetHidden => {
                        Err(StashFillError::Missing {
                            path: target.clone(),
                        })
                    }
                }
            }
        }
    }
}

fn at(path: &RootPath) -> impl Fn(FsError) -> StashFillError + use<> {
    let path = path.clone();
    move |source| StashFillError::Write {
        path: path.clone(),
        source,
    }
}

/// Tells whether an entry can be one of a pack.
fn is_plain(entry: &TarEntry) -> bool {
    entry.kind == EntryKind::File && entry.is_dense()
}

/// Writes the data of an entry into a file, and compares it with its name.
fn extract(
    reader: &mut TarReader<BufReader<&mut dyn Read>>,
    entry: &TarEntry,
    (digest, path): (&Digest, &RootPath),
    file: &File,
) -> Result<(), StashFillError> {
    let mut hasher = Hasher::with_algorithm(digest.algorithm());
    let mut left = entry.size;
    while left > 0 {
        let chunk = reader.data(left).map_err(StashFillError::Archive)?;
        hasher.update(chunk);
        rootfs::write_all(file, chunk).map_err(at(path))?;
        let count = chunk.len();
        reader.consume(count).map_err(StashFillError::Archive)?;
        left -= count as u64;
    }
    if hasher.finish() == *digest {
        return Ok(());
    }
    Err(StashFillError::Digest {
        expected: digest.clone(),
    })
}
