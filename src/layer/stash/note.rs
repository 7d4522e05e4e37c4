//! What files hashed to when they were last looked at, so that they are not read again.
//!
//! A file is known by its inode, its size, and the times of its last modification and change. The last of these
//! cannot be set back, but it is as coarse as the clock of the kernel: a file that changed shortly before it was
//! looked at may change again and keep its time. So such a file is not remembered.
//!
//! The text has one line for each file: `PATH INODE SIZE MTIME CTIME DIGEST`, with tabs between.

use std::collections::BTreeMap;
use std::fmt;

use oci::Digest;
use rootfs::{FileTime, Metadata, Root, RootPath};

use super::index::{StashIndex, StashObject};
use super::text;

/// How long ago, in seconds, a file must have changed to be known by its times: more than the coarsest clock of
/// a file system, which is that of FAT.
const SETTLED_SECONDS: i64 = 3;

/// What tells whether a file is the one that was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    size: u64,
    mtime: FileTime,
    ctime: FileTime,
}

impl From<&Metadata> for Seen {
    fn from(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino,
            size: metadata.size,
            mtime: metadata.mtime,
            ctime: metadata.ctime,
        }
    }
}

/// What files hashed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StashNote {
    files: BTreeMap<RootPath, (Seen, Digest)>,
}

impl StashNote {
    /// Notes the files of a tree that was made of an index just now, where `now` is the time after which others
    /// may change it.
    pub fn of_filled(root: &Root, index: &StashIndex, now: FileTime) -> Self {
        let mut note = Self::default();
        for (path, entry) in index.iter() {
            if let StashObject::File { digest, .. } = &entry.object
                && let Ok(Some(metadata)) = root.metadata(path)
            {
                note.insert(path, &metadata, digest, now);
            }
        }
        note
    }

    /// Returns what a file hashed to, if it is still that file.
    pub(super) fn find(&self, path: &RootPath, metadata: &Metadata) -> Option<&Digest> {
        let (seen, digest) = self.files.get(path)?;
        (*seen == Seen::from(metadata)).then_some(digest)
    }

    /// Remembers a file, if any later change of it will show.
    pub(super) fn insert(
        &mut self,
        path: &RootPath,
        metadata: &Metadata,
        digest: &Digest,
        now: FileTime,
    ) {
        if metadata.ctime.seconds.saturating_add(SETTLED_SECONDS) < now.seconds {
            self.files
                .insert(path.clone(), (Seen::from(metadata), digest.clone()));
        }
    }

    /// Takes over what another note knows of a file.
    pub(super) fn keep(&mut self, path: &RootPath, metadata: &Metadata, digest: &Digest) {
        self.files
            .insert(path.clone(), (Seen::from(metadata), digest.clone()));
    }

    /// Reads the text of a note. A line that is none is left out: its file is hashed again.
    pub fn parse(text: &str) -> Self {
        Self {
            files: text.lines().filter_map(parse).collect(),
        }
    }
}

impl fmt::Display for StashNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|(path, (seen, digest))| {
            let Seen { inode, size, .. } = seen;
            let (mtime, ctime) = (text::time(seen.mtime), text::time(seen.ctime));
            writeln!(f, "{path}\t{inode}\t{size}\t{mtime}\t{ctime}\t{digest}")
        })
    }
}

fn parse(line: &str) -> Option<(RootPath, (Seen, Digest))> {
    let mut fields = line.split('\t');
    let path = text::parse_path(fields.next()?)?;
    let seen = Seen {
        inode: fields.next()?.parse().ok()?,
        size: fields.next()?.parse().ok()?,
        mtime: text::parse_time(fields.next()?)?,
        ctime: text::parse_time(fields.next()?)?,
    };
    let digest = Digest::parse(fields.next()?).ok()?;
    fields.next().is_none().then_some((path, (seen, digest)))
}
