//! F3: layers of an image, unpacked one upon the other, with things beside them that nobody may touch.
//!
//! ```text
//! TOP/                    the working directory
//! ├── canary              its inode must not change, nor that of anything here but `room`
//! ├── canaries/inner
//! └── room/               what is made here is removed again
//!     ├── lower/          the first layer
//!     ├── upper/          the second
//!     └── tree/           both, laid out
//! ```
//!
//! The first byte says whether the rest are two archives, or decisions of which archives are made.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use layer::{Applied, ApplyOptions, Limits, TreeForm, apply, lay, settle};
use rootfs::{IdStorage, Root, RootPath};

use crate::bytes::Bytes;
use crate::taken;
use crate::tarball;

const PLACES: [&str; 3] = ["lower", "upper", "tree"];
const SECRET: &str = "a canary sings";

/// What is where nobody may go, and how it was.
struct Top {
    path: PathBuf,
    before: Vec<Seen>,
}

/// An inode: the time of its last change tells of every one.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    inode: u64,
    links: u64,
    mode: u32,
    changed: (i64, i64),
    content: Option<Vec<u8>>,
}

/// Unpacks up to two layers.
///
/// # Panics
///
/// Panics where anything outside of them was touched.
pub fn check(data: &[u8]) {
    static TOP: OnceLock<Top> = OnceLock::new();
    let top = TOP.get_or_init(Top::create);
    let Some((way, rest)) = data.split_first() else {
        return;
    };
    let here = top.path.to_string_lossy();
    let layers = if way % 2 == 0 {
        let (lower, upper) = rest.split_at(usize::from(*way) * 512 % (rest.len() + 1));
        [lower, upper].map(tarball::with_sums)
    } else {
        let mut bytes = Bytes::new(rest);
        [(); 2].map(|()| tarball::made(&mut bytes, &here))
    };
    top.unpack(&layers);
    assert_eq!(top.before, seen(&top.path), "something outside was touched");
}

impl Top {
    fn create() -> Self {
        let path = tempfile::tempdir().expect("a directory").keep();
        fs::write(path.join("canary"), SECRET).expect("a canary");
        for directory in ["canaries", "room"] {
            fs::create_dir(path.join(directory)).expect("a directory for it");
        }
        fs::write(path.join("canaries/inner"), SECRET).expect("another canary");
        // What is relative to the working directory would hit the canaries.
        std::env::set_current_dir(&path).expect("a directory to be in");
        Self {
            before: seen(&path),
            path,
        }
    }

    fn unpack(&self, layers: &[Vec<u8>; 2]) {
        let room = Root::open(&self.path.join("room")).expect("the room is there");
        let [lower, upper, tree] = PLACES.map(|name| {
            room.mkdir(&at(name)).expect("the room is empty");
            Root::open(&self.path.join("room").join(name)).expect("it was just made")
        });
        let [first, second] = layers;
        let is_lower = applied(first, &lower).is_some_and(|mut layer| {
            settle(&lower, &tree, &layer.unsettled, &mut layer.owners).is_ok()
        });
        if is_lower && lay(&lower, &tree, TreeForm::Stored).is_ok() {
            let is_upper = applied(second, &upper).is_some_and(|mut layer| {
                settle(&upper, &tree, &layer.unsettled, &mut layer.owners).is_ok()
            });
            if is_upper {
                taken(lay(&upper, &tree, TreeForm::Stored));
            }
        }
        assert!(!has_canary(&self.path.join("room")), "a canary was read");
        for name in PLACES {
            room.remove_all(&at(name))
                .expect("what was unpacked can be removed");
        }
        let left = room.names().expect("the room can be listed");
        assert!(left.is_empty(), "{left:?} beside the layers");
    }
}

fn at(name: &str) -> RootPath {
    RootPath::strict(name).expect("a plain name")
}

fn applied(tar: &[u8], target: &Root) -> Option<Applied> {
    let options = ApplyOptions {
        ids: IdStorage::Recorded,
        limits: Limits {
            entries: 1000,
            unpacked_bytes: 1 << 22,
            stream_bytes: 1 << 22,
        },
    };
    apply(&mut &*tar, target, &options).ok()
}

/// Tells whether somebody copied what is outside.
fn has_canary(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            return false;
        };
        let is_file = metadata.is_file() && metadata.len() == SECRET.len() as u64;
        metadata.is_dir() && has_canary(&path)
            || is_file && fs::read(&path).is_ok_and(|content| content == SECRET.as_bytes())
    })
}

fn seen(top: &Path) -> Vec<Seen> {
    let mut found = vec![look(top)];
    for directory in ["", "canaries"] {
        let entries = fs::read_dir(top.join(directory)).expect("a directory of ours");
        let paths = entries.map(|entry| entry.expect("an entry of ours").path());
        found.extend(paths.map(|path| look(&path)));
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn look(path: &Path) -> Seen {
    let metadata = fs::symlink_metadata(path).expect("what is ours is there");
    let is_room = path.file_name().is_some_and(|name| name == "room");
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Seen {
        path: path.to_owned(),
        inode: metadata.ino(),
        links: metadata.nlink(),
        mode: metadata.mode(),
        // The room changes whenever something is made in it.
        changed: if is_room { (0, 0) } else { changed },
        content: metadata
            .is_file()
            .then(|| fs::read(path).unwrap_or_default()),
    }
}
