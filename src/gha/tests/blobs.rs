//! Blobs: stored once, read whole, and whatever can go wrong on the way.

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicU32, Ordering};

use oci::Digest;
use support::Fault;
use support::http::Asked;

use super::*;
use crate::limits::PART_BYTES;
use crate::protocol::Wanted;

const CONTENT: &[u8] = b"what is stored";

fn digest() -> Digest {
    Digest::of(CONTENT)
}

fn size(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

fn put(job: &Job) -> Result<Stored, GhaError> {
    put_bytes(job, CONTENT)
}

fn put_bytes(job: &Job, bytes: &[u8]) -> Result<Stored, GhaError> {
    let content = bytes.to_vec();
    let open = || Ok(Box::new(io::Cursor::new(content)) as _);
    job.service.put_blob(&Digest::of(bytes), size(bytes), open)
}

fn read(job: &Job) -> Result<Vec<u8>, GhaError> {
    let mut reader = job.service.blob(&digest(), size(CONTENT))?;
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.downcast::<GhaError>().unwrap()),
    }
}

/// Has a fault with requests to the store, so many times.
fn at_store(server: &ActionsCache, times: u32, fault: Fault) {
    let left = AtomicU32::new(times);
    server.misbehave(move |asked: &Asked| {
        let is_counted = asked.path.starts_with("/store/")
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
        is_counted.then(|| fault.clone())
    });
}

#[test]
fn a_blob_is_stored_once_and_read_back() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        assert!(!job.service.has_blob(&digest()).unwrap());
        assert_eq!(server.steps(), ["find"]);
        assert_eq!(put(&job).unwrap(), Stored::Sent);
        assert_eq!(server.steps(), ["find", "reserve", "put", "commit"]);
        assert_eq!(put(&job).unwrap(), Stored::AlreadyThere);
        assert_eq!(server.steps(), ["find"]);
        assert_eq!(read(&job).unwrap(), CONTENT);
        assert_eq!(server.steps(), ["find", "get"]);
        let [(branch, key, bytes)] = &server.entries()[..] else {
            panic!("{:?}", server.entries());
        };
        assert_eq!((branch.as_str(), bytes.as_slice()), (MAIN, CONTENT));
        assert_eq!(*key, format!("careen-blob-1-{}", digest()));
    }
}

#[test]
fn a_large_blob_is_sent_in_parts() {
    let length = usize::try_from(2 * PART_BYTES + 5).unwrap();
    let content: Vec<u8> = (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect();
    for (version, steps) in [
        (
            "1",
            ["commit", "find", "put", "put", "put", "reserve"].as_slice(),
        ),
        (
            "2",
            &["commit", "find", "join", "put", "put", "put", "reserve"],
        ),
    ] {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        let stored = put_bytes(&job, &content);
        assert_eq!(stored.unwrap(), Stored::Sent);
        // The parts are sent beside each other.
        let mut seen = server.steps();
        seen.sort_unstable();
        assert_eq!(seen, steps);
        assert!(server.entries()[0].2 == content);
    }
}

#[test]
fn a_pull_request_reads_what_its_base_has_and_keeps_its_own_to_itself() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        put(&Job::new(&server, version, &[(MAIN, 3)])).unwrap();
        let pull = Job::new(&server, version, &[(BRANCH, 3), (MAIN, 1)]);
        assert_eq!(put(&pull).unwrap(), Stored::AlreadyThere);
        server.evict("");
        assert_eq!(put(&pull).unwrap(), Stored::Sent);
        let main = Job::new(&server, version, &[(MAIN, 3)]);
        assert!(read(&main).unwrap_err().is_missing());
        assert_eq!(read(&pull).unwrap(), CONTENT);
    }
}

#[test]
fn a_key_that_another_job_has_is_left_to_it() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        server.take(MAIN, &format!("careen-blob-1-{}", digest()));
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        assert_eq!(put(&job).unwrap(), Stored::ByAnother);
        assert_eq!(server.steps(), ["find", "reserve"]);
    }
}

#[test]
fn an_entry_whose_key_only_begins_so_is_not_the_one() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        put(&job).unwrap();
        let found = |wanted| job.service.session().find(wanted).unwrap().is_some();
        let start = "careen-blob-1-sha256:";
        assert!(found(Wanted::Newest(start)));
        assert!(!found(Wanted::Exactly(start)));
    }
}

#[test]
fn a_token_that_may_not_write_sends_nothing() {
    let server = ActionsCache::start();
    let job = Job::new(&server, "2", &[(MAIN, 1)]);
    let error = put(&job).unwrap_err();
    assert!(error.is_read_only());
    assert!(job.service.check_writable().unwrap_err().is_read_only());
    let what = format!("store the blob `{}` at `HOST`", digest());
    let why = "the token of this job may read caches and not write them";
    assert_eq!(said(&error, &server), format!("{what}: {why}"));
    assert_eq!(server.steps(), [""; 0]);
}

#[test]
fn a_service_that_denies_writing_is_understood() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        server.add_token("opaque", &[(MAIN, 1)]);
        let job = Job::with(&server, &attributes(&server, version, "opaque"));
        let error = put(&job).unwrap_err();
        assert!(error.is_read_only(), "{error:?}");
        assert!(said(&error, &server).ends_with("not write them: token has no writable scopes"));
    }
}

#[test]
fn what_a_server_may_do_in_a_moment_is_tried_again() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        let mut left = 2;
        server.misbehave(move |_| {
            left -= 1;
            (left >= 0).then(|| Fault::retry_after(429, 7))
        });
        assert_eq!(put(&job).unwrap(), Stored::Sent);
        assert_eq!(job.pauses(), [Duration::from_secs(7); 2]);
        server.misbehave(|_| Some(Fault::status(503)));
        let error = read(&job).unwrap_err();
        assert_eq!(job.pauses().len(), 3);
        assert!(said(&error, &server).contains("`HOST` answered 503 Service Unavailable"));
    }
}

#[test]
fn a_download_goes_on_where_it_broke_also_when_its_url_has_expired() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        put(&job).unwrap();
        server.steps();
        at_store(&server, 1, Fault::BreakAnswer(5));
        let mut reader = job.service.blob(&digest(), size(CONTENT)).unwrap();
        server.expire();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, CONTENT);
        assert_eq!(server.steps(), ["find", "get", "get", "find", "get"]);
        // A store that cannot begin in the middle.
        let mut faults = [Fault::BreakAnswer(5), Fault::NoRange].into_iter();
        server.misbehave(move |asked| asked.path.starts_with("/store/").then(|| faults.next())?);
        assert_eq!(read(&job).unwrap(), CONTENT);
    }
}

#[test]
fn an_upload_that_breaks_is_sent_again() {
    let server = ActionsCache::start();
    let job = Job::new(&server, "2", &[(MAIN, 3)]);
    at_store(&server, 2, Fault::BreakRequest(3));
    assert_eq!(put(&job).unwrap(), Stored::Sent);
    assert_eq!(server.entries()[0].2, CONTENT);
}

#[test]
fn what_cannot_be_read_is_not_stored() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        let open = || Ok(Box::new(io::Cursor::new(b"short")) as _);
        let error = job.service.put_blob(&digest(), size(CONTENT), open);
        let error = error.unwrap_err();
        assert!(matches!(error.failure, Failure::Content(_)));
        assert!(
            said(&error, &server).ends_with("read what is to be stored: unexpected end of file")
        );
        assert_eq!(server.entries(), []);
    }
}

#[test]
fn what_is_wrong_or_too_long_is_no_blob() {
    for fault in [Fault::WrongByte, Fault::Lengthen(1), Fault::Shorten(3)] {
        let server = ActionsCache::start();
        let job = Job::new(&server, "2", &[(MAIN, 3)]);
        put(&job).unwrap();
        at_store(&server, 9, fault.clone());
        let read = job.service.blob(&digest(), size(CONTENT));
        let result = match read {
            Ok(mut reader) => reader.read_to_end(&mut Vec::new()).map_err(drop),
            Err(error) => {
                said(&error, &server);
                Err(())
            }
        };
        assert_eq!(result, Err(()), "{fault:?}");
    }
}

#[test]
fn errors_say_what_came_and_nothing_secret() {
    let server = ActionsCache::start();
    let job = Job::new(&server, "2", &[(MAIN, 3)]);
    put(&job).unwrap();
    server.misbehave(|asked| {
        let fault = Fault::Header("x", String::new());
        asked.path.starts_with("/store/").then_some(fault)
    });
    let stranger = attributes(&server, "2", "SECRET");
    let error = read(&Job::with(&server, &stranger)).unwrap_err();
    assert!(error.is_unauthorized());
    let what = format!("read the blob `{}` at `HOST`", digest());
    let why = "`HOST` answered 401 Unauthorized: the token is not valid";
    assert_eq!(said(&error, &server), format!("{what}: {why}"));
    for (fault, expected) in [
        (Fault::status(403), "`HOST` answered 403 Forbidden"),
        (
            Fault::redirect("ftp://SIGNED/?sig=SIGNED"),
            "fetch `http://HOST/`: redirected to ``: it begins with neither `http://` nor `https://`",
        ),
        (Fault::status(404), "the entry is not there, or no longer"),
    ] {
        at_store(&server, 9, fault);
        let error = read(&job).unwrap_err();
        assert_eq!(said(&error, &server), format!("{what}: {expected}"));
    }
}

#[test]
fn blobs_are_looked_up_in_githubs_own_list() {
    let server = ActionsCache::start();
    let plain = Job::new(&server, "2", &[(BRANCH, 3), (MAIN, 1)]);
    for number in 0..150_u32 {
        let content = number.to_string().into_bytes();
        assert_eq!(put_bytes(&plain, &content).unwrap(), Stored::Sent);
    }
    let token = server.token(&[(BRANCH, 3), (MAIN, 1)]);
    let job = Job::with(
        &server,
        &Attributes {
            repository: Some("o/n".to_owned()),
            ghtoken: Some("GHTOKEN".to_owned()),
            ..attributes(&server, "2", &token)
        },
    );
    server.steps();
    for number in 0..150_u32 {
        let digest = Digest::of(number.to_string().as_bytes());
        assert!(job.service.has_blob(&digest).unwrap());
    }
    assert!(!job.service.has_blob(&digest()).unwrap());
    assert_eq!(server.steps(), ["list", "list"]);
    // Those of other branches are not this job's.
    let other = Job::with(
        &server,
        &Attributes {
            repository: Some("o/n".to_owned()),
            ghtoken: Some("GHTOKEN".to_owned()),
            ..attributes(&server, "2", &server.token(&[(MAIN, 3)]))
        },
    );
    assert!(!other.service.has_blob(&Digest::of(b"1")).unwrap());
}

#[test]
fn a_list_that_is_refused_is_an_error() {
    let server = ActionsCache::start();
    let token = server.token(&[(MAIN, 3)]);
    let job = Job::with(
        &server,
        &Attributes {
            repository: Some("o/n".to_owned()),
            ghtoken: Some("SECRET".to_owned()),
            ..attributes(&server, "2", &token)
        },
    );
    let error = put(&job).unwrap_err();
    let expected = "`HOST` answered 401 Unauthorized: Bad credentials";
    assert!(said(&error, &server).ends_with(expected));
}

#[test]
fn what_takes_longer_than_the_user_allows_is_given_up() {
    let server = ActionsCache::start();
    let token = server.token(&[(MAIN, 3)]);
    let attributes = Attributes {
        timeout: Some(Duration::ZERO),
        ..attributes(&server, "2", &token)
    };
    let settings = Settings::choose(&attributes, &Surroundings::default()).unwrap();
    let service = Service::open_timed(settings, options(&Arc::default())).unwrap();
    let error = service.documents().unwrap_err();
    assert_eq!(
        said(&error, &server),
        "read the index of the cache `buildkit` at `HOST`: not done after 0 s (`timeout`)"
    );
}
