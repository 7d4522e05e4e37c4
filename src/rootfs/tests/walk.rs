//! A walk is ordered, complete, and holds few descriptors.

use std::collections::BTreeMap;

use super::{Place, at, errno};
use crate::{Entry, FileKind, FsError, Root};

fn paths(walk: impl Iterator<Item = Result<Entry, FsError>>) -> Vec<String> {
    walk.map(|entry| entry.unwrap().path.to_string()).collect()
}

#[test]
fn a_walk_is_depth_first_and_sorted_by_bytes() {
    let place = Place::new();
    for path in ["b", "a/z", "a/B", "a-b"] {
        place.mkdir(path);
    }
    place.write("a/z/file", "");
    place.symlink("../..", "a/link");
    let expected = ["a", "a/B", "a/link", "a/z", "a/z/file", "a-b", "b"];
    assert_eq!(paths(place.root.walk().unwrap()), expected);
    let below = place.root.walk_below(&at("a")).unwrap();
    assert_eq!(paths(below), ["a/B", "a/link", "a/z", "a/z/file"]);
}

#[test]
fn a_directory_can_be_left_out() {
    let place = Place::new();
    place.mkdir("a/b");
    place.mkdir("c/d");
    let mut walk = place.root.walk().unwrap();
    let mut seen = Vec::new();
    while let Some(entry) = walk.next() {
        let entry = entry.unwrap();
        if entry.path == at("a") {
            walk.skip_directory();
        }
        seen.push(entry.path);
    }
    assert_eq!(seen, ["a", "c", "c/d"].map(at));
}

#[test]
fn entries_give_what_is_there() {
    let place = Place::new();
    place.write("file", "12345");
    place.symlink("file", "link");
    place
        .root
        .inode(&at("file"))
        .unwrap()
        .set_xattr(b"user.x", b"y")
        .unwrap();
    let entries: Vec<_> = place.root.walk().unwrap().map(Result::unwrap).collect();
    let [file, link] = entries.as_slice() else {
        panic!("two entries are expected");
    };
    assert_eq!(
        (file.metadata.kind, file.metadata.size),
        (FileKind::File, 5)
    );
    assert_eq!(
        file.xattrs().unwrap(),
        BTreeMap::from([(b"user.x".to_vec(), b"y".to_vec())])
    );
    assert_eq!(
        std::io::read_to_string(file.open_file().unwrap()).unwrap(),
        "12345"
    );
    assert_eq!(file.inode().unwrap().metadata().unwrap(), file.metadata);
    assert_eq!(link.read_link().unwrap(), b"file");
    assert_eq!(link.xattrs().unwrap(), BTreeMap::new());
}

#[test]
fn a_tree_of_300_levels_is_walked_with_few_descriptors() {
    let place = Place::new();
    let deep = ["d"; 300].join("/");
    place.mkdir(&deep);
    for depth in [1, 150, 299] {
        place.mkdir(&format!("{}/z", ["d"; 300][..depth].join("/")));
    }
    let here = format!("{}/", place.dir.path().display());
    let mut most = 0;
    let mut count = 0;
    let mut last = None;
    for entry in place.root.walk().unwrap() {
        last = Some(entry.unwrap().path);
        count += 1;
        most = most.max(open_below(&here));
    }
    assert_eq!(count, 303);
    assert_eq!(last, Some(at("d/z")));
    assert!(most <= 25, "{most} descriptors were open");
}

/// Counts this process' descriptors of what is below a directory.
fn open_below(prefix: &str) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with(prefix))
        .count()
}

#[test]
fn a_directory_that_was_replaced_is_noticed() {
    let place = Place::new();
    place.mkdir("a/x");
    place.mkdir("b");
    let mut walk = place.root.walk().unwrap();
    assert_eq!(walk.next().unwrap().unwrap().path, at("a"));
    std::fs::rename(place.inside("a"), place.inside("c")).unwrap();
    place.symlink("../host", "a");
    let error = walk.next().unwrap().unwrap_err();
    assert_eq!(errno(&error), nix::libc::ENOTDIR);
    assert_eq!(paths(walk), ["b"]);
}

#[test]
fn a_tree_too_deep_for_a_path_is_an_error() {
    let place = Place::new();
    let mut dir = Root::open(&place.inside("")).unwrap();
    for _ in 0..2100 {
        dir.mkdir(&at("d")).unwrap();
        dir = dir.open_dir(&at("d")).unwrap();
    }
    let first_error = place.root.walk().unwrap().find_map(Result::err).unwrap();
    assert!(matches!(first_error, FsError::Path(_)), "{first_error}");
    place.root.remove_all(&at("d")).unwrap();
}
