//! "Push": blobs.

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
