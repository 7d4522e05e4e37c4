//! `type=local`: the files of the result in a directory.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use insta::assert_snapshot;
use support::layout::host_platform;
use support::{BaseImage, Bench, Entry};

use crate::bench;

const EPOCH: i64 = 1_700_000_000;

/// Makes a bench whose image has files of all kinds, from its base and from the context.
fn bench_with_tree() -> Bench {
    let base = vec![
        Entry::directory("etc").mode(0o755).mtime(10),
        Entry::file("etc/app", "base\n")
            .owner(5, 6)
            .mode(0o640)
            .mtime(20),
        Entry::hard_link("etc/again", "etc/app"),
        Entry::symlink("etc/link", "/etc/app"),
        Entry::file("gone", "gone\n"),
        Entry::file("suid", "program\n").mode(0o4755),
    ];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), base)]);
    bench.file("new", "new\n");
    bench.dockerfile("FROM base\nCOPY --chown=7:8 new /etc/new\nCOPY --chmod=600 new /gone\n");
    bench
}

fn build(bench: &Bench, arguments: &[&str]) {
    bench.careen_build(arguments).run().success();
}

/// Returns everything below a directory of the bench, sorted.
fn tree(bench: &Bench, directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![String::new()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(bench.path(directory).join(&path)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("{path}/{name}").trim_matches('/').to_owned();
            if fs::symlink_metadata(bench.path(directory).join(&path))
                .unwrap()
                .is_dir()
            {
                left.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn files_are_written_as_they_are_in_the_image_and_belong_to_the_caller() {
    let bench = bench_with_tree();
    build(&bench, &["-o", "out"]);
    let expected = [
        "etc",
        "etc/again",
        "etc/app",
        "etc/link",
        "etc/new",
        "gone",
        "suid",
    ];
    assert_eq!(tree(&bench, "out"), expected);
    let metadata = |path: &str| fs::symlink_metadata(bench.path("out").join(path)).unwrap();
    let mode = |path: &str| metadata(path).permissions().mode() & 0o7777;
    let modes = ["etc", "etc/app", "gone", "suid"].map(mode);
    assert_eq!(modes, [0o755, 0o640, 0o600, 0o755]);
    let caller = fs::metadata(bench.path("context")).unwrap();
    for path in expected {
        let found = metadata(path);
        assert_eq!(
            (found.uid(), found.gid()),
            (caller.uid(), caller.gid()),
            "{path}"
        );
        assert_eq!(found.mtime(), EPOCH, "{path}");
    }
    assert_eq!(metadata("etc/app").ino(), metadata("etc/again").ino());
    let link = fs::read_link(bench.path("out/etc/link")).unwrap();
    assert_eq!(link.to_str(), Some("/etc/app"));
    assert_eq!(fs::read(bench.path("out/gone")).unwrap(), b"new\n");
}

#[test]
fn files_keep_their_times_where_the_build_has_none() {
    let bench = bench_with_tree();
    let run = bench.careen_build(&["-o", "out"]);
    run.env("SOURCE_DATE_EPOCH", "").run().success();
    let mtime = |path: &str| fs::metadata(bench.path(path)).unwrap().mtime();
    assert_eq!(
        (mtime("out/etc/app"), mtime("out/etc")),
        (20, mtime("out/etc"))
    );
    assert_eq!(mtime("out/etc/new"), mtime("context/new"));
}

#[test]
fn a_directory_that_is_there_is_merged_into() {
    let bench = bench_with_tree();
    fs::create_dir_all(bench.path("out/etc")).unwrap();
    fs::write(bench.path("out/etc/mine"), "mine").unwrap();
    fs::write(bench.path("out/gone"), "old").unwrap();
    symlink("/nowhere", bench.path("out/suid")).unwrap();
    build(&bench, &["-o", "type=local,dest=out"]);
    assert_eq!(fs::read(bench.path("out/etc/mine")).unwrap(), b"mine");
    assert_eq!(fs::read(bench.path("out/gone")).unwrap(), b"new\n");
    assert_eq!(fs::read(bench.path("out/suid")).unwrap(), b"program\n");
    assert_eq!(tree(&bench, "out").len(), 8);
}

#[test]
fn no_link_in_the_directory_leads_out_of_it() {
    let bench = bench_with_tree();
    fs::create_dir_all(bench.path("other")).unwrap();
    fs::create_dir(bench.path("out")).unwrap();
    symlink("../other", bench.path("out/etc")).unwrap();
    build(&bench, &["-o", "out"]);
    assert!(tree(&bench, "other").is_empty());
    assert_eq!(fs::read(bench.path("out/etc/new")).unwrap(), b"new\n");
}

#[test]
fn a_directory_in_the_way_is_left_alone_and_said() {
    let bench = bench_with_tree();
    fs::create_dir_all(bench.path("out/suid/mine")).unwrap();
    assert_snapshot!(bench.refusal(&["-o", "out"]), @"error: cannot write `$BENCH/out/suid`: a directory is in the way");
    assert!(tree(&bench, "out").contains(&"suid/mine".to_owned()));
}

#[test]
fn what_the_result_does_not_have_goes_if_it_is_asked_for() {
    let bench = bench_with_tree();
    fs::create_dir_all(bench.path("out/mine/deep")).unwrap();
    fs::create_dir_all(bench.path("out/suid/mine")).unwrap();
    fs::write(bench.path("out/etc"), "in the way").unwrap();
    build(&bench, &["-o", "type=local,dest=out,mode=delete"]);
    let expected = [
        "etc",
        "etc/again",
        "etc/app",
        "etc/link",
        "etc/new",
        "gone",
        "suid",
    ];
    assert_eq!(tree(&bench, "out"), expected);
}

#[test]
fn nothing_is_removed_outside_the_working_directory() {
    let bench = bench_with_tree();
    let run = bench.careen_build(&["-o", "type=local,dest=../elsewhere,mode=delete"]);
    let log = run.run();
    assert!(
        log.error(2)
            .contains("which is not below the working directory"),
        "{}",
        log.stderr
    );
}

#[test]
fn several_platforms_have_a_directory_each_or_one_tree() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH/file\n");
    let platforms = ["--platform", "linux/amd64,linux/arm"];
    build(&bench, &[&platforms[..], &["-o", "split"]].concat());
    let expected = [
        "linux_amd64",
        "linux_amd64/amd64",
        "linux_amd64/amd64/file",
        "linux_arm_v7",
        "linux_arm_v7/arm",
        "linux_arm_v7/arm/file",
    ];
    assert_eq!(tree(&bench, "split"), expected);
    let output = "type=local,dest=one,platform-split=false";
    build(&bench, &[&platforms[..], &["-o", output]].concat());
    assert_eq!(
        tree(&bench, "one"),
        ["amd64", "amd64/file", "arm", "arm/file"]
    );
    build(
        &bench,
        &[
            "--platform",
            "linux/s390x",
            "--build-arg",
            "BUILDKIT_MULTI_PLATFORM=1",
            "-o",
            "forced",
        ],
    );
    assert_eq!(tree(&bench, "forced")[0], "linux_s390x");

    bench.dockerfile("FROM scratch\nCOPY Dockerfile /file\n");
    let output = "type=local,dest=same,platform-split=false";
    assert_snapshot!(bench.refusal(&[&platforms[..], &["-o", output]].concat()), @"error: `linux/amd64` and `linux/arm/v7` both have `/file`, and `platform-split=false` puts them into one tree");
    assert!(!fs::exists(bench.path("same")).unwrap());
}

#[test]
fn device_nodes_are_left_out_and_that_is_said() {
    let base = vec![
        Entry::directory("dev"),
        Entry::character("dev/null", 1, 3),
        Entry::file("file", ""),
    ];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), base)]);
    bench.dockerfile("FROM base\n");
    let log = bench.careen_build(&["-o", "out"]).run().success();
    assert_eq!(tree(&bench, "out"), ["dev", "file"]);
    let said =
        "warning: device nodes are not written to `$BENCH/out`: 1 of the result are left out";
    assert!(log.stderr.contains(said), "{}", log.stderr);
}

#[test]
fn a_result_without_files_is_an_empty_directory() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nENV a=b\n");
    build(&bench, &["-o", "out"]);
    assert!(tree(&bench, "out").is_empty());
}

#[test]
fn a_disk_that_is_full_leaves_no_directory_that_was_not_there_and_no_half_file() {
    let bench = bench();
    bench.file("large", vec![7; 3 << 20]);
    bench.file("small", "new");
    bench.dockerfile("FROM scratch\nCOPY small large /\n");
    // The store is filled while files may be large.
    build(&bench, &["-o", "type=cacheonly"]);
    build(&bench, &["-o", "whole"]);
    fs::create_dir(bench.path("out")).unwrap();
    fs::write(bench.path("out/large"), "old").unwrap();
    // No file may be larger than 1 MiB, in units of 512 bytes: what `write` says then is what it says of a
    // quota, and the signal is ignored as it is by shells' children.
    let limit = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    for output in ["type=local,dest=fresh", "type=local,dest=out"] {
        let run = bench.careen_build_under(&["sh", "-c", limit, "sh"], &["-o", output]);
        let log = run.run();
        assert!(log.error(1).contains("File too large"), "{}", log.stderr);
    }
    assert!(!fs::exists(bench.path("fresh")).unwrap());
    assert_eq!(fs::read(bench.path("out/large")).unwrap(), b"old");
    let left: Vec<_> = tree(&bench, "out");
    assert!(
        left.iter()
            .all(|name| ["large", "small"].contains(&name.as_str())),
        "{left:?}"
    );
    let names = fs::read_dir(bench.path(".")).unwrap();
    let temporary = names.filter(|name| {
        let name = name.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("careen-")
    });
    assert_eq!(temporary.count(), 0);
}
