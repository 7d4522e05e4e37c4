//! Look-ups stay inside the root.

use std::io::Read as _;

use nix::libc;

use super::{Place, at, errno};
use crate::{FileKind, FsError, Mode};

#[test]
fn a_path_is_resolved_inside_the_root() {
    let place = Place::new();
    place.mkdir("usr/lib/deep");
    place.mkdir("run");
    place.symlink("usr/lib", "lib");
    place.symlink("/usr", "abs");
    place.symlink("../../..", "usr/lib/out");
    place.symlink("/nowhere/at/all", "dangling");
    place.symlink("../run", "usr/up");
    for (path, real) in [
        ("", ""),
        ("usr/lib", "usr/lib"),
        ("lib", "usr/lib"),
        ("lib/deep", "usr/lib/deep"),
        ("abs/lib/deep", "usr/lib/deep"),
        ("lib/out", ""),
        ("lib/out/lib/out/run", "run"),
        ("usr/up/new/file", "run/new/file"),
        ("dangling", "nowhere/at/all"),
        ("dangling/more", "nowhere/at/all/more"),
        ("missing/way/down", "missing/way/down"),
    ] {
        assert_eq!(place.root.resolve(&at(path)).unwrap(), at(real), "{path}");
    }
}

#[test]
fn links_that_lead_out_end_inside() {
    let place = Place::new();
    place.mkdir("etc");
    place.write("etc/passwd", "of the image");
    let outside = place.host("victim");
    place.symlink(outside.to_str().unwrap(), "victim");
    place.symlink("../host/victim", "relative");
    place.symlink("/etc/passwd", "passwd");
    place.symlink("/proc/self/root", "magic");
    assert!(
        place
            .root
            .open_file(&at("victim"))
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        place
            .root
            .open_file(&at("relative"))
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(place.root.metadata_follow(&at("magic/etc")).unwrap(), None);
    let mut text = String::new();
    place
        .root
        .open_file(&at("passwd"))
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "of the image");
}

#[test]
fn t_b09_a_chain_of_forty_links_is_followed_and_a_longer_one_is_not() {
    let place = Place::new();
    place.write("0", "end");
    for number in 1..=41 {
        place.symlink(&(number - 1).to_string(), &number.to_string());
    }
    place.symlink("loop", "loop");
    assert_eq!(place.root.resolve(&at("40")).unwrap(), at("0"));
    for path in ["41", "loop", "loop/x"] {
        let error = place.root.resolve(&at(path)).unwrap_err();
        assert_eq!(errno(&error), libc::ELOOP, "{path}");
        assert!(error.to_string().starts_with("resolve(["), "{error}");
    }
}

#[test]
fn a_file_on_the_way_is_an_error_and_a_whiteout_is_not() {
    let place = Place::new();
    place.write("file", "");
    let error = place.root.resolve(&at("file/x")).unwrap_err();
    assert_eq!(errno(&error), libc::ENOTDIR);
    place.root.whiteout(&at("gone")).unwrap();
    assert_eq!(place.root.resolve(&at("gone/x")).unwrap(), at("gone/x"));
    assert!(
        place
            .root
            .metadata(&at("gone"))
            .unwrap()
            .unwrap()
            .is_whiteout()
    );
}

/// It stands for a whiteout where no device can be made. One that a program listens on has permissions.
#[test]
fn a_socket_without_permissions_is_a_whiteout() {
    let place = Place::new();
    place.root.mksocket(&at("socket")).unwrap();
    let is_whiteout = || {
        place
            .root
            .metadata(&at("socket"))
            .unwrap()
            .unwrap()
            .is_whiteout()
    };
    assert!(is_whiteout());
    place
        .root
        .set_mode(&at("socket"), Mode::new(0o600))
        .unwrap();
    assert!(!is_whiteout());
}

#[test]
fn what_is_not_there_is_an_answer() {
    let place = Place::new();
    place.write("file", "four");
    place.symlink("file", "link");
    assert_eq!(place.root.metadata(&at("no")).unwrap(), None);
    assert_eq!(place.root.metadata(&at("no/no")).unwrap(), None);
    assert_eq!(place.root.metadata(&at("file/no")).unwrap(), None);
    assert_eq!(
        place.root.metadata(&at("")).unwrap().unwrap().kind,
        FileKind::Directory
    );
    let link = place.root.metadata(&at("link")).unwrap().unwrap();
    assert_eq!(link.kind, FileKind::Symlink);
    let file = place.root.metadata_follow(&at("link")).unwrap().unwrap();
    assert_eq!((file.kind, file.size, file.nlink), (FileKind::File, 4, 1));
    assert_eq!(place.root.read_link(&at("link")).unwrap(), b"file");
}

#[test]
fn files_and_directories_are_opened_with_and_without_following() {
    let place = Place::new();
    place.mkdir("dir");
    place.write("dir/file", "");
    place.symlink("dir", "to-dir");
    place.symlink("dir/file", "to-file");
    place.root.open_file(&at("to-file")).unwrap();
    let error = place.root.open_file_nofollow(&at("to-file")).unwrap_err();
    assert_eq!(errno(&error), libc::ELOOP);
    place.root.open_file_nofollow(&at("to-dir/file")).unwrap();
    assert_eq!(
        place.root.open_dir(&at("to-dir")).unwrap().names().unwrap(),
        [b"file"]
    );
    let error = place.root.open_dir_nofollow(&at("to-dir")).unwrap_err();
    assert_eq!(errno(&error), libc::ENOTDIR);
    assert!(place.root.open_dir_direct(&at("to-dir")).unwrap().is_none());
    assert!(
        place
            .root
            .open_dir_direct(&at("missing/x"))
            .unwrap()
            .is_none()
    );
    let direct = place.root.open_dir_direct(&at("dir")).unwrap().unwrap();
    assert_eq!(direct.shown(), place.inside("dir"));
}

#[test]
fn reading_is_bounded_and_never_blocks() {
    let place = Place::new();
    place.write("five", "12345");
    place.root.mkfifo(&at("fifo")).unwrap();
    place.mkdir("dir");
    let read = |path, limit| place.root.read_to_end_limited(&at(path), limit);
    assert_eq!(read("five", 5).unwrap().unwrap(), b"12345");
    assert_eq!(read("missing", 5).unwrap(), None);
    let error = read("five", 4).unwrap_err();
    assert_eq!(error.to_string(), "`five` has more than 4 bytes");
    for path in ["fifo", "dir"] {
        assert!(
            matches!(read(path, 5), Err(FsError::NotAFile { .. })),
            "{path}"
        );
    }
}

#[test]
fn an_error_shows_the_call_and_the_path_behind_the_descriptor() {
    let place = Place::new();
    let error = place.root.open_file(&at("etc/app.conf")).unwrap_err();
    let expected = format!("<{}>, \"etc/app.conf\", ", place.inside("").display());
    let text = error.to_string().replace("root>", "root/>");
    assert!(
        text.starts_with("openat2([") && text.contains(&expected),
        "{text}"
    );
}

#[test]
fn a_root_stays_the_same_directory_when_it_is_renamed() {
    let place = Place::new();
    place.write("file", "");
    std::fs::rename(place.inside(""), place.dir.path().join("elsewhere")).unwrap();
    assert_eq!(place.root.try_clone().unwrap().names().unwrap(), [b"file"]);
}

#[test]
fn a_mode_keeps_twelve_bits() {
    assert_eq!(Mode::new(0o104_755).bits(), 0o4755);
    assert_eq!(Mode::new(0o644).to_string(), "0644");
}
