//! What an index says of its images, and what is attested of them: `imagetools inspect`, `manifest inspect`.

use super::*;

#[test]
fn an_index_is_inspected_as_buildx_does_it() {
    let place = Place::new();
    let app = place.create("app:1");
    let index = place.raw(&app);
    let digests: Vec<_> = [0, 1]
        .iter()
        .map(|&at| {
            index["manifests"][at]["digest"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let whole = Digest::of(
        place
            .run(&["imagetools", "inspect", "--raw", &app])
            .as_bytes(),
    )
    .to_string();
    let shown = place.run(&["imagetools", "inspect", &app]);
    let shown = shown
        .replace(&digests[0], "AMD64")
        .replace(&digests[1], "ARM64")
        .replace(&whole, "WHOLE");
    assert_snapshot!(shown, @r"
    Name:      REGISTRY/app:1
    MediaType: application/vnd.oci.image.index.v1+json
    Digest:    WHOLE

    Manifests:
      Name:        REGISTRY/app:1@AMD64
      MediaType:   application/vnd.oci.image.manifest.v1+json
      Platform:    linux/amd64
      Annotations:
        org.opencontainers.image.created: 2023-11-14T22:13:20Z

      Name:        REGISTRY/app:1@ARM64
      MediaType:   application/vnd.oci.image.manifest.v1+json
      Platform:    linux/arm64
      Annotations:
        org.opencontainers.image.created: 2023-11-14T22:13:20Z
    ");
}

#[test]
fn a_template_says_what_is_shown_of_an_index() {
    let place = Place::new();
    let app = place.create("app:1");
    let whole = Digest::of(
        place
            .run(&["imagetools", "inspect", "--raw", &app])
            .as_bytes(),
    );
    let whole = whole.to_string();
    let table = [
        ("{{.Name}} {{.Manifest.Digest}}", "REGISTRY/app:1 WHOLE\n"),
        (
            "{{range .Manifest.Manifests}}{{.Platform.Architecture}} {{end}}",
            "amd64 arm64 \n",
        ),
        (
            "{{(index .Image \"linux/arm64\").Config.Labels.arch}}",
            "arm64\n",
        ),
        (
            "{{range $platform, $image := .Image}}{{$platform}}={{$image.OS}}/{{$image.Architecture}};{{end}}",
            "linux/amd64=linux/amd64;linux/arm64=linux/arm64;\n",
        ),
        ("{{json .SBOM}} {{len .Provenance}}", "{} 0\n"),
    ];
    for (format, expected) in table {
        let shown = place.run(&["imagetools", "inspect", "--format", format, &app]);
        assert_eq!(shown.replace(&whole, "WHOLE"), expected, "{format}");
    }
    let one = place.run(&[
        "imagetools",
        "inspect",
        "--format",
        "{{.Image.Architecture}} {{json .Manifest.Platform}}",
        "oci-archive:arm64.tar",
    ]);
    assert!(one.starts_with("arm64 "), "{one}");
    assert_snapshot!(place.refusal(&["imagetools", "inspect", "--format", "{{.Images}}", &app], 1), @r"
    error: `--format` does not suit `REGISTRY/app:1`
      = caused by: template: 1:3: at <.Images>: can't evaluate field Images in type image
    ");
}

/// Adds an attestation to the index `1` of the layout `layout`, and names the new index `2`.
fn attest(place: &Place) {
    let layout = place.bench.path("layout");
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(layout.join("blobs/sha256").join(digest.encoded()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let statement = |kind: &str, predicate: Value| {
        let mut layer = put(
            "application/vnd.in-toto+json",
            json!({"predicateType": kind, "predicate": predicate})
                .to_string()
                .as_bytes(),
        );
        layer["annotations"] = json!({"in-toto.io/predicate-type": kind});
        layer
    };
    let mut index = place.raw("oci:layout:1");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [
            statement("https://slsa.dev/provenance/v1", json!({"builder": "careen"})),
            statement("https://spdx.dev/Document", json!({"packages": [1, 2]})),
        ],
    });
    let mut entry = put(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    entry["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": index["manifests"][0]["digest"],
    });
    index["manifests"].as_array_mut().unwrap().push(entry);
    let mut top = put(
        "application/vnd.oci.image.index.v1+json",
        index.to_string().as_bytes(),
    );
    top["annotations"] = json!({"org.opencontainers.image.ref.name": "2"});
    let top = json!({"schemaVersion": 2, "manifests": [top]});
    fs::write(layout.join("index.json"), top.to_string()).unwrap();
}

#[test]
fn what_is_attested_of_an_image_is_shown_and_goes_along() {
    let place = Place::new();
    place.run(&[
        "imagetools",
        "create",
        "-t",
        "oci:layout:1",
        "oci-archive:amd64.tar",
    ]);
    attest(&place);
    let app = place.name("app:2");
    place.run(&["imagetools", "create", "-t", &app, "oci:layout:2"]);
    for image in ["oci:layout:2", &app] {
        let format =
            "{{.Provenance.SLSA.builder}} {{len .SBOM.SPDX.packages}} {{.Image.Architecture}}";
        assert_eq!(
            place.run(&["imagetools", "inspect", "--format", format, image]),
            "careen 2 amd64\n",
            "{image}"
        );
    }
    // What is about an image that is replaced goes with it, and the other platform has nothing.
    place.run(&[
        "imagetools",
        "create",
        "--append",
        "-t",
        &app,
        "oci-archive:arm64.tar",
    ]);
    let format = "{{(index .Provenance \"linux/amd64\").SLSA.builder}} {{len .Provenance}}";
    assert_eq!(
        place.run(&["imagetools", "inspect", "--format", format, &app]),
        "careen 1\n"
    );
    place.bench.dockerfile("FROM scratch\nLABEL new=1\n");
    place
        .bench
        .careen_build(&[
            "--platform",
            "linux/amd64",
            "--output",
            "type=oci,dest=new.tar",
        ])
        .run()
        .success();
    place.run(&[
        "imagetools",
        "create",
        "--append",
        "-t",
        &app,
        "oci-archive:new.tar",
    ]);
    assert_eq!(place.platforms(&app), BOTH);
}
