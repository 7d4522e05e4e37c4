//! GNU tar as the judge: it reads what we write, and we read what it writes.
#![expect(clippy::disallowed_methods, reason = "GNU tar is the judge")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rootfs::{FileTime, Mode, Root, RootPath};

use super::support::{Place, Says, Tar, at, ids, says};
use crate::change::{Attributes, Change, ChangeKind, ChangeSet, Content, Node, NodeKind};
use crate::{ApplyOptions, Limits, TarOptions, TimePrecision, Times, apply, write_tar};

/// Runs GNU tar and returns what it prints.
fn gnu_tar(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tar")
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tar {arguments:?}: {error}");
    assert_eq!(error, "", "tar {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn put(path: &[u8], kind: NodeKind, mode: u32, seconds: i64) -> Change {
    let attributes = Attributes {
        mode: Mode::new(mode),
        mtime: FileTime { seconds, nanos: 0 },
        ..Attributes::default()
    };
    let path = RootPath::strict(path).unwrap();
    Change {
        path,
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

fn file(text: &[u8]) -> NodeKind {
    NodeKind::File {
        size: text.len() as u64,
        content: Content::Bytes(Arc::from(text)),
    }
}

fn write(changes: Vec<Change>, options: &TarOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_tar(ChangeSet::new(changes).stream(), options, &mut bytes).unwrap();
    bytes
}

/// One change of every kind, with names and numbers that do and do not fit into a header.
fn one_of_each() -> Vec<Change> {
    let long = [&b"d/"[..], &[b'n'; 120]].concat();
    let deep = [b"deep/".repeat(30), b"leaf".to_vec()].concat();
    let mut owned = put(b"owned", file(b""), 0o640, 0);
    if let ChangeKind::Put(node) = &mut owned.kind {
        (node.attributes.uid, node.attributes.gid) = (4_000_000_000, 33);
    }
    vec![
        put(b"d", NodeKind::Directory { opaque: true }, 0o755, 86400),
        put(b"d/f", file(b"hello"), 0o4755, 1_700_000_000),
        put(
            b"d/h",
            NodeKind::HardLink { target: at("d/f") },
            0o4755,
            1_700_000_000,
        ),
        put(&long, file(b"x"), 0o644, 0),
        put(&deep, file(b""), 0o644, 0),
        put(
            b"link",
            NodeKind::Symlink {
                target: vec![b't'; 150],
            },
            0o777,
            0,
        ),
        put(
            b"null",
            NodeKind::CharDevice { major: 1, minor: 3 },
            0o666,
            0,
        ),
        put(b"old", file(b""), 0o600, -86400),
        owned,
        put(b"pipe", NodeKind::Fifo, 0o600, 0),
        put(
            b"sda",
            NodeKind::BlockDevice { major: 8, minor: 1 },
            0o660,
            0,
        ),
        Change {
            path: at("z/gone"),
            kind: ChangeKind::Delete,
        },
    ]
}

#[test]
fn gnu_tar_lists_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("t"),
        write(one_of_each(), &TarOptions::default()),
    )
    .unwrap();
    let listed = gnu_tar(dir.path(), &["--numeric-owner", "-tvf", "t"]);
    let squeezed: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let (name, leaf, target) = ("n".repeat(120), "deep/".repeat(30), "t".repeat(150));
    assert_eq!(
        squeezed,
        [
            "drwxr-xr-x 0/0 0 1970-01-02 00:00 d/".to_owned(),
            "---------- 0/0 0 1970-01-01 00:00 d/.wh..wh..opq".into(),
            "-rwsr-xr-x 0/0 5 2023-11-14 22:13 d/f".into(),
            "hrwsr-xr-x 0/0 0 2023-11-14 22:13 d/h link to d/f".into(),
            format!("-rw-r--r-- 0/0 1 1970-01-01 00:00 d/{name}"),
            format!("-rw-r--r-- 0/0 0 1970-01-01 00:00 {leaf}leaf"),
            format!("lrwxrwxrwx 0/0 0 1970-01-01 00:00 link -> {target}"),
            "crw-rw-rw- 0/0 1,3 1970-01-01 00:00 null".into(),
            "-rw------- 0/0 0 1969-12-31 00:00 old".into(),
            "-rw-r----- 4000000000/33 0 1970-01-01 00:00 owned".into(),
            "prw------- 0/0 0 1970-01-01 00:00 pipe".into(),
            "brw-rw---- 0/0 8,1 1970-01-01 00:00 sda".into(),
            "---------- 0/0 0 1970-01-01 00:00 z/.wh.gone".into(),
        ]
    );
}

#[test]
fn gnu_tar_extracts_what_we_write() {
    let odd = b"new\nline\xff\xc3\xa9";
    let long = [&b"d/"[..], &[b'\xff'; 120]].concat();
    let big = vec![7; 100_000];
    let changes = vec![
        put(b"d", NodeKind::Directory { opaque: false }, 0o755, 5),
        put(odd, file(b"odd"), 0o644, 5),
        put(&long, file(&big), 0o644, 5),
    ];
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t"), write(changes, &TarOptions::default())).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    gnu_tar(dir.path(), &["-xf", "t", "-C", "out"]);
    let out = dir.path().join("out");
    assert_eq!(
        fs::read(out.join(std::ffi::OsStr::from_bytes(odd))).unwrap(),
        b"odd"
    );
    assert_eq!(
        fs::read(out.join(std::ffi::OsStr::from_bytes(&long))).unwrap(),
        big
    );
}

#[test]
fn extended_attributes_reach_gnu_tar() {
    let mut change = put(b"f", file(b"x"), 0o644, 0);
    if let ChangeKind::Put(node) = &mut change.kind {
        node.attributes.xattrs = BTreeMap::from([(b"user.a".to_vec(), b"1\n2\0\xff".to_vec())]);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("t"),
        write(vec![change], &TarOptions::default()),
    )
    .unwrap();
    gnu_tar(
        dir.path(),
        &["--xattrs", "--xattrs-include=user.*", "-xf", "t"],
    );
    let root = Root::open(dir.path()).unwrap();
    let found = root.inode(&at("f")).unwrap().xattr(b"user.a").unwrap();
    assert_eq!(found, Some(b"1\n2\0\xff".to_vec()));
}

#[test]
fn times_are_cut_clamped_or_exact() {
    let mut change = put(b"f", file(b""), 0o644, 1_700_000_000);
    if let ChangeKind::Put(node) = &mut change.kind {
        node.attributes.mtime.nanos = 999_999_999;
    }
    let listed = |options: &TarOptions| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t"), write(vec![change.clone()], options)).unwrap();
        let listed = gnu_tar(dir.path(), &["--full-time", "-tvf", "t"]);
        listed.split_whitespace().nth(4).unwrap().to_owned()
    };
    assert_eq!(listed(&TarOptions::default()), "22:13:20");
    let exact = TarOptions {
        precision: TimePrecision::Nanoseconds,
        ..TarOptions::default()
    };
    assert_eq!(listed(&exact), "22:13:20.999999999");
    let at = |seconds| oci::Timestamp::from_unix_seconds(seconds).unwrap();
    for (times, expected) in [
        (Times::NotAfter(at(60)), "00:01:00"),
        (Times::NotAfter(at(1_700_000_001)), "22:13:20.999999999"),
        (Times::All(at(60)), "00:01:00"),
        (Times::All(at(1_700_000_001)), "22:13:21"),
    ] {
        assert_eq!(
            listed(&TarOptions { times, ..exact }),
            expected,
            "{times:?}"
        );
    }
}

/// Makes a tree for GNU tar to pack.
fn sample(dir: &Path) {
    let tree = dir.join("tree");
    let deep = tree
        .join("a".repeat(90))
        .join("b".repeat(90))
        .join("c".repeat(90));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("leaf"), "deep").unwrap();
    fs::write(tree.join("plain"), "text").unwrap();
    fs::hard_link(tree.join("plain"), tree.join("second")).unwrap();
    std::os::unix::fs::symlink("t".repeat(120), tree.join("link")).unwrap();
    let mut holes = fs::File::create(tree.join("holes")).unwrap();
    for offset in [0_u64, 1 << 20, 3 << 20, (5 << 20) + 4096] {
        holes.seek(SeekFrom::Start(offset)).unwrap();
        holes.write_all(format!("at {offset}").as_bytes()).unwrap();
    }
    holes.set_len(8 << 20).unwrap();
}

/// Returns the content of every file below a directory.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let walk = Root::open(root).unwrap().walk().unwrap();
    for entry in walk.map(Result::unwrap) {
        let bytes = match entry.metadata.kind {
            rootfs::FileKind::File => fs::read(root.join(entry.path.to_string())).unwrap(),
            rootfs::FileKind::Symlink => entry.read_link().unwrap(),
            _ => Vec::new(),
        };
        found.insert(entry.path.to_string(), bytes);
    }
    found
}

#[test]
fn we_read_every_format_of_gnu_tar() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let expected = contents(&dir.path().join("tree"));
    for format in [
        &["--format=gnu"][..],
        &["--format=pax"],
        &["--format=gnu", "--sparse"],
        &["--format=oldgnu", "--sparse"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
    ] {
        gnu_tar(
            dir.path(),
            &[format, &["-cf", "t", "-C", "tree", "."]].concat(),
        );
        let place = Place::new();
        let mut archive = fs::File::open(dir.path().join("t")).unwrap();
        let options = ApplyOptions {
            ids: ids_of_caller(),
            limits: Limits::default(),
        };
        let applied = apply(&mut archive, &place.root, &options).unwrap();
        assert!(
            applied.unsettled.is_empty() && applied.root_is_set,
            "{format:?}"
        );
        assert_eq!(contents(&place.inside("")), expected, "{format:?}");
    }
}

/// The files of the sample belong to whoever runs the tests.
fn ids_of_caller() -> rootfs::IdStorage {
    if super::support::is_root() {
        ids()
    } else {
        rootfs::IdStorage::Recorded
    }
}

#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    gnu_tar(
        dir.path(),
        &[
            "--format=pax",
            "--sparse",
            "-cf",
            "t",
            "-C",
            "tree",
            "holes",
        ],
    );
    let place = Place::new();
    let mut archive = fs::File::open(dir.path().join("t")).unwrap();
    let options = ApplyOptions {
        ids: ids_of_caller(),
        limits: Limits::default(),
    };
    apply(&mut archive, &place.root, &options).unwrap();
    let found = fs::metadata(place.inside("holes")).unwrap();
    assert_eq!(found.len(), 8 << 20);
    assert!(
        found.blocks() * 512 < 1 << 20,
        "{} bytes are stored",
        found.blocks() * 512
    );
}

/// What may stand before an entry, in any combination.
fn prefixes() -> Vec<(&'static str, Tar)> {
    let pax = |key, value: &'static [u8]| Tar::new().pax(&[(key, value)]);
    vec![
        ("nothing", Tar::new()),
        ("pax path", pax("path", b"renamed")),
        ("pax size", pax("size", b"512")),
        ("pax comment", pax("comment", b"path=x")),
        ("pax link", pax("linkpath", b"elsewhere")),
        (
            "two pax paths",
            Tar::new().pax(&[("path", b"first"), ("path", b"second")]),
        ),
        (
            "path taken back",
            Tar::new().pax(&[("path", b"first"), ("path", b"")]),
        ),
        (
            "two sizes",
            Tar::new().pax(&[("size", b"0"), ("size", b"512")]),
        ),
        ("newline", pax("comment", b"a\n11 path=a\n")),
        ("long name", Tar::new().long(b'L', "long")),
        ("long link", Tar::new().long(b'K', "long")),
        (
            "both long",
            Tar::new().long(b'L', "name").long(b'K', "link"),
        ),
        (
            "global",
            Tar::new().extension(b'g', &[("comment", b"0123")]),
        ),
        (
            "global then pax",
            Tar::new()
                .extension(b'g', &[("comment", b"1")])
                .pax(&[("path", b"p")]),
        ),
    ]
}

/// Every kind of entry, with and without data and a slash, after everything that may stand before it.
fn cases() -> Vec<(String, Tar)> {
    let mut cases = Vec::new();
    for (label, first) in prefixes() {
        for kind in *b"0\x0012567" {
            for (size, slash) in [(0, ""), (0, "/"), (512, ""), (512, "/")] {
                let name = format!("n{slash}");
                let link: &[u8] = if matches!(kind, b'1' | b'2') {
                    b"n0"
                } else {
                    b""
                };
                let entry = Says {
                    link,
                    size: Some(size),
                    ..says(kind, name.as_bytes())
                };
                let data = Tar::new().file("inner", "").open_bytes().to_vec();
                let tar = Tar::new()
                    .file("n0", "")
                    .raw(first.open_bytes())
                    .entry(entry);
                let label = format!("{label}, {}, {size}, {name}", char::from(kind));
                cases.push((label, tar.raw(&data).file("after", "x")));
            }
        }
    }
    cases
}

#[test]
fn t_a12_we_list_what_gnu_tar_lists_or_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let mut accepted = 0;
    let cases = cases();
    for (label, tar) in &cases {
        let Some(names) = ours(tar) else {
            continue;
        };
        accepted += 1;
        fs::write(dir.path().join("t"), tar.bytes()).unwrap();
        let theirs = gnu_tar(dir.path(), &["-tf", "t"]);
        let theirs: Vec<_> = theirs.lines().map(normal).collect();
        assert_eq!(names, theirs, "{label}");
    }
    assert!(
        accepted > 150,
        "{accepted} of {} were accepted",
        cases.len()
    );
}

fn normal(name: &str) -> String {
    name.trim_end_matches('/').to_owned()
}

/// Returns the names of an archive as we read them, `None` where we refuse it.
fn ours(tar: &Tar) -> Option<Vec<String>> {
    let bytes = tar.bytes();
    let mut reader = crate::tarread::TarReader::new(bytes.as_slice(), Limits::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().ok()? {
        names.push(normal(&String::from_utf8(entry.name).unwrap()));
    }
    Some(names)
}
