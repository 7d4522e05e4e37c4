//! `--build-context`.

use insta::assert_snapshot;
use support::{Feature, needs};

use crate::bench;

#[test]
fn a_directory_is_copied_from_and_built_upon() {
    let bench = bench();
    bench.file("dir/one", "1\n");
    bench.file("dir/sub/two", "2\n");
    bench.file("dir/left/out", "");
    bench.file("dir/.dockerignore", "left\n.dockerignore\n");
    bench.dockerfile("FROM dir\nCOPY --from=dir sub/two /copied\n");
    let built = bench.build(&["--build-context", "dir=context/dir"]);
    let image = built.image();
    let paths: Vec<&str> = image.tree().into_keys().collect();
    assert_eq!(paths, ["copied", "one", "sub", "sub/two"]);
    assert_eq!(
        image.history(),
        ["local source for dir", "COPY sub/two /copied # buildkit"]
    );
    assert_eq!(image.entry("one").owner, (0, 0));
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(image.config.config.env, [path]);
}

#[test]
fn a_directory_stands_for_a_stage_and_only_what_is_copied_from_it_is_read() {
    let bench = bench();
    bench.file("dir/one", "1\n");
    bench.file("dir/closed/file", "");
    bench.mode("dir/closed", 0o000);
    bench.file("dir/hole", "");
    let hole = std::fs::File::options();
    let hole = { hole }
        .write(true)
        .open(bench.path("context/dir/hole"))
        .unwrap();
    hole.set_len(1 << 40).unwrap();
    bench.dockerfile(
        "FROM no-such-image AS src\nRUN never\nFROM scratch\nCOPY --from=src /one /\nCOPY --from=0 one /two\n",
    );
    let built = bench.build(&["--build-context", "src=context/dir"]);
    bench.mode("dir/closed", 0o700);
    let paths: Vec<&str> = built.image().tree().into_keys().collect();
    assert_eq!(paths, ["one", "two"]);
}

#[test]
fn a_command_runs_on_a_directory() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("dir/foo", "foo\n");
    bench.dockerfile("FROM dir AS d\nCOPY --from=base / /\nRUN cat /foo > /bar\n");
    let built = bench.build(&["--build-context", "dir=context/dir"]);
    assert_eq!(built.image().text("bar"), "foo\n");
}

#[test]
fn an_image_of_the_store_or_none_at_all_has_another_name() {
    let bench = bench();
    bench.dockerfile("FROM any AS stage\nCOPY Dockerfile /\n");
    let built = bench.build(&["--build-context", "any=docker-image://scratch"]);
    let paths: Vec<&str> = built.image().tree().into_keys().collect();
    assert_eq!(paths, ["Dockerfile"]);
    let image = "any=docker-image://example.org/x:1";
    let flags = ["--build-context", image, "--pull=never"];
    assert_snapshot!(bench.refusal(&flags), @r"
    error: no image `example.org/x:1` in the store
     --> Dockerfile:1:6
      |
    1 | FROM any AS stage
      |      ^^^ not in the store
      |
      = note: `--pull=never` forbids to ask a registry for it
      = help: `careen pull example.org/x:1` puts it there
    ");
    // The later of two with one name counts.
    let twice = [
        "--build-context",
        "any=docker-image://example.org/x:1",
        "--build-context",
        "docker.io/library/any:latest=docker-image://scratch",
    ];
    bench.careen_build(&twice).run().success();
}

#[test]
fn a_context_of_a_platform_goes_before_one_of_all() {
    let bench = bench();
    bench.file("one/file", "1\n");
    bench.file("arm/file", "arm\n");
    bench.dockerfile("FROM scratch\nCOPY --from=dir file /\n");
    let built = bench.build(&[
        "--platform",
        "linux/amd64,linux/arm64",
        "--build-context",
        "dir=context/one",
        "--build-context",
        "dir::linux/arm64=context/arm",
    ]);
    let texts: Vec<_> = built
        .archive
        .images
        .iter()
        .map(|image| (image.platform(), image.text("file").to_owned()))
        .collect();
    let pair = |platform: &str, text: &str| (platform.to_owned(), text.to_owned());
    assert_eq!(
        texts,
        [pair("linux/amd64", "1\n"), pair("linux/arm64", "arm\n")]
    );
}

#[test]
fn reserved_names_stand_for_nothing_and_it_is_said() {
    let bench = bench();
    bench.file("dir/one", "");
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    for name in ["scratch", "context"] {
        let log = bench
            .careen_build(&["--build-context", &format!("{name}=context/dir")])
            .run()
            .success();
        let warning = format!("the build context `{name}` is not used: the name is reserved");
        assert!(log.stderr.contains(&warning), "{}", log.stderr);
    }
}

#[test]
fn a_directory_that_is_none_is_named() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    assert_snapshot!(bench.refusal(&["--build-context", "x=none"]), @r"
    error: cannot read the named context `$BENCH/none`
      = caused by: No such file or directory (os error 2)
      = note: it is `--build-context x`
    ");
    assert_snapshot!(bench.refusal(&["--build-context", "x=context/Dockerfile"]), @r"
    error: cannot read the named context `$BENCH/context/Dockerfile`
      = caused by: not a directory
      = note: it is `--build-context x`
    ");
}
