//! Pushes that go wrong.

use ::registry::{BlobBody, Expect, Selector};
use insta::assert_snapshot;
use support::http::Asked;
use support::registry::LocationForm;

use super::*;

const MIB: usize = 1024 * 1024;

/// Tells whether a request brings bytes of a blob.
fn brings_bytes(asked: &Asked) -> bool {
    let length = asked.header("content-length").unwrap_or("0");
    matches!(asked.method.as_str(), "PUT" | "PATCH")
        && asked.path.contains("/blobs/uploads/")
        && length != "0"
}

/// Says that the connections that bring bytes break, each after as many as the function says.
fn break_uploads(server: &Server, mut after: impl FnMut(usize) -> Option<u64> + Send + 'static) {
    let mut number = 0;
    server.misbehave(move |asked| {
        if !brings_bytes(asked) {
            return None;
        }
        number += 1;
        after(number).map(Fault::BreakRequest)
    });
}

/// Pushes a blob to a server that misbehaves, and returns what went on.
fn push(
    bytes: Vec<u8>,
    prepare: impl FnOnce(&Server) + Send + 'static,
) -> (Result<(), String>, Vec<Seen>) {
    promptly(move || {
        let server = Server::start();
        prepare(&server);
        let pushed = Client::of(&server).push(&bytes);
        let hide = |text: String| {
            let digest = Digest::of(&bytes);
            text.replace(&server.host(), "$HOST")
                .replace(digest.as_str(), "$DIGEST")
        };
        (pushed.map_err(hide), server.seen())
    })
}

// As with pulls, one push that gets one byte a connection meets a break at each place. The first connection brings two: one
// byte and none are both `Range: 0-0`, so that of one byte alone nobody can know (the next test has it).
#[test]
fn a_push_goes_on_after_each_of_the_first_4096_bytes() {
    let bytes = noise(8 * MIB);
    let (pushed, seen) = push(bytes, |server| {
        break_uploads(server, |number| match number {
            1 => Some(2),
            number if number < 4096 => Some(1),
            _ => None,
        });
    });
    assert_eq!(pushed, Ok(()));
    let ranges = seen
        .iter()
        .filter_map(|seen| seen.asked.header("content-range"));
    let expected = (2..=4096).map(|from| format!("{from}-{}", 8 * MIB - 1));
    assert_eq!(ranges.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(count(&seen, "POST", "/blobs/uploads/"), 1);
}

#[test]
fn a_push_goes_on_wherever_its_first_connection_breaks() {
    promptly(|| {
        let server = Server::start();
        let client = Client::of(&server);
        let bytes = noise(4099);
        for place in places() {
            break_uploads(&server, move |number| (number == 1).then_some(place));
            // A blob that is not there yet.
            let own = [bytes.as_slice(), &place.to_le_bytes()].concat();
            assert_eq!(client.push(&own), Ok(()), "broken after {place}");
        }
    });
}

#[test]
fn a_push_goes_on_after_every_64_kib() {
    let (pushed, seen) = push(noise(8 * MIB), |server| {
        break_uploads(server, |_| Some(64 * 1024));
    });
    assert_eq!(pushed, Ok(()));
    let brought: u64 = seen.iter().map(|seen| seen.received_bytes).sum();
    assert_eq!(brought, 8 * MIB as u64, "nothing was sent twice");
}

#[test]
fn a_push_goes_on_when_an_answer_is_lost() {
    for method in ["HEAD", "POST", "PUT"] {
        let (pushed, seen) = push(noise(5000), move |server| {
            server.misbehave(first(1, method, "/blobs/", Fault::LoseAnswer));
        });
        assert_eq!(pushed, Ok(()), "{method}: {seen:?}");
    }
    // The answer to a chunk, and to the last request, which brings nothing.
    for (method, length) in [("PATCH", 3), ("PUT", 0)] {
        let (pushed, seen) = push(noise(5000), move |server| {
            let mut asked_before = 0;
            server.misbehave(move |asked| {
                if brings_bytes(asked) && asked.method == "PUT" {
                    return Some(Fault::BreakRequest(2000));
                }
                let is_one = asked.method == method && (length > 0) == brings_bytes(asked);
                asked_before += usize::from(is_one);
                (is_one && asked_before == 1).then_some(Fault::LoseAnswer)
            });
        });
        assert_eq!(pushed, Ok(()), "{method}: {seen:?}");
    }
}

#[test]
fn a_push_is_tried_again_after_errors_that_may_pass() {
    for status in [408, 429, 500, 502, 503, 504] {
        for method in ["HEAD", "POST", "PUT"] {
            let (pushed, seen) = push(noise(5000), move |server| {
                server.misbehave(first(3, method, "/blobs/", Fault::status(status)));
            });
            assert_eq!(pushed, Ok(()), "{method} {status}: {seen:?}");
        }
    }
}

#[test]
fn a_push_waits_as_long_as_the_registry_asks() {
    promptly(|| {
        for method in ["HEAD", "POST", "PUT"] {
            let server = Server::start();
            server.misbehave(first(1, method, "/blobs/", Fault::retry_after(429, 9)));
            let client = Client::of(&server);
            assert_eq!(client.push(&noise(5000)), Ok(()));
            assert_eq!(
                *client.pauses.lock().unwrap(),
                [Duration::from_secs(9)],
                "{method}"
            );
        }
    });
}

#[test]
fn a_push_goes_where_the_registry_says_however_it_says_it() {
    for location in [
        LocationForm::Path,
        LocationForm::Url,
        LocationForm::Query,
        LocationForm::Relative,
    ] {
        let form = location.clone();
        let (pushed, seen) = push(noise(200_000), move |server| {
            server.behave(Manners {
                location: form,
                ..Manners::default()
            });
            // Places change on the way, so that all of them count.
            break_uploads(server, |number| (number < 4).then_some(50_000));
        });
        assert_eq!(pushed, Ok(()), "{location:?}: {seen:?}");
    }
}

#[test]
fn an_upload_that_the_registry_has_lost_is_begun_anew() {
    let lose = |times: usize| {
        move |server: &Server| {
            let mut lost = 0;
            server.misbehave(move |asked| {
                let goes_on = asked.header("content-range").is_some();
                if brings_bytes(asked) && !goes_on {
                    return Some(Fault::BreakRequest(2000));
                }
                lost += usize::from(goes_on);
                (goes_on && lost <= times).then_some(Fault::ForgetUploads)
            });
        }
    };
    let (pushed, seen) = push(noise(5000), lose(2));
    assert_eq!(pushed, Ok(()), "{seen:?}");
    assert_eq!(count(&seen, "POST", "/blobs/uploads/"), 3);
    // It is tried for as long as anything else, and then the registry has the last word.
    let (pushed, _) = push(noise(5000), lose(usize::MAX));
    assert_snapshot!(pushed.unwrap_err(), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 404 Not Found: the test says BLOB_UPLOAD_UNKNOWN (BLOB_UPLOAD_UNKNOWN)");
}

#[test]
fn a_registry_that_takes_no_large_requests_gets_chunks() {
    let bytes = noise(5 * MIB);
    let (pushed, seen) = push(bytes.clone(), |server| {
        server.behave(Manners {
            chunk_max_bytes: Some(2 * MIB as u64),
            ..Manners::default()
        });
    });
    assert_eq!(pushed, Ok(()), "{seen:?}");
    let (pushed, seen) = push(bytes, |server| {
        server.behave(Manners {
            chunk_min_bytes: Some(MIB as u64),
            ..Manners::default()
        });
    });
    assert_eq!(pushed, Ok(()), "{seen:?}");
}

#[test]
fn a_push_that_cannot_be_done_says_which_registry_did_what() {
    let of = |method: &'static str, fault: Fault| {
        let (pushed, _) = push(noise(5000), move |server| {
            server.misbehave(first(usize::MAX, method, "/blobs/", fault));
        });
        pushed.unwrap_err()
    };
    assert_snapshot!(of("HEAD", Fault::status(500)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 500 Internal Server Error");
    assert_snapshot!(of("HEAD", Fault::status(403)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 403 Forbidden");
    assert_snapshot!(of("POST", Fault::status(403)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 403 Forbidden: the test says DENIED (DENIED)");
    assert_snapshot!(of("POST", Fault::status(404)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 404 Not Found: the test says BLOB_UPLOAD_UNKNOWN (BLOB_UPLOAD_UNKNOWN)");
    assert_snapshot!(of("POST", Fault::Header("Location", "http://[".to_owned())), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host sent a place for the upload that is no URL: its host has a `[`");
    assert_snapshot!(of("POST", Fault::Header("Location", "ftp://127.0.0.1/x".to_owned())), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host sent a place for the upload that is no URL: it begins with neither `http://` nor `https://`");
    assert_snapshot!(of("PUT", Fault::status(500)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 500 Internal Server Error: the test says UNKNOWN (UNKNOWN)");
    assert_snapshot!(of("PUT", Fault::status(400)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 400 Bad Request: the test says UNKNOWN (UNKNOWN)");
    assert_snapshot!(of("PUT", Fault::status(413)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 413 Payload Too Large: the test says UNKNOWN (UNKNOWN)");
    assert_snapshot!(of("PUT", Fault::BreakRequest(0)), @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: fetch `http://$HOST/v2/team/app/blobs/uploads/upload-1`: connect to `$HOST`: Peer disconnected");
}

/// Content that is another one each time it is read.
struct Changing(Mutex<u8>);

impl BlobBody for Changing {
    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut times = self.0.lock().unwrap();
        *times += 1;
        let mut rest = io::Cursor::new(vec![*times; 5000]);
        rest.set_position(from);
        Ok(Box::new(rest))
    }
}

#[test]
fn content_that_is_not_what_it_should_be_never_becomes_a_blob() {
    let text = promptly(|| {
        let server = Server::start();
        let client = Client::of(&server);
        let wanted = blob(&noise(5000));
        let pushed =
            client
                .repository(Access::Push)
                .put_blob(&wanted, &Changing(Mutex::new(0)), None);
        let text = client.shown(&pushed.unwrap_err());
        let digest = oci::descriptor::digest_of(&wanted).unwrap();
        assert_eq!(server.blob(APP, &digest), None);
        text.replace(digest.as_str(), "$DIGEST")
    });
    assert_snapshot!(text, @r"push the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: read what is to be pushed: blob `$DIGEST` is damaged: its 5000 bytes hash to `sha256:e53130831c13dabff71d5d1797e3aaa467b4b7d32b3b8782c4ff03d76976f2aa`");
}

#[test]
fn a_manifest_is_put_again_after_errors_that_may_pass() {
    promptly(|| {
        let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
        for fault in [
            Fault::status(500),
            Fault::retry_after(429, 3),
            Fault::LoseAnswer,
            Fault::BreakRequest(5),
        ] {
            let server = Server::start();
            server.misbehave(first(2, "PUT", "/manifests/", fault));
            let selector = Selector::Tag("1".to_owned());
            let media_type = oci::media_type::OCI_INDEX;
            let repository = Client::of(&server).repository(Access::Push);
            repository
                .put_manifest(&selector, media_type, bytes, Expect::Anything)
                .unwrap();
            assert_eq!(server.tagged(APP, "1").unwrap(), bytes);
        }
    });
}

#[test]
fn a_registry_that_answers_with_another_digest_is_not_believed() {
    let text = promptly(|| {
        let server = Server::start();
        let other = Digest::of(b"other").to_string();
        server.misbehave(move |_| Some(Fault::Header("Docker-Content-Digest", other.clone())));
        let client = Client::of(&server);
        let selector = Selector::Tag("1".to_owned());
        let media_type = oci::media_type::OCI_INDEX;
        let repository = client.repository(Access::Push);
        let put = repository.put_manifest(&selector, media_type, b"{}", Expect::Anything);
        client.shown(&put.unwrap_err())
    });
    assert_snapshot!(text, @r"push the manifest `1` of `$HOST/team/app` at `$HOST`: the host sent content with digest `sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a` in place of `sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa`");
}
