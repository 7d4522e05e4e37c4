//! Standard input: a Dockerfile, or the context as a tar.

use insta::assert_snapshot;
use support::{Entry, compress, tarball};

use super::{built, input};
use crate::bench;

/// A context as a tar.
fn archive() -> Vec<u8> {
    tarball::write(&[
        Entry::file("Dockerfile", "FROM scratch\nCOPY . /all/\n"),
        Entry::file("sub/D", "FROM scratch\nCOPY sub/file /file\n"),
        Entry::file("sub/file", "packed\n")
            .mode(0o640)
            .owner(3, 4)
            .mtime(1_000_000),
        Entry::file("left/out", ""),
        Entry::file(".dockerignore", "left\nDockerfile\n.dockerignore\nsub/D*\n"),
    ])
}

#[test]
fn a_tar_is_the_context_whatever_it_is_compressed_with() {
    let bench = bench();
    let gzip = compress::gzip(&archive());
    let zstd = compress::zstd(&archive());
    for (name, content) in [("plain", archive()), ("gzip", gzip), ("zstd", zstd)] {
        let run = bench.careen(&["build", "-"]).stdin(input(&bench, content));
        let built = built(&bench, run);
        let image = built.image();
        let paths: Vec<&str> = image.tree().into_keys().collect();
        assert_eq!(paths, ["all", "all/sub", "all/sub/file"], "{name}");
        let file = image.entry("all/sub/file");
        assert_eq!(
            (file.mode, file.owner, file.mtime),
            (0o640, (3, 4), 1_000_000),
            "{name}"
        );
    }
}

#[test]
fn a_dockerfile_is_named_in_the_tar() {
    let bench = bench();
    for name in ["sub/D", "/sub/D", "./sub/../sub/D"] {
        let run = bench.careen(&["build", "-f", name, "-"]);
        let built = built(&bench, run.stdin(input(&bench, archive())));
        assert_eq!(built.image().text("file"), "packed\n", "{name}");
    }
    let run = bench.careen(&["build", "-f", "sub/none", "-"]);
    assert_snapshot!(run.stdin(input(&bench, archive())).run().error(1), @r"
    error: cannot read the Dockerfile `sub/none`
      = caused by: No such file or directory (os error 2)
    ");
    let run = bench.careen(&["build", "-f", "../../etc/passwd", "-"]);
    assert_snapshot!(run.stdin(input(&bench, archive())).run().error(1), @r"
    error: cannot read the Dockerfile `../../etc/passwd`
      = caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn a_dockerfile_has_an_empty_context() {
    let bench = bench();
    let text = "FROM scratch\nCOPY <<one /two\nhello\none\n";
    let run = bench.careen(&["build", "-"]).stdin(input(&bench, text));
    assert_eq!(built(&bench, run).image().text("two"), "hello\n");
    let text = "FROM scratch\nCOPY Dockerfile /\n";
    let run = bench.careen(&["build", "-"]).stdin(input(&bench, text));
    assert_snapshot!(run.run().error(1), @r"
    error: COPY source not found: `Dockerfile`
     --> standard input:2:6
      |
    2 | COPY Dockerfile /
      |      ^^^^^^^^^^ no such path
      |
      = note: build context: standard input
    ");
}

#[test]
fn the_dockerfile_alone_comes_from_standard_input() {
    let bench = bench();
    bench.file("file", "in the context\n");
    bench.file("ignored", "");
    bench.file(".dockerignore", "ignored\n");
    let text = "FROM scratch\nCOPY file* i* /\n";
    let run = bench.careen(&["build", "-f", "-", "context"]);
    let built = built(&bench, run.stdin(input(&bench, text)));
    let paths: Vec<&str> = built.image().tree().into_keys().collect();
    assert_eq!(paths, ["file"]);
}

#[test]
fn what_standard_input_cannot_be_is_said() {
    let bench = bench();
    let run = |arguments: &[&str], content: &[u8]| {
        let run = bench.careen(&["build"]).args(arguments);
        run.stdin(input(&bench, content)).run()
    };
    assert_snapshot!(run(&["-f", "-", "-"], b"FROM scratch\n").error(2), @r"error: standard input cannot be both the build context and the Dockerfile");
    assert_snapshot!(run(&["-"], b"").error(1), @r"error: standard input is empty, and should be a Dockerfile or a tar archive");
    assert_snapshot!(run(&["-f", "D", "-"], b"FROM scratch\n").error(1), @r"error: standard input is a Dockerfile, and `-f` names another one");
    assert_snapshot!(run(&["-"], b"FROM scratch\nCOPPY a b\n").error(1), @r"
    error: dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)
     --> standard input:2:1
      |
    2 | COPPY a b
      | ^^^^^
    ");
    assert_snapshot!(run(&["-"], b"FROM \xff\n").error(1), @r"
    error: cannot read the Dockerfile `standard input`
      = caused by: it is not UTF-8
    ");
    let torn = archive();
    assert_snapshot!(run(&["-"], &torn[..700]).error(1), @r"
    error: cannot unpack standard input
      = caused by: read the archive of the layer near byte 700
      = caused by: the archive ends inside an entry
    ");
    let gzip = compress::gzip(b"FROM scratch\n");
    assert_snapshot!(run(&["-"], &gzip).error(1), @r"
    error: cannot unpack standard input
      = caused by: read the archive of the layer near byte 0
      = caused by: the archive ends inside an entry
    ");
    let hostile = tarball::write(&[
        Entry::symlink("out", "/etc"),
        Entry::file("out/careen-was-here", ""),
        Entry::file("../careen-was-here", ""),
    ]);
    assert_snapshot!(run(&["-"], &hostile).error(1), @r"
    error: cannot unpack standard input
      = caused by: an entry of the layer has the name `../careen-was-here`
      = caused by: the path `../careen-was-here` has a `..`
    ");
}
