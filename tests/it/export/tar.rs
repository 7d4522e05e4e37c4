//! `type=tar`: the files of the result as an archive.

use std::fs;

use support::layout::host_platform;
use support::tarball;
use support::{BaseImage, Bench, Entry, Kind};

use crate::bench;

const EPOCH: i64 = 1_700_000_000;

fn read(bench: &Bench, path: &str) -> Vec<Entry> {
    tarball::read(&fs::read(bench.path(path)).unwrap())
}

fn paths(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path.as_str()).collect()
}

fn find<'e>(entries: &'e [Entry], path: &str) -> &'e Entry {
    entries.iter().find(|entry| entry.path == path).unwrap()
}

fn bench_with_tree() -> Bench {
    let base = vec![
        Entry::directory("etc").mode(0o755),
        Entry::file("etc/app", "base\n")
            .owner(5, 6)
            .mode(0o4640)
            .xattr("user.a", b"b"),
        Entry::hard_link("etc/link", "etc/app"),
        Entry::character("null", 1, 3),
        Entry::file("old", "old\n"),
    ];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), base)]);
    bench.file("new", "new\n");
    bench.dockerfile("FROM base\nCOPY --chown=7:8 new /old\n");
    bench
}

#[test]
fn the_files_of_all_layers_are_one_archive_with_their_owners() {
    let bench = bench_with_tree();
    bench
        .careen_build(&["-o", "type=tar,dest=made/out.tar"])
        .run()
        .success();
    let entries = read(&bench, "made/out.tar");
    assert_eq!(
        paths(&entries),
        ["etc", "etc/app", "etc/link", "null", "old"]
    );
    let app = find(&entries, "etc/app");
    assert_eq!(
        (app.owner, app.mode, app.text()),
        ((5, 6), 0o4640, "base\n")
    );
    assert_eq!(app.xattrs["user.a"], b"b");
    assert_eq!(
        find(&entries, "etc/link").kind,
        Kind::HardLink("etc/app".to_owned())
    );
    assert_eq!(find(&entries, "null").kind, Kind::Character(1, 3));
    let old = find(&entries, "old");
    assert_eq!((old.owner, old.text()), ((7, 8), "new\n"));
    assert!(entries.iter().all(|entry| entry.mtime == EPOCH));
}

#[test]
fn an_archive_goes_to_standard_output_and_is_the_same_again() {
    let bench = bench_with_tree();
    let first = bench.careen_build(&["-o", "-"]).run().success();
    assert_eq!(tarball::read(&first.stdout).len(), 5);
    bench.forget();
    let second = bench
        .careen_build(&["-o", "type=tar,dest=-"])
        .run()
        .success();
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn several_platforms_have_a_directory_each_or_one_tree() {
    let bench = bench();
    bench.file("file", "text\n");
    bench.dockerfile("FROM scratch\nARG TARGETARCH\nCOPY file /$TARGETARCH/\n");
    let build = |output: &str| {
        let flags = ["--platform", "linux/amd64,linux/arm64", "-o", output];
        bench.careen_build(&flags).run().success();
        read(&bench, "out.tar")
    };
    let split = build("type=tar,dest=out.tar");
    let expected = [
        "linux_amd64",
        "linux_amd64/amd64",
        "linux_amd64/amd64/file",
        "linux_arm64",
        "linux_arm64/arm64",
        "linux_arm64/arm64/file",
    ];
    assert_eq!(paths(&split), expected);
    assert!(split.iter().all(|entry| entry.mtime == EPOCH));
    let one = build("type=tar,dest=out.tar,platform-split=false");
    assert_eq!(paths(&one), ["amd64", "amd64/file", "arm64", "arm64/file"]);
}

#[test]
fn an_archive_that_fails_leaves_what_was_there() {
    let bench = bench();
    bench.file("large", vec![7; 3 << 20]);
    bench.dockerfile("FROM scratch\nCOPY large /\n");
    bench.careen_build(&["-o", "whole"]).run().success();
    fs::create_dir(bench.path("target")).unwrap();
    fs::write(bench.path("target/out.tar"), "from before").unwrap();
    let limit = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    let run = bench.careen_build_under(
        &["sh", "-c", limit, "sh"],
        &["-o", "type=tar,dest=target/out.tar"],
    );
    let log = run.run();
    assert!(log.error(1).contains("File too large"), "{}", log.stderr);
    assert_eq!(
        fs::read(bench.path("target/out.tar")).unwrap(),
        b"from before"
    );
    assert_eq!(fs::read_dir(bench.path("target")).unwrap().count(), 1);
}
