//! Indexes of images that are anywhere: `imagetools`, `manifest`, `merge`.

mod inspected;

use std::fs;

use insta::assert_snapshot;
use oci::Digest;
use serde_json::{Value, json};
use support::Bench;

use crate::bench;
use crate::served::Served;

/// A bench with a registry, and an archive for each of two platforms.
struct Place {
    bench: Bench,
    served: Served,
}

impl Place {
    fn new() -> Self {
        let bench = bench();
        bench.dockerfile(
            "FROM scratch\nCOPY Dockerfile /\nARG TARGETARCH\nLABEL arch=$TARGETARCH\n",
        );
        for architecture in ["amd64", "arm64"] {
            let platform = format!("linux/{architecture}");
            let output = format!("type=oci,dest={architecture}.tar");
            bench
                .careen_build(&["--platform", &platform, "--output", &output])
                .run()
                .success();
        }
        let served = Served::start(&bench);
        Self { bench, served }
    }

    fn name(&self, name: &str) -> String {
        self.served.name(name)
    }

    /// Runs careen; what it wrote has the registry as `REGISTRY`.
    fn run(&self, arguments: &[&str]) -> String {
        let finished = self.bench.careen(arguments).run().success();
        finished.text().replace(&self.served.address(), "REGISTRY")
    }

    /// Runs careen, which fails.
    fn refusal(&self, arguments: &[&str], code: i32) -> String {
        let finished = self.bench.careen(arguments).run();
        finished
            .error(code)
            .replace(&self.served.address(), "REGISTRY")
    }

    /// Makes an index of both archives under this name of the registry.
    fn create(&self, name: &str) -> String {
        let name = self.name(name);
        self.run(&[
            "imagetools",
            "create",
            "-t",
            &name,
            "oci-archive:amd64.tar",
            "oci-archive:arm64.tar",
        ]);
        name
    }

    /// Returns what a place has, as JSON.
    fn raw(&self, image: &str) -> Value {
        serde_json::from_str(&self.run(&["imagetools", "inspect", "--raw", image])).unwrap()
    }

    /// Returns the platforms that an index at a place says.
    fn platforms(&self, image: &str) -> Vec<String> {
        let index = self.raw(image);
        let entries = index["manifests"].as_array().unwrap().iter();
        let mut platforms: Vec<_> = entries
            .map(|entry| {
                let platform = &entry["platform"];
                format!(
                    "{}/{}",
                    platform["os"].as_str().unwrap(),
                    platform["architecture"].as_str().unwrap()
                )
            })
            .collect();
        platforms.sort();
        platforms
    }
}

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];

#[test]
fn images_of_several_places_become_an_index_in_several_places() {
    let place = Place::new();
    let app = place.create("app:1");
    let other = place.name("other/app:2");
    let targets = [
        other.as_str(),
        "store:app:2",
        "oci:layout:2",
        "oci-archive:both.tar",
    ];
    let mut arguments = vec![
        "imagetools",
        "create",
        "--metadata-file",
        "known.json",
        &app,
    ];
    arguments.extend(targets.iter().flat_map(|target| ["-t", target]));
    place.run(&arguments);
    let expected = place.raw(&app);
    for target in targets {
        assert_eq!(place.raw(target), expected, "{target}");
        assert_eq!(place.platforms(target), BOTH);
    }
    let bytes = place.run(&["imagetools", "inspect", "--raw", &other]);
    let digest = Digest::of(bytes.as_bytes()).to_string();
    let known: Value =
        serde_json::from_slice(&fs::read(place.bench.path("known.json")).unwrap()).unwrap();
    assert_eq!(known["containerimage.digest"], digest.as_str());
    assert_eq!(
        known["containerimage.descriptor"]["digest"],
        digest.as_str()
    );
    assert_eq!(known["containerimage.descriptor"]["size"], bytes.len());
    // What is in the store now can be used as any other image.
    let format = [
        "image",
        "inspect",
        "--platform",
        "linux/arm64",
        "-f",
        "{{.Config.Labels.arch}}",
        "app:2",
    ];
    assert_eq!(place.run(&format), "arm64\n");
}

#[test]
fn a_dry_run_shows_what_would_be_written() {
    let place = Place::new();
    let app = place.create("app:1");
    let arguments = [
        "imagetools",
        "create",
        "--dry-run",
        "--platform",
        "linux/arm64",
        "--annotation",
        "index:a=b",
        "--annotation",
        "manifest-descriptor[linux/arm64]:c=d",
        &app,
    ];
    let index: Value = serde_json::from_str(&place.run(&arguments)).unwrap();
    assert_eq!(index["annotations"], json!({"a": "b"}));
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["annotations"]["c"], "d");
    assert_eq!(entries[0]["platform"]["architecture"], "arm64");
    // The same image as it is, and as an index.
    let create = |extra: &[&str]| {
        let arguments = ["imagetools", "create", "--dry-run", "oci-archive:arm64.tar"];
        let shown = place.run(&[&arguments, extra].concat());
        serde_json::from_str::<Value>(&shown).unwrap()
    };
    assert_eq!(create(&[])["manifests"][0]["digest"], entries[0]["digest"]);
    assert!(create(&["--prefer-index=false"])["layers"].is_array());
    assert!(
        place
            .refusal(&["imagetools", "inspect", &place.name("app:2")], 4)
            .contains("404")
    );
}

#[test]
fn a_source_is_a_descriptor_too() {
    let place = Place::new();
    let app = place.create("app:1");
    let entries = place.raw(&app)["manifests"].clone();
    let descriptor = json!({
        "mediaType": entries[0]["mediaType"], "digest": entries[0]["digest"], "size": entries[0]["size"],
        "platform": {"os": "linux", "architecture": "amd64", "variant": "v3"}, "annotations": {"from": "file"},
    });
    fs::write(place.bench.path("descriptor.json"), descriptor.to_string()).unwrap();
    let two = place.name("app:2");
    let digest = entries[1]["digest"].as_str().unwrap();
    place.run(&[
        "imagetools",
        "create",
        "-t",
        &two,
        "-f",
        "descriptor.json",
        digest,
    ]);
    let index = place.raw(&two);
    assert_eq!(index["manifests"][0]["platform"]["variant"], "v3");
    assert_eq!(index["manifests"][0]["annotations"]["from"], "file");
    assert_eq!(index["manifests"][1]["digest"], digest);
}

#[test]
fn what_cannot_be_created_is_refused() {
    let place = Place::new();
    let app = place.create("app:1");
    let create = |arguments: &[&str], code| {
        place.refusal(&[&["imagetools", "create"], arguments].concat(), code)
    };
    assert_snapshot!(create(&["-t", "store:x", "--platform", "linux/s390x", &app], 1), @"error: there is no image for linux/s390x; there are images for linux/amd64, linux/arm64");
    assert_snapshot!(create(&["-t", "store:x", "--annotation", "a=b", &app], 2), @"error: the annotation `a=b` is for manifests, which stay as they are: `index:` and `manifest-descriptor:` can be annotated");
    assert_snapshot!(create(&["-t", "oci-archive:x.tar", "--append", &app], 2), @"error: `oci-archive:$BENCH/x.tar` cannot be added to: a registry, the store and an image layout can");
    assert_snapshot!(create(&["-t", "x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &app], 2), @r"error: `x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`: an index cannot be given a digest, which is that of its bytes");
    assert_snapshot!(create(&["--dry-run", "{\"digest\":1}"], 2), @r#"
    error: `{"digest":1}` is no descriptor
      = caused by: cannot read the descriptor
      = caused by: invalid type: integer `1`, expected a string at line 1 column 11
    "#);
    assert!(create(&["-t", "store:x", &place.name("none:1")], 4).contains("404"));
}

#[test]
fn of_two_that_append_different_platforms_at_the_same_time_both_are_there() {
    let place = Place::new();
    let tags: Vec<_> = (0..50)
        .map(|number| place.name(&format!("race:{number}")))
        .collect();
    for batch in tags.chunks(10) {
        let start = |tag: &String, architecture: &str| {
            let source = format!("oci-archive:{architecture}.tar");
            place
                .bench
                .careen(&["imagetools", "create", "--append", "-t", tag, &source])
                .start()
        };
        let running: Vec<_> = batch
            .iter()
            .flat_map(|tag| [start(tag, "amd64"), start(tag, "arm64")])
            .collect();
        for run in running {
            run.finish().success();
        }
    }
    for tag in &tags {
        assert_eq!(place.platforms(tag), BOTH, "{tag}");
    }
}

#[test]
fn an_appended_image_takes_the_place_of_the_one_for_its_platform_everywhere() {
    let place = Place::new();
    for target in [
        place.create("app:1").as_str(),
        "store:app:1",
        "oci:layout:1",
    ] {
        let append =
            |source: &str| place.run(&["imagetools", "create", "--append", "-t", target, source]);
        append("oci-archive:amd64.tar");
        append("oci-archive:arm64.tar");
        let before = place.raw(target);
        place.bench.dockerfile("FROM scratch\nLABEL new=1\n");
        let output = "type=oci,dest=new.tar";
        place
            .bench
            .careen_build(&["--platform", "linux/arm64", "--output", output])
            .run()
            .success();
        append("oci-archive:new.tar");
        assert_eq!(place.platforms(target), BOTH, "{target}");
        let after = place.raw(target);
        assert_eq!(after["manifests"][0], before["manifests"][0], "{target}");
        assert_ne!(after["manifests"][1], before["manifests"][1], "{target}");
        let dry = place.run(&[
            "imagetools",
            "create",
            "--append",
            "--dry-run",
            "-t",
            target,
            "oci-archive:new.tar",
        ]);
        assert_eq!(
            serde_json::from_str::<Value>(&dry).unwrap(),
            after,
            "{target}"
        );
    }
}

#[test]
fn a_list_is_put_together_annotated_pushed_and_removed() {
    let place = Place::new();
    let (amd, arm, list) = (
        place.name("app:amd64"),
        place.name("app:arm64"),
        place.name("lists/app:1"),
    );
    for (name, archive) in [
        (&amd, "oci-archive:amd64.tar"),
        (&arm, "oci-archive:arm64.tar"),
    ] {
        place.run(&[
            "imagetools",
            "create",
            "--prefer-index=false",
            "-t",
            name,
            archive,
        ]);
    }
    let created = place.run(&["manifest", "create", &list, &amd]);
    assert_eq!(created, "Created manifest list REGISTRY/lists/app:1\n");
    assert_snapshot!(place.refusal(&["manifest", "create", &list, &arm], 1), @r"
    error: there is a list `REGISTRY/lists/app:1` already
      = help: `--amend` adds to it, `careen manifest rm` removes it
    ");
    place.run(&["manifest", "create", "--amend", &list, &arm]);
    place.run(&[
        "manifest",
        "annotate",
        &list,
        &arm,
        "--variant",
        "v8",
        "--os-features",
        "a,b",
    ]);
    let shown: Value = serde_json::from_str(&place.run(&["manifest", "inspect", &list])).unwrap();
    let platform =
        json!({"architecture": "arm64", "os": "linux", "os.features": ["a", "b"], "variant": "v8"});
    assert_eq!(shown["manifests"][1]["platform"], platform);
    let pushed = place.run(&["manifest", "push", "--purge", &list]);
    let bytes = place.run(&["imagetools", "inspect", "--raw", &list]);
    assert_eq!(pushed.trim(), Digest::of(bytes.as_bytes()).to_string());
    let index: Value = serde_json::from_str(&bytes).unwrap();
    assert_eq!(index, shown);
    assert_snapshot!(place.refusal(&["manifest", "rm", &list], 1), @r"error: there is no list `REGISTRY/lists/app:1`");
    // Now it is the registry that is asked.
    let verbose: Value =
        serde_json::from_str(&place.run(&["manifest", "inspect", "-v", &list])).unwrap();
    assert_eq!(verbose[1]["Descriptor"]["platform"], platform);
    assert!(verbose[1]["OCIManifest"]["layers"].is_array());
    assert_snapshot!(place.refusal(&["manifest", "create", "x", &list], 1), @r"
    error: `REGISTRY/lists/app:1` is an index of several images, and a list is of single ones: it has linux/amd64, linux/arm64/v8
      = help: `careen imagetools create` takes all images of an index
    ");
}

#[test]
fn archives_of_several_machines_become_one_index() {
    let place = Place::new();
    let app = place.name("app:1");
    let digest = place.run(&["merge", "amd64.tar", "arm64.tar", "-t", &app, "--push"]);
    let bytes = place.run(&["imagetools", "inspect", "--raw", &app]);
    assert_eq!(digest.trim(), Digest::of(bytes.as_bytes()).to_string());
    assert_eq!(
        place.run(&["merge", "amd64.tar", "arm64.tar", "-t", "app"]),
        digest
    );
    assert_eq!(place.platforms("store:app"), BOTH);
    assert_eq!(
        place.run(&["merge", "amd64.tar", "arm64.tar", "-o", "both.tar"]),
        digest
    );
    assert_eq!(place.platforms("oci-archive:both.tar"), BOTH);
    assert_snapshot!(place.refusal(&["merge", "amd64.tar", "both.tar", "-t", "x"], 1), @r"error: there are several images for linux/amd64: `$BENCH/amd64.tar`, `$BENCH/both.tar`");
    assert_snapshot!(place.refusal(&["merge", "none.tar", "-t", "x"], 1), @r"
    error: cannot read `$BENCH/none.tar`
      = caused by: No such file or directory (os error 2)
    ");
}
