//! Changes follow no link in the last component.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use nix::libc;
use nix::sys::stat::Mode as NixMode;

use super::{Place, at, errno};
use crate::{FileKind, FileTime, Mode, Root};

#[test]
fn nothing_is_made_through_a_link_that_leads_out() {
    let place = Place::new();
    let outside = place.host("");
    place.symlink(outside.to_str().unwrap(), "out");
    place.symlink("../host/new", "dangling");
    let root = &place.root;
    assert_eq!(
        errno(&root.create_file(&at("dangling")).unwrap_err()),
        libc::EEXIST
    );
    assert_eq!(
        errno(&root.mkdir(&at("dangling")).unwrap_err()),
        libc::EEXIST
    );
    assert!(root.create_file(&at("out/new")).unwrap_err().is_not_found());
    assert!(
        root.symlink(b"x", &at("out/new"))
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        root.hard_link(&at("out/victim"), &at("stolen"))
            .unwrap_err()
            .is_not_found()
    );
    // Made where the link leads inside the root.
    root.mkdir_all(&at("out/new"), Mode::new(0o755)).unwrap();
    let inside = format!("{}/new", outside.to_str().unwrap().trim_matches('/'));
    assert_eq!(
        root.metadata(&at(&inside)).unwrap().unwrap().kind,
        FileKind::Directory
    );
    place.assert_victim_untouched();
}

#[test]
fn attributes_are_set_on_a_link_and_not_on_what_it_leads_to() {
    let place = Place::new();
    place.write("file", "");
    place.symlink("file", "link");
    let before = fs::metadata(place.inside("file")).unwrap();
    let time = FileTime {
        seconds: 1_000_000_000,
        nanos: 123_456_789,
    };
    place.root.set_times(&at("link"), time).unwrap();
    place
        .root
        .set_owner(&at("link"), before.uid(), before.gid())
        .unwrap();
    assert_eq!(
        errno(&place.root.set_mode(&at("link"), Mode::new(0)).unwrap_err()),
        libc::EOPNOTSUPP
    );
    assert_eq!(
        place.root.metadata(&at("link")).unwrap().unwrap().mtime,
        time
    );
    let after = fs::metadata(place.inside("file")).unwrap();
    assert_eq!(
        (after.mode(), after.mtime()),
        (before.mode(), before.mtime())
    );
}

#[test]
fn times_before_1970_are_kept() {
    let place = Place::new();
    place.write("file", "");
    let time = FileTime {
        seconds: -5,
        nanos: 500_000_000,
    };
    place.root.set_times(&at("file"), time).unwrap();
    assert_eq!(
        place.root.metadata(&at("file")).unwrap().unwrap().mtime,
        time
    );
}

#[test]
fn objects_are_made_closed_and_opened_by_their_mode() {
    let place = Place::new();
    let root = &place.root;
    root.create_file(&at("file"))
        .unwrap()
        .write_all(b"x")
        .unwrap();
    root.mkdir(&at("dir")).unwrap();
    root.mkfifo(&at("fifo")).unwrap();
    for (path, kind, mode) in [
        ("file", FileKind::File, 0o600),
        ("dir", FileKind::Directory, 0o700),
        ("fifo", FileKind::Fifo, 0o600),
    ] {
        let found = root.metadata(&at(path)).unwrap().unwrap();
        assert_eq!((found.kind, found.mode), (kind, Mode::new(mode)), "{path}");
        root.set_mode(&at(path), Mode::new(0o4751)).unwrap();
        assert_eq!(
            root.metadata(&at(path)).unwrap().unwrap().mode,
            Mode::new(0o4751),
            "{path}"
        );
    }
    root.hard_link(&at("file"), &at("dir/second")).unwrap();
    assert_eq!(root.metadata(&at("file")).unwrap().unwrap().nlink, 2);
    root.rename(&at("dir/second"), &at("file2")).unwrap();
    root.remove_file(&at("file2")).unwrap();
    root.remove_dir(&at("dir")).unwrap();
    assert_eq!(root.names().unwrap(), [b"fifo", b"file"]);
}

#[test]
fn missing_directories_are_made_where_links_lead() {
    let place = Place::new();
    place.mkdir("usr");
    place.symlink("usr/local", "local");
    let made = place
        .root
        .mkdir_all(&at("local/share/x"), Mode::new(0o755))
        .unwrap();
    assert_eq!(
        made,
        [
            at("usr/local"),
            at("usr/local/share"),
            at("usr/local/share/x")
        ]
    );
    assert_eq!(
        place
            .root
            .mkdir_all(&at("local/share"), Mode::new(0o755))
            .unwrap(),
        []
    );
    let mode = fs::metadata(place.inside("usr/local/share"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
    place.write("file", "");
    for path in ["file", "file/x"] {
        let error = place
            .root
            .mkdir_all(&at(path), Mode::new(0o755))
            .unwrap_err();
        assert_eq!(errno(&error), libc::ENOTDIR, "{path}");
    }
}

#[test]
fn a_tree_is_removed_with_its_links_and_not_what_they_lead_to() {
    let place = Place::new();
    place.mkdir("tree/a/b");
    place.write("tree/a/file", "");
    place.symlink(place.host("").to_str().unwrap(), "tree/a/out");
    place.symlink("../../host", "tree/a/b/out");
    place.root.mkfifo(&at("tree/fifo")).unwrap();
    for path in ["tree/a/b", "tree/a", "tree"] {
        fs::set_permissions(place.inside(path), fs::Permissions::from_mode(0o000)).unwrap();
    }
    place.root.remove_all(&at("tree")).unwrap();
    place.root.remove_all(&at("tree")).unwrap();
    place.symlink("../host", "link");
    place.root.remove_all(&at("link")).unwrap();
    assert_eq!(place.root.names().unwrap(), [[0; 0]; 0]);
    place.assert_victim_untouched();
}

#[test]
fn a_tree_deeper_than_there_are_descriptors_is_removed() {
    let place = Place::new();
    let mut dir = Root::open(&place.inside("")).unwrap();
    for _ in 0..3000 {
        for name in ["d", "e"] {
            dir.mkdir(&at(name)).unwrap();
        }
        dir = dir.open_dir(&at("d")).unwrap();
    }
    drop(dir);
    place.root.remove_all(&at("d")).unwrap();
    place.root.remove_all(&at("e")).unwrap();
    assert_eq!(place.root.names().unwrap(), [[0; 0]; 0]);
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let place = Place::new();
    let before = nix::sys::stat::umask(NixMode::from_bits_truncate(0o077));
    place.root.mkdir_all(&at("a/b"), Mode::new(0o755)).unwrap();
    nix::sys::stat::umask(before);
    assert_eq!(
        place.root.metadata(&at("a")).unwrap().unwrap().mode,
        Mode::new(0o755)
    );
}
