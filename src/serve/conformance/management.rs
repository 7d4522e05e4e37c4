//! "Content Management".

use super::*;

fn delete(served: &Served, target: &str) -> Answer {
    served.ask("DELETE", target, &[], b"")
}

// "Deleting tags": "Upon success, the registry MUST respond with a 202 Accepted code", "Once deleted, a GET to
// /v2/<name>/manifests/<tag> will return a 404".
#[test]
fn a_tag_is_deleted_and_its_manifest_and_its_other_tags_stay() {
    let served = Served::start();
    let manifest = served.push_image("app", "1", "layer");
    served.put_manifest("app", "2", &manifest);
    assert_eq!(delete(&served, "/v2/app/manifests/1").status, 202);
    assert_eq!(served.get("/v2/app/manifests/1").status, 404);
    assert_eq!(served.get("/v2/app/manifests/2").status, 200);
    assert_eq!(delete(&served, "/v2/app/manifests/2").status, 202);
    let digest = Digest::of(&manifest);
    assert_eq!(
        served.get(&format!("/v2/app/manifests/{digest}")).body,
        manifest
    );
}

// "Deleting Manifests": "Upon success, the registry MUST respond with a 202 Accepted code", "Once deleted, a GET to
// /v2/<name>/manifests/<digest> and any tag pointing to that digest will return a 404".
#[test]
fn a_manifest_is_deleted_with_its_tags() {
    let served = Served::start();
    let manifest = served.push_image("app", "1", "layer");
    served.push_image("app", "other", "other");
    let target = format!("/v2/app/manifests/{}", Digest::of(&manifest));
    assert_eq!(delete(&served, &target).status, 202);
    for gone in [target.as_str(), "/v2/app/manifests/1"] {
        assert_eq!(served.get(gone).status, 404, "{gone}");
    }
    assert_eq!(
        served.get("/v2/app/tags/list").json()["tags"],
        json!(["other"])
    );
}

// "Deleting Manifests": "If the repository does not exist, the response MUST return 404 Not Found."
#[test]
fn deleting_what_is_not_there_is_404() {
    let served = Served::start();
    served.push_image("app", "1", "layer");
    let digest = Digest::of(b"nothing");
    for (target, code) in [
        (format!("/v2/none/manifests/{digest}"), "NAME_UNKNOWN"),
        (format!("/v2/app/manifests/{digest}"), "MANIFEST_UNKNOWN"),
        ("/v2/app/manifests/2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/app/blobs/{digest}"), "BLOB_UNKNOWN"),
    ] {
        let answer = delete(&served, &target);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, code),
            "{target}"
        );
    }
}

// "Deleting Blobs": "Upon success, the registry MUST respond with code 202 Accepted. If the blob is not found, a 404 Not
// Found code MUST be returned."
#[test]
fn a_blob_is_deleted_from_one_repository_and_its_file_with_the_last() {
    let served = Served::start();
    let digest = served.push_blob("one", b"bytes");
    served.push_blob("two", b"bytes");
    let file = served.path().join("blobs/sha256").join(digest.encoded());
    assert_eq!(
        delete(&served, &format!("/v2/one/blobs/{digest}")).status,
        202
    );
    assert_eq!(
        delete(&served, &format!("/v2/one/blobs/{digest}")).status,
        404
    );
    assert_eq!(
        served.get(&format!("/v2/two/blobs/{digest}")).body,
        b"bytes"
    );
    assert_eq!(
        delete(&served, &format!("/v2/two/blobs/{digest}")).status,
        202
    );
    assert!(!file.try_exists().unwrap());
    assert_eq!(
        served.get("/v2/_catalog").json(),
        json!({ "repositories": [] })
    );
}

// "Deleting tags": "If tag deletion is disabled, the registry MUST respond with either a 400 Bad Request or a 405 Method
// Not Allowed"; the same for manifests and blobs.
#[test]
fn a_registry_that_is_read_only_is_405_for_everything_that_writes() {
    let served = Served::start();
    let manifest = served.push_image("app", "1", "layer");
    let (digest, layer) = (Digest::of(&manifest), Digest::of(b"layer"));
    let served = Served::over(served.directory, Access::ReadOnly);
    for (method, target) in [
        ("DELETE", "/v2/app/manifests/1".to_owned()),
        ("DELETE", format!("/v2/app/manifests/{digest}")),
        ("DELETE", format!("/v2/app/blobs/{layer}")),
        ("PUT", "/v2/app/manifests/1".to_owned()),
        ("POST", "/v2/app/blobs/uploads/".to_owned()),
    ] {
        let answer = served.ask(method, &target, &[], b"");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "UNSUPPORTED"),
            "{method}"
        );
    }
    assert_eq!(served.get("/v2/app/manifests/1").body, manifest);
    assert_eq!(served.get(&format!("/v2/app/blobs/{layer}")).body, b"layer");
}

// RFC 9110, section 15.5.6.
#[test]
fn a_method_that_is_not_known_is_405_with_those_that_are() {
    let served = Served::start();
    for (method, target, allowed) in [
        ("POST", "/v2/", "GET, HEAD"),
        ("DELETE", "/v2/app/tags/list", "GET, HEAD"),
        ("POST", "/v2/app/manifests/1", "GET, HEAD, PUT, DELETE"),
        ("GET", "/v2/app/blobs/uploads/", "POST"),
        ("BREW", "/v2/_catalog", "GET, HEAD"),
    ] {
        let answer = served.ask(method, target, &[], b"");
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{method}"
        );
    }
}
