//! An agent as its clients see it, those of OpenSSH among them.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::*;

/// Public keys, each with the files that hold its private half.
const FILES: [(&str, &[&str]); 5] = [
    ("ed25519.pub", &["ed25519"]),
    ("p256.pub", &["p256", "p256.sec1", "p256.pkcs8"]),
    ("p384.pub", &["p384", "p384.sec1"]),
    ("p521.pub", &["p521", "p521.pkcs8"]),
    ("rsa.pub", &["rsa", "rsa.pkcs1", "rsa.pkcs8"]),
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("agent/keys")
        .join(name)
}

fn keys(names: &[&str]) -> Arc<dyn Agent> {
    let mut keys = Keys::default();
    for name in names {
        keys.add_file(&file(name)).unwrap();
    }
    Arc::new(keys)
}

/// Serves one client in a thread that ends with it.
fn connect(agent: Arc<dyn Agent>) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || serve(&theirs, &*agent));
    ours
}

fn ask(client: &UnixStream, request: &[u8]) -> Option<Message> {
    let mut bytes = Vec::new();
    message::put_string(&mut bytes, request);
    io::Write::write_all(&mut &*client, &bytes).unwrap();
    Message::receive(&mut &*client).unwrap()
}

fn sign(client: &UnixStream, key: &[u8], flags: u32) -> Message {
    let request = SignRequest {
        key: key.to_vec(),
        data: b"data".to_vec(),
        flags,
    };
    Message::sign_request(&request).send(&mut &*client).unwrap();
    Message::receive(&mut &*client).unwrap().unwrap()
}

fn identities(client: &UnixStream) -> Vec<Identity> {
    let answer = ask(client, &[kind::REQUEST_IDENTITIES]).unwrap();
    assert_eq!(answer.kind(), kind::IDENTITIES_ANSWER);
    Fields::new(answer.body()).identities().unwrap()
}

/// Returns the key of a line `KIND BASE64 COMMENT`.
fn public(name: &str) -> Vec<u8> {
    let line = std::fs::read_to_string(file(name)).unwrap();
    let key = ssh_key::PublicKey::from_openssh(&line).unwrap();
    key.to_bytes().unwrap()
}

#[test]
fn every_form_of_a_key_has_the_public_half_that_openssh_wrote() {
    for (name, files) in FILES {
        for private in files {
            let listed = identities(&connect(keys(&[private])));
            let expected = Identity {
                key: public(name),
                comment: Vec::new(),
            };
            assert_eq!(listed, [expected], "{private}");
        }
    }
    assert_eq!(identities(&connect(keys(&["ed25519.pkcs8"]))).len(), 1);
}

#[test]
fn keys_are_listed_in_the_order_in_which_they_were_given() {
    let listed = identities(&connect(keys(&["rsa", "ed25519"])));
    let listed: Vec<_> = listed.into_iter().map(|identity| identity.key).collect();
    assert_eq!(listed, [public("rsa.pub"), public("ed25519.pub")]);
}

#[test]
fn a_signature_names_its_algorithm() {
    let client = connect(keys(&["rsa", "ed25519", "p521"]));
    for (key, flags, algorithm) in [
        ("rsa.pub", 0, "ssh-rsa"),
        ("rsa.pub", 2, "rsa-sha2-256"),
        ("rsa.pub", 4, "rsa-sha2-512"),
        ("ed25519.pub", 0, "ssh-ed25519"),
        ("p521.pub", 0, "ecdsa-sha2-nistp521"),
    ] {
        let answer = sign(&client, &public(key), flags);
        assert_eq!(answer.kind(), kind::SIGN_RESPONSE, "{algorithm}");
        let mut fields = Fields::new(answer.body());
        let mut signature = Fields::new(fields.string().unwrap());
        assert_eq!(signature.string(), Some(algorithm.as_bytes()));
    }
}

#[test]
fn nothing_is_signed_by_a_key_that_is_not_there() {
    let client = connect(keys(&["rsa"]));
    assert_eq!(sign(&client, &public("ed25519.pub"), 0), Message::failure());
}

/// Removing, adding, locking, and extensions, of which `session-bind@openssh.com` is one.
#[test]
fn everything_but_listing_and_signing_is_refused_and_the_conversation_goes_on() {
    let client = connect(keys(&["ed25519"]));
    let malformed = [kind::SIGN_REQUEST, 0, 0, 0, 9];
    let requests: [&[u8]; 9] = [
        &[1],
        &[17, 0, 0, 0, 0],
        &[18, 0, 0, 0, 0],
        &[19],
        &[20],
        &[22, 0, 0, 0, 0],
        &[25],
        &[27, 0, 0, 0, 5, b'q', b'u', b'e', b'r', b'y'],
        &malformed,
    ];
    for request in requests {
        assert_eq!(
            ask(&client, request),
            Some(Message::failure()),
            "{request:?}"
        );
    }
    assert_eq!(identities(&client).len(), 1);
}

#[test]
fn a_client_that_says_what_is_no_message_is_left() {
    let client = connect(keys(&["ed25519"]));
    io::Write::write_all(&mut &client, b"\xff\xff\xff\xff").unwrap();
    assert_eq!(Message::receive(&mut &client).unwrap(), None);
}

/// An agent at a socket, which serves until the test ends.
fn listen(agent: Arc<dyn Agent>) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            // A client that breaks off is none of the next one's business.
            drop(serve(&client, &*agent));
        }
    });
    (directory, path)
}

#[test]
fn the_users_agent_lists_and_signs_through_ours() {
    let (_directory, path) = listen(keys(&["p256"]));
    let client = connect(Arc::new(Upstream::new(path)));
    let key = public("p256.pub");
    assert_eq!(
        identities(&client).first().map(|found| &found.key),
        Some(&key)
    );
    assert_eq!(sign(&client, &key, 0).kind(), kind::SIGN_RESPONSE);
    assert_eq!(sign(&client, b"no key", 0), Message::failure());
}

#[test]
fn an_agent_that_is_gone_is_a_failure_and_not_the_end() {
    let client = connect(Arc::new(Upstream::new(PathBuf::from("/no/such/agent"))));
    for _ in 0..2 {
        let answer = ask(&client, &[kind::REQUEST_IDENTITIES]);
        assert_eq!(answer, Some(Message::failure()));
    }
}

#[test]
fn an_agent_that_never_answers_is_left_when_the_client_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let upstream = Upstream::new(path);
    let served = thread::spawn(move || serve(&theirs, &upstream));
    Message::request_identities().send(&mut &ours).unwrap();
    let (silent, _) = listener.accept().unwrap();
    drop(ours);
    // Whoever asked is gone, so the answer, a failure, reaches nobody.
    assert!(served.join().unwrap().is_err());
    drop(silent);
}

/// `ssh-add -T` has the agent sign, and checks the signature with the public key.
#[test]
fn openssh_takes_the_signatures_of_every_kind_of_key() {
    if std::fs::metadata("/usr/bin/ssh-add").is_err() {
        return;
    }
    for (name, files) in FILES {
        let (_directory, path) = listen(keys(&files[..1]));
        #[expect(
            clippy::disallowed_methods,
            reason = "a client that needs a variable, in a test"
        )]
        let output = std::process::Command::new("/usr/bin/ssh-add")
            .args([Path::new("-T"), &file(name)])
            .env("SSH_AUTH_SOCK", &path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
    }
}
