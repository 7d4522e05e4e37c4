//! What is written: blobs that are sent only if they must be, and manifests.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use oci::media_type::OCI_MANIFEST;
use oci::{Digest, Reference};

use crate::testing::*;
use crate::*;

const CONTENT: &[u8] = b"these bytes are pushed";

/// A registry that takes blobs, and what it does wrong.
#[derive(Default)]
struct Taker {
    blobs: BTreeMap<String, Vec<u8>>,
    uploads: Vec<Option<Vec<u8>>>,
    /// After how many bytes of each body it hangs up.
    cuts: Vec<usize>,
    /// Whether it forgets an upload whose connection broke.
    forgets: bool,
    /// The most bytes that it takes at once.
    most: Option<usize>,
}

impl Taker {
    fn with_cuts(cuts: Vec<usize>) -> Self {
        Self {
            cuts,
            ..Self::default()
        }
    }

    fn start(self) -> (Server, Arc<Mutex<Self>>) {
        let taker = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&taker);
        let server = Server::start(move |asked, body| shared.lock().unwrap().answer(asked, body));
        (server, taker)
    }

    fn answer(&mut self, asked: &Asked, body: &mut dyn Read) -> Reply {
        let path = asked.path.strip_prefix("/v2/team/app/blobs/").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let upload: Option<usize> = path
            .strip_prefix("uploads/")
            .and_then(|number| number.parse().ok());
        match (asked.method.as_str(), upload) {
            ("HEAD", None) => match self.blobs.get(path) {
                Some(blob) => Reply::empty(200).header("Content-Length", &blob.len().to_string()),
                None => Reply::empty(404),
            },
            ("POST", None) => {
                self.uploads.push(Some(Vec::new()));
                placed(Reply::empty(202), self.uploads.len() - 1)
            }
            ("GET", Some(number)) => match self.uploads.get(number) {
                Some(Some(bytes)) => placed(ranged(Reply::empty(204), bytes), number),
                _ => Reply::empty(404),
            },
            ("PATCH" | "PUT", Some(number)) => self.take(asked, number, query, body),
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, asked: &Asked, number: usize, query: &str, body: &mut dyn Read) -> Reply {
        let length: usize = asked.header("content-length").unwrap().parse().unwrap();
        if self.most.is_some_and(|most| length > most) {
            io::copy(body, &mut io::sink()).unwrap();
            return Reply::empty(413);
        }
        let cut = (!self.cuts.is_empty() && length > 0).then(|| self.cuts.remove(0));
        let forgets = self.forgets;
        let Some(upload @ Some(_)) = self.uploads.get_mut(number) else {
            return Reply::empty(404);
        };
        let bytes = upload.as_mut().unwrap();
        if let Some(range) = asked.header("content-range") {
            let start: usize = range.split_once('-').unwrap().0.parse().unwrap();
            if start != bytes.len() {
                return Reply::empty(416);
            }
        }
        let most = cut.unwrap_or(length);
        body.take(most as u64).read_to_end(bytes).unwrap();
        if most < length {
            if forgets {
                *upload = None;
            }
            return Reply::hang_up();
        }
        if asked.method == "PATCH" {
            return placed(ranged(Reply::empty(202), bytes), number);
        }
        let digest = query
            .split('&')
            .find_map(|field| field.strip_prefix("digest="));
        let digest = digest.unwrap().replace("%3A", ":");
        if Digest::of(bytes).as_str() != digest {
            return Reply::new(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
        }
        let blob = upload.take().unwrap();
        self.blobs.insert(digest, blob);
        Reply::empty(201)
    }
}

fn placed(reply: Reply, number: usize) -> Reply {
    reply.header(
        "Location",
        &format!("/v2/team/app/blobs/uploads/{number}?state=a%2Fb"),
    )
}

fn ranged(reply: Reply, bytes: &[u8]) -> Reply {
    reply.header("Range", &format!("0-{}", bytes.len().saturating_sub(1)))
}

fn push(server: &Server, content: &[u8]) -> Result<Uploaded, RegistryError> {
    let content = content.to_vec();
    let descriptor = descriptor_of(&content);
    server.repository().put_blob(&descriptor, &content, None)
}

/// Returns what was asked for, without digests and states.
fn steps(server: &Server) -> Vec<String> {
    let step = |asked: Asked| {
        let path = asked.path.replace("/v2/team/app/blobs/", "");
        let path = path.split(['?', ':']).next().unwrap().to_owned();
        match asked.header("content-range") {
            Some(range) => format!("{} {path} {range}", asked.method),
            None => format!("{} {path}", asked.method),
        }
    };
    server.asked().into_iter().map(step).collect()
}

#[test]
fn a_blob_that_is_there_is_not_sent() {
    let mut taker = Taker::default();
    let digest = Digest::of(CONTENT).to_string();
    taker.blobs.insert(digest, CONTENT.to_vec());
    let (server, _) = taker.start();
    assert_eq!(push(&server, CONTENT).unwrap(), Uploaded::Present);
    assert_eq!(steps(&server), ["HEAD sha256"]);
}

#[test]
fn a_blob_is_sent_in_one_piece_to_where_the_registry_says() {
    let (server, taker) = Taker::default().start();
    assert_eq!(push(&server, CONTENT).unwrap(), Uploaded::Sent);
    assert_eq!(
        steps(&server),
        ["HEAD sha256", "POST uploads/", "PUT uploads/0"]
    );
    let digest = Digest::of(CONTENT);
    assert_eq!(
        server.asked()[2].path,
        format!(
            "/v2/team/app/blobs/uploads/0?state=a%2Fb&digest={}",
            digest.as_str().replace(':', "%3A")
        )
    );
    assert_eq!(taker.lock().unwrap().blobs[digest.as_str()], CONTENT);
}

#[test]
fn an_empty_blob_is_sent_as_well() {
    let (server, taker) = Taker::default().start();
    assert_eq!(push(&server, b"").unwrap(), Uploaded::Sent);
    assert_eq!(taker.lock().unwrap().blobs.len(), 1);
}

#[test]
fn a_blob_goes_on_wherever_the_connection_broke() {
    for cut in 2..CONTENT.len() {
        let (server, taker) = Taker::with_cuts(vec![cut]).start();
        assert_eq!(push(&server, CONTENT).unwrap(), Uploaded::Sent, "{cut}");
        assert_eq!(
            steps(&server),
            [
                "HEAD sha256",
                "POST uploads/",
                "PUT uploads/0",
                "GET uploads/0",
                &format!("PATCH uploads/0 {cut}-{}", CONTENT.len() - 1),
                "PUT uploads/0",
            ]
        );
        let blobs = &taker.lock().unwrap().blobs;
        assert_eq!(blobs[Digest::of(CONTENT).as_str()], CONTENT);
    }
}

#[test]
fn a_blob_goes_on_again_and_again() {
    let (server, taker) = Taker::with_cuts(vec![3; 7]).start();
    assert_eq!(push(&server, CONTENT).unwrap(), Uploaded::Sent);
    let blobs = &taker.lock().unwrap().blobs;
    assert_eq!(blobs[Digest::of(CONTENT).as_str()], CONTENT);
}

#[test]
fn a_blob_of_which_nothing_arrived_is_sent_again() {
    // Of one byte nobody knows: `0-0` is said of none as well.
    for cut in [0, 1] {
        let (server, taker) = Taker::with_cuts(vec![cut]).start();
        assert_eq!(push(&server, CONTENT).unwrap(), Uploaded::Sent, "{cut}");
        let blobs = &taker.lock().unwrap().blobs;
        assert_eq!(blobs[Digest::of(CONTENT).as_str()], CONTENT);
    }
}

#[test]
fn a_forgotten_upload_begins_anew() {
    let taker = Taker {
        forgets: true,
        ..Taker::with_cuts(vec![9])
    };
    let (server, _) = taker.start();
    assert_eq!(push(&server, CONTENT).unwrap(), Uploaded::Sent);
    assert_eq!(
        steps(&server),
        [
            "HEAD sha256",
            "POST uploads/",
            "PUT uploads/0",
            "GET uploads/0",
            "HEAD sha256",
            "POST uploads/",
            "PUT uploads/1",
        ]
    );
}

#[test]
fn an_upload_that_is_always_forgotten_is_given_up() {
    let taker = Taker {
        forgets: true,
        ..Taker::with_cuts(vec![9; 100])
    };
    let (server, taker) = taker.start();
    let error = push(&server, CONTENT).unwrap_err();
    assert!(taker.lock().unwrap().blobs.is_empty());
    assert!(server.lines().len() < 20, "{:?}", server.lines());
    assert!(
        told(&error).starts_with(&format!(
            "push the blob `{}` of `registry.example/team/app` at `127.0.0.1:{}`: ",
            Digest::of(CONTENT),
            server.port
        )),
        "{error:?}"
    );
}

#[test]
fn why_an_upload_failed_is_told_and_not_that_it_is_gone() {
    let server = Server::answering(|asked| match asked.method.as_str() {
        "POST" => placed(Reply::empty(202), 0),
        "PUT" => Reply::new(
            507,
            r#"{"errors":[{"code":"DISK","message":"the disk is full"}]}"#,
        ),
        _ => Reply::empty(404),
    });
    let error = push(&server, CONTENT).unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        "the registry answered 507 Insufficient Storage: the disk is full (DISK)"
    );
}

#[test]
fn a_blob_is_sent_in_chunks_where_the_registry_takes_no_more() {
    let content: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let taker = Taker {
        most: Some(1 << 20),
        ..Taker::default()
    };
    let (server, taker) = taker.start();
    assert_eq!(push(&server, &content).unwrap(), Uploaded::Sent);
    assert_eq!(
        steps(&server)[2..],
        [
            "PUT uploads/0",
            "PATCH uploads/0 0-1399999",
            "PATCH uploads/0 0-699999",
            "PATCH uploads/0 700000-1399999",
            "PATCH uploads/0 1400000-2099999",
            "PATCH uploads/0 2100000-2799999",
            "PUT uploads/0",
        ]
    );
    let blobs = &taker.lock().unwrap().blobs;
    assert_eq!(blobs[Digest::of(&content).as_str()], content);
}

#[test]
fn content_that_is_not_what_it_is_called_never_becomes_a_blob() {
    for (content, expected) in [
        (&b"these bytes are PUSHED"[..], "is damaged"),
        (b"these bytes", "ends after 11 of 22 bytes"),
    ] {
        let (server, taker) = Taker::default().start();
        let descriptor = descriptor_of(CONTENT);
        let content = content.to_vec();
        let error = server
            .repository()
            .put_blob(&descriptor, &content, None)
            .unwrap_err();
        let told = told(&error);
        assert!(told.contains(": read what is to be pushed: "), "{told}");
        assert!(told.contains(expected), "{told}");
        assert!(taker.lock().unwrap().blobs.is_empty());
    }
}

#[test]
fn t_e15_a_blob_of_another_repository_is_mounted() {
    let server = Server::answering(|asked| match asked.method.as_str() {
        "HEAD" => Reply::empty(404),
        "POST" if !asked.path.contains("mount=") => placed(Reply::empty(202), 0),
        _ => Reply::empty(201).header("Location", "/v2/team/app/blobs/x"),
    });
    let descriptor = descriptor_of(CONTENT);
    let mut lines = Vec::new();
    for (from, expected) in [
        ("registry.example/team/base:3", Uploaded::Mounted),
        // Neither is another repository of the same registry.
        ("other.example/team/base", Uploaded::Sent),
        ("registry.example/team/app", Uploaded::Sent),
    ] {
        let from = Reference::parse(from).unwrap();
        let done = server
            .repository()
            .put_blob(&descriptor, &CONTENT.to_vec(), Some(&from));
        assert_eq!(done.unwrap(), expected);
        let asked = server.lines();
        let begun = asked.iter().rfind(|line| line.starts_with("POST "));
        lines.push(begun.unwrap().clone());
    }
    let digest = Digest::of(CONTENT);
    assert_eq!(
        lines,
        [
            &format!("POST /v2/team/app/blobs/uploads/?mount={digest}&from=team/base"),
            "POST /v2/team/app/blobs/uploads/",
            "POST /v2/team/app/blobs/uploads/",
        ]
    );
}

#[test]
fn t_e15_a_blob_that_cannot_be_mounted_is_sent() {
    for status in [403, 404] {
        let server = Server::answering(move |asked| {
            if asked.path.contains("mount=") {
                return Reply::empty(status);
            }
            match asked.method.as_str() {
                "HEAD" => Reply::empty(404),
                "POST" => placed(Reply::empty(202), 0),
                _ => Reply::empty(201),
            }
        });
        let from = Reference::parse("registry.example/team/base").unwrap();
        let done =
            server
                .repository()
                .put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), Some(&from));
        assert_eq!(done.unwrap(), Uploaded::Sent);
    }
}

#[test]
fn t_e04_an_upload_that_leads_to_another_host_takes_no_credentials_there() {
    let other = Server::answering(|_| Reply::empty(201));
    let url = other.url("/store?signature=x");
    let server = Server::answering(move |asked| {
        if asked.header("authorization").is_none() {
            return Reply::empty(401).header("WWW-Authenticate", "Basic realm=x");
        }
        match asked.method.as_str() {
            "HEAD" => Reply::empty(404),
            _ => Reply::empty(202).header("Location", &url.replace("//", "//user:word@")),
        }
    });
    let login = Login::Basic {
        user: "me".to_owned(),
        password: "canary".to_owned(),
    };
    let mut host = server.host();
    host.headers = vec![("X-Secret".to_owned(), "canary".to_owned())];
    let repository = Client::with(login).repository(vec![host]);
    let done = repository.put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), None);
    assert_eq!(done.unwrap(), Uploaded::Sent);
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (
            asked[0].header("authorization"),
            asked[0].header("x-secret")
        ),
        (None, None)
    );
    let own = server.asked();
    assert_eq!(own.last().unwrap().header("x-secret"), Some("canary"));
}

#[test]
fn a_manifest_is_written_under_its_name() {
    let server = Server::answering(|_| Reply::empty(201));
    let expected = Digest::of(b"old");
    let put = |expect| {
        let repository = server.repository();
        repository.put_manifest(&tag("1"), OCI_MANIFEST, b"{}", expect)
    };
    put(Expect::Anything).unwrap();
    put(Expect::Digest(&expected)).unwrap();
    put(Expect::Nothing).unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].line(), "PUT /v2/team/app/manifests/1");
    assert_eq!(asked[0].header("content-type"), Some(OCI_MANIFEST));
    assert_eq!(asked[0].header("if-match"), None);
    assert_eq!(
        asked[1].header("if-match"),
        Some(format!("\"{expected}\"").as_str())
    );
    assert_eq!(asked[2].header("if-none-match"), Some("*"));
}

#[test]
fn a_manifest_that_is_not_taken_is_told_of() {
    for (status, expected) in [
        (412, "somebody else has changed it meanwhile"),
        (
            400,
            "the registry answered 400 Bad Request: manifest invalid (MANIFEST_INVALID)",
        ),
        (
            405,
            "the registry does not support this: manifest invalid (MANIFEST_INVALID)",
        ),
    ] {
        let server = Server::answering(move |_| {
            let body = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}"#;
            Reply::new(status, body)
        });
        let error = server
            .repository()
            .put_manifest(&tag("1"), OCI_MANIFEST, b"{}", Expect::Anything)
            .unwrap_err();
        assert_eq!(error.failure.to_string(), expected);
        assert_eq!(error.is_changed(), status == 412);
        assert_eq!(error.is_unsupported(), status == 405);
    }
}

#[test]
fn a_manifest_that_the_registry_calls_otherwise_is_an_error() {
    let wrong = Digest::of(b"other");
    let server = Server::answering(move |_| {
        Reply::empty(201).header("Docker-Content-Digest", wrong.as_str())
    });
    let error = server
        .repository()
        .put_manifest(&tag("1"), OCI_MANIFEST, b"{}", Expect::Anything)
        .unwrap_err();
    assert!(
        matches!(error.failure, Failure::WrongDigest { .. }),
        "{error:?}"
    );
}
