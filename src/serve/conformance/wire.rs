//! HTTP as clients speak it, well or badly.

use std::io;
use std::net::Shutdown;

use super::*;

/// Sends bytes on one connection and returns the answers to these methods.
fn exchange(served: &Served, bytes: &[u8], methods: &[&str]) -> Vec<Answer> {
    let mut stream = served.connect();
    stream.write_all(bytes).unwrap();
    let mut reader = BufReader::new(stream);
    methods
        .iter()
        .map(|method| read_answer(&mut reader, method))
        .collect()
}

#[test]
fn a_connection_takes_one_request_after_the_other() {
    let served = Served::start();
    let digest = Digest::of(b"bytes");
    let requests = format!(
        "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nContent-Length: 5\r\n\r\nbytes\
         HEAD /v2/app/blobs/{digest} HTTP/1.1\r\n\r\n\
         GET /v2/app/blobs/{digest} HTTP/1.1\r\n\r\n\
         PUT /v2/app/tags/list HTTP/1.1\r\nContent-Length: 4\r\n\r\nwhat\
         GET /v2/ HTTP/1.1\r\n\r\n"
    );
    let methods = ["POST", "HEAD", "GET", "PUT", "GET"];
    let answers = exchange(&served, requests.as_bytes(), &methods);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 200, 200, 405, 200]);
    assert_eq!(answers[2].body, b"bytes");
    assert!(
        answers
            .iter()
            .all(|answer| answer.header("connection").is_none())
    );
}

#[test]
fn a_body_may_come_in_chunks() {
    let served = Served::start();
    let digest = Digest::of(b"some bytes");
    let request = format!(
        "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;note=x\r\nsome \r\n05\r\nbytes\r\n0\r\nTrailer: x\r\n\r\nGET /v2/ HTTP/1.1\r\n\r\n"
    );
    let statuses = exchange(&served, request.as_bytes(), &["POST", "GET"]);
    assert_eq!(
        statuses
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>(),
        [201, 200]
    );
    assert_eq!(
        served.get(&format!("/v2/app/blobs/{digest}")).body,
        b"some bytes"
    );
}

#[test]
fn chunks_that_are_malformed_are_refused() {
    let served = Served::start();
    for chunks in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "11111111111111111\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "2\nab",
    ] {
        let request = format!(
            "PUT /v2/app/manifests/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        );
        let answer = exchange(&served, request.as_bytes(), &["PUT"]).remove(0);
        assert_eq!(
            (answer.status, answer.header("connection")),
            (400, Some("close")),
            "{chunks:?}"
        );
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on_or_that_it_need_not() {
    let served = Served::start();
    let mut stream = served.connect();
    let digest = Digest::of(b"bytes");
    let head = |target: &str| {
        format!("POST {target} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    };
    stream
        .write_all(head(&format!("/v2/app/blobs/uploads/?digest={digest}")).as_bytes())
        .unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(read_answer(&mut reader, "POST").status, 100);
    stream.write_all(b"bytes").unwrap();
    assert_eq!(read_answer(&mut reader, "POST").status, 201);
    stream
        .write_all(head("/v2/app/tags/list").as_bytes())
        .unwrap();
    let refused = read_answer(&mut reader, "POST");
    // It may send the body or not: what follows could be either.
    assert_eq!(
        (refused.status, refused.header("connection")),
        (405, Some("close"))
    );
}

#[test]
fn a_request_that_is_none_is_answered_and_ends_the_connection() {
    let served = Served::start();
    let long = format!(
        "GET /{} HTTP/1.1\r\n",
        "x".repeat(crate::limits::HEAD_LIMIT_BYTES)
    );
    for (bytes, status) in [
        ("what is this\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\n\r\n", 400),
        (
            "PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nExpect: tea\r\n\r\n", 417),
        (long.as_str(), 431),
    ] {
        let answer = exchange(&served, bytes.as_bytes(), &["GET"]).remove(0);
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, Some("close"))
        );
    }
}

#[test]
fn a_refusal_is_seen_by_a_client_that_still_sends() {
    let served = Served::start();
    let body = vec![b'x'; 8 * 1024 * 1024];
    let answer = served.ask("PUT", "/v2/app/manifests/1", &[], &body);
    assert_eq!(answer.status, 413);
}

#[test]
fn what_has_come_before_a_connection_broke_is_kept_and_gone_on_with() {
    let served = Served::start();
    let location = served.begin_upload("app");
    for (offset, part, left) in [(0, "01", 10), (2, "2", 8), (3, "3456", 7)] {
        let mut stream = served.connect();
        let last = offset + left - 1;
        let request = format!(
            "PATCH {location} HTTP/1.1\r\nContent-Range: {offset}-{last}\r\nContent-Length: {left}\r\n\r\n{part}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // The server hangs up when it has done what there is to do.
        io::copy(&mut stream, &mut io::sink()).unwrap();
        let end = format!("0-{}", offset + part.len() - 1);
        assert_eq!(
            served.get(&location).header("range"),
            Some(end.as_str()),
            "{part}"
        );
    }
    let digest = Digest::of(b"0123456789");
    let target = format!("{location}?digest={digest}");
    let answer = served.ask("PUT", &target, &[("Content-Range", "7-9")], b"789");
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[test]
fn a_client_that_takes_one_byte_for_none_may_send_it_again() {
    let served = Served::start();
    let location = served.begin_upload("app");
    let range = [("Content-Range", "0-0")];
    assert_eq!(
        served.ask("PATCH", &location, &range, b"0").header("range"),
        Some("0-0")
    );
    let range = [("Content-Range", "0-3")];
    let answer = served.ask("PATCH", &location, &range, b"0123");
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-3")));
}

#[test]
fn every_request_is_logged_once_with_its_status_and_the_bytes_that_were_sent() {
    // A request is logged after it was answered, so that the next one, on a connection of its own,
    // could come before it.
    let served = Served::start();
    let logged_as = |method: &str, status: u16, sent_bytes: u64| {
        let seen = served.logged();
        assert_eq!((seen.method.as_str(), seen.status), (method, status));
        assert_eq!((seen.sent_bytes, seen.problem), (sent_bytes, None));
        seen.target
    };
    let digest = served.push_blob("app", b"bytes");
    logged_as("POST", 201, 0);
    let target = format!("/v2/app/blobs/{digest}?x=y");
    served.get(&target);
    assert_eq!(logged_as("GET", 200, 5), target);
    served.head(&target);
    assert_eq!(logged_as("HEAD", 200, 0), target);
}
