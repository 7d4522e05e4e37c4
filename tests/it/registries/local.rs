//! `--load` and `--save-stages`: images of the store.

use insta::assert_snapshot;
use oci::{Descriptor, ImageConfig, check};
use support::layout::host_platform;
use support::{BaseImage, Entry};

use crate::bench;

/// Returns what `image ls` prints, without digests.
fn listed(bench: &support::Bench) -> Vec<String> {
    let log = bench.careen(&["image", "ls"]).run().success();
    let text = String::from_utf8(log.stdout).unwrap();
    let rows = text.lines().skip(1);
    let names = rows.map(|row| row.split_whitespace().take(2).collect::<Vec<_>>().join(":"));
    names.collect()
}

#[test]
fn an_image_is_loaded_under_all_its_names_for_any_number_of_platforms() {
    let platforms = [host_platform(), "linux/s390x".to_owned()];
    let image = |platform: &String| BaseImage::new(platform, vec![Entry::file("base", "")]);
    let bench = bench().with_base(&platforms.each_ref().map(image));
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    let several = platforms.join(",");
    let flags = [
        "--load",
        "-t",
        "app",
        "-t",
        "example.org/app:1",
        "--platform",
        &several,
    ];
    bench.careen_build(&flags).run().success();
    assert_eq!(listed(&bench), ["app:latest", "example.org/app:1"]);
    // It is all there: it can be built on without a network.
    bench.dockerfile("FROM app\nCOPY Dockerfile /again\n");
    let built = bench.build(&["--pull=never", "--platform", &several]);
    let trees = built
        .archive
        .images
        .iter()
        .map(|image| image.tree().into_keys().collect::<Vec<_>>());
    for tree in trees {
        assert_eq!(tree, ["Dockerfile", "again", "base"]);
    }
}

#[test]
fn an_output_of_an_image_is_one_of_the_store_unless_it_is_pushed() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    for output in [
        "type=image,name=a",
        "type=docker,name=b",
        "type=image,name=c,unpack=true",
    ] {
        bench.careen_build(&["-o", output]).run().success();
    }
    bench
        .careen_build(&["-o", "type=image,name=d,store=false"])
        .run()
        .success();
    bench
        .careen_build(&["-o", "type=image,dangling-name-prefix=none"])
        .run()
        .success();
    let listed = listed(&bench);
    assert_eq!(listed[..3], ["a:latest", "b:latest", "c:latest"]);
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert!(listed[3].starts_with("none:"), "{listed:?}");
}

#[test]
fn the_stages_of_a_build_are_kept_as_images_without_a_name() {
    let bench = bench();
    bench.dockerfile(
        "FROM scratch AS first\nCOPY Dockerfile /first\n\
         FROM first\nENV second=yes\n\
         FROM scratch AS unused\nCOPY Dockerfile /unused\n\
         FROM scratch AS last\nCOPY --from=1 /first /last\n",
    );
    let log = bench
        .careen_build(&["--save-stages", "--stage-labels", "--load", "-t", "app"])
        .run()
        .success();
    let names = log
        .stderr
        .lines()
        .filter(|line| line.contains(" exporting to image"));
    assert_eq!(names.count(), 3, "{}", log.stderr);
    let index = std::fs::read(bench.path("home/.local/share/careen/content/index.json")).unwrap();
    let index = check::parse_index(&index).unwrap();
    let entries = index.manifests().iter();
    let labels = entries.map(|entry| labels_of(&bench, entry));
    let labels: Vec<_> = labels.collect();
    assert_snapshot!(labels.join("\n"), @r"
    io.buildah.stage.base=scratch io.buildah.stage.name=first
    io.buildah.stage.base=first io.buildah.stage.name=1
    io.buildah.stage.base=scratch io.buildah.stage.name=last
    ");
    let refused = bench.failure(&["--stage-labels"], 2);
    assert!(refused.contains("--save-stages"), "{refused}");
}

fn labels_of(bench: &support::Bench, entry: &Descriptor) -> String {
    let blobs = bench.path("home/.local/share/careen/content/blobs");
    let blob = |descriptor: &Descriptor| {
        let path = descriptor.digest().to_string().replace(':', "/");
        std::fs::read(blobs.join(path)).unwrap()
    };
    let manifest = check::parse_manifest(&blob(entry)).unwrap();
    let config = ImageConfig::parse(&blob(manifest.config())).unwrap();
    let labels = config.config.labels.iter();
    let labels = labels.map(|(name, value)| format!("{name}={value}"));
    labels.collect::<Vec<_>>().join(" ")
}
