//! `careen unpack` and `repack`: an image as a directory, and back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use support::{Archive, Bench, Image};

use super::with_two_layers;

fn unpacked() -> Bench {
    let bench = with_two_layers();
    let words = ["unpack", "--image", "oci:base", "bundle"];
    bench.careen(&words).run().success();
    bench
}

/// Makes an image of the bundle and returns it.
fn repacked(bench: &Bench) -> (String, Image) {
    let words = ["repack", "--image", "oci:out:new", "bundle"];
    let ended = bench.careen(&words).run().success();
    let mut archive = Archive::read_directory(&bench.path("out"));
    (ended.stderr, archive.images.remove(0))
}

#[test]
fn the_files_of_a_bundle_are_the_users() {
    let bench = unpacked();
    let rootfs = |name: &str| bench.path("bundle/rootfs").join(name);
    let own = fs::metadata(bench.path("home")).unwrap();
    let tool = fs::metadata(rootfs("tool")).unwrap();
    assert_eq!((tool.uid(), tool.gid()), (own.uid(), own.gid()));
    assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_to_string(rootfs("dir/kept")).unwrap(), "kept\n");
    assert!(!fs::exists(rootfs("dir/gone")).unwrap());
    let first = fs::metadata(rootfs("first")).unwrap();
    assert_eq!(first.ino(), fs::metadata(rootfs("second")).unwrap().ino());
}

#[test]
fn a_runtime_is_told_what_the_image_says() {
    let bench = unpacked();
    let config = fs::read(bench.path("bundle/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["/tool"]));
    assert_eq!(config["root"]["path"], "rootfs");
    let own = fs::metadata(bench.path("home")).unwrap();
    let ids = serde_json::json!([{"containerID": 0, "hostID": own.uid(), "size": 1}]);
    assert_eq!(config["linux"]["uidMappings"], ids);
}

#[test]
fn what_was_changed_is_one_layer_more() {
    let bench = unpacked();
    let rootfs = |name: &str| bench.path("bundle/rootfs").join(name);
    fs::write(rootfs("new"), "new\n").unwrap();
    fs::set_permissions(rootfs("new"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(rootfs("tool"), "changed\n").unwrap();
    fs::remove_file(rootfs("link")).unwrap();
    let (_, image) = repacked(&bench);
    assert_eq!(image.layers.len(), 3);
    assert_eq!(image.top_paths(), [".wh.link", "new", "tool"]);
    let tool = image.entry("tool");
    assert_eq!((tool.mode, tool.owner), (0o4755, (7, 8)));
    let new = image.entry("new");
    assert_eq!((new.mode, new.owner), (0o640, (0, 0)));
    assert_eq!(image.text("tool"), "changed\n");
    assert_eq!(
        image.history().last().map(String::as_str),
        Some("careen repack")
    );
}

#[test]
fn what_is_removed_from_a_directory_takes_nothing_else_along() {
    let bench = unpacked();
    fs::remove_file(bench.path("bundle/rootfs/dir/kept")).unwrap();
    let (_, image) = repacked(&bench);
    assert_eq!(image.top_paths(), ["dir", "dir/.wh.kept"]);
    assert!(image.has("dir"));
    fs::remove_dir(bench.path("bundle/rootfs/dir")).unwrap();
    fs::remove_dir_all(bench.path("out")).unwrap();
    let (_, image) = repacked(&bench);
    assert_eq!(image.top_paths(), [".wh.dir"]);
}

#[test]
fn where_nothing_was_changed_the_image_is_the_one_that_was_unpacked() {
    let bench = unpacked();
    let (said, image) = repacked(&bench);
    assert_eq!(
        said,
        "warning: nothing was changed: the image is the one that was unpacked"
    );
    let base = Archive::read_directory(&bench.path("base"));
    assert_eq!(image.digest, base.image().digest);
}

#[test]
fn two_repacks_of_one_bundle_are_one_image() {
    let bench = unpacked();
    fs::write(bench.path("bundle/rootfs/new"), "new\n").unwrap();
    let (_, one) = repacked(&bench);
    fs::remove_dir_all(bench.path("out")).unwrap();
    let (_, other) = repacked(&bench);
    assert_eq!(one.digest, other.digest);
}

#[test]
fn a_directory_that_is_there_is_left_alone() {
    let bench = unpacked();
    let again = bench
        .careen(&["unpack", "--image", "oci:base", "bundle"])
        .run();
    assert_eq!(again.error(1), "error: `$BENCH/bundle` is there already");
    assert!(fs::exists(bench.path("bundle/rootfs/tool")).unwrap());
}

#[test]
fn what_is_no_bundle_is_refused() {
    let bench = with_two_layers();
    let refused = bench
        .careen(&["repack", "--image", "oci:out:new", "context"])
        .run();
    let first = refused.error(1).lines().next();
    assert_eq!(
        first,
        Some(
            "error: `$BENCH/context` is no bundle that careen has unpacked: its record cannot be read"
        )
    );
}

#[test]
fn nothing_is_left_of_a_bundle_whose_image_is_not_there() {
    let bench = with_two_layers();
    let words = ["unpack", "--image", "oci:base:absent", "bundle"];
    let refused = bench.careen(&words).run();
    assert_eq!(refused.code(), 1);
    assert!(!fs::exists(bench.path("bundle")).unwrap());
}
