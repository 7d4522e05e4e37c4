//! `ADD`.

use insta::assert_snapshot;
use support::{Entry, compress, tarball};

use crate::bench;

/// Makes a tar with a directory and a file, neither of which is root's.
fn archive() -> Vec<u8> {
    tarball::write(&[
        Entry::directory("in").mode(0o750).owner(3, 4),
        Entry::file("in/file", "packed\n")
            .owner(3, 4)
            .mtime(1_000_000),
    ])
}

#[test]
fn a_local_archive_is_unpacked_whatever_it_is_compressed_with() {
    let bench = bench();
    let gzip = compress::gzip(&archive());
    let zstd = compress::zstd(&archive());
    for (name, content) in [
        ("plain", archive()),
        ("a.tar.gz", gzip),
        ("a.tar.zst", zstd),
    ] {
        bench.file(name, content);
        bench.dockerfile(&format!("FROM scratch\nADD {name} /out/\n"));
        let built = bench.build(&[]);
        let image = built.image();
        assert_eq!(image.text("out/in/file"), "packed\n", "{name}");
        let (directory, file) = (image.entry("out/in"), image.entry("out/in/file"));
        assert_eq!((directory.mode, directory.owner), (0o750, (3, 4)), "{name}");
        assert_eq!((file.owner, file.mtime), ((3, 4), 1_000_000), "{name}");
        assert!(!image.has(&format!("out/{name}")), "{name}");
    }
}

#[test]
fn other_files_are_copied() {
    let bench = bench();
    bench.file("notes.tar", "no archive\n");
    bench.file("real.tar", archive());
    bench.dockerfile("FROM scratch\nADD notes.tar /\nADD --unpack=false real.tar /\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().text("notes.tar"), "no archive\n");
    assert_eq!(
        built.image().entry("real.tar").kind,
        support::Kind::File(archive())
    );
}

#[test]
fn an_archive_cannot_leave_its_destination() {
    let bench = bench();
    bench.file(
        "bad.tar",
        tarball::write(&[
            Entry::symlink("out", "/etc"),
            Entry::file("out/passwd", "evil\n"),
            Entry::file("../../above", "evil\n"),
        ]),
    );
    bench.dockerfile("FROM scratch\nADD bad.tar /deep/down/\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot unpack the archive `bad.tar`
     --> Dockerfile:2:1
      |
    2 | ADD bad.tar /deep/down/
      | ^^^^^^^^^^^^^^^^^^^^^^^ step 1/1
      |
      = caused by: an entry of the layer has the name `../../above`
      = caused by: the path `../../above` has a `..`
    ");
}
