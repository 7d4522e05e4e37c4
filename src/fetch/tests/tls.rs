//! Whom we trust, and to whom we show who we are.
//!
//! The certificates beside this file were made with `openssl` for a hundred years; nothing else trusts their authority.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

#[derive(Clone, Copy)]
enum Wants {
    Anybody,
    Us,
}

fn server_config(wants: Wants, own: &str) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match wants {
        Wants::Anybody => builder.with_no_client_auth(),
        Wants::Us => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate("authority.crt")).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_file(file(&format!("{own}.key"))).unwrap();
    let config = builder.with_single_cert(vec![certificate(&format!("{own}.crt"))], key);
    Arc::new(config.unwrap())
}

/// Starts a server that speaks TLS and gives one answer; returns its URL.
fn start(wants: Wants, answer: &str) -> Url {
    start_as("server", wants, answer)
}

/// Starts a server with another certificate.
fn start_as(own: &str, wants: Wants, answer: &str) -> Url {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (config, answer) = (server_config(wants, own), answer.to_owned());
    // The thread ends with the program: nothing would wake it up before.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream));
            let mut line = String::new();
            // A client that does not trust us hangs up.
            while stream.read_line(&mut line).is_ok_and(|count| count > 2) {}
            if line.starts_with("GET ") {
                stream.get_mut().write_all(answer.as_bytes()).ok();
                stream.get_mut().conn.send_close_notify();
                stream.get_mut().flush().ok();
            }
        }
    });
    Url::parse(&format!("https://127.0.0.1:{port}/x")).unwrap()
}

fn trusting() -> Tls {
    Tls {
        authorities: vec![file("authority.crt")],
        ..Tls::default()
    }
}

fn unverified() -> Tls {
    Tls {
        unverified: true,
        ..Tls::default()
    }
}

#[test]
fn a_server_is_trusted_by_what_is_said_of_it_alone() {
    let url = start(Wants::Anybody, OK);
    let client = client();
    let fetch = |tls: Tls| download(&client, &get(url.clone()).tls(tls));
    assert_eq!(fetch(trusting()).unwrap(), "file");
    assert_eq!(fetch(unverified()).unwrap(), "file");
    // No connection that was made so is used for somebody who wants to know.
    let error = fetch(Tls::default()).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}

#[test]
fn certificates_in_place_of_those_of_the_machine_are_trusted() {
    let url = start(Wants::Anybody, OK);
    let directories = vec![file("")];
    for certificates in [
        Certificates::File(file("authority.crt")),
        Certificates::Directories {
            directories: directories.clone(),
            file: None,
        },
    ] {
        let client = client_of(|options| options.certificates = certificates);
        assert_eq!(download(&client, &get(url.clone())).unwrap(), "file");
    }
    let client = client_of(|options| options.certificates = Certificates::File(file("client.crt")));
    let error = download(&client, &get(url)).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}

#[test]
fn authorities_are_trusted_beside_those_of_the_machine() {
    let url = start(Wants::Anybody, OK);
    let named = [Authority::File(file("authority.crt"))];
    let client = client_of(|options| options.certificates = Certificates::System.and(&named));
    assert_eq!(download(&client, &get(url.clone())).unwrap(), "file");
    let machine = [Authority::System];
    let client = client_of(|options| options.certificates = Certificates::System.and(&machine));
    let error = download(&client, &get(url)).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
    assert_eq!(Certificates::System.and(&[]), Certificates::System);
}

#[test]
fn who_we_are_is_shown_to_the_server_that_it_is_for() {
    let url = start(Wants::Us, OK);
    let client = client();
    let with_identity = Tls {
        identity: Some((file("client.crt"), file("client.key"))),
        ..trusting()
    };
    let request = get(url.clone()).tls(with_identity.clone());
    assert_eq!(download(&client, &request).unwrap(), "file");
    download(&client, &get(url.clone()).tls(trusting())).unwrap_err();
    // Nor is it shown where another server leads to.
    let redirect = format!(
        "HTTP/1.1 302 x\r\nConnection: close\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    );
    let leading = start(Wants::Us, &redirect);
    download(&client, &get(leading).tls(with_identity)).unwrap_err();
}

#[test]
fn t_e08_where_an_unverified_server_leads_is_verified() {
    let url = start(Wants::Anybody, OK);
    let redirect = format!(
        "HTTP/1.1 302 x\r\nConnection: close\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    );
    let leading = start(Wants::Anybody, &redirect);
    let error = download(&client(), &get(leading.clone()).tls(unverified())).unwrap_err();
    assert!(
        matches!(&error, FetchError::Tls { url: of, .. } if *of == url),
        "{error:?}"
    );
    let trusted = get(leading).tls(trusting());
    assert_eq!(download(&client(), &trusted).unwrap(), "file");
}

#[test]
fn t_e06_a_certificate_of_ours_is_shown_to_no_proxy() {
    let client = client_of(|options| {
        options.proxies.https = Some("https://me:word@proxy.invalid:3128".to_owned());
    });
    for tls in [
        Tls {
            identity: Some((file("client.crt"), file("client.key"))),
            ..Tls::default()
        },
        unverified(),
    ] {
        let request = get(Url::parse("https://e.invalid/x").unwrap()).tls(tls);
        let error = download(&client, &request).unwrap_err();
        assert_eq!(
            error.to_string(),
            "fetch `https://e.invalid/x`: its own certificates cannot be used with a proxy that is reached by TLS"
        );
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let url = Url::parse("https://127.0.0.1:1/x").unwrap();
    let [missing, key] = [file("missing.crt"), file("client.key")];
    for (tls, expected) in [
        (
            Tls {
                authorities: vec![missing.clone()],
                ..Tls::default()
            },
            format!("read the certificates in `{}`", missing.display()),
        ),
        (
            Tls {
                authorities: vec![key.clone()],
                ..Tls::default()
            },
            format!("`{}` has no certificate", key.display()),
        ),
        (
            Tls {
                identity: Some((file("client.crt"), file("client.crt"))),
                ..Tls::default()
            },
            format!("`{}` has no private key", file("client.crt").display()),
        ),
    ] {
        let error = download(&client(), &get(url.clone()).tls(tls)).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), expected);
    }
}

#[test]
fn a_server_that_is_its_own_authority_is_trusted_if_it_was_named() {
    let url = start_as("own", Wants::Anybody, OK);
    let tls = Tls {
        authorities: vec![file("own.crt")],
        ..Tls::default()
    };
    assert_eq!(
        download(&client(), &get(url.clone()).tls(tls)).unwrap(),
        "file"
    );
    let error = download(&client(), &get(url).tls(trusting())).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(
        cause.to_string(),
        "the server's certificate is an authority's (`CA:TRUE`), and not a server's"
    );
}

#[test]
fn what_speaks_no_tls_is_told_from_what_is_not_trusted() {
    let plain = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
    });
    let plain = Url::parse(&format!("https://127.0.0.1:{}/x", plain.port)).unwrap();
    let untrusted = start(Wants::Anybody, OK);
    for (url, expected) in [(plain, true), (untrusted, false)] {
        let error = client().send_once(&get(url), None).unwrap_err();
        assert_eq!(error.is_no_tls_there(), expected, "{error:?}");
    }
}
