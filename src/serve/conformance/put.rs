//! "Push": manifests.

use super::*;

// "Pushing Manifests": "Upon a successful upload, the registry MUST return response code 201 Created, and MUST have the
// following header: Location. The <location> is a pullable manifest URL."
#[test]
fn a_manifest_is_put_by_tag_and_by_digest() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    served.push_blob("app", b"layer");
    let manifest = image(b"layer");
    let digest = Digest::of(&manifest);
    for reference in ["1", digest.as_str()] {
        let answer = served.put_manifest("app", reference, &manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(digest.as_str())
        );
        assert_eq!(answer.header("oci-subject"), None);
        assert_eq!(
            served.get(answer.header("location").unwrap()).body,
            manifest
        );
    }
}

// "Pushing Manifests": "the <digest> … MUST match the digest of the manifest".
#[test]
fn a_manifest_under_another_digest_is_refused() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    served.push_blob("app", b"layer");
    let other = Digest::of(b"other");
    let answer = served.put_manifest("app", other.as_str(), &image(b"layer"));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "DIGEST_INVALID")
    );
}

// "Push": "When a manifest is rejected for this reason, the registry MUST return one or more MANIFEST_BLOB_UNKNOWN
// errors". Also for the manifests of an index.
#[test]
fn a_manifest_needs_its_blobs_and_an_index_its_manifests() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    served.push_image("other", "1", "layer");
    let manifest = image(b"layer");
    for document in [manifest.clone(), index(&[&manifest])] {
        let answer = served.put_manifest("app", "1", &document);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "MANIFEST_BLOB_UNKNOWN")
        );
    }
    served.push_blob("app", b"layer");
    let digest = Digest::of(&manifest);
    assert_eq!(
        served
            .put_manifest("app", digest.as_str(), &manifest)
            .status,
        201
    );
    assert_eq!(
        served.put_manifest("app", "1", &index(&[&manifest])).status,
        201
    );
    assert_eq!(
        served.get("/v2/app/manifests/1").header("content-type"),
        Some(OCI_INDEX)
    );
}

// "Pushing Manifests": "the list of blobs MAY be empty".
#[test]
fn an_index_of_nothing_is_taken() {
    let served = Served::start();
    assert_eq!(served.put_manifest("app", "1", &index(&[])).status, 201);
}

// image-spec, layer.md, "Non-Distributable Layers": they are not pushed.
#[test]
fn a_layer_that_registries_do_not_hand_out_need_not_be_there() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let manifest = String::from_utf8(image(b"layer")).unwrap();
    let manifest = manifest.replace(OCI_LAYER, oci::media_type::OCI_FOREIGN_LAYER);
    assert_eq!(
        served.put_manifest("app", "1", manifest.as_bytes()).status,
        201
    );
}

// "Pushing a manifest with the subject field": "A registry MUST accept an otherwise valid manifest with a subject field
// that references a manifest that does not exist", "the response MUST include OCI-Subject".
#[test]
fn a_manifest_with_a_subject_is_taken_before_its_subject_and_says_so() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let subject = Digest::of(b"later");
    let mut manifest: Value = serde_json::from_slice(&image(b"{}")).unwrap();
    manifest["subject"] = descriptor(OCI_MANIFEST, b"later");
    let bytes = manifest.to_string().into_bytes();
    let answer = served.put_manifest("app", Digest::of(&bytes).as_str(), &bytes);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("oci-subject"), Some(subject.as_str()));
}

// "Pushing Manifests": "Registries SHOULD ignore parameters on the Content-Type"; "if the manifest has a mediaType field,
// clients MUST set the Content-Type header to match".
#[test]
fn the_media_type_of_a_manifest_is_what_it_says_inside_and_outside() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let bytes = image(b"{}");
    let bare = String::from_utf8(bytes.clone()).unwrap();
    let bare = bare.replace(
        &format!("\"mediaType\":\"{OCI_MANIFEST}\",\"config\""),
        "\"config\"",
    );
    assert_ne!(bare.as_bytes(), bytes);
    let docker = oci::media_type::DOCKER_MANIFEST;
    let with_parameter = format!("{OCI_MANIFEST}; charset=utf-8");
    for (document, sent_as, expected) in [
        (bytes.as_slice(), OCI_MANIFEST, Ok(OCI_MANIFEST)),
        (&bytes, &with_parameter, Ok(OCI_MANIFEST)),
        (&bytes, "application/json", Ok(OCI_MANIFEST)),
        (bare.as_bytes(), docker, Ok(docker)),
        (bare.as_bytes(), "application/json", Ok(OCI_MANIFEST)),
        (&bytes, docker, Err(400)),
        (bare.as_bytes(), OCI_INDEX, Err(400)),
        (bare.as_bytes(), "text/plain", Err(400)),
    ] {
        let answer = served.ask(
            "PUT",
            "/v2/app/manifests/1",
            &[("Content-Type", sent_as)],
            document,
        );
        match expected {
            Ok(media_type) => {
                assert_eq!(answer.status, 201, "{sent_as}: {answer:?}");
                let found = served.head("/v2/app/manifests/1");
                assert_eq!(found.header("content-type"), Some(media_type));
            }
            Err(status) => {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (status, "MANIFEST_INVALID")
                );
            }
        }
    }
}

// "Error Codes": code-6.
#[test]
fn what_is_no_manifest_is_refused() {
    let served = Served::start();
    for document in [
        "",
        "{",
        "[]",
        r#"{"schemaVersion":1,"fsLayers":[]}"#,
        r#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#,
    ] {
        let answer = served.put_manifest("app", "1", document.as_bytes());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "MANIFEST_INVALID"),
            "{document}"
        );
    }
    assert_eq!(served.get("/v2/app/tags/list").status, 404);
}

// "Pushing Manifests": "A registry SHOULD enforce some limit on the maximum manifest size … SHOULD respond 413"; "Client and
// registry implementations SHOULD expect to be able to support manifest pushes of at least 4 megabytes".
#[test]
fn a_manifest_of_four_megabytes_is_taken_and_a_larger_one_is_413() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let limit = usize::try_from(crate::limits::MANIFEST_LIMIT_BYTES).unwrap();
    let mut document = image(b"{}");
    document.resize(limit, b' ');
    assert_eq!(served.put_manifest("app", "1", &document).status, 201);
    document.push(b' ');
    let answer = served.put_manifest("app", "2", &document);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "SIZE_INVALID")
    );
}

// Beyond the specification: RFC 9110, section 13.1.
#[test]
fn a_manifest_is_put_only_if_its_name_names_what_the_client_thinks() {
    let served = Served::start();
    let (one, other) = (index(&[]), [index(&[]).as_slice(), b" "].concat());
    let quoted = |bytes: &[u8]| format!("\"{}\"", Digest::of(bytes));
    let put = |header: &str, value: &str, bytes: &[u8]| {
        served
            .ask("PUT", "/v2/app/manifests/1", &[(header, value)], bytes)
            .status
    };
    assert_eq!(put("If-Match", "*", &one), 412);
    assert_eq!(put("If-Match", &quoted(&one), &one), 412);
    assert_eq!(put("If-None-Match", "*", &one), 201);
    assert_eq!(put("If-None-Match", "*", &other), 412);
    assert_eq!(put("If-Match", &quoted(&other), &other), 412);
    assert_eq!(served.get("/v2/app/manifests/1").body, one);
    assert_eq!(put("If-Match", &quoted(&one), &other), 201);
    assert_eq!(put("If-Match", "*", &one), 201);
    assert_eq!(put("If-Match", "what", &one), 400);
    assert_eq!(put("If-None-Match", &quoted(&one), &one), 400);
}
