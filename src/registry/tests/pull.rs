//! What is read: manifests and blobs, whatever the server does.

use std::io::Read as _;
use std::time::Duration;

use oci::media_type::{DOCKER_MANIFEST, DOCKER_SCHEMA1_SIGNED, OCI_INDEX, OCI_MANIFEST};
use oci::{Digest, VerifyError};

use crate::testing::*;
use crate::*;

const CONTENT: &[u8] = b"these are the forty bytes of one layer.\n";

fn manifest_bytes() -> Vec<u8> {
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}"}}"#).into_bytes()
}

fn read_all(repository: &Repository) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    let mut stream = repository.blob(&descriptor_of(CONTENT), 0)?;
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns where a request wants a blob to begin.
fn start_of(asked: &Asked) -> usize {
    let range = asked.header("range").unwrap_or("bytes=0-");
    let start = range.strip_prefix("bytes=").unwrap().strip_suffix('-');
    start.unwrap().parse().unwrap()
}

fn part(start: usize) -> Reply {
    if start == 0 {
        return Reply::new(200, CONTENT);
    }
    let (last, size) = (CONTENT.len() - 1, CONTENT.len());
    Reply::new(206, &CONTENT[start..])
        .header("Content-Range", &format!("bytes {start}-{last}/{size}"))
}

#[test]
fn t_e11_a_manifest_is_what_its_digest_says() {
    let bytes = manifest_bytes();
    let digest = Digest::of(&bytes);
    let server = Server::answering(move |_| {
        Reply::new(200, manifest_bytes()).header("Content-Type", OCI_MANIFEST)
    });
    let repository = server.repository();
    let manifest = repository.manifest(&tag("1")).unwrap();
    assert_eq!(manifest.bytes, bytes);
    assert_eq!(
        manifest.descriptor,
        oci::descriptor::descriptor(OCI_MANIFEST, &digest, bytes.len() as u64)
    );
    assert_eq!(
        repository.manifest(&Selector::Digest(digest)).unwrap(),
        manifest
    );
    let other = Digest::of(b"other");
    let error = repository
        .manifest(&Selector::Digest(other.clone()))
        .unwrap_err();
    assert_eq!(
        told(&error),
        format!(
            "read the manifest `{other}` of `registry.example/team/app` at `127.0.0.1:{}`: the host sent \
             content with digest `{}` in place of `{other}`",
            server.port,
            Digest::of(&bytes)
        )
    );
    assert_eq!(
        server.asked()[0].header("accept").unwrap(),
        "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
         application/vnd.docker.distribution.manifest.list.v2+json, \
         application/vnd.docker.distribution.manifest.v2+json"
    );
}

#[test]
fn t_e12_a_manifest_that_cannot_be_trusted_is_refused() {
    let schema1 = r#"{"schemaVersion":1,"fsLayers":[]}"#;
    let docker = format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}"}}"#);
    for (body, media_type, digest, expected) in [
        (
            schema1,
            DOCKER_SCHEMA1_SIGNED,
            None,
            "the image has a manifest of Docker's schema 1, which is not supported: push it again with a newer tool",
        ),
        (
            schema1,
            "application/json",
            None,
            "the image has a manifest of Docker's schema 1, which is not supported: push it again with a newer tool",
        ),
        (
            &docker,
            OCI_MANIFEST,
            None,
            "the host sent a manifest that says it is of another media type than the registry says",
        ),
        (
            "{}",
            OCI_MANIFEST,
            Some("sha256:short"),
            "the host sent a header with a digest that is none",
        ),
        (
            "not json",
            OCI_MANIFEST,
            None,
            "the host sent a manifest that is none",
        ),
        (
            r#"{"mediaType":"text/plain"}"#,
            "text/plain",
            None,
            "the host sent a manifest of a media type that is not supported",
        ),
    ] {
        let (body, media_type) = (body.to_owned(), media_type.to_owned());
        let digest = digest.map(str::to_owned);
        let server = Server::answering(move |_| {
            let reply = Reply::new(200, body.clone()).header("Content-Type", &media_type);
            match &digest {
                Some(digest) => reply.header("Docker-Content-Digest", digest),
                None => reply,
            }
        });
        let error = server.repository().manifest(&tag("1")).unwrap_err();
        assert_eq!(error.failure.to_string(), expected);
    }
}

#[test]
fn t_e11_a_digest_that_a_host_says_is_not_believed() {
    let other = Digest::of(b"other");
    let said = other.to_string();
    let server = Server::answering(move |_| {
        Reply::new(200, manifest_bytes())
            .header("Content-Type", OCI_MANIFEST)
            .header("Docker-Content-Digest", &said)
    });
    let error = server
        .repository()
        .manifest(&Selector::Digest(other.clone()));
    assert_eq!(
        error.unwrap_err().failure.to_string(),
        format!(
            "the host sent content with digest `{}` in place of `{other}`",
            Digest::of(&manifest_bytes())
        )
    );
}

#[test]
fn a_manifest_without_a_media_type_is_told_by_its_fields() {
    for (body, expected) in [
        (r#"{"schemaVersion":2,"manifests":[]}"#, OCI_INDEX),
        (r#"{"schemaVersion":2,"layers":[]}"#, OCI_MANIFEST),
    ] {
        let server = Server::answering(move |_| Reply::new(200, body));
        let manifest = server.repository().manifest(&tag("1")).unwrap();
        assert_eq!(manifest.descriptor.media_type().to_string(), expected);
    }
}

#[test]
fn a_manifest_without_an_end_is_not_read_to_it() {
    let server = Server::answering(|_| {
        Reply::new(200, vec![b' '; 5 << 20]).header("Content-Type", OCI_MANIFEST)
    });
    let error = server.repository().manifest(&tag("1")).unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        "the host sent more than 4194304 bytes of a manifest"
    );
}

#[test]
fn a_tag_is_resolved_by_its_head_alone() {
    let digest = Digest::of(&manifest_bytes());
    let told = digest.clone();
    let server = Server::answering(move |asked| match asked.path.as_str() {
        "/v2/team/app/manifests/1" => Reply::empty(200)
            .header("Content-Type", OCI_MANIFEST)
            .header("Docker-Content-Digest", told.as_str())
            .header("Content-Length", "66"),
        _ => Reply::empty(404),
    });
    let repository = server.repository();
    assert_eq!(
        repository.resolve(&tag("1")).unwrap(),
        Some(oci::descriptor::descriptor(OCI_MANIFEST, &digest, 66))
    );
    assert_eq!(repository.resolve(&tag("2")).unwrap(), None);
    assert_eq!(
        server.lines(),
        [
            "HEAD /v2/team/app/manifests/1",
            "HEAD /v2/team/app/manifests/2"
        ]
    );
}

#[test]
fn a_tag_is_resolved_where_the_registry_answers_no_head() {
    for status in [405, 200] {
        let server = Server::answering(move |asked| match asked.method.as_str() {
            "HEAD" => Reply::empty(status),
            _ => Reply::new(200, manifest_bytes()).header("Content-Type", OCI_MANIFEST),
        });
        let found = server.repository().resolve(&tag("1")).unwrap().unwrap();
        assert_eq!(
            found.digest().to_string(),
            Digest::of(&manifest_bytes()).as_str()
        );
    }
}

#[test]
fn a_blob_goes_on_wherever_the_connection_broke() {
    for cut in 1..CONTENT.len() {
        let server = Server::answering(move |asked| part(start_of(asked)).cut_at(cut));
        assert_eq!(read_all(&server.repository()).unwrap(), CONTENT, "{cut}");
        let starts: Vec<_> = server.asked().iter().map(start_of).collect();
        let expected: Vec<_> = (0..CONTENT.len()).step_by(cut).collect();
        assert_eq!(starts, expected);
    }
}

#[test]
fn a_blob_is_read_anew_where_the_registry_has_no_ranges() {
    let server = Server::answering(|asked| {
        let reply = Reply::new(200, CONTENT);
        match start_of(asked) {
            0 => reply.cut(7),
            7 => reply.cut(30),
            _ => reply,
        }
    });
    assert_eq!(read_all(&server.repository()).unwrap(), CONTENT);
    let starts: Vec<_> = server.asked().iter().map(start_of).collect();
    assert_eq!(starts, [0, 7, 30]);
}

#[test]
fn a_blob_that_never_goes_on_ends_in_an_error() {
    let server = Server::answering(|asked| part(start_of(asked)).cut(0));
    let error = read_all(&server.repository()).unwrap_err();
    let error = RegistryError::in_error(&error).unwrap();
    let url = server.url(&format!("/v2/team/app/blobs/{}", Digest::of(CONTENT)));
    assert_eq!(
        error.failure.to_string(),
        format!("fetch `{url}`: the connection broke after 0 bytes")
    );
    assert!(error.is_unreachable());
    assert_eq!(server.lines().len(), 4);
}

#[test]
fn a_blob_with_other_bytes_is_refused_at_its_last() {
    let mut wrong = CONTENT.to_vec();
    wrong[3] ^= 1;
    let server = Server::answering(move |_| Reply::new(200, wrong.clone()));
    let error = read_all(&server.repository()).unwrap_err();
    assert!(
        matches!(
            VerifyError::in_error(&error),
            Some(VerifyError::WrongDigest { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn t_e18_a_blob_of_another_size_is_refused_before_it_is_read() {
    for size in [CONTENT.len() - 1, CONTENT.len() + 1] {
        let server = Server::answering(move |_| Reply::new(200, vec![0; size]));
        let error = read_all(&server.repository()).unwrap_err();
        let error = RegistryError::in_error(&error).unwrap();
        assert_eq!(
            error.failure.to_string(),
            format!("the host has {size} bytes where 40 are expected")
        );
    }
}

#[test]
fn t_e18_a_blob_without_an_end_is_left_at_its_size() {
    let chunk = format!("{:x}\r\n", CONTENT.len() + 1).into_bytes();
    let body = [chunk, CONTENT.to_vec(), b"!\r\n".to_vec()].concat();
    let server = Server::answering(move |_| {
        Reply::new(200, body.clone()).header("Transfer-Encoding", "chunked")
    });
    let error = read_all(&server.repository()).unwrap_err();
    assert!(
        matches!(
            VerifyError::in_error(&error),
            Some(VerifyError::Long { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn another_part_than_was_asked_for_is_refused() {
    let server = Server::answering(|asked| match start_of(asked) {
        0 => Reply::new(200, CONTENT).cut(10),
        _ => part(9),
    });
    let error = read_all(&server.repository()).unwrap_err();
    assert_eq!(
        RegistryError::in_error(&error).unwrap().failure.to_string(),
        "the host sent another part of the blob than was asked for"
    );
}

#[test]
fn a_blob_is_read_from_an_offset_on() {
    for ranges in [true, false] {
        let server = Server::answering(move |asked| match (ranges, start_of(asked)) {
            (true, start) => part(start),
            (false, _) => Reply::new(200, CONTENT),
        });
        let repository = server.repository();
        let mut bytes = Vec::new();
        let mut stream = repository.blob(&descriptor_of(CONTENT), 30).unwrap();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, &CONTENT[30..]);
    }
}

#[test]
fn what_passes_is_tried_again_when_the_registry_says() {
    let server = Server::answering({
        let count = std::sync::atomic::AtomicU32::new(0);
        move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::empty(429).header("Retry-After", "7"),
            1 => Reply::empty(503),
            2 => Reply::hang_up(),
            _ => Reply::new(200, CONTENT),
        }
    });
    let client = Client::default();
    let repository = client.repository(vec![server.host()]);
    assert_eq!(read_all(&repository).unwrap(), CONTENT);
    assert_eq!(
        *client.pauses.lock().unwrap(),
        [7000, 500, 1000].map(Duration::from_millis)
    );
}

#[test]
fn what_does_not_pass_is_told_with_the_words_of_the_registry() {
    let server = Server::answering(|_| {
        Reply::new(
            429,
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#,
        )
        .header("RateLimit-Limit", "100;w=21600")
        .header("RateLimit-Remaining", "0;w=21600")
        .header("Retry-After", "60")
    });
    let error = server.repository().manifest(&tag("1")).unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        "the registry answered 429 Too Many Requests: You have reached your pull rate limit. \
         (TOOMANYREQUESTS) (limit of requests: 0 of 100 left) (try again in 60 s)"
    );
    assert!(error.is_rate_limited());
    assert_eq!(server.lines().len(), 4);
}

#[test]
fn a_cancelled_job_asks_nobody() {
    let server = Server::answering(|_| Reply::empty(200));
    let client = Client {
        stop: Some(std::sync::Arc::new(|| true)),
        ..Client::default()
    };
    let repository = client.repository(vec![server.host()]);
    assert!(repository.manifest(&tag("1")).unwrap_err().is_cancelled());
    assert!(server.asked().is_empty());
}
