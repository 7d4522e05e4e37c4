//! The bytes of assembled images, on scratch and on bases.

use super::*;
use crate::check::{CheckedImage, check_image, parse_index, parse_manifest};
use crate::descriptor::{annotation_of, platform_of};
use crate::media_type::{
    DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST,
};

fn layer(content: &str) -> LayerDescriptor {
    let digest = Digest::of(content.as_bytes());
    LayerDescriptor {
        size_bytes: content.len() as u64,
        media_type: OCI_LAYER.to_owned(),
        diff_id: DiffId::new(digest.clone()),
        digest,
        annotations: BTreeMap::new(),
    }
}

fn step(created_by: &str) -> History {
    History {
        created_by: Some(created_by.to_owned()),
        ..History::default()
    }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

/// Parts of an image with one layer, from scratch.
fn parts(platform: &Platform) -> ImageParts {
    let mut config = ImageConfig::new(platform);
    config.config.env_set("PATH", "/bin");
    let env = History {
        empty_layer: true,
        ..step("ENV PATH=/bin")
    };
    ImageParts {
        config,
        platform: platform.clone(),
        history: vec![env, step("COPY a / # buildkit")],
        layers: vec![layer("a")],
        created: Some(seconds(0)),
        annotations: BTreeMap::new(),
        flavour: Flavour::Oci,
        detail: HistoryDetail::Full,
    }
}

fn read_config(image: &AssembledImage) -> ImageConfig {
    ImageConfig::parse(&image.config.bytes).unwrap()
}

#[test]
fn an_image_has_the_bytes_that_its_parts_say() {
    let image = assemble_image(parts(&Platform::new("linux", "amd64"))).unwrap();
    let diff_id = Digest::of(b"a");
    assert_eq!(
        String::from_utf8(image.config.bytes.clone()).unwrap(),
        format!(
            "{{\"architecture\":\"amd64\",\"config\":{{\"Env\":[\"PATH=/bin\"]}},\
             \"created\":\"1970-01-01T00:00:00Z\",\"history\":[\
             {{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"ENV PATH=/bin\",\
             \"empty_layer\":true}},\
             {{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"COPY a / # buildkit\"}}],\
             \"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{diff_id}\"]}}}}"
        )
    );
    let config = &image.config;
    assert_eq!(
        String::from_utf8(image.manifest.bytes.clone()).unwrap(),
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_MANIFEST}\",\"config\":{{\"mediaType\":\
             \"{OCI_CONFIG}\",\"digest\":\"{}\",\"size\":{}}},\"layers\":[{{\"mediaType\":\
             \"{OCI_LAYER}\",\"digest\":\"{diff_id}\",\"size\":1}}]}}",
            config.digest,
            config.size_bytes()
        )
    );
}

#[test]
fn what_is_assembled_passes_the_check() {
    let platforms = [
        Platform::new("linux", "amd64"),
        Platform::new("linux", "arm"),
        Platform::new("linux", "arm64").with_variant("v8"),
    ];
    let images = platforms.map(|platform| assemble_image(parts(&platform)).unwrap());
    let manifests = images.iter().map(AssembledImage::descriptor).collect();
    let index = assemble_index(manifests, &BTreeMap::new(), Flavour::Oci);
    let mut blobs = BTreeMap::from([(Digest::of(b"a"), b"a".to_vec())]);
    blobs.insert(index.digest.clone(), index.bytes.clone());
    for image in &images {
        blobs.insert(image.config.digest.clone(), image.config.bytes.clone());
        blobs.insert(image.manifest.digest.clone(), image.manifest.bytes.clone());
    }
    let found = check_image(&index.digest, &blobs).unwrap();
    let texts = |images: &[CheckedImage]| -> Vec<String> {
        images
            .iter()
            .map(|image| image.config.platform().to_string())
            .collect()
    };
    assert_eq!(
        texts(&found),
        ["linux/amd64", "linux/arm/v7", "linux/arm64"]
    );
    let entries = parse_index(&index.bytes).unwrap();
    let platforms: Vec<_> = entries
        .manifests()
        .iter()
        .filter_map(platform_of)
        .map(|it| it.to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm/v7", "linux/arm64"]);
}

/// A configuration with two layers, and a history that knows of one.
fn base() -> ImageConfig {
    let mut base = ImageConfig::new(&Platform::new("linux", "amd64"));
    base.rootfs.diff_ids = vec![layer("x").diff_id, layer("y").diff_id];
    base.history = vec![History {
        created: Some(seconds(5)),
        ..step("ADD x")
    }];
    base.created = Some(seconds(6));
    base.extra
        .insert("moby.buildkit.cache.v0".to_owned(), "e30=".into());
    base.extra
        .insert("docker_version".to_owned(), "1.10".into());
    base
}

#[test]
fn a_base_keeps_its_layers_and_its_history_is_completed() {
    let mut parts = parts(&Platform::new("linux", "amd64"));
    parts.config = base();
    parts.layers = vec![layer("x"), layer("y"), layer("a")];
    parts.created = None;
    let config = read_config(&assemble_image(parts).unwrap());
    let with_layer: Vec<_> = config
        .history
        .iter()
        .map(|step| !step.empty_layer)
        .collect();
    assert_eq!(with_layer, [true, true, false, true]);
    assert_eq!(config.history[0].created_by.as_deref(), Some("ADD x"));
    assert_eq!(
        config.history[1].comment.as_deref(),
        Some("buildkit.exporter.image.v0")
    );
    assert_eq!(
        config.history[3].created_by.as_deref(),
        Some("COPY a / # buildkit")
    );
    assert_eq!(
        config.created,
        Some(seconds(5)),
        "the last time that is known"
    );
    assert_eq!(config.extra.keys().collect::<Vec<_>>(), ["docker_version"]);
}

#[test]
fn layers_that_are_not_those_of_the_base_are_an_error() {
    let mut parts = parts(&Platform::new("linux", "amd64"));
    parts.config = base();
    let (x, y) = (layer("x").diff_id, layer("y").diff_id);
    let a = layer("a").diff_id;
    assert_eq!(
        assemble_image(parts.clone()).unwrap_err(),
        AssembleError::BaseLayer {
            index: 0,
            expected: x,
            found: Some(a)
        }
    );
    parts.layers = vec![layer("x")];
    let error = assemble_image(parts).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot put the image together: layer 1 should be the base's `{y}`, not missing")
    );
}

#[test]
fn a_platform_has_to_be_complete() {
    let mut parts = parts(&Platform::new("linux", "amd64"));
    parts.platform = Platform::new("linux", "");
    assert!(matches!(
        assemble_image(parts),
        Err(AssembleError::Platform { .. })
    ));
}

#[test]
fn annotations_go_where_they_belong() {
    let annotations = |key: &str| BTreeMap::from([(key.to_owned(), "1".to_owned())]);
    let mut parts = parts(&Platform::new("linux", "amd64"));
    parts.annotations = annotations("manifest");
    parts.layers[0].annotations = annotations("layer");
    let image = assemble_image(parts).unwrap();
    let manifest = parse_manifest(&image.manifest.bytes).unwrap();
    assert_eq!(manifest.annotations().as_ref().unwrap()["manifest"], "1");
    assert_eq!(annotation_of(&manifest.layers()[0], "layer"), Some("1"));
    let manifests = vec![image.descriptor()];
    let index = assemble_index(manifests, &annotations("index"), Flavour::Oci);
    let index = parse_index(&index.bytes).unwrap();
    assert_eq!(index.annotations().as_ref().unwrap()["index"], "1");
}

#[test]
fn an_image_may_have_no_layer() {
    let mut parts = parts(&Platform::new("linux", "amd64"));
    parts.layers.clear();
    parts.history.truncate(1);
    let image = assemble_image(parts).unwrap();
    assert!(
        parse_manifest(&image.manifest.bytes)
            .unwrap()
            .layers()
            .is_empty()
    );
    assert_eq!(read_config(&image).history.len(), 1);
}

#[test]
fn an_image_in_dockers_words_has_none_of_ocis() {
    let image = assemble_image(ImageParts {
        flavour: Flavour::Docker,
        ..parts(&Platform::new("linux", "amd64"))
    })
    .unwrap();
    let manifest = parse_manifest(&image.manifest.bytes).unwrap();
    let layer = &manifest.layers()[0];
    assert_eq!(layer.media_type().to_string(), DOCKER_LAYER);
    assert_eq!(manifest.config().media_type().to_string(), DOCKER_CONFIG);
    assert_eq!(image.manifest.media_type, DOCKER_MANIFEST);
    let index = assemble_index(vec![image.descriptor()], &BTreeMap::new(), Flavour::Docker);
    assert_eq!(index.media_type, DOCKER_INDEX);
}

#[test]
fn an_image_without_a_history_keeps_the_time_of_its_last_step() {
    let mut parts = parts(&Platform::new("linux", "amd64"));
    parts.created = None;
    parts.history[1].created = Some(seconds(7));
    parts.detail = HistoryDetail::Omitted;
    let config = read_config(&assemble_image(parts).unwrap());
    assert!(config.history.is_empty());
    assert_eq!(config.created, Some(seconds(7)));
}
