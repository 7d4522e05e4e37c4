//! `COPY`: whose the files are, and what may be done with them.

use insta::assert_snapshot;
use support::{BaseImage, Bench, Entry, Kind};

use crate::bench;

/// Makes a bench whose base has users and files of theirs.
fn bench_with_users() -> Bench {
    let files = vec![
        Entry::directory("etc"),
        Entry::file("etc/passwd", "root:x:0:0::/:/\nana:x:1000:1001::/:/\n"),
        Entry::file("etc/group", "root:x:0:\nstaff:x:50:ana\n"),
        Entry::directory("theirs").mode(0o2775).owner(1000, 50),
        Entry::file("theirs/setuid", "")
            .mode(0o4755)
            .owner(1000, 1001),
        Entry::file("theirs/capable", "").xattr("security.capability", &CAPABILITY),
        Entry::character("theirs/device", 1, 3).owner(0, 6),
        Entry::symlink("theirs/link", "setuid").owner(1000, 1000),
    ];
    bench().with_base(&[BaseImage::new(&support::layout::host_platform(), files)])
}

/// `cap_net_raw=ep`, of version 2 (capabilities(7), "File capability extended attribute versioning").
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn files_of_the_context_are_roots() {
    let bench = bench_with_users();
    bench.file("d/file", "");
    bench.dockerfile("FROM base\nUSER ana\nCOPY d /d/\n");
    let built = bench.build(&[]);
    for path in ["d", "d/file"] {
        assert_eq!(built.image().entry(path).owner, (0, 0), "{path}");
    }
}

#[test]
fn chown_takes_names_and_numbers() {
    let bench = bench_with_users();
    bench.file("file", "");
    let cases = [
        ("ana", (1000, 1001)),
        ("ana:staff", (1000, 50)),
        (":staff", (0, 50)),
        ("1000", (1000, 1000)),
        ("7:8", (7, 8)),
        ("ana:8", (1000, 8)),
    ];
    for (owner, expected) in cases {
        bench.dockerfile(&format!("FROM base\nCOPY --chown={owner} file /file\n"));
        assert_eq!(
            bench.build(&[]).image().entry("file").owner,
            expected,
            "{owner}"
        );
    }
}

#[test]
fn chmod_takes_numbers_and_letters() {
    let bench = bench_with_users();
    bench.file("file", "");
    let cases = [
        ("600", 0o600),
        ("4755", 0o4755),
        ("u+x,go=", 0o700),
        ("a=rX", 0o444),
    ];
    for (mode, expected) in cases {
        bench.dockerfile(&format!("FROM base\nCOPY --chmod={mode} file /file\n"));
        assert_eq!(
            bench.build(&[]).image().entry("file").mode,
            expected,
            "{mode}"
        );
    }
}

#[test]
fn files_of_an_image_keep_their_owners_bits_attributes_and_devices() {
    let bench = bench_with_users();
    bench.dockerfile("FROM scratch\nCOPY --from=base /theirs /copied\n");
    let built = bench.build(&[]);
    let image = built.image();
    let found = |path: &str| {
        let entry = image.entry(path);
        (entry.mode, entry.owner)
    };
    assert_eq!(found("copied/setuid"), (0o4755, (1000, 1001)));
    assert_eq!(found("copied/link").1, (1000, 1000));
    assert_eq!(image.entry("copied/device").kind, Kind::Character(1, 3));
    assert_eq!(found("copied/device").1, (0, 6));
    let xattrs = &image.entry("copied/capable").xattrs;
    assert_eq!(
        xattrs.get("security.capability").map(Vec::as_slice),
        Some(&CAPABILITY[..])
    );
}

#[test]
fn chown_of_files_of_an_image_gives_all_of_them() {
    let bench = bench_with_users();
    bench.dockerfile("FROM scratch\nCOPY --from=base --chown=3:4 /theirs /copied\n");
    let built = bench.build(&[]);
    for (path, entry) in built.image().tree() {
        assert_eq!(entry.owner, (3, 4), "{path}");
    }
}

#[test]
fn an_owner_whom_the_image_does_not_know_is_named() {
    let bench = bench_with_users();
    bench.file("file", "");
    bench.dockerfile("FROM base\nCOPY --chown=bob:staff file /\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot give the files to `bob:staff`
     --> Dockerfile:2:14
      |
    2 | COPY --chown=bob:staff file /
      |              ^^^^^^^^^ step 2/2
      |
      = caused by: no user `bob` in /etc/passwd of the image
    ");
}
