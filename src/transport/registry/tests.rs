//! Copying to and from a registry: careen's own, which tells what it was asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;

use ::registry::{Capabilities, Host, HostSource, HostTls, Login, LookupError, RegistryOptions};
use fetch::{Certificates, Proxies, RetryPolicy, Url};

use super::*;
use crate::testing::{Fixture, chain, check_all};
use crate::{CopyOptions, CopyReport, Selection, Silent, Stop, copy, open_source};

/// A registry of one test.
struct Served {
    registry: Registry,
    lines: Arc<Mutex<Vec<String>>>,
}

/// Every repository is on one host.
#[derive(Debug)]
struct OneHost(String);

impl HostSource for OneHost {
    fn hosts(&self, repository: &Reference, _: Access) -> Result<Vec<Host>, LookupError> {
        Ok(vec![Host {
            base: Url::parse(&self.0)?,
            repository: repository.path().to_owned(),
            credentials_for: repository.domain().to_owned(),
            capabilities: Capabilities::ALL,
            tls: HostTls::default(),
            headers: Vec::new(),
            stands_for: None,
            is_mirror: false,
        }])
    }

    fn login(&self, _: &Reference, _: &Host) -> Result<Login, LookupError> {
        Ok(Login::Anonymous)
    }
}

impl Served {
    fn start(fixture: &Fixture) -> Self {
        let path = fixture.path("served");
        let (served, _) = serve::Registry::open(&path, serve::Access::ReadWrite).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = serve::Server::open(address, served).unwrap();
        let base = format!("http://{}/v2", server.address());
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&lines);
        let log: serve::Log = Arc::new(move |answered: &serve::Answered| {
            let line = format!("{} {}", answered.method, answered.target);
            shared.lock().unwrap().push(line);
        });
        // The thread ends with the program: nothing would wake it up before.
        thread::spawn(move || server.run(&log));
        let registry = Registry::open(RegistryOptions {
            hosts: Arc::new(OneHost(base)),
            retry: RetryPolicy::brief(),
            proxies: Proxies::default(),
            certificates: Certificates::System,
            user_agent: "test/1".to_owned(),
            token_shown: None,
            stop: Arc::new(|| false),
        });
        Self {
            registry: registry.unwrap(),
            lines,
        }
    }

    fn source(&self, name: &str) -> RegistrySource {
        RegistrySource::new(&self.registry, &Reference::parse(name).unwrap()).unwrap()
    }

    fn target(&self, name: &str) -> RegistryTarget {
        RegistryTarget::new(&self.registry, &Reference::parse(name).unwrap()).unwrap()
    }

    /// Returns how many requests were made whose line begins so, since it was asked last.
    fn count(&self, begin: &str) -> usize {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.iter().filter(|line| line.starts_with(begin)).count()
    }
}

fn copied(source: &dyn Source, target: &dyn Target) -> CopyReport {
    let options = CopyOptions::new(Selection::All, &Silent, Stop::never());
    copy(source, target, &options).unwrap()
}

#[test]
fn an_index_is_the_same_after_it_was_in_a_registry() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let layout = open_source(&fixture.at("oci:images:many"), &fixture.context()).unwrap();
    let target = served.target("r.example/team/app:1").tag("latest");
    assert_eq!(
        target.shown(),
        "r.example/team/app:1, r.example/team/app:latest"
    );
    copied(layout.as_ref(), &target);
    for tag in ["1", "latest"] {
        let source = served.source(&format!("r.example/team/app:{tag}"));
        assert_eq!(source.shown(), format!("r.example/team/app:{tag}"));
        assert_eq!(source.root().unwrap(), layout.root().unwrap());
        assert_eq!(check_all(&source), check_all(layout.as_ref()));
    }
}

#[test]
fn an_image_that_is_there_is_not_pushed_again() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let layout = open_source(&fixture.at("oci:images:many"), &fixture.context()).unwrap();
    copied(layout.as_ref(), &served.target("r.example/team/app:1"));
    assert!(served.count("POST") > 0);
    copied(layout.as_ref(), &served.target("r.example/team/app:2"));
    assert_eq!(served.count("POST"), 0);
}

#[test]
fn an_image_that_has_its_name_there_costs_a_question_for_each_document() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let layout = open_source(&fixture.at("oci:images:many"), &fixture.context()).unwrap();
    let target = || served.target("r.example/team/app:1").tag("latest");
    let first = copied(layout.as_ref(), &target());
    served.count("");
    let again = copied(layout.as_ref(), &target());
    let mut lines = std::mem::take(&mut *served.lines.lock().unwrap());
    // An answer may be there before its line is: that of the tag that the first copy wrote last.
    if lines
        .first()
        .is_some_and(|line| line.starts_with("PUT /v2/team/app/manifests/"))
    {
        lines.remove(0);
    }
    let is_question = |line: &&String| line.starts_with("HEAD /v2/team/app/manifests/");
    assert!(lines.iter().all(|line| is_question(&line)), "{lines:?}");
    // Two tags, three images and an attestation; the last one's line may be missing for the same reason.
    assert!((5..=6).contains(&lines.len()), "{lines:?}");
    assert_eq!(again.present, first.copied + first.present);
    assert_eq!((again.copied, again.copied_bytes), (0, 0));

    // One of two names is another image's.
    let one = open_source(&fixture.at("oci:images:one"), &fixture.context()).unwrap();
    copied(one.as_ref(), &served.target("r.example/team/app:latest"));
    copied(layout.as_ref(), &target());
    let source = served.source("r.example/team/app:latest");
    assert_eq!(source.root().unwrap(), layout.root().unwrap());
}

#[test]
fn what_another_repository_has_is_not_sent() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let layout = open_source(&fixture.at("oci:images:one"), &fixture.context()).unwrap();
    copied(layout.as_ref(), &served.target("r.example/base:1"));
    served.count("");
    let source = served.source("r.example/base:1");
    copied(&source, &served.target("r.example/other:1"));
    let lines = served.lines.lock().unwrap().clone();
    let is_sent = |line: &&String| line.contains("/blobs/uploads/") && !line.starts_with("POST");
    assert_eq!(lines.iter().find(is_sent), None, "{lines:?}");
    let is_read = |line: &&String| line.starts_with("GET /v2/base/blobs/");
    assert!(lines.iter().filter(is_read).count() <= 1, "{lines:?}");
    assert_eq!(
        check_all(&served.source("r.example/other:1")),
        ["linux/amd64"]
    );
}

#[test]
fn without_a_tag_an_image_has_its_digest_alone() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let layout = open_source(&fixture.at("oci:images:one"), &fixture.context()).unwrap();
    let target = served.target("r.example/team/app");
    copied(layout.as_ref(), &target);
    let root = layout.root().unwrap();
    let name = format!("r.example/team/app@{}", root.descriptor.digest());
    let source = served.source(&name);
    assert_eq!(source.shown(), name);
    assert_eq!(source.root().unwrap().bytes, root.bytes);
    let tags = target.repository_of().tags();
    assert_eq!(tags.unwrap(), Vec::<String>::new());
}

#[test]
fn a_tag_that_somebody_else_has_changed_is_left() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let at = |name| open_source(&fixture.at(name), &fixture.context()).unwrap();
    let (one, many) = (at("oci:images:one"), at("oci:images:many"));
    copied(one.as_ref(), &served.target("r.example/app:1"));
    let digest = digest_of(&many.root().unwrap().descriptor).unwrap();
    let target = served.target("r.example/app:1").expect(&digest);
    let error = target.finish(&one.root().unwrap()).unwrap_err();
    let error: &RegistryError = error.downcast_ref().unwrap();
    assert!(error.is_changed(), "{}", chain(error));
    let digest = digest_of(&one.root().unwrap().descriptor).unwrap();
    served
        .target("r.example/app:1")
        .expect(&digest)
        .finish(&one.root().unwrap())
        .unwrap();
}

#[test]
fn a_blob_that_the_source_cannot_give_is_told_with_both_places() {
    let fixture = Fixture::new();
    let served = Served::start(&fixture);
    let layout = open_source(&fixture.at("oci:images:one"), &fixture.context()).unwrap();
    let missing = oci::descriptor::descriptor("text/plain", &Digest::of(b"missing"), 7);
    let error = served
        .target("r.example/app:1")
        .put_blob(&missing, layout.as_ref())
        .unwrap_err();
    let told = chain(error.as_ref());
    let begin = format!(
        "push the blob `{}` of `r.example/app` at `",
        missing.digest()
    );
    assert!(told.starts_with(&begin), "{told}");
    assert!(told.contains("`: read what is to be pushed: "), "{told}");
}
