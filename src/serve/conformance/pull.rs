//! "Pull", and what every answer has.

use super::*;

// "Determining Support": end-1.
#[test]
fn the_base_is_200_if_the_registry_implements_the_specification() {
    let served = Served::start();
    for target in ["/v2/", "/v2"] {
        let answer = served.get(target);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("docker-distribution-api-version"),
            Some("registry/2.0")
        );
    }
}

// "Pulling manifests": "A GET request to an existing manifest URL MUST provide the expected manifest, with a
// response code that MUST be 200 OK."
#[test]
fn a_manifest_is_given_byte_for_byte_by_tag_and_by_digest() {
    let served = Served::start();
    let manifest = served.push_image("app", "1", "layer");
    let digest = Digest::of(&manifest);
    for reference in ["1", digest.as_str(), &digest.as_str().replace(':', "%3A")] {
        let answer = served.get(&format!("/v2/app/manifests/{reference}"));
        assert_eq!(
            (answer.status, &answer.body),
            (200, &manifest),
            "{reference}"
        );
        assert_eq!(answer.header("content-type"), Some(OCI_MANIFEST));
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(digest.as_str())
        );
    }
}

// "Pulling manifests": "If the manifest is not found in the repository, the response code MUST be 404 Not Found."
#[test]
fn a_manifest_that_is_not_there_is_404() {
    let served = Served::start();
    served.push_image("app", "1", "layer");
    let digest = Digest::of(b"nothing");
    for (target, code) in [
        ("/v2/app/manifests/2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/app/manifests/{digest}"), "MANIFEST_UNKNOWN"),
        ("/v2/none/manifests/1".to_owned(), "NAME_UNKNOWN"),
    ] {
        let answer = served.get(&target);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, code),
            "{target}"
        );
    }
}

// "Pulling manifests": "Throughout this document, <name> MUST match the following regular expression", "<reference> as
// a tag MUST be at most 128 characters in length and MUST match the following regular expression".
#[test]
fn names_tags_and_digests_that_are_none_are_refused() {
    let served = Served::start();
    let long = "x".repeat(129);
    for (target, code) in [
        ("/v2/App/manifests/1".to_owned(), "NAME_INVALID"),
        ("/v2/a__b___c/tags/list".to_owned(), "NAME_INVALID"),
        (format!("/v2/{}/tags/list", "x".repeat(256)), "NAME_INVALID"),
        (format!("/v2/app/manifests/{long}"), "MANIFEST_INVALID"),
        ("/v2/app/manifests/-1".to_owned(), "MANIFEST_INVALID"),
        ("/v2/app/blobs/sha256:00".to_owned(), "DIGEST_INVALID"),
        (
            format!("/v2/app/blobs/sha256:{}", "../".repeat(21)),
            "NAME_INVALID",
        ),
    ] {
        let answer = served.get(&target);
        assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
        if answer.status == 400 {
            assert_eq!(answer.code(), code, "{target}");
        }
    }
}

// "Pulling blobs": "A GET request to an existing blob URL MUST provide the expected blob, with a response code that
// MUST be 200 OK. A successful response SHOULD contain the digest of the uploaded blob in the header
// Docker-Content-Digest."
#[test]
fn a_blob_is_given_with_its_digest() {
    let served = Served::start();
    let digest = served.push_blob("team/app", b"some bytes");
    let answer = served.get(&format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"some bytes".as_slice())
    );
    assert_eq!(
        answer.header("docker-content-digest"),
        Some(digest.as_str())
    );
}

// "Pulling blobs": "If the blob is not found in the repository, the response code MUST be 404 Not Found."
#[test]
fn a_blob_is_404_where_its_repository_does_not_have_it() {
    let served = Served::start();
    let digest = served.push_blob("app", b"some bytes");
    for repository in ["other", "app/below"] {
        let answer = served.get(&format!("/v2/{repository}/blobs/{digest}"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "BLOB_UNKNOWN")
        );
    }
}

// "Pulling blobs": "A registry SHOULD support the Range request header in accordance with RFC 9110."
#[test]
fn a_part_of_a_blob_is_given() {
    let served = Served::start();
    let digest = served.push_blob("app", b"0123456789");
    let target = format!("/v2/app/blobs/{digest}");
    for (range, status, body, content_range) in [
        ("bytes=4-", 206, "456789", Some("bytes 4-9/10")),
        ("bytes=4-4", 206, "4", Some("bytes 4-4/10")),
        ("bytes=-2", 206, "89", Some("bytes 8-9/10")),
        ("lines=1-2", 200, "0123456789", None),
    ] {
        let answer = served.ask("GET", &target, &[("Range", range)], b"");
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, body.as_bytes()),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), content_range, "{range}");
    }
    let outside = served.ask("GET", &target, &[("Range", "bytes=10-")], b"");
    assert_eq!(
        (outside.status, outside.header("content-range")),
        (416, Some("bytes */10"))
    );
    let other = [("Range", "bytes=4-"), ("If-Range", "\"another\"")];
    assert_eq!(served.ask("GET", &target, &other, b"").status, 200);
}

// "Checking if content exists in the registry": "A HEAD request to an existing blob or manifest URL MUST return 200 OK.
// A successful response SHOULD contain the digest … A successful response SHOULD contain the size in bytes of the
// uploaded blob in the header Content-Length."
#[test]
fn head_says_digest_and_size_and_sends_no_body() {
    let served = Served::start();
    let manifest = served.push_image("app", "1", "layer");
    let layer = Digest::of(b"layer");
    for (target, digest, size) in [
        (format!("/v2/app/blobs/{layer}"), layer, 5),
        (
            "/v2/app/manifests/1".to_owned(),
            Digest::of(&manifest),
            manifest.len(),
        ),
    ] {
        let answer = served.head(&target);
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(digest.as_str()),
            "{target}"
        );
        assert_eq!(
            answer.header("content-length"),
            Some(size.to_string().as_str()),
            "{target}"
        );
    }
}

// "Checking if content exists in the registry": "If the blob or manifest is not found in the repository, the response
// code MUST be 404 Not Found."
#[test]
fn head_of_what_is_not_there_is_404() {
    let served = Served::start();
    let digest = Digest::of(b"nothing");
    for target in [
        "/v2/app/manifests/1".to_owned(),
        format!("/v2/app/blobs/{digest}"),
    ] {
        assert_eq!(served.head(&target).status, 404, "{target}");
    }
}

// RFC 9110, section 13.1.2: beyond the specification.
#[test]
fn a_manifest_that_the_client_has_is_304() {
    let served = Served::start();
    served.push_image("app", "1", "layer");
    let tag = served
        .head("/v2/app/manifests/1")
        .header("etag")
        .unwrap()
        .to_owned();
    let answer = served.ask(
        "GET",
        "/v2/app/manifests/1",
        &[("If-None-Match", &tag)],
        b"",
    );
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (304, b"".as_slice())
    );
    let other = served.ask(
        "GET",
        "/v2/app/manifests/1",
        &[("If-None-Match", "\"x\"")],
        b"",
    );
    assert_eq!(other.status, 200);
}
