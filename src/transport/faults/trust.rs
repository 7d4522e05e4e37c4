//! Who learns what: logins, tokens, and other servers.

use insta::assert_snapshot;
use support::registry::{Door, LocationForm};

use super::*;

const USER: &str = "ana";
const PASSWORD: &str = "pa$$:word";

/// Words that no other server may see.
const SECRET: [&str; 3] = ["authorization", "cookie", "x-own"];

fn login() -> Login {
    Login::Basic {
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
    }
}

fn behind_basic() -> Server {
    Server::with(Manners {
        door: Door::Basic(USER.to_owned(), PASSWORD.to_owned()),
        ..Manners::default()
    })
}

fn behind_tokens(uses: u32) -> Server {
    Server::with(Manners {
        door: Door::Token {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            uses,
        },
        ..Manners::default()
    })
}

/// Makes sure that a server has seen something, and nothing that is for another one.
fn assert_learned_nothing(other: &Server) {
    let seen = other.seen();
    assert!(!seen.is_empty(), "nobody came");
    for seen in seen {
        for name in SECRET {
            assert_eq!(seen.asked.header(name), None, "{}", seen.line());
        }
        assert!(!format!("{seen:?}").contains(PASSWORD));
    }
}

#[test]
fn a_token_that_expires_in_the_middle_is_had_anew() {
    promptly(|| {
        // A token that is good for one request expires before each, and one for three in the middle of an upload.
        for uses in [1, 2, 3] {
            let server = behind_tokens(uses);
            let client = Client::with_login(&server, login());
            let bytes = noise(100_000);
            server.misbehave(first(
                1,
                "PUT",
                "/blobs/uploads/",
                Fault::BreakRequest(30_000),
            ));
            assert_eq!(client.push(&bytes), Ok(()), "{uses}");
            server.misbehave(first(4, "GET", "/blobs/", Fault::BreakAnswer(9000)));
            assert_eq!(client.pull(&blob(&bytes)).unwrap(), bytes, "{uses}");
            for seen in server.seen() {
                let is_service = seen.asked.path.starts_with("/token");
                let is_password = seen
                    .authorization()
                    .is_some_and(|it| it.starts_with("Basic "));
                assert_eq!(is_password, is_service, "{}", seen.line());
            }
        }
    });
}

#[test]
fn a_token_that_is_never_good_is_no_reason_to_ask_for_ever() {
    let (text, requests) = promptly(|| {
        let server = behind_tokens(0);
        let client = Client::with_login(&server, login());
        let error = client.pull(&blob(b"x")).unwrap_err();
        let error = ::registry::RegistryError::in_error(&error).unwrap();
        let text = client
            .shown(error)
            .replace(Digest::of(b"x").as_str(), "$DIGEST");
        (text, server.seen().len())
    });
    assert_snapshot!(text, @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 401 Unauthorized: the test says UNAUTHORIZED (UNAUTHORIZED)");
    assert!(requests < 10, "{requests} requests");
}

#[test]
fn t_g03_a_wrong_password_is_an_error_without_the_password() {
    for server in [behind_basic(), behind_tokens(9)] {
        let text = promptly(move || {
            let login = Login::Basic {
                user: USER.to_owned(),
                password: "wrong-word".to_owned(),
            };
            let client = Client::with_login(&server, login);
            let error = client.pull(&blob(b"x")).unwrap_err();
            let error = ::registry::RegistryError::in_error(&error).unwrap();
            assert!(error.is_unauthorized());
            format!("{} {error:?}", client.shown(error))
        });
        assert!(
            !text.contains("wrong-word") && text.contains("401"),
            "{text}"
        );
    }
}

#[test]
fn t_e01_a_blob_is_read_from_another_server_that_learns_nothing() {
    promptly(|| {
        let bytes = noise(50_000);
        for server in [behind_basic(), behind_tokens(2)] {
            let other = server_with(&bytes);
            server.add_blob(APP, &bytes);
            let to = other.url(&format!("/v2/{APP}/blobs/{}?signed=1", Digest::of(&bytes)));
            server.misbehave(first(usize::MAX, "GET", "/blobs/", Fault::redirect(&to)));
            other.misbehave(first(3, "GET", "/blobs/", Fault::BreakAnswer(10_000)));
            let client = Client::with_login(&server, login());
            assert_eq!(client.pull(&blob(&bytes)).unwrap(), bytes);
            assert_learned_nothing(&other);
        }
    });
}

#[test]
fn t_e03_another_server_that_asks_for_a_login_gets_none() {
    let text = promptly(|| {
        let bytes = noise(5000);
        let (server, other) = (behind_basic(), behind_basic());
        let to = other.url(&format!("/v2/{APP}/blobs/{}", Digest::of(&bytes)));
        server.misbehave(first(usize::MAX, "GET", "/blobs/", Fault::redirect(&to)));
        let client = Client::with_login(&server, login());
        let error = client.pull(&blob(&bytes)).unwrap_err();
        let error = ::registry::RegistryError::in_error(&error).unwrap();
        assert_learned_nothing(&other);
        client
            .shown(error)
            .replace(Digest::of(&bytes).as_str(), "$DIGEST")
            .replace(&other.host(), "$OTHER")
    });
    assert_snapshot!(text, @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: `$OTHER`, to which the registry led, answered 401 Unauthorized: the test says UNAUTHORIZED (UNAUTHORIZED)");
}

#[test]
fn t_e05_a_redirect_there_and_back_does_not_bring_the_login_back() {
    promptly(|| {
        let bytes = noise(5000);
        let (server, other) = (behind_basic(), Server::start());
        let digest = Digest::of(&bytes);
        server.add_blob(APP, &bytes);
        let path = format!("/v2/{APP}/blobs/{digest}");
        server.misbehave(first(
            1,
            "GET",
            "/blobs/",
            Fault::redirect(&other.url(&path)),
        ));
        other.misbehave(first(
            1,
            "GET",
            "/blobs/",
            Fault::redirect(&server.url(&path)),
        ));
        let client = Client::with_login(&server, login());
        // The way back is a stranger's word. The registry then asks who we are, and is told so on its own.
        assert_eq!(client.pull(&blob(&bytes)).unwrap(), bytes);
        assert_learned_nothing(&other);
        let told: Vec<_> = server
            .seen()
            .iter()
            .map(|seen| seen.authorization().is_some())
            .collect();
        assert_eq!(told, [false, false, true]);
    });
}

#[test]
fn a_redirect_without_an_end_is_an_error() {
    let text = promptly(|| {
        let server = Server::start();
        let to = server.url("/v2/");
        server.misbehave(move |_| Some(Fault::redirect(&to)));
        let client = Client::of(&server);
        let error = client.pull(&blob(b"x")).unwrap_err();
        let error = ::registry::RegistryError::in_error(&error).unwrap();
        client
            .shown(error)
            .replace(Digest::of(b"x").as_str(), "$DIGEST")
    });
    assert_snapshot!(text, @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: fetch `http://$HOST/v2/team/app/blobs/$DIGEST`: redirected more than 5 times");
}

#[test]
fn t_e04_an_upload_at_another_server_brings_it_nothing_but_the_blob() {
    promptly(|| {
        let bytes = noise(50_000);
        let other = Server::start();
        let server = behind_basic();
        server.behave(Manners {
            location: LocationForm::Elsewhere(other.url("")),
            door: Door::Basic(USER.to_owned(), PASSWORD.to_owned()),
            ..Manners::default()
        });
        let client = Client::with_login(&server, login());
        // The other one knows nothing of the upload.
        client.push(&bytes).unwrap_err();
        assert_learned_nothing(&other);
    });
}

#[test]
fn an_upload_that_is_led_to_another_server_does_not_bring_it_the_login() {
    promptly(|| {
        let (server, other) = (behind_basic(), Server::start());
        let to = other.url(&format!("/v2/{APP}/blobs/uploads/1"));
        server.misbehave(first(
            usize::MAX,
            "PUT",
            "/blobs/uploads/",
            Fault::redirect(&to),
        ));
        let client = Client::with_login(&server, login());
        client.push(&noise(50_000)).unwrap_err();
        for seen in other.seen() {
            assert_eq!(seen.authorization(), None);
            assert_eq!(seen.asked.header("x-own"), None);
        }
    });
}

#[test]
fn t_e02_a_token_service_elsewhere_gets_the_password_only_where_nobody_else_could_read_it() {
    let text = promptly(|| {
        let (server, thief) = (Server::start(), Server::start());
        let realm = "http://thief.example/token";
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
        server.misbehave(move |_| {
            Some(Fault::Answer(
                401,
                vec![("WWW-Authenticate".to_owned(), challenge.clone())],
            ))
        });
        let client = Client::with_login(&server, login());
        let error = client.pull(&blob(b"x")).unwrap_err();
        let error = ::registry::RegistryError::in_error(&error).unwrap();
        assert!(thief.seen().is_empty());
        client
            .shown(error)
            .replace(Digest::of(b"x").as_str(), "$DIGEST")
    });
    assert_snapshot!(text, @r"read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the host names `http://thief.example:80` for tokens, where the credentials would not be safe");
}
