//! Pulls that go wrong.

use insta::assert_snapshot;

use super::*;

const MIB: usize = 1024 * 1024;

/// Says that every answer with a blob breaks after so many bytes, so many times.
fn break_blobs(server: &Server, bytes: u64, times: usize) {
    server.misbehave(first(times, "GET", "/blobs/", Fault::BreakAnswer(bytes)));
}

// A connection that breaks after byte n leaves the client with n bytes, and it is the client's state that decides what
// becomes of it. So it is enough that one pull of 8 MiB gets one byte a connection, and breaks at 1, 2, … 4,096: sending
// the rest 4,096 times would be 32 GiB of the same.
#[test]
fn a_pull_goes_on_after_each_of_the_first_4096_bytes() {
    promptly(|| {
        let bytes = noise(8 * MIB);
        let server = server_with(&bytes);
        break_blobs(&server, 1, 4096);
        assert_eq!(Client::of(&server).pull(&blob(&bytes)).unwrap(), bytes);
        let seen = server.seen();
        let ranges: Vec<_> = seen.iter().map(|seen| seen.asked.header("range")).collect();
        let expected: Vec<_> = (0..=4096).map(|from| format!("bytes={from}-")).collect();
        assert_eq!(ranges[0], None);
        assert_eq!(
            ranges[1..],
            expected[1..]
                .iter()
                .map(|it| Some(it.as_str()))
                .collect::<Vec<_>>()
        );
    });
}

// The first connection is another matter than one that goes on, so it breaks at many places too, of a blob that is only
// a little longer.
#[test]
fn a_pull_goes_on_wherever_its_first_connection_breaks() {
    promptly(|| {
        let bytes = noise(4099);
        let server = server_with(&bytes);
        let client = Client::of(&server);
        for place in places() {
            break_blobs(&server, place, 1);
            assert_eq!(
                client.pull(&blob(&bytes)).unwrap(),
                bytes,
                "broken after {place}"
            );
        }
        assert_eq!(
            count(&server.seen(), "GET", "/blobs/"),
            2 * places().count()
        );
    });
}

#[test]
fn a_pull_goes_on_after_every_64_kib() {
    promptly(|| {
        let bytes = noise(8 * MIB);
        let server = server_with(&bytes);
        break_blobs(&server, 64 * 1024, usize::MAX);
        assert_eq!(Client::of(&server).pull(&blob(&bytes)).unwrap(), bytes);
        assert_eq!(count(&server.seen(), "GET", "/blobs/"), 128);
    });
}

#[test]
fn a_pull_goes_on_where_the_registry_cannot_begin_in_the_middle() {
    promptly(|| {
        let bytes = noise(MIB);
        let server = server_with(&bytes);
        let mut asked = 0;
        server.misbehave(move |_| {
            asked += 1;
            Some(if asked == 1 {
                Fault::BreakAnswer(300_000)
            } else {
                Fault::NoRange
            })
        });
        assert_eq!(Client::of(&server).pull(&blob(&bytes)).unwrap(), bytes);
        assert_eq!(count(&server.seen(), "GET", "/blobs/"), 2);
    });
}

#[test]
fn a_pull_waits_as_long_as_the_registry_asks_and_goes_on() {
    promptly(|| {
        let bytes = noise(5000);
        let server = server_with(&bytes);
        for fault in [Fault::retry_after(429, 7), Fault::retry_after(503, 7)] {
            server.misbehave(first(2, "GET", "/blobs/", fault));
            let client = Client::of(&server);
            assert_eq!(client.pull(&blob(&bytes)).unwrap(), bytes);
            assert_eq!(*client.pauses.lock().unwrap(), [Duration::from_secs(7); 2]);
        }
    });
}

#[test]
fn a_pull_is_tried_again_after_errors_that_may_pass() {
    promptly(|| {
        let bytes = noise(5000);
        let server = server_with(&bytes);
        for status in [408, 429, 500, 502, 503, 504] {
            server.misbehave(first(3, "GET", "/blobs/", Fault::status(status)));
            assert_eq!(
                Client::of(&server).pull(&blob(&bytes)).unwrap(),
                bytes,
                "{status}"
            );
        }
        server.misbehave(first(1, "GET", "/blobs/", Fault::LoseAnswer));
        assert_eq!(Client::of(&server).pull(&blob(&bytes)).unwrap(), bytes);
    });
}

/// Returns the error of a pull in which every answer with a blob goes wrong in the same way.
fn failure(bytes: &[u8], fault: &Fault) -> String {
    let (bytes, fault) = (bytes.to_vec(), fault.clone());
    promptly(move || {
        let server = server_with(&bytes);
        server.misbehave(first(usize::MAX, "GET", "/blobs/", fault));
        let client = Client::of(&server);
        let error = client.pull(&blob(&bytes)).unwrap_err();
        let digest = Digest::of(&bytes);
        let text = match ::registry::RegistryError::in_error(&error) {
            Some(error) => client.shown(error),
            None => client.shown(&error),
        };
        text.replace(digest.as_str(), "$DIGEST")
    })
}

#[test]
fn a_pull_that_cannot_be_done_says_which_registry_did_what() {
    let bytes = noise(5000);
    let of = |fault: Fault| failure(&bytes, &fault);
    assert_snapshot!(of(Fault::status(500)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 500 Internal Server Error: the test says UNKNOWN (UNKNOWN)");
    assert_snapshot!(of(Fault::retry_after(429, 3)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 429 Too Many Requests: the test says TOOMANYREQUESTS (TOOMANYREQUESTS) (try again in 3 s)");
    assert_snapshot!(of(Fault::status(404)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 404 Not Found: the test says BLOB_UPLOAD_UNKNOWN (BLOB_UPLOAD_UNKNOWN)");
    assert_snapshot!(of(Fault::status(403)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 403 Forbidden: the test says DENIED (DENIED)");
    assert_snapshot!(of(Fault::BreakAnswer(0)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: fetch `http://$HOST/v2/team/app/blobs/$DIGEST`: the connection broke after 0 bytes: Peer disconnected");
    assert_snapshot!(of(Fault::Shorten(4000)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host has 4000 bytes where 5000 are expected");
    assert_snapshot!(of(Fault::Shorten(0)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host has 0 bytes where 5000 are expected");
    assert_snapshot!(of(Fault::Lengthen(1)), @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host has 5001 bytes where 5000 are expected");
    assert_snapshot!(of(Fault::WrongByte), @r"blob `$DIGEST` is damaged: its 5000 bytes hash to `sha256:6ee0fb06818d72aa3afd604d2da2146ddf16e54e47ca915e82fb90ac6a73c902`");
}

#[test]
fn a_body_without_an_end_is_left_at_the_size_of_the_blob() {
    let bytes = noise(5000);
    assert_snapshot!(failure(&bytes, &Fault::Endless), @r"blob `$DIGEST` goes on after its 5000 bytes");
}

#[test]
fn a_body_in_packets_of_one_byte_is_read() {
    promptly(|| {
        let bytes = noise(20_000);
        let server = server_with(&bytes);
        server.misbehave(first(1, "GET", "/blobs/", Fault::Dribble));
        assert_eq!(Client::of(&server).pull(&blob(&bytes)).unwrap(), bytes);
    });
}

#[test]
fn another_part_than_was_asked_for_is_refused() {
    let text = promptly(|| {
        let bytes = noise(5000);
        let server = server_with(&bytes);
        let mut asked = 0;
        server.misbehave(move |_| {
            asked += 1;
            Some(match asked {
                1 => Fault::BreakAnswer(1000),
                _ => Fault::Header("Content-Range", "bytes 0-3999/5000".to_owned()),
            })
        });
        let client = Client::of(&server);
        let error = client.pull(&blob(&bytes)).unwrap_err();
        let error = ::registry::RegistryError::in_error(&error).unwrap();
        client
            .shown(error)
            .replace(Digest::of(&bytes).as_str(), "$DIGEST")
    });
    assert_snapshot!(text, @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host sent another part of the blob than was asked for");
}

/// Returns what comes of reading a manifest that a registry spoils.
fn manifest(selector: &str, fault: Option<Fault>) -> Result<(), String> {
    let selector = selector.to_owned();
    promptly(move || {
        let server = Server::start();
        let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
        let digest = server.add_manifest(APP, "1", oci::media_type::OCI_INDEX, bytes);
        server.misbehave(move |_| fault.clone());
        let client = Client::of(&server);
        let selector = match selector.as_str() {
            "digest" => ::registry::Selector::Digest(digest.clone()),
            tag => ::registry::Selector::Tag(tag.to_owned()),
        };
        match client.repository(Access::Pull).manifest(&selector) {
            Ok(manifest) => {
                assert_eq!(manifest.bytes, bytes);
                Ok(())
            }
            Err(error) => Err(client.shown(&error).replace(digest.as_str(), "$DIGEST")),
        }
    })
}

#[test]
fn a_manifest_that_is_not_what_it_should_be_is_refused() {
    let of = |selector: &str, fault: Fault| manifest(selector, Some(fault)).unwrap_err();
    assert_eq!(manifest("1", None), Ok(()));
    assert_eq!(manifest("digest", None), Ok(()));
    assert_snapshot!(of("digest", Fault::WrongByte), @r"read the manifest `$DIGEST` of `$HOST/team/app` at `$HOST`: the host sent content with digest `sha256:31fcb7992b0cd7acc0f20eaa2313473ab17c54b2aabf197faa74e229af14a873` in place of `$DIGEST`");
    assert_snapshot!(of("1", Fault::WrongByte), @r"read the manifest `1` of `$HOST/team/app` at `$HOST`: the host sent content with digest `sha256:31fcb7992b0cd7acc0f20eaa2313473ab17c54b2aabf197faa74e229af14a873` in place of `$DIGEST`");
    let other = Digest::of(b"other").to_string();
    assert_snapshot!(of("1", Fault::Header("Docker-Content-Digest", other)), @r"read the manifest `1` of `$HOST/team/app` at `$HOST`: the host sent content with digest `$DIGEST` in place of `sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa`");
    assert_snapshot!(of("1", Fault::Header("Docker-Content-Digest", "sha256:../..".to_owned())), @r"read the manifest `1` of `$HOST/team/app` at `$HOST`: the host sent a header with a digest that is none: digest `sha256:../..` has 5 digits where sha256 has 64");
    let manifest_type = oci::media_type::DOCKER_SCHEMA1.to_owned();
    assert_snapshot!(of("1", Fault::Header("Content-Type", manifest_type)), @r"read the manifest `1` of `$HOST/team/app` at `$HOST`: the image has a manifest of Docker's schema 1, which is not supported: push it again with a newer tool");
    assert_snapshot!(of("1", Fault::Shorten(10)), @r"read the manifest `1` of `$HOST/team/app` at `$HOST`: the host sent content with digest `sha256:141dd3833e4222557445bb3de68351361483bfb018ed6e8c00521df19a281788` in place of `$DIGEST`");
    assert_snapshot!(of("1", Fault::Endless), @r"read the manifest `1` of `$HOST/team/app` at `$HOST`: the host sent more than 4194304 bytes of a manifest");
    assert_snapshot!(of("2", Fault::Dribble), @r"read the manifest `2` of `$HOST/team/app` at `$HOST`: the registry answered 404 Not Found: the test says MANIFEST_UNKNOWN (MANIFEST_UNKNOWN)");
}

#[test]
fn a_manifest_whose_connection_breaks_is_read_again() {
    promptly(|| {
        let server = Server::start();
        let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
        server.add_manifest(APP, "1", oci::media_type::OCI_INDEX, bytes);
        let client = Client::of(&server);
        let selector = ::registry::Selector::Tag("1".to_owned());
        for place in 0..bytes.len() as u64 {
            server.misbehave(first(1, "GET", "/manifests/", Fault::BreakAnswer(place)));
            let manifest = client.repository(Access::Pull).manifest(&selector).unwrap();
            assert_eq!(manifest.bytes, bytes, "broken after {place}");
        }
    });
}

#[test]
fn a_list_that_leads_to_itself_ends() {
    let text = promptly(|| {
        let server = Server::start();
        for tag in ["a", "b", "c"] {
            server.add_manifest(APP, tag, oci::media_type::OCI_INDEX, b"{}");
        }
        let client = Client::of(&server);
        server.behave(Manners {
            page: Some(2),
            ..Manners::default()
        });
        let tags = client.repository(Access::Pull).tags();
        assert_eq!(tags.unwrap(), ["a", "b", "c"]);
        let link = format!("</v2/{APP}/tags/list>; rel=\"next\"");
        server.misbehave(move |_| Some(Fault::Header("Link", link.clone())));
        client.shown(&client.repository(Access::Pull).tags().unwrap_err())
    });
    assert_snapshot!(text, @r"list the tags of `$HOST/team/app` at `$HOST`: the next page of the list is one that was there before");
}
