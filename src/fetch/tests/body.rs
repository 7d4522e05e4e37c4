//! Requests that send something.

use std::io::Read;

use super::*;

/// Returns the whole of a request: its head in lower case, and as much body as it says.
fn whole(head: &str, stream: &mut TcpStream) -> String {
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap_or("0").parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// Starts a server that redirects to a URL, and one behind it that remembers what came.
fn redirecting(status: u16) -> (Server, Server, Receiver<String>) {
    let (sender, bodies) = channel();
    let behind = Server::start(move |head, stream| {
        sender.send(whole(head, stream)).unwrap();
        stream.write_all(OK.as_bytes()).ok();
    });
    let url = behind.url("/there");
    let server = Server::start(move |head, stream| {
        whole(head, stream);
        let answer = format!(
            "HTTP/1.1 {status} x\r\nConnection: close\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok();
    });
    (server, behind, bodies)
}

/// A body that cannot be read to its end.
struct Broken;

impl Body for Broken {
    fn size_bytes(&self) -> u64 {
        10
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let begin: &[u8] = b"begin";
        Ok(Box::new(begin.chain(Unreadable)))
    }
}

struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_body_is_sent_with_its_size() {
    for (method, name) in [
        (Method::Post, "post"),
        (Method::Put, "put"),
        (Method::Patch, "patch"),
    ] {
        let (sender, bodies) = channel();
        let server = Server::start(move |head, stream| {
            sender.send(whole(head, stream)).unwrap();
            stream.write_all(OK.as_bytes()).ok();
        });
        for body in ["", "some bytes"] {
            let request = Request::new(method, server.url("/x"));
            let sent = body.as_bytes().to_vec();
            let response = client().send_once(&request, Some(&sent)).unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(bodies.recv().unwrap(), body);
            let head = server.heads().remove(0);
            assert!(
                head.starts_with(&format!("{name} /x http/1.1\r\n")),
                "{head}"
            );
            let length = format!("\r\ncontent-length: {}\r\n", body.len());
            assert!(head.contains(&length), "{head}");
        }
    }
}

#[test]
fn a_request_without_a_body_says_so_where_one_is_expected() {
    let server = Server::answering(&[OK]);
    for method in [Method::Post, Method::Delete] {
        client()
            .send_once(&Request::new(method, server.url("/x")), None)
            .unwrap();
    }
    let heads = server.heads();
    assert!(heads[0].contains("\r\ncontent-length: 0\r\n"), "{heads:?}");
    assert!(heads[1].starts_with("delete /x "), "{heads:?}");
}

#[test]
fn a_body_goes_where_it_is_led_without_what_was_for_the_first_server() {
    for status in [307, 308] {
        let (server, behind, bodies) = redirecting(status);
        let url = server.url("/x");
        let request = Request::new(Method::Put, url.clone())
            .header("x-open", "1")
            .own_header("x-own", "canary")
            .credentials(Credentials::bearer(url.origin(), "canary"));
        let body = b"bytes".to_vec();
        client().send_once(&request, Some(&body)).unwrap();
        assert_eq!(bodies.recv().unwrap(), "bytes");
        let (own, there) = (server.heads().remove(0), behind.heads().remove(0));
        assert!(own.contains("x-own: canary\r\n"), "{own}");
        assert!(there.contains("x-open: 1\r\n"), "{there}");
        assert!(!there.contains("canary"), "{there}");
    }
}

#[test]
fn a_secret_body_goes_nowhere_else() {
    let (server, behind, _bodies) = redirecting(307);
    let request = Request::new(Method::Post, server.url("/x")).body_goes(BodyGoes::ToOrigin);
    let error = client()
        .send_once(&request, Some(&b"canary".to_vec()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "send to `{}`: redirected to `{}`, for which it is not meant",
            server.url("/x"),
            behind.url("/there")
        )
    );
    assert!(behind.heads().is_empty());
}

#[test]
fn what_changes_something_is_not_made_a_question() {
    for status in [301, 302, 303] {
        let (server, behind, _bodies) = redirecting(status);
        let request = Request::new(Method::Post, server.url("/x"));
        let response = client().send_once(&request, None).unwrap();
        assert_eq!(response.status(), status);
        assert!(behind.heads().is_empty());
    }
}

#[test]
fn a_body_that_cannot_be_read_is_told_from_a_connection_that_broke() {
    let server = Server::start(|head, stream| {
        assert!(head.starts_with("put"));
        io::copy(stream, &mut io::sink()).ok();
    });
    let request = Request::new(Method::Put, server.url("/x"));
    let error = client().send_once(&request, Some(&Broken)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("read what is sent to `{}`", server.url("/x"))
    );
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the disk is gone");
    assert!(!error.is_passing());
}
