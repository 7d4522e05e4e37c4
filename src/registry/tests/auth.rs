//! Who we are: challenges, tokens, and to whom nothing is said.

use std::io::Read as _;
use std::sync::atomic::{AtomicU32, Ordering};

use oci::{Digest, Reference};

use crate::testing::*;
use crate::*;

const CONTENT: &[u8] = b"these bytes are for those who may have them";

/// Returns the header that leads to the token server of the same port.
fn challenge(asked: &Asked) -> String {
    let host = asked.header("host").unwrap();
    format!(r#"Bearer realm="http://{host}/token?x=y",service="the service""#)
}

fn basic() -> Login {
    Login::Basic {
        user: "me".to_owned(),
        password: "se cret".to_owned(),
    }
}

/// Starts a registry that wants the token that its own token server gives.
fn guarded(token: &'static str) -> Server {
    Server::answering(move |asked| {
        if asked.path.starts_with("/token") {
            return Reply::new(200, format!(r#"{{"token":"{token}","expires_in":300}}"#));
        }
        if asked.header("authorization") == Some(&format!("Bearer {token}")) {
            return Reply::new(200, CONTENT);
        }
        Reply::empty(401).header("WWW-Authenticate", &challenge(asked))
    })
}

fn read(repository: &Repository) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    let mut stream = repository.blob(&descriptor_of(CONTENT), 0)?;
    stream.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

#[test]
fn nobody_gets_a_token_as_well() {
    let server = guarded("t1");
    let repository = server.repository();
    assert_eq!(read(&repository).unwrap(), CONTENT);
    assert_eq!(read(&repository).unwrap(), CONTENT);
    let blob = format!("GET /v2/team/app/blobs/{}", Digest::of(CONTENT));
    assert_eq!(
        server.lines(),
        [
            &blob,
            "GET /token?x=y&service=the%20service&scope=repository%3Ateam%2Fapp%3Apull%2Cpush",
            &blob,
            &blob,
        ]
    );
    assert_eq!(server.asked()[1].header("authorization"), None);
}

#[test]
fn a_password_goes_to_the_token_server_and_not_to_the_registry() {
    let server = guarded("t1");
    let repository = Client::with(basic()).repository(vec![server.host()]);
    assert_eq!(read(&repository).unwrap(), CONTENT);
    let asked = server.asked();
    let headers: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("authorization"))
        .collect();
    assert_eq!(
        headers,
        [None, Some("Basic bWU6c2UgY3JldA=="), Some("Bearer t1")]
    );
    assert!(asked[1].path.ends_with("&account=me"), "{asked:?}");
}

#[test]
fn an_identity_token_is_sent_as_a_form() {
    let forms = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&forms);
    let server = Server::start(move |asked, body| {
        if asked.path.starts_with("/token") {
            let mut form = String::new();
            body.read_to_string(&mut form).unwrap();
            seen.lock().unwrap().push(form);
            return Reply::new(200, r#"{"access_token":"t2"}"#);
        }
        match asked.header("authorization") {
            Some("Bearer t2") => Reply::new(200, CONTENT),
            _ => Reply::empty(401).header("WWW-Authenticate", &challenge(asked)),
        }
    });
    let login = Login::IdentityToken("i/d".to_owned());
    let repository = Client::with(login).repository(vec![server.host()]);
    assert_eq!(read(&repository).unwrap(), CONTENT);
    assert_eq!(server.lines()[1], "POST /token?x=y");
    assert_eq!(
        *forms.lock().unwrap(),
        [
            "grant_type=refresh_token&refresh_token=i%2Fd&service=the%20service&client_id=careen\
          &scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
        ]
    );
}

#[test]
fn a_registry_token_and_a_password_are_sent_as_they_are() {
    for (login, challenge, expected) in [
        (
            Login::RegistryToken("r".to_owned()),
            r#"Bearer realm="http://127.0.0.1/x""#,
            "Bearer r",
        ),
        (basic(), "Basic realm=x", "Basic bWU6c2UgY3JldA=="),
        (
            basic(),
            "Negotiate, Basic realm=x",
            "Basic bWU6c2UgY3JldA==",
        ),
    ] {
        let server = Server::answering(move |asked| match asked.header("authorization") {
            Some(found) if found == expected => Reply::new(200, CONTENT),
            _ => Reply::empty(401).header("WWW-Authenticate", challenge),
        });
        let repository = Client::with(login).repository(vec![server.host()]);
        assert_eq!(read(&repository).unwrap(), CONTENT);
        assert_eq!(read(&repository).unwrap(), CONTENT);
        // The second time it is known what the registry wants.
        assert_eq!(server.lines().len(), 3);
    }
}

#[test]
fn t_g03_a_login_that_is_not_taken_is_told_without_it() {
    for (status, path, body, expected) in [
        (
            401,
            "/token",
            r#"{"details":"incorrect username or password"}"#,
            "get a token from `127.0.0.1:PORT`: the registry answered 401 Unauthorized: incorrect username \
             or password",
        ),
        (
            403,
            "/v2",
            r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#,
            "the registry answered 403 Forbidden: not yours (DENIED)",
        ),
        (
            200,
            "/token",
            r#"{"toke":"canary"}"#,
            "get a token from `127.0.0.1:PORT`: the host sent no token that can be used",
        ),
        (
            200,
            "/token",
            r#"{"token":"can ary"}"#,
            "get a token from `127.0.0.1:PORT`: the host sent no token that can be used",
        ),
        (
            200,
            "/token",
            r#"["canary"]"#,
            "get a token from `127.0.0.1:PORT`: the host sent something else than a token",
        ),
    ] {
        let server = Server::answering(move |asked| match asked.header("authorization") {
            Some(_) if asked.path.starts_with(path) => Reply::new(status, body),
            _ if asked.path.starts_with("/token") => Reply::new(200, r#"{"token":"canary"}"#),
            _ => Reply::empty(401).header("WWW-Authenticate", &challenge(asked)),
        });
        let repository = Client::with(basic()).repository(vec![server.host()]);
        let error = read(&repository).unwrap_err();
        let told = told(&error).replace(&server.port.to_string(), "PORT");
        assert_eq!(
            told.split_once("at `127.0.0.1:PORT`: ").unwrap().1,
            expected
        );
        assert_eq!(error.is_unauthorized(), status != 200);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[test]
fn a_kind_of_login_that_nobody_knows_is_told_of() {
    let server = Server::answering(|_| {
        Reply::empty(401).header("WWW-Authenticate", "Negotiate, NTLM realm=x")
    });
    let error = read(&server.repository()).unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        "the host asks for a login by `negotiate, ntlm`, which is not supported"
    );
}

#[test]
fn a_token_that_expires_in_the_middle_of_a_push_is_got_anew() {
    let tokens = AtomicU32::new(0);
    let is_taken = AtomicU32::new(0);
    let server = Server::start(move |asked, body| {
        if asked.path.starts_with("/token") {
            let number = tokens.fetch_add(1, Ordering::SeqCst);
            return Reply::new(200, format!(r#"{{"token":"t{number}"}}"#));
        }
        // The first token is good until the blob comes.
        let good = if asked.method == "PUT" {
            "Bearer t1"
        } else {
            "Bearer t0"
        };
        if asked.header("authorization") != Some(good) {
            std::io::copy(body, &mut std::io::sink()).unwrap();
            return Reply::empty(401).header("WWW-Authenticate", &challenge(asked));
        }
        match asked.method.as_str() {
            "HEAD" => Reply::empty(404),
            "POST" => Reply::empty(202).header("Location", "/v2/team/app/blobs/uploads/1"),
            _ => {
                let mut bytes = Vec::new();
                body.read_to_end(&mut bytes).unwrap();
                is_taken.store(1, Ordering::SeqCst);
                Reply::empty(if bytes == CONTENT { 201 } else { 400 })
            }
        }
    });
    let done = server
        .repository()
        .put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), None);
    assert_eq!(done.unwrap(), Uploaded::Sent);
    let methods: Vec<_> = server
        .asked()
        .into_iter()
        .map(|asked| asked.method)
        .collect();
    assert_eq!(
        methods,
        ["HEAD", "GET", "HEAD", "POST", "PUT", "GET", "PUT"]
    );
}

#[test]
fn a_token_is_not_asked_for_without_end() {
    let server = Server::answering(|asked| {
        if asked.path.starts_with("/token") {
            return Reply::new(200, r#"{"token":"t"}"#);
        }
        Reply::empty(401).header("WWW-Authenticate", &challenge(asked))
    });
    let error = read(&server.repository()).unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(server.lines().len(), 3);
}

#[test]
fn what_a_challenge_asks_for_is_asked_for_as_well() {
    let server = Server::answering(|asked| {
        if asked.path.starts_with("/token") {
            return Reply::new(200, r#"{"token":"t"}"#);
        }
        match asked.header("authorization") {
            Some(_) => Reply::empty(202),
            None => Reply::empty(401).header(
                "WWW-Authenticate",
                &format!(r#"{},scope="repository:team/app:delete""#, challenge(asked)),
            ),
        }
    });
    server.repository().delete_tag("1").unwrap();
    assert!(
        server.lines()[1].ends_with("&scope=repository%3Ateam%2Fapp%3Adelete%2Cpull%2Cpush"),
        "{:?}",
        server.lines()
    );
}

#[test]
fn a_token_for_a_mount_is_for_both_repositories() {
    let server = Server::answering(|asked| {
        if asked.path.starts_with("/token") {
            return Reply::new(200, r#"{"token":"t"}"#);
        }
        match (asked.header("authorization"), asked.method.as_str()) {
            (None, _) => Reply::empty(401).header("WWW-Authenticate", &challenge(asked)),
            (_, "HEAD") => Reply::empty(404),
            _ => Reply::empty(201),
        }
    });
    let from = Reference::parse("registry.example/base").unwrap();
    let done =
        server
            .repository()
            .put_blob(&descriptor_of(CONTENT), &CONTENT.to_vec(), Some(&from));
    assert_eq!(done.unwrap(), Uploaded::Mounted);
    let tokens: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.contains("/token"))
        .collect();
    assert_eq!(
        tokens,
        [
            "GET /token?x=y&service=the%20service&scope=repository%3Ateam%2Fapp%3Apull%2Cpush",
            "GET /token?x=y&service=the%20service&scope=repository%3Abase%3Apull\
             &scope=repository%3Ateam%2Fapp%3Apull%2Cpush",
        ]
    );
}

#[test]
fn where_a_redirect_leads_we_are_nobody() {
    let other = Server::answering(|asked| {
        if asked.path.starts_with("/ask") {
            return Reply::empty(401).header("WWW-Authenticate", "Basic realm=x");
        }
        Reply::new(200, CONTENT)
    });
    for (path, is_given) in [("/give", true), ("/ask", false)] {
        let url = other.url(path);
        let server = Server::answering(move |asked| match asked.header("authorization") {
            None => Reply::empty(401).header("WWW-Authenticate", "Basic realm=x"),
            Some(_) => Reply::empty(307).header("Location", &url),
        });
        let repository = Client::with(basic()).repository(vec![server.host()]);
        assert_eq!(read(&repository).is_ok(), is_given, "{path}");
    }
    let asked = other.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[test]
fn an_identity_token_is_not_led_elsewhere() {
    let other = Server::answering(|_| Reply::new(200, r#"{"token":"t"}"#));
    let url = other.url("/token");
    let server = Server::answering(move |asked| {
        if asked.path.starts_with("/token") {
            return Reply::empty(307).header("Location", &url);
        }
        Reply::empty(401).header("WWW-Authenticate", &challenge(asked))
    });
    let login = Login::IdentityToken("canary".to_owned());
    let repository = Client::with(login).repository(vec![server.host()]);
    let error = read(&repository).unwrap_err();
    assert!(
        told(&error).ends_with("for which it is not meant"),
        "{error:?}"
    );
    assert!(other.asked().is_empty());
}

#[test]
fn a_login_is_tried_before_it_is_kept() {
    let server = Server::answering(|asked| match asked.header("authorization") {
        Some("Basic bWU6c2UgY3JldA==") => Reply::new(200, "{}"),
        _ => Reply::empty(401).header("WWW-Authenticate", "Basic realm=x"),
    });
    let registry = Client::default().registry(vec![server.host()]);
    registry.ping(&server.host(), basic()).unwrap();
    let wrong = Login::Basic {
        user: "me".to_owned(),
        password: "canary".to_owned(),
    };
    let error = registry.ping(&server.host(), wrong).unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(
        told(&error),
        format!(
            "log in at `127.0.0.1:{}`: the registry answered 401 Unauthorized",
            server.port
        )
    );
    let nobody = registry.ping(&server.host(), Login::Anonymous).unwrap_err();
    assert!(nobody.is_unauthorized());
    assert_eq!(server.lines()[0], "GET /v2/");
}
