//! Tests of the walk to a mount's place. They need no privilege: the root is any directory.

use super::*;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;

struct Tree {
    directory: tempfile::TempDir,
    root: File,
}

/// A root below a directory that nothing may be changed in.
fn tree() -> Tree {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("root/etc")).unwrap();
    fs::write(directory.path().join("outside"), "outside").unwrap();
    let root = File::open(directory.path().join("root")).unwrap();
    Tree { directory, root }
}

impl Tree {
    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join("root").join(path)
    }

    /// Returns where the walk ended, seen from the root, and the names of what was made.
    fn walk(&self, path: &str, kind: TargetKind) -> Result<(String, Vec<String>), Errno> {
        let mut stubs = Vec::new();
        let found = find_or_make(self.root.as_fd(), path.as_bytes(), kind, &mut stubs)
            .map_err(|error| error.errno())?;
        let real = fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()));
        let root = fs::read_link(format!("/proc/self/fd/{}", self.root.as_raw_fd())).unwrap();
        let inside = real
            .unwrap()
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let names = stubs
            .iter()
            .map(|stub| String::from_utf8(stub.record.name.clone()).unwrap());
        Ok((inside, names.collect()))
    }
}

fn made(place: &str, stubs: &[&str]) -> (String, Vec<String>) {
    (
        place.to_owned(),
        stubs.iter().map(|name| (*name).to_owned()).collect(),
    )
}

#[test]
fn what_is_there_is_found_and_nothing_is_made() {
    let tree = tree();
    fs::write(tree.path("etc/hosts"), "").unwrap();
    assert_eq!(
        tree.walk("/etc/hosts", TargetKind::File),
        Ok(made("etc/hosts", &[]))
    );
    assert_eq!(
        tree.walk("etc/./../etc//", TargetKind::Directory),
        Ok(made("etc", &[]))
    );
    assert_eq!(tree.walk("/", TargetKind::Directory), Ok(made("", &[])));
}

#[test]
fn what_is_missing_is_made() {
    let tree = tree();
    let expected = Ok(made("a/b/c", &["a", "b", "c"]));
    assert_eq!(tree.walk("/a/b/c", TargetKind::File), expected);
    assert!(fs::metadata(tree.path("a/b/c")).unwrap().is_file());
    assert_eq!(
        tree.walk("/a/d", TargetKind::Directory),
        Ok(made("a/d", &["d"]))
    );
    assert!(fs::metadata(tree.path("a/d")).unwrap().is_dir());
}

#[test]
fn links_are_followed_inside_the_root() {
    // (link, target, path to walk, place, stubs)
    let cases: [(&str, &str, &str, &str, &[&str]); 6] = [
        (
            "etc/resolv.conf",
            "../run/resolv.conf",
            "/etc/resolv.conf",
            "run/resolv.conf",
            &["run", "resolv.conf"],
        ),
        (
            "etc/resolv.conf",
            "/run/x/y",
            "/etc/resolv.conf",
            "run/x/y",
            &["run", "x", "y"],
        ),
        (
            "etc/resolv.conf",
            "../../../../outside",
            "/etc/resolv.conf",
            "outside",
            &["outside"],
        ),
        ("up", "..", "/up/up/outside", "outside", &["outside"]),
        ("abs", "/", "/abs/etc/f", "etc/f", &["f"]),
        (
            "etc/self",
            "./self2/../f",
            "/etc/self",
            "etc/f",
            &["self2", "f"],
        ),
    ];
    for (link, target, path, place, stubs) in cases {
        let tree = tree();
        symlink(target, tree.path(link)).unwrap();
        assert_eq!(
            tree.walk(path, TargetKind::File),
            Ok(made(place, stubs)),
            "{link} -> {target}"
        );
        let outside = fs::read_to_string(tree.directory.path().join("outside")).unwrap();
        assert_eq!(outside, "outside");
        assert_eq!(fs::read_dir(tree.directory.path()).unwrap().count(), 2);
    }
}

#[test]
fn links_in_a_circle_end() {
    let tree = tree();
    symlink("b", tree.path("a")).unwrap();
    symlink("a", tree.path("b")).unwrap();
    assert_eq!(tree.walk("/a", TargetKind::File), Err(Errno::ELOOP));
}

#[test]
fn the_wrong_kind_is_refused() {
    let tree = tree();
    fs::write(tree.path("file"), "").unwrap();
    let fifo = tree.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let cases = [
        ("/etc", TargetKind::File, Errno::EISDIR),
        ("/", TargetKind::File, Errno::EISDIR),
        ("/file", TargetKind::Directory, Errno::ENOTDIR),
        ("/file/x", TargetKind::File, Errno::ENOTDIR),
        ("/fifo", TargetKind::Directory, Errno::ENOTDIR),
        ("/a\0b", TargetKind::File, Errno::EINVAL),
    ];
    for (path, kind, errno) in cases {
        assert_eq!(tree.walk(path, kind), Err(errno), "{path}");
    }
}

#[test]
fn a_stub_records_when_its_directory_was_changed() {
    let tree = tree();
    let before = nix::sys::stat::stat(&tree.path("etc")).unwrap();
    let mut stubs = Vec::new();
    find_or_make(tree.root.as_fd(), b"/etc/x", TargetKind::File, &mut stubs).unwrap();
    let after = nix::sys::stat::stat(&tree.path("etc")).unwrap();
    let [Stub { record, .. }] = stubs.as_slice() else {
        panic!("{stubs:?}")
    };
    assert_eq!(record.changed_before, changed(&before));
    assert_eq!(record.changed_by_us, changed(&after));
}
