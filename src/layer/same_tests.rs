//! One tree, and what makes another one differ from it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rootfs::{IdStorage, OWNER_XATTR};
use tempfile::TempDir;

use super::*;

const NEVER: Span = Span {
    began: time(0),
    ended: time(0),
};

const fn time(seconds: i64) -> FileTime {
    FileTime { seconds, nanos: 0 }
}

/// A tree with one object of each kind, all of the same time.
fn tree(change: impl FnOnce(&Path)) -> (TempDir, Arc<Root>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir_all(path.join("d/e")).unwrap();
    fs::write(path.join("f"), vec![b'x'; 300_000]).unwrap();
    fs::write(path.join("g"), "g").unwrap();
    fs::hard_link(path.join("g"), path.join("h")).unwrap();
    symlink("f", path.join("l")).unwrap();
    change(path);
    let root = Arc::new(Root::open(path).unwrap());
    let entries = root.walk().unwrap().map(|entry| entry.unwrap().path);
    for path in entries.collect::<Vec<_>>() {
        root.set_times(&path, time(100)).unwrap();
    }
    (dir, root)
}

fn made(root: &Arc<Root>, span: Span) -> Made {
    Made {
        upper: Arc::clone(root),
        owners: Owners::new(IdStorage::Recorded, rootfs::OwnerTable::default()),
        span,
    }
}

fn is_same(change: impl FnOnce(&Path)) -> bool {
    let ((_one, ours), (_other, theirs)) = (tree(|_| {}), tree(change));
    made_the_same(&made(&ours, NEVER), &made(&theirs, NEVER)).unwrap()
}

#[test]
fn what_was_made_anew_in_the_same_way_is_the_same() {
    assert!(is_same(|_| {}));
    // The bytes are the same, the inode is another.
    assert!(is_same(|path| {
        fs::remove_file(path.join("f")).unwrap();
        fs::write(path.join("f"), vec![b'x'; 300_000]).unwrap();
    }));
}

/// What is changed, and how.
type Change = (&'static str, fn(&Path));

#[test]
fn each_difference_is_found() {
    let changes: [Change; 13] = [
        ("a byte at the end", |path| {
            let mut bytes = vec![b'x'; 299_999];
            bytes.push(b'y');
            fs::write(path.join("f"), bytes).unwrap();
        }),
        ("the size", |path| fs::write(path.join("g"), "gg").unwrap()),
        ("a name more", |path| fs::write(path.join("z"), "").unwrap()),
        ("a name less", |path| {
            fs::remove_dir(path.join("d/e")).unwrap();
        }),
        ("another name", |path| {
            fs::rename(path.join("d/e"), path.join("d/x")).unwrap();
        }),
        ("the mode of a file", |path| {
            fs::set_permissions(path.join("g"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("the mode of a directory", |path| {
            fs::set_permissions(path.join("d"), fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("the owner", |path| {
            set_xattr(path, "g", OWNER_XATTR, b"1:0:0644");
        }),
        ("an attribute", |path| {
            set_xattr(path, "g", b"user.note", b"x");
        }),
        ("what is hidden below", |path| {
            set_xattr(path, "d", b"user.overlay.opaque", b"y");
        }),
        ("the target of a link", |path| {
            fs::remove_file(path.join("l")).unwrap();
            symlink("g", path.join("l")).unwrap();
        }),
        ("two files in the place of two names", |path| {
            fs::remove_file(path.join("h")).unwrap();
            fs::write(path.join("h"), "g").unwrap();
        }),
        ("the kind", |path| {
            fs::remove_dir(path.join("d/e")).unwrap();
            fs::write(path.join("d/e"), "").unwrap();
        }),
    ];
    for (name, change) in changes {
        assert!(!is_same(change), "{name}");
    }
}

fn set_xattr(path: &Path, name: &str, attribute: &[u8], value: &[u8]) {
    let root = Root::open(path).unwrap();
    let inode = root.inode(&RootPath::strict(name).unwrap()).unwrap();
    inode.set_xattr(attribute, value).unwrap();
}

#[test]
fn a_time_within_the_run_says_nothing_and_one_that_was_set_counts() {
    let span = |began, ended| Span {
        began: time(began),
        ended: time(ended),
    };
    for (one, other, same) in [
        // Both files are of the time 100.
        (span(90, 110), span(100, 100), true),
        (span(0, 10), span(200, 300), true),
        (span(90, 110), span(101, 110), false),
        (span(90, 99), span(90, 110), false),
    ] {
        let ((_one, ours), (_other, theirs)) = (tree(|_| {}), tree(|_| {}));
        let found = made_the_same(&made(&ours, one), &made(&theirs, other)).unwrap();
        assert_eq!(found, same, "{one:?} {other:?}");
    }
    let ((_one, ours), (_other, theirs)) = (tree(|_| {}), tree(|_| {}));
    theirs
        .set_times(&RootPath::strict("g").unwrap(), time(150))
        .unwrap();
    let at_different_times = (made(&ours, span(90, 110)), made(&theirs, span(100, 160)));
    assert!(made_the_same(&at_different_times.0, &at_different_times.1).unwrap());
}
