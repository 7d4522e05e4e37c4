//! Where the build context and the Dockerfile come from.

mod named;
mod remote;
mod stdin;
mod time;

use std::fs::{self, File};

use insta::assert_snapshot;
use support::{Bench, Built, Invocation};

use crate::bench;

const OUTPUT: &str = "type=oci,dest=out.tar";

/// Returns a file of the bench to be standard input, with this content.
fn input<C: AsRef<[u8]>>(bench: &Bench, content: C) -> File {
    let path = bench.path("stdin");
    fs::write(&path, content).unwrap();
    File::open(path).unwrap()
}

/// Runs a build that succeeds and reads what it wrote.
fn built(bench: &Bench, run: Invocation) -> Built {
    let log = run.args(&["--output", OUTPUT]).run().success();
    let archive = support::Archive::read(&fs::read(bench.path("out.tar")).unwrap());
    Built { log, archive }
}

#[test]
fn only_what_the_dockerfile_names_is_read() {
    let bench = bench();
    bench.file("wanted", "yes\n");
    // As large as no disk is: whoever reads it is not done before the test gives up.
    let size_bytes = 1 << 40;
    bench.file("huge/hole", "");
    let hole = File::options()
        .write(true)
        .open(bench.path("context/huge/hole"))
        .unwrap();
    hole.set_len(size_bytes).unwrap();
    bench.file("closed/file", "");
    bench.mode("closed", 0o000);
    bench.dockerfile("FROM scratch\nCOPY wanted /\n");
    let built = bench.build(&[]);
    bench.mode("closed", 0o700);
    assert_eq!(built.image().text("wanted"), "yes\n");
}

#[test]
fn nothing_that_a_dockerfile_names_is_outside_the_context() {
    let bench = bench();
    fs::write(bench.path("secret"), "host\n").unwrap();
    bench.file("secret", "context\n");
    let absolute = bench.path("secret").display().to_string();
    bench.link("up", "../secret");
    bench.link("far", "../../../../../../../../../secret");
    bench.link("absolute", &absolute);
    bench.link("directory", "/");
    bench.dockerfile(
        "FROM scratch\nCOPY up /up\nCOPY far /far\nCOPY ../secret /dots\nCOPY directory/secret /below\n",
    );
    let built = bench.build(&[]);
    for path in ["up", "far", "dots", "below"] {
        assert_eq!(built.image().text(path), "context\n", "{path}");
    }
    bench.dockerfile("FROM scratch\nCOPY absolute /\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: COPY source not found: `absolute`
     --> Dockerfile:2:6
      |
    2 | COPY absolute /
      |      ^^^^^^^^ no such path
      |
      = note: build context: $BENCH/context
    ");
    for path in ["/etc/passwd", "../../../../../../etc/passwd"] {
        bench.dockerfile(&format!("FROM scratch\nCOPY {path} /\n"));
        let refusal = bench.refusal(&[]);
        let title = refusal.lines().next();
        assert_eq!(
            title,
            Some("error: COPY source not found: `/etc/passwd`"),
            "{path}"
        );
    }
}

#[test]
fn t_b01_a_dockerfile_of_the_context_is_no_link_out_of_it() {
    let bench = bench();
    fs::write(bench.path("outside"), "FROM scratch\nCOPY file /\n").unwrap();
    bench.file("file", "");
    bench.link("Dockerfile", "../outside");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot read the Dockerfile `$BENCH/context/Dockerfile`
      = caused by: No such file or directory (os error 2)
      = note: it is a link, and what it leads to is not in the context
      = help: `-f PATH` names another file
    ");
    // Whoever names it means it.
    bench
        .careen_build(&["-f", "context/Dockerfile"])
        .run()
        .success();
    bench.file("sub/real", "FROM scratch\nCOPY file /\n");
    fs::remove_file(bench.path("context/Dockerfile")).unwrap();
    bench.link("Dockerfile", "sub/real");
    bench.careen_build(&[]).run().success();
}

#[test]
fn a_dockerfile_has_one_of_three_names() {
    let bench = bench();
    let step = || {
        let log = bench.careen_build(&[]).run().success();
        let steps: Vec<_> = log.steps().into_keys().collect();
        steps
            .into_iter()
            .find(|step| step.starts_with("COPY"))
            .unwrap()
    };
    bench.file("file", "");
    for name in ["Containerfile", "dockerfile", "Dockerfile"] {
        bench.file(name, format!("FROM scratch\nCOPY file /{name}\n"));
        assert_eq!(step(), format!("COPY file /{name}"));
    }
    bench.file("sub/dockerfile", "FROM scratch\nCOPY file /sub\n");
    let log = bench.careen_build(&["-f", "context/sub/Dockerfile"]).run();
    assert!(log.success().outcome("COPY file /sub").is_some());
}

#[test]
fn a_dockerfile_may_be_anywhere_and_has_its_own_ignore_file_there() {
    let bench = bench();
    bench.file("a", "");
    bench.file("b", "");
    bench.file(".dockerignore", "a\n");
    fs::create_dir(bench.path("else")).unwrap();
    fs::write(bench.path("else/D"), "FROM scratch\nCOPY . /\n").unwrap();
    let paths = || {
        let built = built(&bench, bench.careen_build(&["-f", "else/D"]));
        let tree = built.image().tree().into_keys().map(str::to_owned);
        tree.collect::<Vec<_>>()
    };
    assert_eq!(paths(), [".dockerignore", "b"]);
    fs::write(bench.path("else/D.dockerignore"), "b\n.dockerignore\n").unwrap();
    assert_eq!(paths(), ["a"]);
}

#[test]
fn a_context_that_is_none_is_named() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let run = |arguments: &[&str]| bench.careen(&["build"]).args(arguments).run();
    assert_snapshot!(run(&[]).error(2), @r"error: no build context is given: `careen build .` takes the current directory");
    assert_snapshot!(run(&["no-such-directory"]).error(1), @r"
    error: cannot read the build context `$BENCH/no-such-directory`
      = caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(run(&["context/Dockerfile"]).error(1), @r"
    error: cannot read the build context `$BENCH/context/Dockerfile`
      = caused by: not a directory
    ");
    assert_snapshot!(run(&["-f", "context", "context"]).error(1), @r"
    error: cannot read the Dockerfile `$BENCH/context`
      = caused by: Is a directory (os error 21)
    ");
    assert_snapshot!(run(&["-f", "none", "context"]).error(1), @r"
    error: cannot read the Dockerfile `$BENCH/none`
      = caused by: No such file or directory (os error 2)
    ");
    bench.file("sub/file", "");
    fs::rename(
        bench.path("context/sub"),
        bench.path("context/Dockerfile.d"),
    )
    .unwrap();
    fs::remove_file(bench.path("context/Dockerfile")).unwrap();
    fs::create_dir(bench.path("context/Dockerfile")).unwrap();
    assert_snapshot!(run(&["context"]).error(1), @r"
    error: cannot read the Dockerfile `$BENCH/context/Dockerfile`
      = caused by: `Dockerfile` is no regular file
    ");
}
