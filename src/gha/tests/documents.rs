//! Documents: no change is lost, whoever else changes them.

use std::collections::BTreeSet;

use support::Fault;

use super::*;

/// Adds a word to a document, which is a list of words.
fn add(job: &Job, word: &str) -> Result<(), GhaError> {
    job.service.update_document(|state| {
        let mut words = words(state.unwrap_or_default());
        if !words.insert(word.to_owned()) {
            return Change::Nothing;
        }
        let words: Vec<_> = words.into_iter().collect();
        Change::To(words.join(" ").into_bytes())
    })
}

fn words(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

fn documents(job: &Job) -> Vec<(String, String)> {
    let documents = job.service.documents().unwrap();
    let text = |document: Document| {
        let bytes = String::from_utf8(document.bytes).unwrap();
        (document.branch, bytes)
    };
    documents.into_iter().map(text).collect()
}

fn pair(branch: &str, text: &str) -> (String, String) {
    (branch.to_owned(), text.to_owned())
}

#[test]
fn a_document_is_written_and_read_with_few_requests() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        assert_eq!(documents(&job), []);
        assert_eq!(server.steps(), ["find"]);
        add(&job, "amd64").unwrap();
        assert_eq!(server.steps(), ["find", "reserve", "put", "commit", "find"]);
        add(&job, "arm64").unwrap();
        let all = ["find", "get", "reserve", "put", "commit", "find"];
        assert_eq!(server.steps(), all);
        assert_eq!(documents(&job), [pair(MAIN, "amd64 arm64")]);
        assert_eq!(server.steps(), ["find", "get"]);
        add(&job, "amd64").unwrap();
        assert_eq!(server.steps(), ["find", "get"]);
        let keys: Vec<_> = server.entries().into_iter().map(|entry| entry.1).collect();
        let (first, second) = (keys[0].as_str(), keys[1].as_str());
        assert!(first.starts_with("careen-index-1-buildkit-") && first.ends_with("#1"));
        assert!(second.ends_with("#2"));
    }
}

#[test]
fn jobs_that_change_it_at_once_lose_nothing() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let expected: BTreeSet<_> = (0..12).map(|number| format!("p{number}")).collect();
        thread::scope(|scope| {
            for word in &expected {
                let job = Job::hurried(&server, version);
                scope.spawn(move || add(&job, word).unwrap());
            }
        });
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        let [(_, text)] = &documents(&job)[..] else {
            panic!("one document");
        };
        assert_eq!(words(text.as_bytes()), expected);
    }
}

#[test]
fn a_number_that_nobody_writes_under_is_left_out_after_a_while() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        let job = Job::new(&server, version, &[(MAIN, 3)]);
        add(&job, "one").unwrap();
        let first = server.entries()[0].1.clone();
        server.take(MAIN, &first.replace("#1", "#2"));
        job.pauses();
        add(&job, "two").unwrap();
        let pauses = job.pauses();
        let waited: Duration = pauses.iter().sum();
        assert!(waited > Duration::from_secs(20), "{pauses:?}");
        assert!(waited < Duration::from_mins(1), "{pauses:?}");
        let newest = server.entries().pop().unwrap();
        assert_eq!(newest.1, first.replace("#1", "#3"));
        assert_eq!(newest.2, b"one two");
    }
}

#[test]
fn a_pull_request_reads_its_own_document_and_that_of_its_base() {
    for version in VERSIONS {
        let server = ActionsCache::start();
        add(&Job::new(&server, version, &[(MAIN, 3)]), "main").unwrap();
        let pull = Job::new(&server, version, &[(BRANCH, 3), (MAIN, 1)]);
        add(&pull, "pull").unwrap();
        let expected = [pair(BRANCH, "pull"), pair(MAIN, "main")];
        assert_eq!(documents(&pull), expected);
        let main = Job::new(&server, version, &[(MAIN, 3)]);
        assert_eq!(documents(&main), [pair(MAIN, "main")]);
        let fork = Job::new(&server, version, &[(MAIN, 1)]);
        assert_eq!(documents(&fork), [pair(MAIN, "main")]);
        assert!(add(&fork, "fork").unwrap_err().is_read_only());
    }
}

#[test]
fn scopes_are_kept_apart() {
    let server = ActionsCache::start();
    let token = server.token(&[(MAIN, 3)]);
    let scoped = |scope: &str| {
        let scope = Some(scope.to_owned());
        Job::with(
            &server,
            &Attributes {
                scope,
                ..attributes(&server, "1", &token)
            },
        )
    };
    for scope in ["a", "a#1", "a,b", "ä"] {
        add(&scoped(scope), scope).unwrap();
    }
    for scope in ["a", "a#1", "a,b", "ä"] {
        assert_eq!(documents(&scoped(scope)), [pair(MAIN, scope)]);
    }
}

#[test]
fn an_answer_that_is_lost_loses_no_change() {
    for version in VERSIONS {
        for lost in ["CreateCacheEntry", "caches", "Finalize", "/store/"] {
            let server = ActionsCache::start();
            let job = Job::new(&server, version, &[(MAIN, 3)]);
            let mut left = 1;
            server.misbehave(move |asked| {
                let is_it = asked.path.contains(lost) && asked.method != "GET" && left > 0;
                is_it.then(|| {
                    left -= 1;
                    Fault::LoseAnswer
                })
            });
            match add(&job, "word") {
                Ok(()) => assert_eq!(documents(&job), [pair(MAIN, "word")]),
                // A commit that was carried out is refused the second time.
                Err(error) => {
                    said(&error, &server);
                    assert_eq!((version, lost), ("2", "Finalize"));
                    assert_eq!(documents(&job), [pair(MAIN, "word")]);
                }
            }
        }
    }
}

#[test]
fn a_document_without_an_end_is_refused() {
    let server = ActionsCache::start();
    let job = Job::new(&server, "2", &[(MAIN, 3)]);
    add(&job, "word").unwrap();
    server.misbehave(|asked| asked.path.starts_with("/store/").then_some(Fault::Endless));
    let error = job.service.documents().unwrap_err();
    assert_eq!(
        said(&error, &server),
        "read the index of the cache `buildkit` at `HOST`: fetch `http://HOST/`: the file has more than 33554432 bytes"
    );
}
