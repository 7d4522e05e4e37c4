//! Which host is asked: mirrors, and how a host is reached.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};

use oci::Digest;
use oci::media_type::OCI_MANIFEST;

use crate::testing::{host as host_of, *};
use crate::*;

fn having(bytes: &'static str) -> Server {
    Server::answering(move |_| Reply::new(200, bytes).header("Content-Type", OCI_MANIFEST))
}

/// Returns a host that answers one request.
fn answering_once() -> (Host, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut head = [0; 4096];
        let count = stream.read(&mut head).unwrap();
        assert!(head[..count].ends_with(b"\r\n\r\n"));
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(answer).unwrap();
    });
    (host_of(&format!("http://127.0.0.1:{port}/v2")), answer)
}

fn mirror(server: &Server) -> Host {
    Host {
        is_mirror: true,
        repository: "mirrored/team/app".to_owned(),
        ..server.host()
    }
}

#[test]
fn what_a_mirror_does_not_have_or_cannot_do_the_next_host_is_asked_for() {
    let wanted = Selector::Digest(Digest::of(b"{}"));
    for status in [404, 401, 403, 400, 500, 200] {
        let first = Server::answering(move |_| Reply::new(status, "{  }"));
        let second = having("{}");
        let repository = Client::default().repository(vec![mirror(&first), second.host()]);
        assert_eq!(
            repository.manifest(&wanted).unwrap().bytes,
            b"{}",
            "{status}"
        );
        let path = "/v2/mirrored/team/app/manifests/";
        assert!(first.asked()[0].path.starts_with(path));
    }
}

#[test]
fn a_mirror_that_is_not_there_is_passed_over() {
    let gone = host_of("http://127.0.0.1:1/v2");
    let gone = Host {
        is_mirror: true,
        ..gone
    };
    let second = having("{}");
    let repository = Client::default().repository(vec![gone, second.host()]);
    assert_eq!(repository.manifest(&tag("1")).unwrap().bytes, b"{}");
}

#[test]
fn a_mirror_that_does_not_answer_is_asked_twice_and_then_no_more() {
    let broken = Server::answering(|_| Reply::empty(503));
    let second = having("{}");
    let client = Client::default();
    let repository = client.repository(vec![mirror(&broken), second.host()]);
    for _ in 0..3 {
        assert_eq!(repository.manifest(&tag("1")).unwrap().bytes, b"{}");
    }
    assert_eq!(broken.lines().len(), 2);
    assert_eq!(second.lines().len(), 3);
    assert_eq!(client.pauses.lock().unwrap().len(), 1);
}

#[test]
fn who_answered_before_and_is_gone_is_waited_for() {
    let client = Client::default();
    // One request is answered, and the port is then nobody's.
    let (host, end) = answering_once();
    let repository = client.repository(vec![host]);
    assert_eq!(repository.manifest(&tag("1")).unwrap().bytes, b"{}");
    end.join().unwrap();
    assert!(repository.manifest(&tag("1")).unwrap_err().is_unreachable());
    assert_eq!(client.pauses.lock().unwrap().len(), 3);
    // Who never answered is not.
    let client = Client::default();
    let repository = client.repository(vec![host_of("http://127.0.0.1:1/v2")]);
    assert!(repository.manifest(&tag("1")).unwrap_err().is_unreachable());
    assert!(client.pauses.lock().unwrap().is_empty());
}

#[test]
fn many_threads_use_one_repository() {
    let server = having("{}");
    let repository = server.repository();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(repository.manifest(&tag("1")).unwrap().bytes, b"{}"));
        }
    });
    assert_eq!(server.lines().len(), 16);
}

#[test]
fn a_host_that_stands_for_nobody_has_the_last_word() {
    let first = Server::answering(|_| Reply::empty(404));
    let second = having("{}");
    let repository = Client::default().repository(vec![first.host(), second.host()]);
    assert!(repository.manifest(&tag("1")).unwrap_err().is_missing());
    assert!(second.asked().is_empty());
}

#[test]
fn a_blob_goes_on_at_the_next_host() {
    let content = b"half here, half there";
    let first = Server::answering(move |asked| match asked.header("range") {
        None => Reply::new(200, content).cut(9),
        Some(_) => Reply::empty(404),
    });
    let second = Server::answering(move |asked| {
        assert_eq!(asked.header("range"), Some("bytes=9-"));
        Reply::new(206, &content[9..]).header("Content-Range", "bytes 9-20/21")
    });
    let repository = Client::default().repository(vec![mirror(&first), second.host()]);
    let mut bytes = Vec::new();
    let mut stream = repository.blob(&descriptor_of(content), 0).unwrap();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, content);
}

#[test]
fn all_of_an_image_is_written_to_one_host() {
    let refusing = Server::answering(|asked| match asked.path.as_str() {
        "/v2/mirrored/team/app/manifests/2" => Reply::empty(201),
        _ => Reply::empty(403),
    });
    let second = Server::answering(|_| Reply::empty(201));
    let repository = Client::default().repository(vec![mirror(&refusing), second.host()]);
    for tag_ in ["1", "2"] {
        repository
            .put_manifest(&tag(tag_), OCI_MANIFEST, b"{}", Expect::Anything)
            .unwrap();
    }
    assert_eq!(refusing.lines().len(), 1);
    assert_eq!(second.lines().len(), 2);
}

#[test]
fn what_the_host_for_pushes_refuses_goes_to_no_other() {
    for status in [401, 403] {
        let refusing = Server::answering(move |_| Reply::empty(status));
        let second = Server::answering(|_| Reply::empty(201));
        let stand_in = Host {
            stands_for: Some("registry.example".to_owned()),
            ..mirror(&refusing)
        };
        let repository = Client::default().repository(vec![stand_in, second.host()]);
        let put = repository.put_manifest(&tag("1"), OCI_MANIFEST, b"{}", Expect::Anything);
        assert!(put.unwrap_err().is_unauthorized(), "{status}");
        assert_eq!(second.lines(), [""; 0], "{status}");
    }
}

#[test]
fn a_repository_without_a_host_is_told_of() {
    let none = Client::default().registry(Vec::new());
    let error = none.repository(&reference(), Access::Pull).unwrap_err();
    assert_eq!(
        told(&error),
        "reach the repository of `registry.example/team/app` at `registry.example`: the configuration names no \
         host for this"
    );
}

#[test]
fn plain_http_is_found_out_once_and_only_where_it_may_be() {
    let server = having("{}");
    let mut host = server.host();
    host.base = host.base.with_scheme(fetch::Scheme::Https);
    let refused = Client::default().repository(vec![host.clone()]);
    assert!(refused.manifest(&tag("1")).unwrap_err().is_unreachable());
    host.tls.plain_fallback = true;
    let client = Client::default();
    let registry = client.registry(vec![host]);
    for _ in 0..2 {
        let repository = registry.repository(&reference(), Access::Pull).unwrap();
        assert_eq!(repository.manifest(&tag("1")).unwrap().bytes, b"{}");
    }
    let plain: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("GET /"))
        .collect();
    assert_eq!(
        plain,
        [
            "GET /v2/",
            "GET /v2/team/app/manifests/1",
            "GET /v2/team/app/manifests/1"
        ]
    );
    assert!(client.pauses.lock().unwrap().is_empty());
}

#[test]
fn what_one_learned_of_a_host_another_knows_if_it_is_to() {
    let server = having("{}");
    let mut host = server.host();
    host.base = host.base.with_scheme(fetch::Scheme::Https);
    host.tls.plain_fallback = true;
    let client = Client {
        learned: Some(Learned::default()),
        ..Client::default()
    };
    let stranger = Client::default();
    for (client, pings) in [(&client, 1), (&client, 1), (&stranger, 2), (&client, 2)] {
        // Each time a registry of its own.
        let repository = client.repository(vec![host.clone()]);
        assert_eq!(repository.manifest(&tag("1")).unwrap().bytes, b"{}");
        let lines = server.lines();
        let asked = lines.iter().filter(|line| *line == "GET /v2/").count();
        assert_eq!(asked, pings);
    }
}
