//! Lists: tags, repositories, and what refers to a manifest.

use std::sync::{Arc, Mutex};

use oci::Digest;
use oci::check::parse_index;
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};

use crate::testing::*;
use crate::*;

#[test]
fn tags_are_listed_over_all_pages() {
    let server = Server::answering(|asked| match asked.path.as_str() {
        "/v2/team/app/tags/list?n=1000" => Reply::new(200, r#"{"name":"x","tags":["a","b"]}"#)
            .header("Link", r#"</v2/team/app/tags/list?n=2&last=b>; rel="next""#),
        "/v2/team/app/tags/list?n=2&last=b" => {
            Reply::new(200, r#"{"tags":["c"]}"#).header("Link", r#"<list?last=c>; rel="next""#)
        }
        "/v2/team/app/tags/list?last=c" => Reply::new(200, r#"{"tags":null}"#),
        other => panic!("{other}"),
    });
    assert_eq!(server.repository().tags().unwrap(), ["a", "b", "c"]);
}

#[test]
fn a_list_that_leads_astray_is_an_error() {
    for (link, expected) in [
        (
            "</v2/team/app/tags/list?n=1000>; rel=next",
            "the next page of the list is one that was there before",
        ),
        (
            "<http://e.invalid/list>; rel=next",
            "the next page of the list is at another host",
        ),
        (
            "<file:///etc/passwd>; rel=next",
            "the host sent a link that is no URL",
        ),
    ] {
        let server =
            Server::answering(move |_| Reply::new(200, r#"{"tags":["a"]}"#).header("Link", link));
        let error = server.repository().tags().unwrap_err();
        assert_eq!(error.failure.to_string(), expected);
    }
}

#[test]
fn a_list_that_is_none_is_an_error() {
    for (body, expected) in [
        ("<html>".to_owned(), "the host sent a list that is none"),
        (
            " ".repeat(5 << 20),
            "the host sent more than 4194304 bytes of a list",
        ),
    ] {
        let server = Server::answering(move |_| Reply::new(200, body.clone()));
        let error = server.repository().tags().unwrap_err();
        assert_eq!(error.failure.to_string(), expected);
    }
}

#[test]
fn repositories_are_listed_with_a_token_for_that() {
    let server = Server::answering(|asked| {
        if asked.path.starts_with("/token") {
            return Reply::new(200, r#"{"token":"t"}"#);
        }
        if asked.header("authorization").is_some() {
            return Reply::new(200, r#"{"repositories":["a","b/c"]}"#);
        }
        let host = asked.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token""#);
        Reply::empty(401).header("WWW-Authenticate", &challenge)
    });
    assert_eq!(server.repository().catalog().unwrap(), ["a", "b/c"]);
    assert_eq!(
        server.lines()[1],
        "GET /token?scope=registry%3Acatalog%3A%2A"
    );
}

fn entry(content: &str, artifact_type: &str) -> String {
    format!(
        r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{},"artifactType":"{artifact_type}"}}"#,
        Digest::of(content.as_bytes()),
        content.len()
    )
}

fn index(entries: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    )
}

#[test]
fn referrers_are_those_of_the_registry() {
    let subject = Digest::of(b"subject");
    let listed = index(&[entry("a", "type/a"), entry("b", "type/b")]);
    let server = Server::answering(move |_| {
        Reply::new(200, listed.clone()).header("Content-Type", OCI_INDEX)
    });
    let repository = server.repository();
    assert_eq!(repository.referrers(&subject, None).unwrap().len(), 2);
    let of_type = repository.referrers(&subject, Some("type/b")).unwrap();
    let digests: Vec<_> = of_type.iter().map(|it| it.digest().to_string()).collect();
    assert_eq!(digests, [Digest::of(b"b").as_str()]);
    assert_eq!(
        server.lines()[0],
        format!("GET /v2/team/app/referrers/{subject}")
    );
}

#[test]
fn referrers_are_those_of_the_tag_where_the_registry_keeps_no_list() {
    let subject = Digest::of(b"subject");
    let tag = format!("/v2/team/app/manifests/sha256-{}", subject.encoded());
    let listed = index(&[entry("a", "type/a")]);
    for api in [Reply::empty(404), Reply::new(200, "<html>")] {
        for has_tag in [true, false] {
            let (tag, listed, api) = (tag.clone(), listed.clone(), api.clone());
            let server = Server::answering(move |asked| {
                if asked.path != tag {
                    return api.clone();
                }
                if has_tag {
                    Reply::new(200, listed.clone()).header("Content-Type", OCI_INDEX)
                } else {
                    Reply::empty(404)
                }
            });
            let found = server.repository().referrers(&subject, None).unwrap();
            assert_eq!(found.len(), usize::from(has_tag));
        }
    }
}

/// Returns a manifest that refers to another one.
fn referring(subject: &Digest) -> Vec<u8> {
    let empty = Digest::of(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"type/new",
            "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{empty}","size":2}},"layers":[],
            "subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":7}},
            "annotations":{{"k":"v"}}}}"#
    )
    .into_bytes()
}

/// Starts a registry that answers a manifest as told, and keeps what is written to the tag of the list.
fn listing(answer: Reply) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let list = Arc::new(Mutex::new(index(&[entry("old", "type/old")]).into_bytes()));
    let shared = Arc::clone(&list);
    let server = Server::start(move |asked, body| {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).unwrap();
        let is_list = asked.path.contains("/manifests/sha256-");
        match (asked.method.as_str(), is_list) {
            ("PUT", true) => {
                *shared.lock().unwrap() = bytes;
                Reply::empty(201)
            }
            ("PUT", false) => answer.clone(),
            _ => {
                let list = shared.lock().unwrap().clone();
                Reply::new(200, list).header("Content-Type", OCI_INDEX)
            }
        }
    });
    (server, list)
}

#[test]
fn a_list_that_the_registry_keeps_is_left_to_it() {
    let subject = Digest::of(b"subject");
    let kept = Reply::empty(201).header("OCI-Subject", subject.as_str());
    let (server, _) = listing(kept);
    let bytes = referring(&subject);
    server
        .repository()
        .put_manifest(&tag("1"), OCI_MANIFEST, &bytes, Expect::Anything)
        .unwrap();
    assert_eq!(server.lines(), ["PUT /v2/team/app/manifests/1"]);
}

#[test]
fn a_manifest_with_a_subject_gets_into_the_list_once() {
    let subject = Digest::of(b"subject");
    let (server, list) = listing(Reply::empty(201));
    let repository = server.repository();
    let bytes = referring(&subject);
    for _ in 0..2 {
        repository
            .put_manifest(&tag("1"), OCI_MANIFEST, &bytes, Expect::Anything)
            .unwrap();
    }
    let list = parse_index(&list.lock().unwrap()).unwrap();
    let digests: Vec<_> = list
        .manifests()
        .iter()
        .map(|it| it.digest().to_string())
        .collect();
    assert_eq!(
        digests,
        [Digest::of(b"old"), Digest::of(&bytes)].map(|digest| digest.to_string())
    );
    let new = &list.manifests()[1];
    assert_eq!(new.media_type().as_ref(), OCI_MANIFEST);
    assert_eq!(new.artifact_type().as_ref().unwrap().as_ref(), "type/new");
    assert_eq!(new.annotations().as_ref().unwrap()["k"], "v");
}
