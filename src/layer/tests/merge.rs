//! Merged layers say what they said one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rootfs::{FileKind, FileTime, Mode, Root, RootPath};
use tempfile::TempDir;

use crate::merge;
use crate::xattr;

/// What a layer says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    File,
    Directory,
    Opaque,
    Gone,
}

fn at(path: &str) -> RootPath {
    RootPath::strict(path).unwrap()
}

fn open(dir: &TempDir) -> Root {
    Root::open(dir.path()).unwrap()
}

/// Makes the directory of a layer. What has no place in it is left out.
fn layer(content: &str, said: &[(&str, Said)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = open(&dir);
    for (path, said) in said {
        let on_disk = dir.path().join(path);
        if fs::create_dir_all(on_disk.parent().unwrap()).is_err()
            || root.metadata(&at(path)).unwrap().is_some()
        {
            continue;
        }
        match said {
            Said::File => fs::write(&on_disk, format!("{content} {path}")).unwrap(),
            Said::Gone => root.whiteout(&at(path)).unwrap(),
            Said::Directory => fs::create_dir(&on_disk).unwrap(),
            Said::Opaque => {
                fs::create_dir(&on_disk).unwrap();
                let inode = root.inode(&at(path)).unwrap();
                xattr::mark_opaque(&inode).unwrap();
            }
        }
    }
    dir
}

/// Adds what an overlay of directories shows, the topmost first. A whiteout in a directory that only one has is seen.
fn look(parts: &[Root], above: &RootPath, seen: &mut BTreeMap<String, String>) {
    let mut found: BTreeMap<Vec<u8>, Vec<Root>> = BTreeMap::new();
    let mut closed: BTreeSet<Vec<u8>> = BTreeSet::new();
    for part in parts {
        for name in part.names().unwrap() {
            if closed.contains(&name) {
                continue;
            }
            let own = RootPath::root().child(&name).unwrap();
            let shown = above.child(&name).unwrap().to_string();
            let metadata = part.metadata(&own).unwrap().unwrap();
            let is_first = !found.contains_key(&name);
            if metadata.kind == FileKind::Directory {
                let is_opaque = xattr::is_opaque(&part.inode(&own).unwrap()).unwrap();
                found
                    .entry(name.clone())
                    .or_default()
                    .push(part.open_dir(&own).unwrap());
                if !is_opaque {
                    continue;
                }
            } else if is_first && !metadata.is_whiteout() {
                let text = fs::read_to_string(part.shown().join(own.to_string())).unwrap();
                seen.insert(shown, text);
            } else if is_first && parts.len() == 1 && !above.is_root() {
                seen.insert(shown, "a whiteout".to_owned());
            }
            closed.insert(name);
        }
    }
    for (name, parts) in found {
        let path = above.child(&name).unwrap();
        seen.insert(path.to_string(), "a directory".to_owned());
        look(&parts, &path, seen);
    }
}

fn seen(layers: &[&TempDir]) -> BTreeMap<String, String> {
    let parts: Vec<_> = layers.iter().rev().map(|dir| open(dir)).collect();
    let mut seen = BTreeMap::new();
    look(&parts, &RootPath::root(), &mut seen);
    seen
}

fn merged(layers: &[TempDir], below: Option<&TempDir>) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    let roots: Vec<_> = layers.iter().map(|dir| Arc::new(open(dir))).collect();
    merge(&roots, below.map(open).as_ref(), &open(&target)).unwrap();
    target
}

/// Returns what a directory itself has, in the order of paths.
fn on_disk(dir: &TempDir) -> Vec<String> {
    let root = open(dir);
    let entries = root.walk().unwrap().map(Result::unwrap);
    let line = |entry: rootfs::Entry| {
        let is_opaque = entry.metadata.kind == FileKind::Directory
            && xattr::has_opaque(&entry.xattrs().unwrap());
        let mark = match entry.metadata.kind {
            _ if entry.metadata.is_whiteout() => "-",
            _ if is_opaque => "o",
            _ => "+",
        };
        format!("{mark}{}", entry.path)
    };
    entries.map(line).collect()
}

#[test]
fn whiteouts_and_opaque_directories_stay_where_they_hide_something() {
    use Said::{Directory, File, Gone, Opaque};
    let below = layer(
        "0",
        &[("a/old", File), ("b/old", File), ("c", File), ("l/x", File)],
    );
    let layers = [
        layer(
            "1",
            &[
                ("a/old", Gone),
                ("own/one", File),
                ("own/two", File),
                ("b", Gone),
                ("top", File),
            ],
        ),
        layer(
            "2",
            &[
                ("own/one", Gone),
                ("b", Opaque),
                ("b/new", File),
                ("c", Directory),
                ("top", Gone),
                ("n", Opaque),
            ],
        ),
        layer("3", &[("own/three", File), ("l", File)]),
        layer("4", &[("l", Directory), ("l/y", File)]),
    ];
    let expected = [
        "+a",
        "-a/old",
        "ob",
        "+b/new",
        "+c",
        "ol",
        "+l/y",
        "+n",
        "+own",
        "+own/three",
        "+own/two",
        "-top",
    ];
    assert_eq!(on_disk(&merged(&layers, Some(&below))), expected);
    let expected = [
        "+a",
        "+b",
        "+b/new",
        "+c",
        "+l",
        "+l/y",
        "+n",
        "+own",
        "+own/three",
        "+own/two",
        "-top",
    ];
    assert_eq!(on_disk(&merged(&layers, None)), expected);
}

#[test]
fn files_are_the_same_files_and_directories_are_like_the_topmost() {
    let layers = [
        layer(
            "1",
            &[("dir/file", Said::File), ("dir/replaced", Said::File)],
        ),
        layer("2", &[("dir/replaced", Said::File)]),
    ];
    let top = open(&layers[1]);
    let time = FileTime {
        seconds: 12,
        nanos: 34,
    };
    let attribute = (&b"user.note"[..], &b"kept"[..]);
    top.inode(&at("dir"))
        .unwrap()
        .set_xattr(attribute.0, attribute.1)
        .unwrap();
    top.set_mode(&at("dir"), Mode::new(0o1751)).unwrap();
    top.set_times(&at("dir"), time).unwrap();
    top.set_mode(&RootPath::root(), Mode::new(0o711)).unwrap();
    let target = merged(&layers, None);
    let inode = |dir: &TempDir, path: &str| {
        let metadata = fs::symlink_metadata(dir.path().join(path)).unwrap();
        (metadata.ino(), metadata.nlink())
    };
    assert_eq!(inode(&target, "dir/file"), inode(&layers[0], "dir/file"));
    assert_eq!(
        inode(&target, "dir/replaced"),
        inode(&layers[1], "dir/replaced")
    );
    let made = open(&target);
    let directory = made.metadata(&at("dir")).unwrap().unwrap();
    assert_eq!((directory.mode, directory.mtime), (Mode::new(0o1751), time));
    let read = made.inode(&at("dir")).unwrap().xattr(attribute.0).unwrap();
    assert_eq!(read.as_deref(), Some(attribute.1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(target.path()), 0o711);
}

fn a_layer() -> impl Strategy<Value = Vec<(&'static str, Said)>> {
    let paths = prop::sample::select(vec![
        "a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a", "a/a/b", "a/b/a", "b/a/a",
    ]);
    let said = prop::sample::select(vec![Said::File, Said::Directory, Said::Opaque, Said::Gone]);
    prop::collection::vec((paths, said), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merged_layers_show_what_they_showed_one_by_one(
        below in a_layer(),
        layers in prop::collection::vec(a_layer(), 1..5),
    ) {
        let plain = |(path, said): &(&'static str, Said)| match said {
            Said::Gone | Said::Opaque => (*path, Said::Directory),
            _ => (*path, *said),
        };
        let below = layer("below", &below.iter().map(plain).collect::<Vec<_>>());
        let layers: Vec<_> = layers
            .iter()
            .enumerate()
            .map(|(number, said)| layer(&number.to_string(), said))
            .collect();
        let all: Vec<_> = [&below].into_iter().chain(&layers).collect();
        // A whiteout on nothing is nothing.
        let expected = |layers: &[&TempDir]| {
            let mut seen = seen(layers);
            seen.retain(|_, what| what != "a whiteout");
            seen
        };
        prop_assert_eq!(seen(&[&below, &merged(&layers, Some(&below))]), expected(&all));
        prop_assert_eq!(seen(&[&merged(&layers, None)]), expected(&all[1..]));
    }
}
