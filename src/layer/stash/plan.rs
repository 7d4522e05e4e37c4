//! What is packed: the files whose bytes no pack has that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use oci::Digest;
use rootfs::{Mode, PathError, Root, RootPath};

use super::index::{StashIndex, StashObject};
use crate::change::{Attributes, Change, ChangeKind, Content, Node, NodeKind};
use crate::pack::{PackError, PackOptions, Packed, pack};
use crate::write::WriteError;

/// The most packs of a stash: each is asked for by itself.
pub const PACKS_MAX: usize = 8;

/// The mode of an entry of a pack, which says nothing of the file.
const ENTRY_MODE: Mode = Mode::new(0o644);

/// A pack that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StashPackError {
    /// A file is not what it was when it was hashed.
    #[error("pack `{}` of a cache mount", path.absolute())]
    Changed {
        /// The file.
        path: RootPath,
        /// What is wrong.
        #[source]
        source: Box<WriteError>,
    },
    /// The pack cannot be written.
    #[error(transparent)]
    Pack(PackError),
    /// A name of ours is no name.
    #[error("name the file of a pack")]
    Name(#[source] PathError),
}

/// How a tree becomes an index and packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StashPlan {
    /// The index, in which each file has the number of its pack: those that stay in their order, and then the
    /// new one.
    pub index: StashIndex,
    /// The numbers of the earlier packs that stay.
    pub kept: Vec<usize>,
    /// The files of the new pack; there is none if there are none.
    files: Vec<Packing>,
}

/// A file that is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packing {
    path: RootPath,
    size: u64,
    digest: Digest,
}

/// Plans how a tree is held: what it needs of earlier packs, and what has to be packed. `earlier` is the index of
/// those packs, and the bytes of files that each has.
pub fn plan(index: StashIndex, earlier: &StashIndex, pack_bytes: &[u64]) -> StashPlan {
    let wanted = contents(&index);
    let held = held_by(earlier, &wanted, pack_bytes.len());
    let kept = packs_that_stay(&wanted, &held, pack_bytes);
    let place = |digest: &Digest| {
        held.get(digest)
            .and_then(|pack| kept.iter().position(|kept| kept == pack))
    };
    let files = wanted
        .iter()
        .filter(|(digest, _)| place(digest).is_none())
        .map(|(digest, (path, size))| Packing {
            path: path.clone(),
            size: *size,
            digest: digest.clone(),
        });
    let mut files: Vec<_> = files.collect();
    // Files that are near each other are alike.
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let mut index = index;
    for entry in index.entries.values_mut() {
        if let StashObject::File { size, pack, digest } = &mut entry.object {
            let number = if *size == 0 {
                0
            } else {
                place(digest).unwrap_or(kept.len())
            };
            *pack = u32::try_from(number).unwrap_or(u32::MAX);
        }
    }
    StashPlan { index, kept, files }
}

/// Returns each content with its first path and its size. An empty file needs no pack.
fn contents(index: &StashIndex) -> BTreeMap<Digest, (RootPath, u64)> {
    let mut contents = BTreeMap::new();
    for (path, entry) in index.iter() {
        if let StashObject::File { size, digest, .. } = &entry.object
            && *size > 0
        {
            contents
                .entry(digest.clone())
                .or_insert_with(|| (path.clone(), *size));
        }
    }
    contents
}

/// Returns the packs of the contents that are wanted.
fn held_by(
    earlier: &StashIndex,
    wanted: &BTreeMap<Digest, (RootPath, u64)>,
    packs: usize,
) -> BTreeMap<Digest, usize> {
    let mut held = BTreeMap::new();
    for (_, entry) in earlier.iter() {
        if let StashObject::File { size, pack, digest } = &entry.object
            && let Ok(pack) = usize::try_from(*pack)
            && pack < packs
            && wanted.get(digest).is_some_and(|(_, wanted)| wanted == size)
        {
            held.insert(digest.clone(), pack);
        }
    }
    held
}

/// Returns the packs that are worth keeping: half of each is used, and they are few.
fn packs_that_stay(
    wanted: &BTreeMap<Digest, (RootPath, u64)>,
    held: &BTreeMap<Digest, usize>,
    pack_bytes: &[u64],
) -> Vec<usize> {
    let mut live = vec![0_u64; pack_bytes.len()];
    for (digest, pack) in held {
        let size = wanted.get(digest).map_or(0, |(_, size)| *size);
        live[*pack] = live[*pack].saturating_add(size);
    }
    let is_used = |pack: &usize| live[*pack] > 0 && live[*pack] >= pack_bytes[*pack].div_ceil(2);
    let mut kept: Vec<_> = (0..pack_bytes.len()).filter(is_used).collect();
    let stays: BTreeSet<_> = kept.iter().copied().collect();
    let is_complete = wanted
        .keys()
        .all(|digest| held.get(digest).is_some_and(|pack| stays.contains(pack)));
    let room = if is_complete {
        PACKS_MAX
    } else {
        PACKS_MAX - 1
    };
    if kept.len() > room {
        // The new pack takes what the smallest ones have, so that these become few and large.
        kept.sort_by_key(|pack| std::cmp::Reverse((live[*pack], *pack)));
        kept.truncate(if is_complete {
            PACKS_MAX - 1
        } else {
            PACKS_MAX / 2
        });
        kept.sort_unstable();
    }
    kept
}

impl StashPlan {
    /// Tells whether a new pack is needed.
    pub fn needs_pack(&self) -> bool {
        !self.files.is_empty()
    }

    /// Returns the bytes of the files of the new pack.
    pub fn pack_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Writes the new pack, reading the files of the tree.
    ///
    /// # Errors
    ///
    /// Fails where a file is not the one that was hashed, or the output takes no more; what was written then is of
    /// no use.
    pub fn write_pack(
        &self,
        root: &Arc<Root>,
        options: &PackOptions,
        out: &mut dyn Write,
    ) -> Result<Packed, StashPackError> {
        let changes: Result<Vec<_>, _> = (0..)
            .zip(&self.files)
            .map(|(number, file)| change(number, file, root))
            .collect();
        let changes = changes.map_err(StashPackError::Name)?;
        pack(changes.into_iter().map(Ok), options, out).map_err(|error| self.error(error))
    }

    /// Says which file it was that changed.
    fn error(&self, error: PackError) -> StashPackError {
        let PackError::Tar(WriteError::Content { path, source }) = error else {
            return StashPackError::Pack(error);
        };
        let number = path.file_name().and_then(number_of);
        match number.and_then(|number| self.files.get(number)) {
            Some(file) => StashPackError::Changed {
                path: file.path.clone(),
                source: Box::new(WriteError::Content { path, source }),
            },
            None => StashPackError::Pack(PackError::Tar(WriteError::Content { path, source })),
        }
    }
}

/// Returns the entry of a file: `NUMBER.DIGEST`, so that their order is that of the files.
fn change(number: u64, file: &Packing, root: &Arc<Root>) -> Result<Change, PathError> {
    let name = format!("{number:08}.{}", file.digest);
    Ok(Change {
        path: RootPath::root().child(name.as_bytes())?,
        kind: ChangeKind::Put(Node {
            attributes: Attributes {
                mode: ENTRY_MODE,
                ..Attributes::default()
            },
            kind: NodeKind::File {
                size: file.size,
                content: Content::File {
                    root: Arc::clone(root),
                    path: file.path.clone(),
                    expected: Some(file.digest.clone()),
                },
            },
        }),
    })
}

fn number_of(name: &[u8]) -> Option<usize> {
    let (number, _) = std::str::from_utf8(name).ok()?.split_once('.')?;
    number.parse().ok()
}

/// Returns the digest that the name of an entry says.
pub(super) fn digest_of(name: &[u8]) -> Option<Digest> {
    let (_, digest) = std::str::from_utf8(name).ok()?.split_once('.')?;
    Digest::parse(digest).ok()
}
