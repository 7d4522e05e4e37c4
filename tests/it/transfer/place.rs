//! Copies between places of this machine.

use std::fs;

use insta::assert_snapshot;
use support::{Archive, Registry};

use super::{PLATFORMS, copy, digest, images};

fn platforms(archive: &Archive) -> Vec<String> {
    archive
        .images
        .iter()
        .map(support::Image::platform)
        .collect()
}

#[test]
fn an_image_goes_round_through_every_place_and_stays_the_same() {
    let bench = images();
    let registry = Registry::start();
    let remote = format!("{}/some/app:1", registry.host());
    let index = digest(&bench, "oci:base", &[]);
    let mut from = "oci:base";
    for to in [
        "store:app:1",
        "oci:layout:1",
        &remote,
        "oci-archive:one.tar:1",
        "dir:directory",
        "docker-archive:two.tar:app:2",
        "store:app:3",
    ] {
        copy(&bench, from, to);
        assert_eq!(digest(&bench, to, &[]), index, "{to}");
        from = to;
    }
    let layout = Archive::read_directory(&bench.path("layout"));
    assert_eq!(platforms(&layout), PLATFORMS);
    for archive in ["one.tar", "two.tar"] {
        let archive = Archive::read(&fs::read(bench.path(archive)).unwrap());
        assert_eq!(platforms(&archive), PLATFORMS);
    }
}

#[test]
fn one_platform_is_an_image_and_several_are_an_index() {
    let bench = images();
    let copied = |arguments: &[&str], to: &str| {
        let run = bench.careen(&["copy", "oci:base", to, "--digestfile", "digest"]);
        let run = run.args(arguments).run().success();
        let text = run.text().trim().to_owned();
        assert_eq!(fs::read_to_string(bench.path("digest")).unwrap(), text);
        text
    };
    let arm64 = digest(&bench, "oci:base", &["--platform", "linux/arm64"]);
    assert_eq!(copied(&["--platform", "linux/arm64"], "oci:one:1"), arm64);
    let one = Archive::read_directory(&bench.path("one"));
    assert_eq!(platforms(&one), ["linux/arm64"]);
    let both = copied(&["--platform", "linux/arm64,linux/amd64"], "oci:both:1");
    assert_eq!(both, digest(&bench, "oci:base", &[]));
    // For this machine, if nothing is said.
    copied(&[], "oci:own:1");
    assert_eq!(Archive::read_directory(&bench.path("own")).images.len(), 1);
}

#[test]
fn an_image_gets_other_media_types_if_it_is_asked_for() {
    let bench = images();
    let run = bench.careen(&[
        "copy",
        "-q",
        "--all",
        "--format",
        "docker",
        "oci:base",
        "oci:new:1",
    ]);
    run.run().success();
    let archive = Archive::read_directory(&bench.path("new"));
    assert_eq!(
        archive.top_media_type(),
        "application/vnd.docker.distribution.manifest.list.v2+json"
    );
    let layer = "application/vnd.docker.image.rootfs.diff.tar";
    assert_eq!(archive.images[0].media_types, [layer, layer]);
}

#[test]
fn other_images_of_a_layout_stay_and_one_is_removed_by_its_name() {
    let bench = images();
    copy(&bench, "oci:base", "oci:new:a");
    copy(&bench, "oci:base", "oci:new:b");
    let tags = || {
        bench
            .careen(&["tags", "oci:new"])
            .run()
            .success()
            .text()
            .to_owned()
    };
    assert_eq!(tags(), "a\nb\n");
    let index = digest(&bench, "oci:base", &[]);
    let removed = bench.careen(&["delete", "oci:new:a"]).run().success();
    let place = bench.path("new").display().to_string();
    assert_eq!(
        removed.text(),
        format!("Untagged: oci:{place}:a ({index})\n")
    );
    assert_eq!(tags(), "b\n");
    copy(&bench, "oci:base", "store:app:1");
    let removed = bench.careen(&["delete", "store:app:1"]).run().success();
    assert_eq!(removed.text(), "Untagged: app:1\n");
    assert_eq!(
        bench.careen(&["delete", "store:app:1"]).run().error(1),
        "error: no image `app:1` in the store"
    );
}

#[test]
fn what_cannot_be_copied_is_said_and_leaves_nothing() {
    let bench = images();
    let said = |from: &str, to: &str, code| {
        bench
            .careen(&["copy", from, to])
            .run()
            .error(code)
            .to_owned()
    };
    assert_snapshot!(said("store:nothing", "oci:x:1", 1), @r"
    error: cannot read `store:nothing:latest`
      = caused by: no image `nothing:latest` in the store
    ");
    assert_snapshot!(said("oci:base:9", "oci:x:1", 1), @r"
    error: cannot read `oci:$BENCH/base:9`
      = caused by: the image layout `$BENCH/base` has no image `9`; it has `latest`
    ");
    assert_snapshot!(said("docker-daemon:app:1", "oci:x:1", 2), @"error: `docker-daemon:app:1`: `docker-daemon:` is not supported; images of docker are taken from an archive: `docker save`, `docker-archive:FILE`");
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/notes"), "mine").unwrap();
    assert_snapshot!(said("oci:base", "oci:full:1", 1), @r"
    error: cannot write `oci:$BENCH/full:1`
      = caused by: `$BENCH/full` is not empty and no image layout: it has no `oci-layout`
    ");
    assert_snapshot!(said("oci:base", "dir:full", 1), @r"
    error: cannot write `dir:$BENCH/full`
      = caused by: `$BENCH/full` is not empty and has no image in it
    ");
    let other = format!("store:app@{}", oci::Digest::of(b"another"));
    let refused = said("oci:base", &other, 1);
    assert!(
        refused.contains("and the place is for `sha256:"),
        "{refused}"
    );
    let blobs = fs::read_dir(bench.path("base/blobs/sha256")).unwrap();
    let largest = blobs
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| fs::metadata(path).unwrap().len());
    fs::write(largest.unwrap(), "damaged").unwrap();
    for to in ["oci-archive:y.tar", "docker-archive:y.tar"] {
        let run = bench.careen(&["copy", "--all", "oci:base", to]).run();
        let text = run.error(1);
        assert!(text.starts_with("error: cannot copy `sha256:"), "{text}");
        assert!(!fs::exists(bench.path("y.tar")).unwrap(), "{to}");
    }
}

#[test]
fn two_that_write_to_one_layout_do_not_lose_each_others_names() {
    let bench = images();
    let runs: Vec<_> = (0..6)
        .map(|number| {
            let to = format!("oci:new:{number}");
            bench
                .careen(&["copy", "-q", "--all", "oci:base", &to])
                .start()
        })
        .collect();
    for run in runs {
        run.finish().success();
    }
    let tags = bench.careen(&["tags", "oci:new"]).run().success();
    assert_eq!(tags.text(), "0\n1\n2\n3\n4\n5\n");
}
