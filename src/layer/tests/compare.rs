//! Directories compared with the blobs of their layers.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::sync::Arc;

use proptest::prelude::*;
use rootfs::{Root, RootPath};

use super::support::{Place, Says, Tar, says};
use crate::{DIFFERENCES_MAX, DecoderRoom, Differences, differences};

fn compared(tar: &Tar, directory: &[Arc<Root>]) -> Differences {
    let bytes = tar.bytes();
    differences(bytes.as_slice(), &DecoderRoom::default(), directory).unwrap()
}

fn shown(found: &Differences) -> Vec<String> {
    found.paths.iter().map(RootPath::absolute).collect()
}

/// Returns the paths that a directory has in another way than an archive.
fn found(tar: &Tar, directory: &[Arc<Root>]) -> Vec<String> {
    shown(&compared(tar, directory))
}

fn layer() -> Tar {
    Tar::new()
        .dir("etc")
        .file("etc/passwd", "root:x:0:0")
        .file("etc/empty", "")
        .symlink("etc/link", "passwd")
        .link("etc/second", "etc/passwd")
        .symlink("lib", "usr/lib")
        .file("usr/lib/one", "1")
        .file("lib/two", "2")
        .entry(says(b'6', b"pipe"))
        .file("etc/.wh.gone", "")
        .file("var/.wh..wh..opq", "")
}

#[test]
fn what_was_unpacked_is_as_its_layer_says() {
    let place = Place::new();
    place.apply(&layer()).unwrap();
    assert_eq!(
        found(&layer(), &[Arc::clone(&place.root)]),
        Vec::<String>::new()
    );
}

/// Where a change is found, and what it is.
type Change<'a> = (&'a str, &'a dyn Fn(&Place));

#[test]
fn each_change_of_a_file_is_found_and_each_of_its_names_once() {
    let changes: [Change; 12] = [
        ("/etc/passwd", &|place| {
            fs::write(place.inside("etc/passwd"), "root:x:0:1").unwrap();
        }),
        ("/etc/passwd", &|place| {
            fs::write(place.inside("etc/passwd"), "root:x:0:0\n").unwrap();
        }),
        ("/etc/passwd", &|place| {
            fs::write(place.inside("etc/passwd"), "").unwrap();
        }),
        ("/etc/empty", &|place| {
            fs::write(place.inside("etc/empty"), "\0").unwrap();
        }),
        ("/etc/empty", &|place| {
            fs::remove_file(place.inside("etc/empty")).unwrap();
        }),
        ("/etc/empty", &|place| {
            fs::remove_file(place.inside("etc/empty")).unwrap();
            symlink("nowhere", place.inside("etc/empty")).unwrap();
        }),
        ("/etc/second", &|place| {
            fs::remove_file(place.inside("etc/second")).unwrap();
        }),
        ("/etc/second", &|place| {
            fs::remove_file(place.inside("etc/second")).unwrap();
            fs::write(place.inside("etc/second"), "root:x:0:1").unwrap();
        }),
        ("/etc/second", &|place| {
            fs::remove_file(place.inside("etc/second")).unwrap();
            fs::create_dir(place.inside("etc/second")).unwrap();
        }),
        ("/etc/link", &|place| {
            fs::remove_file(place.inside("etc/link")).unwrap();
            symlink("shadow", place.inside("etc/link")).unwrap();
        }),
        ("/usr/lib/one", &|place| {
            fs::write(place.inside("usr/lib/one"), "2").unwrap();
        }),
        ("/lib/two", &|place| {
            fs::write(place.inside("usr/lib/two"), "3").unwrap();
        }),
    ];
    for (number, (path, change)) in changes.into_iter().enumerate() {
        let place = Place::new();
        place.apply(&layer()).unwrap();
        change(&place);
        let found = found(&layer(), &[Arc::clone(&place.root)]);
        assert_eq!(found, [path], "change {number}");
    }
}

#[test]
fn a_second_name_may_be_of_a_copy_or_of_a_file_of_another_layer() {
    let place = Place::new();
    place.apply(&layer()).unwrap();
    let second = place.inside("etc/second");
    fs::remove_file(&second).unwrap();
    fs::copy(place.inside("etc/passwd"), second).unwrap();
    let directory = [Arc::clone(&place.root)];
    assert_eq!(found(&layer(), &directory), Vec::<String>::new());
    let other = Tar::new().link("etc/empty", "bin/of-another-layer");
    assert_eq!(found(&other, &directory), Vec::<String>::new());
    let missing = Tar::new().link("etc/none", "bin/of-another-layer");
    assert_eq!(found(&missing, &directory), ["/etc/none"]);
}

#[test]
fn what_is_in_the_way_of_a_directory_is_found() {
    for loops in [false, true] {
        let place = Place::new();
        place.apply(&layer()).unwrap();
        fs::remove_dir_all(place.inside("usr")).unwrap();
        if loops {
            symlink("usr", place.inside("usr")).unwrap();
        } else {
            fs::write(place.inside("usr"), "").unwrap();
        }
        assert_eq!(
            found(&layer(), &[Arc::clone(&place.root)]),
            ["/lib/two", "/usr/lib/one"]
        );
    }
}

#[test]
fn a_name_that_comes_twice_is_what_it_was_the_last_time() {
    let tar = Tar::new()
        .file("a", "old")
        .file("b", "old")
        .file("c/d", "old")
        .file("a", "new")
        .dir("b")
        .file("c", "new");
    let place = Place::new();
    place.apply(&tar).unwrap();
    let directory = [Arc::clone(&place.root)];
    assert_eq!(found(&tar, &directory), Vec::<String>::new());
    fs::write(place.inside("a"), "old").unwrap();
    assert_eq!(found(&tar, &directory), ["/a"]);
}

#[test]
fn holes_are_compared_too() {
    let map = "3\n0\n1\n8191\n1\n16384\n0\n";
    let mut data = map.as_bytes().to_vec();
    data.resize(512, 0);
    data.extend(b"xy");
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"sparse"),
            ("GNU.sparse.realsize", b"16384"),
        ])
        .entry(Says {
            data: &data,
            ..says(b'0', b"GNUSparseFile.0/sparse")
        });
    let place = Place::new();
    place.apply(&tar).unwrap();
    let directory = [Arc::clone(&place.root)];
    assert_eq!(found(&tar, &directory), Vec::<String>::new());
    let whole = fs::read(place.inside("sparse")).unwrap();
    for at in [0, 1, 8190, 8191, 8192, 16383] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(place.inside("sparse"), bytes).unwrap();
        assert_eq!(found(&tar, &directory), ["/sparse"], "byte {at}");
    }
}

#[test]
fn the_topmost_of_several_directories_counts() {
    let (above, below) = (Place::new(), Place::new());
    below
        .apply(
            &Tar::new()
                .dir("etc")
                .file("etc/a", "old")
                .file("etc/b", "b"),
        )
        .unwrap();
    above
        .apply(&Tar::new().dir("etc").file("etc/a", "a"))
        .unwrap();
    let tar = Tar::new().dir("etc").file("etc/a", "a").file("etc/b", "b");
    let both = [Arc::clone(&above.root), Arc::clone(&below.root)];
    assert_eq!(found(&tar, &both), Vec::<String>::new());
    fs::write(below.inside("etc/b"), "c").unwrap();
    assert_eq!(found(&tar, &both), ["/etc/b"]);
}

#[test]
fn no_more_than_a_thousand_are_told() {
    let tar = (0..=DIFFERENCES_MAX).fold(Tar::new(), |tar, number| {
        tar.file(&format!("{number:04}"), "")
    });
    let place = Place::new();
    let directory = [Arc::clone(&place.root)];
    let found = compared(&tar, &directory);
    assert_eq!(
        (found.paths.len(), found.is_cut_off),
        (DIFFERENCES_MAX, true)
    );
    // What was left out may be one where all others are none.
    let same = Tar::new().file("a", "1").entry(says(b'5', b"b"));
    place.apply(&same).unwrap();
    let both = (0..DIFFERENCES_MAX).fold(Tar::new(), |tar, _| tar.file("a", "2"));
    assert!(!compared(&both.file("b", "").file("a", "1"), &directory).is_empty());
}

#[test]
fn a_hole_may_be_larger_than_any_disk() {
    let size = 1_u64 << 43;
    let place = Place::new();
    let file = fs::File::create(place.inside("sparse")).unwrap();
    if file.set_len(size).is_err() {
        // A file system with shorter files.
        return;
    }
    let digits = size.to_string();
    let mut data = format!("1\n{size}\n0\n").into_bytes();
    data.resize(512, 0);
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"sparse"),
            ("GNU.sparse.realsize", digits.as_bytes()),
        ])
        .entry(Says {
            data: &data,
            ..says(b'0', b"GNUSparseFile.0/sparse")
        });
    let directory = [Arc::clone(&place.root)];
    assert_eq!(found(&tar, &directory), Vec::<String>::new());
    file.write_at(b"x", size / 2).unwrap();
    assert_eq!(found(&tar, &directory), ["/sparse"]);
}

/// Returns the paths that a directory has in another way than an archive and what that unpacks to.
fn found_between(tar: &Tar, place: &Place) -> Vec<String> {
    let fresh = Place::new();
    fresh.apply(tar).unwrap();
    let directory = [Arc::clone(&place.root)];
    let mut found = compared(tar, &directory);
    found
        .between(&directory, &[Arc::clone(&fresh.root)])
        .unwrap();
    shown(&found)
}

#[test]
fn what_only_the_order_of_the_entries_explains_is_no_difference_to_what_is_unpacked_anew() {
    let a_name_of_what_was_replaced = Tar::new().file("a", "1").link("b", "a").file("a", "2");
    let two_ways_to_a_name = Tar::new()
        .symlink("lib", "usr/lib")
        .dir("usr")
        .dir("usr/lib")
        .file("lib/x", "1")
        .file("usr/lib/x", "2");
    let a_link_that_became_a_directory = Tar::new()
        .dir("b")
        .symlink("a", "b")
        .file("a/x", "1")
        .dir("a");
    for (tar, path, inside) in [
        (a_name_of_what_was_replaced, "/b", "b"),
        (two_ways_to_a_name, "/lib/x", "usr/lib/x"),
        (a_link_that_became_a_directory, "/a/x", ""),
    ] {
        let place = Place::new();
        place.apply(&tar).unwrap();
        let directory = [Arc::clone(&place.root)];
        assert!(found(&tar, &directory).contains(&path.to_owned()), "{path}");
        assert_eq!(found_between(&tar, &place), Vec::<String>::new(), "{path}");
        if !inside.is_empty() {
            fs::write(place.inside(inside), "3").unwrap();
            let found = found_between(&tar, &place);
            assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
        }
    }
}

#[test]
fn an_archive_that_is_cut_off_says_nothing() {
    let bytes = layer().bytes();
    let place = Place::new();
    let directory = [Arc::clone(&place.root)];
    let cut = &bytes[..bytes.len() - 1200];
    differences(cut, &DecoderRoom::default(), &directory).unwrap_err();
}

/// An entry of a random layer: a path of few names, and what is there.
#[derive(Debug, Clone)]
enum Entry {
    Directory,
    File(String),
    Symlink(String),
    HardLink(String),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", ".wh.a", "c"]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn entry() -> impl Strategy<Value = (String, Entry)> {
    let entry = prop_oneof![
        2 => Just(Entry::Directory),
        4 => "[xy]{0,2}".prop_map(Entry::File),
        1 => path().prop_map(Entry::Symlink),
        1 => path().prop_map(Entry::HardLink),
    ];
    (path(), entry)
}

proptest! {
    #[test]
    fn what_can_be_unpacked_is_as_its_layer_says(entries in prop::collection::vec(entry(), 0..12)) {
        let tar = entries.iter().fold(Tar::new(), |tar, (path, entry)| match entry {
            Entry::Directory => tar.dir(path),
            Entry::File(data) => tar.file(path, data),
            Entry::Symlink(target) => tar.symlink(path, target),
            Entry::HardLink(target) => tar.link(path, target),
        });
        let place = Place::new();
        if place.apply(&tar).is_ok() {
            prop_assert_eq!(found_between(&tar, &place), Vec::<String>::new());
        }
    }
}
