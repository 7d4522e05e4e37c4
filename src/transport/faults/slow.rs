//! Registries that are slow (drill D5): a connection that stands still or crawls is given up and made again, and a registry that
//! never does better is an error. The limits are shorter than a user's, so that nothing sleeps for minutes.

use insta::assert_snapshot;

use super::*;

const MIB: usize = 1024 * 1024;

/// Nothing at all for so long is too long.
const STANDSTILL: Slowest = Slowest {
    silence: Duration::from_millis(100),
    after: Duration::MAX,
    bytes: 0,
};

/// Less than 10 KB a second is too slow.
const CRAWL: Slowest = Slowest {
    silence: Duration::from_mins(1),
    after: Duration::from_millis(200),
    bytes: 10_000,
};

#[test]
fn a_pull_that_stands_still_or_crawls_goes_on_over_another_connection() {
    for (slowest, pause) in [(STANDSTILL, 400), (CRAWL, 10)] {
        promptly(move || {
            let bytes = noise(5000);
            let server = server_with(&bytes);
            let slow = Fault::Slow(Duration::from_millis(pause));
            server.misbehave(first(2, "GET", "/blobs/", slow));
            let client = Client::with_slowest(&server, slowest);
            assert_eq!(client.pull(&blob(&bytes)).unwrap(), bytes);
            assert_eq!(count(&server.seen(), "GET", "/blobs/"), 3);
        });
    }
}

#[test]
fn a_pull_that_never_does_better_is_given_up() {
    let text = promptly(|| {
        let bytes = noise(5000);
        let server = server_with(&bytes);
        let slow = Fault::Slow(Duration::from_millis(10));
        server.misbehave(first(usize::MAX, "GET", "/blobs/", slow));
        let client = Client::with_slowest(&server, CRAWL);
        let error = client.pull(&blob(&bytes)).unwrap_err();
        let error = ::registry::RegistryError::in_error(&error).unwrap();
        let digest = Digest::of(&bytes);
        client.shown(error).replace(digest.as_str(), "$DIGEST")
    });
    assert_snapshot!(text, @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: fetch `http://$HOST/v2/team/app/blobs/$DIGEST`: waited for the rest of the file for too long");
}

#[test]
fn a_push_that_stands_still_or_crawls_goes_on_over_another_connection() {
    let fast = Slowest {
        bytes: 10 * MIB as u64,
        ..CRAWL
    };
    for (slowest, pause) in [(STANDSTILL, 600), (fast, 50)] {
        promptly(move || {
            let server = Server::start();
            let mut number = 0;
            server.misbehave(move |asked| {
                let brings = asked.method == "PUT" && asked.path.contains("/blobs/uploads/");
                number += usize::from(brings);
                (brings && number == 1).then_some(Fault::TakeSlowly(Duration::from_millis(pause)))
            });
            let client = Client::with_slowest(&server, slowest);
            // More than the kernel keeps of what nobody takes.
            assert_eq!(client.push(&noise(16 * MIB)), Ok(()));
        });
    }
}
