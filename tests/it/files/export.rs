//! `careen export`: the files of an image as one archive.

use support::tarball;
use support::{BaseImage, Entry, Kind};

use super::with_two_layers;
use crate::bench;

/// Returns path, mode and owner of each entry, and what a file or link has.
fn listed(tar: &[u8]) -> Vec<String> {
    let line = |entry: Entry| {
        let what = match &entry.kind {
            Kind::File(content) => format!(" {:?}", String::from_utf8_lossy(content)),
            Kind::Symlink(target) | Kind::HardLink(target) => format!(" -> {target}"),
            _ => String::new(),
        };
        let (user, group) = entry.owner;
        format!("{} {:o} {user}:{group}{what}", entry.path, entry.mode)
    };
    tarball::read(tar).into_iter().map(line).collect()
}

const FILES: [&str; 6] = [
    "dir 755 0:0",
    "dir/kept 644 0:0 \"kept\\n\"",
    "first 600 0:0 \"one\\n\"",
    "link 777 0:0 -> dir/kept",
    "second 600 0:0 -> first",
    "tool 4755 7:8 \"tool\\n\"",
];

#[test]
fn the_layers_are_one_tree_with_owners_whoever_asks() {
    let bench = with_two_layers();
    let exported = bench.careen(&["export", "oci:base"]).run().success();
    assert_eq!(listed(&exported.stdout), FILES);
    let words = ["export", "-o", "root.tar", "oci:base:latest"];
    bench.careen(&words).run().success();
    let file = std::fs::read(bench.path("root.tar")).unwrap();
    assert_eq!(file, exported.stdout);
}

#[test]
fn one_platform_of_several_is_exported() {
    let image = |platform: &str| BaseImage::new(platform, vec![Entry::file("for", platform)]);
    let bench = bench().with_base(&[image("linux/s390x"), image("linux/riscv64")]);
    let exported = |words: &[&str]| {
        let run = bench.careen(&["export", "oci:base"]).args(words);
        listed(&run.run().success().stdout)
    };
    assert_eq!(
        exported(&["--platform", "linux/riscv64"]),
        ["for 644 0:0 \"linux/riscv64\""]
    );
    // None is for this machine, and nobody asked for one.
    assert_eq!(exported(&[]), ["for 644 0:0 \"linux/s390x\""]);
    let refused = bench
        .careen(&["export", "--platform", "linux/amd64/v4", "oci:base"])
        .run();
    assert_eq!(
        refused.error(1),
        "error: `$BENCH/base` has no image for linux/amd64/v4\n  = note: it has linux/s390x, linux/riscv64"
    );
}

#[test]
fn an_image_of_the_store_is_exported_by_its_name() {
    let bench = with_two_layers();
    bench.dockerfile("FROM base\n");
    bench.build_as(&["-t", "app"], "type=oci,dest=out.tar");
    bench.careen(&["load", "-i", "out.tar"]).run().success();
    let exported = bench.careen(&["export", "store:app"]).run().success();
    assert_eq!(listed(&exported.stdout), FILES);
}
