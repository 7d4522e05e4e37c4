//! "Push".

use super::*;

/// Asks on an upload, with the range of the chunk.
fn patch(served: &Served, location: &str, range: &str, body: &[u8]) -> Answer {
    served.ask("PATCH", location, &[("Content-Range", range)], body)
}

fn with_digest(location: &str, digest: &Digest) -> String {
    format!("{location}?digest={digest}")
}

// "POST then PUT": "Upon success, the response MUST have a code of 202 Accepted, and MUST include the following header:
// Location. The <location> MUST contain a UUID representing a unique session ID for the upload to follow."
#[test]
fn an_upload_has_a_location_with_a_uuid_of_its_own() {
    let served = Served::start();
    let (one, other) = (served.begin_upload("app"), served.begin_upload("app"));
    assert_ne!(one, other);
    let id = one.strip_prefix("/v2/app/blobs/uploads/").unwrap();
    let parts: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(
        id.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    );
}

// "POST then PUT": "Upon successful completion of the request, the response MUST have code 201 Created and MUST have the
// following header: Location. With <blob-location> being a pullable blob URL."
#[test]
fn post_then_put_makes_a_blob_at_its_location() {
    let served = Served::start();
    let (location, digest) = (served.begin_upload("app"), Digest::of(b"whole"));
    let answer = served.ask("PUT", &with_digest(&location, &digest), &[], b"whole");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(
        answer.header("docker-content-digest"),
        Some(digest.as_str())
    );
    assert_eq!(
        served.get(answer.header("location").unwrap()).body,
        b"whole"
    );
}

// "Single POST": "Successful completion of the request MUST return either a 201 Created or a 202 Accepted, and MUST
// include the following header: Location."
#[test]
fn a_single_post_makes_a_blob_at_its_location() {
    let served = Served::start();
    let digest = Digest::of(b"whole");
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let answer = served.ask("POST", &target, &[], b"whole");
    assert_eq!(answer.status, 201);
    assert_eq!(
        served.get(answer.header("location").unwrap()).body,
        b"whole"
    );
}

// "Single POST": "the <digest> MUST match the blob's digest"; "Error Codes": code-4.
#[test]
fn a_digest_that_does_not_match_is_refused_and_nothing_is_kept() {
    let served = Served::start();
    let digest = Digest::of(b"other");
    let location = served.begin_upload("app");
    for (method, target) in [
        ("POST", format!("/v2/app/blobs/uploads/?digest={digest}")),
        ("PUT", with_digest(&location, &digest)),
    ] {
        let answer = served.ask(method, &target, &[], b"whole");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "DIGEST_INVALID")
        );
    }
    assert_eq!(served.head(&format!("/v2/app/blobs/{digest}")).status, 404);
    assert_eq!(served.get(&location).code(), "BLOB_UPLOAD_UNKNOWN");
}

// "Pushing a blob in chunks": "The response for each successful chunk upload MUST be 202 Accepted, and MUST have the
// following headers: Location, Range: 0-<end-of-range>", "The response to a successful closing of the session MUST be
// 201 Created, and MUST contain the following header: Location".
#[test]
fn chunks_make_a_blob_with_the_last_one_in_the_closing_request_or_not() {
    let served = Served::start();
    for last in [b"".as_slice(), b"789"] {
        let mut location = served.begin_upload("app");
        for (range, chunk, end) in [("0-3", "0123", "0-3"), ("4-6", "456", "0-6")] {
            let answer = patch(&served, &location, range, chunk.as_bytes());
            assert_eq!((answer.status, answer.header("range")), (202, Some(end)));
            answer.header("location").unwrap().clone_into(&mut location);
        }
        let whole = [b"0123456".as_slice(), last].concat();
        let digest = Digest::of(&whole);
        let headers = [("Content-Range", "7-9")];
        let headers = if last.is_empty() { &[][..] } else { &headers };
        let answer = served.ask("PUT", &with_digest(&location, &digest), headers, last);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(served.get(answer.header("location").unwrap()).body, whole);
    }
}

// "Pushing a blob in chunks": "If a chunk is uploaded out of order, the registry MUST respond with a 416 Requested Range
// Not Satisfiable code. A GET request may be used to retrieve the current valid offset and upload location."
#[test]
fn a_chunk_out_of_order_is_416_and_the_upload_goes_on() {
    let served = Served::start();
    let location = served.begin_upload("app");
    assert_eq!(patch(&served, &location, "4-6", b"456").status, 416);
    assert_eq!(patch(&served, &location, "0-3", b"0123").status, 202);
    for range in ["0-3", "3-5", "5-7"] {
        let length = if range == "0-3" { 4 } else { 3 };
        let answer = patch(&served, &location, range, &vec![b'x'; length]);
        assert_eq!(
            (answer.status, answer.header("range")),
            (416, Some("0-3")),
            "{range}"
        );
        assert_eq!(answer.header("location"), Some(location.as_str()));
    }
    let digest = Digest::of(b"0123");
    let late = [("Content-Range", "9-9")];
    assert_eq!(
        served
            .ask("PUT", &with_digest(&location, &digest), &late, b"9")
            .status,
        416
    );
    assert_eq!(
        served
            .ask("PUT", &with_digest(&location, &digest), &[], b"")
            .status,
        201
    );
}

// "Pushing a blob in chunks": "The <range> … MUST match the following regular expression", "The <length> is the
// content-length, in bytes, of the current chunk."
#[test]
fn a_range_that_is_none_or_has_another_length_is_refused() {
    let served = Served::start();
    let location = served.begin_upload("app");
    for (range, code) in [
        ("bytes 0-3/4", "BLOB_UPLOAD_INVALID"),
        ("3-0", "BLOB_UPLOAD_INVALID"),
        ("0-", "BLOB_UPLOAD_INVALID"),
        ("0-2", "SIZE_INVALID"),
        ("0-18446744073709551615", "SIZE_INVALID"),
    ] {
        let answer = patch(&served, &location, range, b"0123");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{range}"
        );
    }
    assert_eq!(patch(&served, &location, "0-3", b"0123").status, 202);
}

// "Pushing a blob in chunks": "The response to an active upload <location> MUST be a 204 No Content response code, and
// MUST have the following headers: Location, Range".
#[test]
fn the_status_of_an_upload_is_204_with_what_has_come() {
    let served = Served::start();
    let location = served.begin_upload("app");
    let answer = served.get(&location);
    assert_eq!((answer.status, answer.header("range")), (204, Some("0-0")));
    patch(&served, &location, "0-3", b"0123");
    let answer = served.get(&location);
    assert_eq!((answer.status, answer.header("range")), (204, Some("0-3")));
    assert_eq!(answer.header("location"), Some(location.as_str()));
}

// "Cancel a blob upload": "If successful, the response SHOULD be a 204 No Content response code."
#[test]
fn an_upload_that_is_cancelled_is_gone() {
    let served = Served::start();
    let location = served.begin_upload("app");
    patch(&served, &location, "0-3", b"0123");
    assert_eq!(served.ask("DELETE", &location, &[], b"").status, 204);
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let answer = served.ask(method, &location, &[], b"");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "BLOB_UPLOAD_UNKNOWN")
        );
    }
    let left = std::fs::read_dir(served.path().join(".registry/uploads")).unwrap();
    assert_eq!(left.count(), 0);
}

// "Endpoints": end-5, end-6, end-13, end-14 name the repository of the upload.
#[test]
fn an_upload_belongs_to_its_repository() {
    let served = Served::start();
    let location = served.begin_upload("app").replace("/app/", "/other/");
    assert_eq!(served.get(&location).code(), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(
        served.get(&location.replace("/other/", "/app/")).status,
        204
    );
}

// "Pushing a blob in chunks": "The closing PUT request MUST include the <digest> of the whole blob".
#[test]
fn an_upload_is_not_closed_without_a_digest() {
    let served = Served::start();
    let location = served.begin_upload("app");
    patch(&served, &location, "0-3", b"0123");
    let answer = served.ask("PUT", &location, &[], b"");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert_eq!(served.get(&location).header("range"), Some("0-3"));
}

// "Mounting a blob from another repository": "The response to a successful mount MUST be 201 Created, and MUST contain
// the following header: Location", "The registry MAY treat the from parameter as optional".
#[test]
fn a_blob_is_mounted_from_a_repository_that_has_it_or_from_any() {
    let served = Served::start();
    let digest = served.push_blob("team/one", b"shared");
    for (to, from) in [
        ("two", "&from=team/one"),
        ("three", ""),
        ("four", "&from=team%2Fone"),
    ] {
        let target = format!("/v2/{to}/blobs/uploads/?mount={digest}{from}");
        let answer = served.ask("POST", &target, &[], b"");
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(
            answer.header("location"),
            Some(format!("/v2/{to}/blobs/{digest}").as_str())
        );
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(digest.as_str())
        );
        assert_eq!(
            served.get(answer.header("location").unwrap()).body,
            b"shared"
        );
    }
}

// "Mounting a blob from another repository": "if a registry … is unable to mount the requested blob, it SHOULD return a
// 202. This indicates that the upload session has begun and that the client MAY proceed with the upload."
#[test]
fn a_blob_that_cannot_be_mounted_is_uploaded() {
    let served = Served::start();
    served.push_blob("other", b"shared");
    let digest = Digest::of(b"shared");
    for from in ["none", "two"] {
        let target = format!("/v2/two/blobs/uploads/?mount={digest}&from={from}");
        let answer = served.ask("POST", &target, &[], b"");
        assert_eq!(answer.status, 202, "{answer:?}");
        let location = answer.header("location").unwrap();
        let closed = served.ask("PUT", &with_digest(location, &digest), &[], b"shared");
        assert_eq!(closed.status, 201);
        served.ask("DELETE", &format!("/v2/two/blobs/{digest}"), &[], b"");
    }
}

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

// "Content Digests": "registries … SHOULD support" other algorithms of the image specification.
#[test]
fn blobs_and_manifests_may_be_named_by_sha512() {
    let served = Served::start();
    let sha512 = |bytes: &[u8]| {
        let mut hasher = oci::Hasher::with_algorithm(oci::digest::Algorithm::Sha512);
        hasher.update(bytes);
        hasher.finish()
    };
    let digest = sha512(b"bytes");
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    assert_eq!(served.ask("POST", &target, &[], b"bytes").status, 201);
    assert_eq!(
        served.get(&format!("/v2/app/blobs/{digest}")).body,
        b"bytes"
    );
    let document = index(&[]);
    let digest = sha512(&document);
    let answer = served.put_manifest("app", digest.as_str(), &document);
    assert_eq!(
        answer.header("docker-content-digest"),
        Some(digest.as_str())
    );
    assert_eq!(
        served.get(&format!("/v2/app/manifests/{digest}")).body,
        document
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
