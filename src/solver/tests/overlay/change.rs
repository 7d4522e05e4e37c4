//! Random changes of a tree, as the calls that a command makes.

use std::io::{Seek as _, SeekFrom, Write as _};

use proptest::prelude::*;
use rootfs::{FileKind, FileTime, FsError, IdStorage, Mode, Root, RootPath};

/// One change. Where it cannot be made, as a file cannot be made in a file, nothing changes.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A new object takes the place of whatever is there.
    Make(Kind),
    /// A file that is there gets other bytes, under all its names.
    Rewrite(u8, usize),
    /// What is there, if it is no directory, gets another name.
    Link(&'static str),
    /// What is there goes to another place.
    Rename(&'static str),
    /// What is there goes, with everything below it.
    Remove,
    Mode(u32),
    Owner(u32, u32),
    Time(FileTime),
    Attribute(&'static str, Vec<u8>),
    NoAttribute(&'static str),
}

/// What a new object is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Directory,
    /// Of so many bytes, all alike.
    File(u8, usize),
    /// Bytes at some places, and holes between and behind them.
    Sparse(Vec<(u64, u8)>, u64),
    Symlink(Vec<u8>),
    Fifo,
}

/// A change, and where.
pub(crate) type Change = (&'static str, Step);

/// The places: few, so that changes meet.
fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "b/a/a", "a/a/a/a",
    ])
}

/// Where second names and what is moved go, beside the other places.
fn other() -> impl Strategy<Value = &'static str> {
    let apart = prop::sample::select(vec!["l", "m", "a/l", "b/l", "a/a/l"]);
    prop_oneof![3 => apart, 1 => path()]
}

fn kind() -> impl Strategy<Value = Kind> {
    let region = (0..40_u64, any::<u8>());
    prop_oneof![
        6 => Just(Kind::Directory),
        5 => (any::<u8>(), 0..3000_usize).prop_map(|(byte, count)| Kind::File(byte, count)),
        3 => (prop::collection::vec(region, 0..4), 0..200_000_u64)
            .prop_map(|(regions, size)| Kind::Sparse(regions, size)),
        2 => prop::sample::select(vec!["a", "b/a", "../c", "nowhere"])
            .prop_map(|target| Kind::Symlink(target.as_bytes().to_vec())),
        1 => Just(Kind::Fifo),
    ]
}

fn time() -> impl Strategy<Value = FileTime> {
    (-1000..4_000_000_000_i64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| FileTime { seconds, nanos })
}

fn step() -> impl Strategy<Value = Step> {
    let attribute = || prop::sample::select(vec!["user.a", "user.b"]);
    let value = prop::collection::vec(any::<u8>(), 0..6);
    let owner = || prop::sample::select(vec![0_u32, 1, 1000, 65534]);
    prop_oneof![
        10 => kind().prop_map(Step::Make),
        3 => (any::<u8>(), 0..500_usize).prop_map(|(byte, count)| Step::Rewrite(byte, count)),
        6 => other().prop_map(Step::Link),
        3 => other().prop_map(Step::Rename),
        5 => Just(Step::Remove),
        2 => (0..0o10000_u32).prop_map(Step::Mode),
        2 => (owner(), owner()).prop_map(|(uid, gid)| Step::Owner(uid, gid)),
        2 => time().prop_map(Step::Time),
        4 => (attribute(), value).prop_map(|(name, value)| Step::Attribute(name, value)),
        1 => attribute().prop_map(Step::NoAttribute),
    ]
}

/// Some changes, one after the other: at most so many.
pub(crate) fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    let place = prop_oneof![4 => path(), 1 => other()];
    prop::collection::vec((place, step()), most / 2..most)
}

/// Makes changes in a tree; `ids` is how the owners in it are held.
pub(crate) fn make(tree: &Root, changes: &[Change], ids: IdStorage) {
    for (path, step) in changes {
        // One that cannot be made is none: what the tree is afterwards is looked at, not what it should be.
        drop(Target { tree, ids }.make(&at(path), step));
    }
}

pub(crate) fn at(path: &str) -> RootPath {
    RootPath::strict(path).expect("the paths are written above")
}

struct Target<'t> {
    tree: &'t Root,
    ids: IdStorage,
}

impl Target<'_> {
    fn make(&self, path: &RootPath, step: &Step) -> Result<(), FsError> {
        let tree = self.tree;
        match step {
            Step::Make(kind) => self.object(path, kind),
            Step::Rewrite(byte, count) => tree.rewrite(path, &vec![*byte; *count]),
            Step::Link(other) => self.link(path, &at(other)),
            Step::Rename(other) => tree.rename(path, &at(other)),
            Step::Remove => tree.remove_all(path),
            Step::Mode(mode) => tree.set_mode(path, Mode::new(*mode)),
            Step::Owner(uid, gid) => self.own(path, *uid, *gid),
            Step::Time(time) => tree.set_times(path, *time),
            Step::Attribute(name, value) => tree.inode(path)?.set_xattr(name.as_bytes(), value),
            Step::NoAttribute(name) => tree.inode(path)?.remove_xattr(name.as_bytes()),
        }
    }

    fn object(&self, path: &RootPath, kind: &Kind) -> Result<(), FsError> {
        let tree = self.tree;
        let above = path.parent().unwrap_or_else(RootPath::root);
        for made in tree.mkdir_all(&above, Mode::new(0o755))? {
            self.own(&made, 0, 0)?;
        }
        tree.remove_all(path)?;
        match kind {
            Kind::Directory => tree.mkdir(path)?,
            Kind::File(byte, count) => {
                drop(tree.create_file(path)?);
                tree.rewrite(path, &vec![*byte; *count])?;
            }
            Kind::Sparse(regions, size) => sparse(tree, path, regions, *size)?,
            Kind::Symlink(target) => tree.symlink(target, path)?,
            Kind::Fifo => tree.mkfifo(path)?,
        }
        self.own(path, 0, 0)
    }

    /// Gives an object another name, in the place of whatever has that.
    fn link(&self, path: &RootPath, other: &RootPath) -> Result<(), FsError> {
        let found = self.tree.metadata(path)?;
        let is_object = found.is_some_and(|found| found.kind != FileKind::Directory);
        if is_object && !path.starts_with(other) {
            self.tree.remove_all(other)?;
        }
        self.tree.hard_link(path, other)
    }

    /// Gives an object to an id of the image. Where only one id can be held, nothing else is tried: records of owners are
    /// written by what supervises a command, which is not here.
    fn own(&self, path: &RootPath, uid: u32, gid: u32) -> Result<(), FsError> {
        let IdStorage::Shifted { .. } = self.ids else {
            return Ok(());
        };
        match (self.ids.to_disk(uid), self.ids.to_disk(gid)) {
            (Ok(uid), Ok(gid)) => self.tree.set_owner(path, uid, gid),
            _ => Ok(()),
        }
    }
}

/// Makes a file of which most is holes: a block of one byte's value at each place, which is counted in blocks.
fn sparse(tree: &Root, path: &RootPath, regions: &[(u64, u8)], size: u64) -> Result<(), FsError> {
    const BLOCK: u64 = 4096;
    let mut file = tree.create_file(path)?;
    let written = regions.iter().try_for_each(|(place, byte)| {
        file.seek(SeekFrom::Start(place * BLOCK))?;
        file.write_all(&[*byte; 4096])
    });
    written
        .and_then(|()| file.set_len(size))
        .expect("the file system takes a file of some blocks");
    Ok(())
}
