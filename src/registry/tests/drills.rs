//! What a hostile registry may not do: have others asked, learn what is not for it, or wait for ever.
//!
//! Each of these tests has a canary, a word that may be seen in one place alone, and looks at what the others have seen.

use std::fmt::{self, Write as _};
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::testing::*;
use crate::*;

const CONTENT: &[u8] = b"these bytes are for those who may have them";

const CANARY: &str = "canary-5ad1";

fn login() -> Login {
    Login::Basic {
        user: "me".to_owned(),
        password: CANARY.to_owned(),
    }
}

/// Returns the canary as it is sent.
fn sent_canary() -> String {
    format!("Basic {}", fetch::base64(format!("me:{CANARY}").as_bytes()))
}

fn read(repository: &Repository) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    let mut stream = repository.blob(&descriptor_of(CONTENT), 0)?;
    stream.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

/// Starts a server that others are led to, and that takes whatever it gets.
fn stranger() -> Server {
    Server::answering(|_| Reply::new(200, CONTENT))
}

/// Makes sure that a server has seen something, and nothing that is for another one.
fn assert_learned_nothing(server: &Server) {
    let asked = server.asked();
    assert!(!asked.is_empty(), "nobody came");
    for asked in asked {
        for name in ["authorization", "proxy-authorization", "cookie", "x-own"] {
            assert_eq!(asked.header(name), None, "{asked:?}");
        }
        assert!(!format!("{asked:?}").contains(CANARY), "{asked:?}");
    }
}

/// Returns a repository of the Internet that answers so: it is reached through a proxy, whose word stands for it.
fn of_the_internet(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Repository {
    let proxy = Server::answering(answer);
    let client = Client {
        login: login(),
        proxy: Some(proxy.url("")),
        ..Client::default()
    };
    client.repository(vec![host("http://registry.example/v2")])
}

#[test]
fn t_e07_a_registry_of_the_internet_has_nobody_on_this_machine_asked() {
    for host in ["127.0.0.1", "localhost"] {
        let inner = stranger();
        let to = format!("http://{host}:{}/latest/meta-data", inner.port);
        let redirect = to.clone();
        let repository = of_the_internet(move |_| Reply::empty(307).header("Location", &redirect));
        let error = read(&repository).unwrap_err();
        assert!(
            told(&error).contains(&format!(
                "fetch `{to}`: a server of the Internet leads to `{host}`"
            )),
            "{}",
            told(&error)
        );

        let realm = format!(r#"Bearer realm="{to}""#);
        let repository =
            of_the_internet(move |_| Reply::empty(401).header("WWW-Authenticate", &realm));
        let error = read(&repository).unwrap_err();
        assert!(
            matches!(error.failure, Failure::Realm { .. }),
            "{}",
            told(&error)
        );

        let location = to.clone();
        let repository = of_the_internet(move |asked| match asked.method.as_str() {
            "HEAD" => Reply::empty(404),
            _ => Reply::empty(202).header("Location", &location),
        });
        let pushed = repository.put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), None);
        let error = pushed.unwrap_err();
        assert!(
            told(&error).contains("a server of the Internet leads to"),
            "{}",
            told(&error)
        );
        assert!(inner.asked().is_empty(), "{host}: {:?}", inner.lines());
    }
}

#[test]
fn t_e03_another_server_that_names_a_token_server_gets_none_for_the_login() {
    let other = Server::answering(|asked| {
        let realm = format!(
            r#"Bearer realm="http://{}/token""#,
            asked.header("host").unwrap()
        );
        Reply::empty(401).header("WWW-Authenticate", &realm)
    });
    let to = other.url("/blob");
    let server = Server::answering(move |_| Reply::empty(307).header("Location", &to));
    let repository = Client::with(login()).repository(vec![server.host()]);
    let error = read(&repository).unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        format!(
            "`127.0.0.1:{}`, to which the registry led, answered 401 Unauthorized",
            other.port
        )
    );
    assert!(!error.is_unauthorized(), "there is nothing to log in to");
    assert_learned_nothing(&other);
    assert_eq!(other.lines(), ["GET /blob"]);
}

#[test]
fn t_e05_a_login_that_a_location_has_in_it_is_nobodys() {
    let other = stranger();
    let to = format!("http://me:{CANARY}@127.0.0.1:{}/blob", other.port);
    let server = Server::answering(move |_| Reply::empty(307).header("Location", &to));
    assert_eq!(read(&server.repository()).unwrap(), CONTENT);
    assert_learned_nothing(&other);

    let upload = Server::answering(|_| Reply::empty(201));
    let to = format!("http://me:{CANARY}@127.0.0.1:{}/upload", upload.port);
    let server = Server::answering(move |asked| match asked.method.as_str() {
        "HEAD" => Reply::empty(404),
        _ => Reply::empty(202).header("Location", &to),
    });
    let pushed = server
        .repository()
        .put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), None);
    assert_eq!(pushed.unwrap(), Uploaded::Sent);
    assert_learned_nothing(&upload);
}

#[test]
fn t_e06_headers_for_a_registry_are_for_nobody_else() {
    let tokens = Server::answering(|_| Reply::new(200, r#"{"token":"t"}"#));
    let blobs = stranger();
    let (realm, to) = (
        format!(r#"Bearer realm="{}""#, tokens.url("/token")),
        blobs.url("/blob"),
    );
    let server = Server::answering(move |asked| match asked.header("authorization") {
        Some("Bearer t") => Reply::empty(307).header("Location", &to),
        _ => Reply::empty(401).header("WWW-Authenticate", &realm),
    });
    let mut host = server.host();
    host.headers = vec![("X-Own".to_owned(), CANARY.to_owned())];
    let repository = Client::default().repository(vec![host]);
    assert_eq!(read(&repository).unwrap(), CONTENT);
    assert_learned_nothing(&tokens);
    assert_learned_nothing(&blobs);
    let own: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.header("x-own") == Some(CANARY))
        .collect();
    assert_eq!(own, [true, true]);
}

#[test]
fn a_token_server_leads_to_no_other() {
    let other = Server::answering(|_| Reply::new(200, r#"{"token":"t"}"#));
    let to = other.url("/token");
    let server = Server::answering(move |asked| {
        if asked.path.starts_with("/token") {
            return Reply::empty(307).header("Location", &to);
        }
        let host = asked.header("host").unwrap();
        let realm = format!(r#"Bearer realm="http://{host}/token""#);
        Reply::empty(401).header("WWW-Authenticate", &realm)
    });
    // The password is in a header, which would stay behind, and the identity token in the body, which would not.
    for login in [login(), Login::IdentityToken(CANARY.to_owned())] {
        let repository = Client::with(login).repository(vec![server.host()]);
        let error = read(&repository).unwrap_err();
        assert!(
            told(&error).ends_with("for which it is not meant"),
            "{}",
            told(&error)
        );
    }
    assert_eq!(
        server.asked()[1].header("authorization"),
        Some(sent_canary().as_str())
    );
    assert!(other.asked().is_empty(), "{:?}", other.lines());
}

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn t_e06_the_log_has_neither_logins_nor_tokens_nor_signed_urls() {
    let blobs = Server::answering(|_| Reply::new(200, CONTENT).cut(9));
    let to = blobs.url(&format!("/blob?signature={CANARY}"));
    let server = Server::answering(move |asked| match asked.header("authorization") {
        _ if asked.path.starts_with("/token") => {
            Reply::new(200, format!(r#"{{"token":"{CANARY}"}}"#))
        }
        Some(_) => Reply::empty(307).header("Location", &to),
        None => {
            let host = asked.header("host").unwrap();
            let realm = format!(r#"Bearer realm="http://{host}/token""#);
            Reply::empty(401)
                .header("WWW-Authenticate", &realm)
                .header("Set-Cookie", CANARY)
        }
    });
    let log = Log::default();
    let read = || {
        let repository = Client::with(login()).repository(vec![server.host()]);
        let mut stream = repository.blob(&descriptor_of(CONTENT), 0).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap_err()
    };
    let error = tracing::subscriber::with_default(log.clone(), || {
        // A place that another test's thread comes to first, without a log, may be noted as one that nobody listens to.
        drop(read());
        tracing::callsite::rebuild_interest_cache();
        read()
    });
    let error = RegistryError::in_error(&error).unwrap();
    let shown = format!("{} {error:?}", told(error));
    assert!(shown.contains("/blob"), "{shown}");
    let log = log.0.lock().unwrap();
    assert!(
        log.contains("redirected") && log.contains("trying again"),
        "{log}"
    );
    for text in [&*log, &shown] {
        assert!(!text.contains(CANARY), "{text}");
        assert!(!text.contains(&sent_canary()), "{text}");
    }
}

#[test]
fn the_error_of_a_server_that_is_led_to_has_no_signed_url() {
    let gone = Server::answering(|_| Reply::hang_up());
    let to = gone.url(&format!("/blob?signature={CANARY}"));
    for location in [to.clone(), format!("ftp://x/?{CANARY}")] {
        let server = Server::answering(move |_| Reply::empty(307).header("Location", &location));
        let error = read(&server.repository()).unwrap_err();
        let shown = format!("{} {error:?}", told(&error));
        assert!(!shown.contains(CANARY), "{shown}");
    }
    assert_eq!(gone.lines().len(), 4, "{:?}", gone.lines());
}

#[test]
fn t_e15_a_blob_that_a_host_says_it_has_without_having_seen_it_is_not_there() {
    let server = Server::answering(|asked| match asked.method.as_str() {
        "HEAD" => Reply::empty(404),
        _ => Reply::empty(201),
    });
    let pushed = server
        .repository()
        .put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), None);
    assert_eq!(
        pushed.unwrap_err().failure.to_string(),
        "the host sent that it has a blob of which it has seen nothing"
    );
}

#[test]
fn a_name_in_a_list_that_is_none_is_an_error() {
    for name in ["\\u001b[2J", "", "a b", &"x".repeat(256)] {
        let body = format!(r#"{{"tags":["1","{name}"]}}"#);
        let server = Server::answering(move |_| Reply::new(200, body.clone()));
        let error = server.repository().tags().unwrap_err();
        assert_eq!(
            error.failure.to_string(),
            "the host sent a list with a name that is none"
        );
    }
}

#[test]
fn t_e13_a_list_of_referrers_without_an_end_is_left() {
    let pad = "x".repeat(3 << 20);
    let page = format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":"{pad}"}}}}"#);
    let server = Server::answering(move |asked| {
        let next = asked.path.rsplit('=').next().and_then(|at| at.parse().ok());
        let next = next.unwrap_or(0) + 1;
        Reply::new(200, page.clone())
            .header("Content-Type", oci::media_type::OCI_INDEX)
            .header(
                "Link",
                &format!(
                    "<{}?at={next}>; rel=\"next\"",
                    asked.path.split('?').next().unwrap()
                ),
            )
    });
    let subject = oci::Digest::of(CONTENT);
    let error = server.repository().referrers(&subject, None).unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        "the host sent more than 67108864 bytes of referrers"
    );
    assert_eq!(server.lines().len(), 22);
}
