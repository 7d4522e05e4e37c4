//! `FROM`: what a build starts from.

use insta::assert_snapshot;
use support::layout::host_platform;
use support::{BaseImage, Entry, Feature, Kind, needs};

use crate::bench;

#[test]
fn an_image_keeps_the_configuration_and_the_layers_of_its_base() {
    let mut base = BaseImage::new(&host_platform(), vec![Entry::file("a", "1\n")]);
    base.layers.push(vec![Entry::file("b", "2\n").owner(7, 8)]);
    base.config.env.push("FROM_BASE=yes".to_owned());
    base.config.cmd = vec!["/serve".to_owned()];
    let expected = base.config.clone();
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(image.config.config, expected);
    assert_eq!(image.history(), ["a test", "a test"]);
    assert_eq!(image.entry("b").owner, (7, 8));
}

#[test]
fn scratch_is_nothing() {
    let bench = bench();
    bench.file("file", "content\n");
    bench.dockerfile("FROM scratch\nCOPY file /\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().layers.len(), 1);
    assert_eq!(built.image().platform(), host_platform());
    assert_eq!(built.image().text("file"), "content\n");
}

#[test]
fn a_base_is_taken_for_the_platform_that_is_asked_for() {
    let image = |platform: &str| BaseImage::new(platform, vec![Entry::file("for", platform)]);
    let platforms = ["linux/s390x", "linux/riscv64", "linux/arm64"];
    let bench = bench().with_base(&platforms.map(image));
    bench.dockerfile("FROM base\nCOPY --from=base for /again\n");
    let built = bench.build(&["--platform", "linux/arm64,linux/s390x"]);
    let found: Vec<_> = built
        .archive
        .images
        .iter()
        .map(|image| (image.platform(), image.text("for"), image.text("again")))
        .collect();
    let expected = ["linux/arm64", "linux/s390x"].map(|name| (name.to_owned(), name, name));
    assert_eq!(found, expected);
}

#[test]
fn layers_hide_what_lies_below_them() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    let bottom = ["d/gone", "d/stays", "e/gone", "f"].map(|path| Entry::file(path, ""));
    base.layers.push(
        [
            vec![Entry::directory("d"), Entry::directory("e")],
            bottom.to_vec(),
        ]
        .concat(),
    );
    base.layers.push(vec![
        Entry::file("d/.wh.gone", ""),
        Entry::file("e/.wh..wh..opq", ""),
        Entry::file("e/new", ""),
        Entry::file(".wh.f", ""),
    ]);
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nRUN ls -d /d/* /e/* /f 2>/dev/null | tr '\\n' ' '; echo\n");
    assert_eq!(
        bench.careen_build(&[]).run().success().output(),
        ["/d/stays /e/new "]
    );
}

#[test]
fn an_entry_below_a_link_of_a_lower_layer_goes_where_the_link_leads() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    base.layers
        .push(vec![Entry::directory("run"), Entry::symlink("var", "run")]);
    base.layers.push(vec![
        Entry::file("var/pid", "1\n"),
        Entry::hard_link("linked", "etc/group"),
    ]);
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nRUN readlink /var; cat /run/pid; head -n 1 /linked\n");
    let log = bench.careen_build(&["-t", "app"]).run().success();
    assert_eq!(log.output(), ["run", "1", "root:x:0:"]);
    // That it is elsewhere than its blob says is no damage: of the three layers, and what the command left, that is not
    // compared.
    let checked = bench.careen(&["fsck"]).run().success();
    let expected = "(3 compared with their layers)";
    assert!(checked.text().contains(expected), "{}", checked.text());
}

#[test]
fn a_device_of_a_base_is_recorded_and_not_made() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    base.layers.push(vec![
        Entry::directory("odd"),
        Entry::character("odd/zero", 1, 5),
    ]);
    let bench = bench().with_base(&[base]);
    // With one id it seems to be the device; it never is.
    bench.dockerfile(
        "FROM base\nRUN [ \"$(head -c 1 /odd/zero | wc -c)\" = 0 ] && mv /odd/zero /odd/moved\n",
    );
    let built = bench.build(&[]);
    assert_eq!(built.image().entry("odd/moved").kind, Kind::Character(1, 5));
    assert!(!built.image().has("odd/zero"));
}

#[test]
fn a_base_that_is_not_there_is_named() {
    let bench = bench();
    bench.dockerfile("FROM no-such:1\n");
    assert_snapshot!(bench.refusal(&["--pull=never"]), @r"
    error: no image `no-such:1` in the store
     --> Dockerfile:1:6
      |
    1 | FROM no-such:1
      |      ^^^^^^^^^ not in the store
      |
      = note: `--pull=never` forbids to ask a registry for it
      = help: `careen pull no-such:1` puts it there
    ");
}

#[test]
fn a_base_without_the_platform_names_those_that_it_has() {
    let image = |platform: &str| BaseImage::new(platform, vec![Entry::file("a", "")]);
    let bench = bench().with_base(&["linux/s390x", "linux/riscv64"].map(image));
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    assert_snapshot!(bench.refusal(&["--platform", "linux/ppc64le"]), @r"
    error: `$BENCH/base` has no image for linux/ppc64le
     --> Dockerfile:1:6
      |
    1 | FROM base
      |      ^^^^ asked for linux/ppc64le
      |
      = note: it has linux/s390x, linux/riscv64
    ");
}

#[test]
fn a_layer_that_is_damaged_is_no_layer() {
    let bench = bench().with_base(&[BaseImage::new(
        &host_platform(),
        vec![Entry::file("a", "1")],
    )]);
    let blobs = bench.path("base/blobs/sha256");
    for entry in std::fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.len() >= 2048 && bytes.len().is_multiple_of(512) {
            bytes[512] = b'2';
            std::fs::write(path, bytes).unwrap();
        }
    }
    bench.dockerfile("FROM base\nCOPY --from=base a /b\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot read the layer `sha256:3baaf467ee03b06c82e030cf6fd917473dcd4bbf5c94ae6d317e31f7ed64482d`
     --> Dockerfile:2:1
      |
    2 | COPY --from=base a /b
      | ^^^^^^^^^^^^^^^^^^^^^ step 2/2 [stage-0]
      |
      = caused by: blob `sha256:3baaf467ee03b06c82e030cf6fd917473dcd4bbf5c94ae6d317e31f7ed64482d` is damaged: its 2048 bytes hash to `sha256:853346d99cbdb11ea49dacf2e2f73a70ab4a970684f9cfe0b6ec492e42287b8c`
    ");
}

#[test]
fn a_layer_with_an_entry_that_leaves_the_image_is_refused() {
    let entries = vec![Entry::file("../above", "evil\n")];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), entries)]);
    bench.dockerfile("FROM base\nCOPY --from=base . /b\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot unpack the layer `sha256:3cdea1574ad05adf4e02709a2ddef09bc2b7e19d33b27eb53063cfb7ffd09afc`
     --> Dockerfile:2:1
      |
    2 | COPY --from=base . /b
      | ^^^^^^^^^^^^^^^^^^^^^ step 2/2 [stage-0]
      |
      = caused by: an entry of the layer has the name `../above`
      = caused by: the path `../above` has a `..`
    ");
}
