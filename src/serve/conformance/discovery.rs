//! "Content Discovery".

use super::*;

// "Listing Tags": "Assuming a repository is found, this request MUST return a 200 OK response code. … the tags MUST be in
// lexical order … or \"ASCIIbetical\" order".
#[test]
fn tags_are_listed_in_order() {
    let served = Served::start();
    for tag in ["b", "a.1", "B", "a-1", "_x"] {
        assert_eq!(
            served.put_manifest("team/app", tag, &index(&[])).status,
            201
        );
    }
    let answer = served.get("/v2/team/app/tags/list");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({ "name": "team/app", "tags": ["B", "_x", "a-1", "a.1", "b"] })
    );
}

// "Listing Tags": "The list of tags MAY be empty if there are no tags on the repository."
#[test]
fn a_repository_without_tags_has_an_empty_list_and_no_repository_none() {
    let served = Served::start();
    served.push_blob("app", b"bytes");
    assert_eq!(
        served.get("/v2/app/tags/list").json(),
        json!({ "name": "app", "tags": [] })
    );
    let answer = served.get("/v2/none/tags/list");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "NAME_UNKNOWN")
    );
}

// "Listing Tags": "a subset of the tags can be fetched by providing the n query parameter", "When n is zero, this endpoint
// MUST return an empty list, and MUST NOT include a Link header", "<tagname> will not be included in the results".
#[test]
fn tags_are_listed_in_pages_that_lead_to_each_other() {
    let served = Served::start();
    for tag in ["a", "b", "c"] {
        served.put_manifest("app", tag, &index(&[]));
    }
    let link = "</v2/app/tags/list?n=2&last=b>; rel=\"next\"";
    for (query, tags, next) in [
        ("n=2", json!(["a", "b"]), Some(link)),
        ("n=2&last=b", json!(["c"]), None),
        ("n=3", json!(["a", "b", "c"]), None),
        ("n=9", json!(["a", "b", "c"]), None),
        ("last=a", json!(["b", "c"]), None),
        ("n=0", json!([]), None),
    ] {
        let answer = served.get(&format!("/v2/app/tags/list?{query}"));
        assert_eq!(answer.json()["tags"], tags, "{query}");
        assert_eq!(answer.header("link"), next, "{query}");
    }
    assert_eq!(served.get("/v2/app/tags/list?n=-1").status, 400);
}

// The catalog of the protocol's first version, which clients still ask for.
#[test]
fn repositories_are_listed_in_pages() {
    let served = Served::start();
    assert_eq!(
        served.get("/v2/_catalog").json(),
        json!({ "repositories": [] })
    );
    for repository in ["b", "a/x", "a"] {
        served.put_manifest(repository, "1", &index(&[]));
    }
    let answer = served.get("/v2/_catalog?n=2");
    assert_eq!(answer.json(), json!({ "repositories": ["a", "a/x"] }));
    assert_eq!(
        answer.header("link"),
        Some("</v2/_catalog?n=2&last=a/x>; rel=\"next\"")
    );
    assert_eq!(
        served.get("/v2/_catalog?n=2&last=a/x").json(),
        json!({ "repositories": ["b"] })
    );
}

/// Pushes an artifact that refers to a manifest, and returns its descriptor among the referrers.
fn push_referrer(served: &Served, artifact_type: Option<&str>, note: &str) -> Value {
    let mut manifest: Value = serde_json::from_slice(&image(b"{}")).unwrap();
    manifest["subject"] = descriptor(OCI_MANIFEST, b"subject");
    manifest["annotations"] = json!({ "note": note });
    if let Some(artifact_type) = artifact_type {
        manifest["artifactType"] = json!(artifact_type);
    }
    let bytes = manifest.to_string().into_bytes();
    assert_eq!(
        served
            .put_manifest("app", Digest::of(&bytes).as_str(), &bytes)
            .status,
        201
    );
    let mut expected = descriptor(OCI_MANIFEST, &bytes);
    // "If the artifactType is empty or missing in the image manifest, the value of artifactType MUST be set to the config
    // descriptor mediaType value."
    expected["artifactType"] = json!(artifact_type.unwrap_or(OCI_CONFIG));
    expected["annotations"] = json!({ "note": note });
    expected
}

fn sorted(mut list: Vec<Value>) -> Vec<Value> {
    list.sort_by_key(|entry| entry["digest"].to_string());
    list
}

// "Listing Referrers": "the response MUST be an image index … Each descriptor is of an image manifest or index in the same
// <name> namespace with a subject field that specifies the value of <digest>. The descriptors MUST include an artifactType
// field … MUST include annotations".
#[test]
fn referrers_are_listed_with_their_types_and_annotations() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let one = push_referrer(&served, Some("application/x.sbom"), "one");
    let other = push_referrer(&served, None, "other");
    let subject = Digest::of(b"subject");
    let answer = served.get(&format!("/v2/app/referrers/{subject}"));
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(OCI_INDEX))
    );
    let document = answer.json();
    assert_eq!(
        (&document["schemaVersion"], &document["mediaType"]),
        (&json!(2), &json!(OCI_INDEX))
    );
    let found = document["manifests"].as_array().unwrap().clone();
    assert_eq!(sorted(found), sorted(vec![one, other]));
}

// "Listing Referrers": "If the artifactType is missing in an index, the artifactType MUST be omitted."
#[test]
fn an_index_among_the_referrers_has_a_type_only_if_it_says_one() {
    let served = Served::start();
    let mut document: Value = serde_json::from_slice(&index(&[])).unwrap();
    document["subject"] = descriptor(OCI_MANIFEST, b"subject");
    let bytes = document.to_string().into_bytes();
    let answer = served.put_manifest("app", "any", &bytes);
    assert_eq!(
        (answer.status, answer.header("oci-subject").is_some()),
        (201, true)
    );
    let subject = Digest::of(b"subject");
    let found = served.get(&format!("/v2/app/referrers/{subject}")).json();
    assert_eq!(found["manifests"], json!([descriptor(OCI_INDEX, &bytes)]));
}

// "Listing Referrers": "The registry SHOULD support filtering on artifactType. … If filtering is requested and applied, the
// response MUST include a header OCI-Filters-Applied: artifactType".
#[test]
fn referrers_are_filtered_by_type_and_the_answer_says_so() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let one = push_referrer(&served, Some("application/x.sbom+json"), "one");
    push_referrer(&served, None, "other");
    let subject = Digest::of(b"subject");
    let target = format!("/v2/app/referrers/{subject}?artifactType=application%2Fx.sbom%2Bjson");
    let answer = served.get(&target);
    assert_eq!(answer.header("oci-filters-applied"), Some("artifactType"));
    assert_eq!(answer.json()["manifests"], json!([one]));
    assert_eq!(
        served
            .get(target.split('?').next().unwrap())
            .header("oci-filters-applied"),
        None
    );
}

// "Listing Referrers": "If the request is invalid, such as a <digest> with an invalid syntax, a 400 Bad Request MUST be
// returned", "a registry that supports the referrers API MUST NOT return a 404", "If the registry … has no referrers … an
// image index with an empty manifests list MUST be returned".
#[test]
fn what_nothing_refers_to_has_an_empty_list_and_what_is_no_digest_is_refused() {
    let served = Served::start();
    let digest = Digest::of(b"x");
    let answer = served.get(&format!("/v2/none/referrers/{digest}"));
    assert_eq!(
        (answer.status, &answer.json()["manifests"]),
        (200, &json!([]))
    );
    let answer = served.get("/v2/none/referrers/sha256:xyz");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "DIGEST_INVALID")
    );
}

// "Listing Referrers": a manifest that is deleted is no referrer any more.
#[test]
fn a_referrer_that_is_deleted_is_not_listed() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    let one = push_referrer(&served, None, "one");
    let digest = one["digest"].as_str().unwrap();
    assert_eq!(
        served
            .ask("DELETE", &format!("/v2/app/manifests/{digest}"), &[], b"")
            .status,
        202
    );
    let subject = Digest::of(b"subject");
    let found = served.get(&format!("/v2/app/referrers/{subject}")).json();
    assert_eq!(found["manifests"], json!([]));
}
