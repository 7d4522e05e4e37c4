//! `COPY --link`: a layer of its own, whatever is below.

use insta::assert_snapshot;
use support::layout::host_platform;
use support::{BaseImage, Bench, Entry, Kind};

use crate::bench;

/// Makes a bench whose base has a link and a directory in the way of what is copied.
fn bench_with_links() -> Bench {
    let entries = vec![
        Entry::directory("etc"),
        Entry::file("etc/passwd", "root:x:0:0::/:/\nana:x:1000:1001::/:/\n"),
        Entry::directory("real").mode(0o700).owner(3, 4),
        Entry::symlink("alias", "real"),
    ];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), entries)]);
    bench.file("file", "text\n");
    bench
}

#[test]
fn a_linked_copy_follows_no_link_and_makes_its_directories_anew() {
    let bench = bench_with_links();
    bench.dockerfile("FROM base\nCOPY --link file /alias/\nCOPY --link file /real/\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.entry("alias").kind, Kind::Directory);
    assert_eq!(image.text("alias/file"), "text\n");
    let real = image.entry("real");
    assert_eq!((real.mode, real.owner), (0o755, (0, 0)));
    assert_eq!(image.layers.len(), 3);
}

#[test]
fn a_plain_copy_and_one_with_a_mode_follow_links_and_leave_directories_as_they_are() {
    let bench = bench_with_links();
    bench.dockerfile(
        "FROM base\nCOPY file /alias/plain\nCOPY --link --chmod=600 file /alias/mode\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.text("real/plain"), "text\n");
    assert_eq!(image.entry("real/mode").mode, 0o600);
    let real = image.entry("real");
    assert_eq!((real.mode, real.owner), (0o700, (3, 4)));
}

#[test]
fn the_same_files_are_the_same_layer_on_any_base() {
    let bench = bench_with_links();
    let layer = |dockerfile: &str| {
        bench.dockerfile(dockerfile);
        let built = bench.build(&[]);
        let digests = &built.image().config.rootfs.diff_ids;
        digests.last().cloned()
    };
    let upon = layer("FROM base\nLABEL a=b\nCOPY --link file /x/\n");
    assert_eq!(upon, layer("FROM scratch\nCOPY --link file /x/\n"));
}

#[test]
fn a_linked_copy_looks_at_no_layer_of_its_base() {
    let bench = bench_with_links();
    let blobs = bench.path("base/blobs/sha256");
    for entry in std::fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        // The one blob that is a tar is damaged: whoever unpacked it would fail.
        if bytes.len() >= 2048 && bytes.len().is_multiple_of(512) {
            bytes[512] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
    }
    let run = |flag: &str| {
        bench.dockerfile(&format!("FROM base\nCOPY {flag} file /x\n"));
        bench.careen_build(&["--output", "type=cacheonly"]).run()
    };
    run("--link").success();
    assert!(run("").error(1).contains("is damaged"));
}

#[test]
fn a_name_cannot_be_looked_up_where_nothing_is() {
    let bench = bench_with_links();
    bench.dockerfile("FROM base\nCOPY --link --chown=ana file /x\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot give the files to `ana`
     --> Dockerfile:2:21
      |
    2 | COPY --link --chown=ana file /x
      |                     ^^^ step 2/2
      |
      = caused by: no user `ana` in /etc/passwd of the image
      = note: `--link` copies without a look at the image, so it knows none of its names
      = help: use numbers, or leave `--link` out
    ");
}
