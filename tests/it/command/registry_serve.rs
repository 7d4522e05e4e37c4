//! `careen registry serve`: what of it is seen from outside. That it does what the specification says is tested in its
//! own crate.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use support::{Bench, Running};

use crate::{bench, served};

/// An address that is free.
const ANY_PORT: &str = "127.0.0.1:0";

/// Starts a registry of the bench; returns it with its address.
fn serve(bench: &Bench, arguments: &[&str]) -> (Running, String) {
    let run = served::serve(bench, "served", ANY_PORT);
    let mut running = run.args(arguments).start();
    let line = running.wait_for_line_with("Serving `served` on http://");
    let address = line.rsplit("http://").next().unwrap().to_owned();
    (running, address)
}

/// Asks the registry, and returns the status and the body.
fn ask(address: &str, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    let end = rest
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let status = first.split(' ').nth(1).unwrap().parse().unwrap();
    (status, rest.split_off(end + 4))
}

const INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

#[test]
fn what_was_pushed_is_served_again_after_the_process_was_killed() {
    let bench = bench();
    let (running, address) = serve(&bench, &[]);
    assert_eq!(ask(&address, "PUT", "/v2/app/manifests/1", INDEX).0, 201);
    let said = running.kill();
    let line = " PUT /v2/app/manifests/1 201 0";
    assert!(
        said.stderr.lines().any(|said| said.ends_with(line)),
        "{}",
        said.stderr
    );
    assert_eq!(said.text(), format!("{address}\n"));
    assert_eq!(said.code(), 128 + 9);
    let (_running, address) = serve(&bench, &["--read-only"]);
    assert_eq!(
        ask(&address, "GET", "/v2/app/manifests/1", b""),
        (200, INDEX.to_vec())
    );
    assert_eq!(ask(&address, "PUT", "/v2/app/manifests/1", INDEX).0, 405);
}

#[test]
fn a_directory_that_is_served_already_is_refused() {
    let bench = bench();
    let (_running, _) = serve(&bench, &[]);
    let refused = served::serve(&bench, "served", ANY_PORT).run();
    insta::assert_snapshot!(refused.error(3), @r"
    error: cannot serve `served`
      = caused by: `served` is served by another process
      = help: `--read-only` serves a directory that another process writes, as it is now
    ");
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let bench = bench();
    bench.file("letter.txt", "x");
    let refused = served::serve(&bench, "context", ANY_PORT).run();
    insta::assert_snapshot!(refused.error(3), @r"
    error: cannot serve `context`
      = caused by: `context` has files in it and is no image layout: it has no `oci-layout`
    ");
    let left = std::fs::read_dir(bench.path("context")).unwrap();
    assert_eq!(left.count(), 1);
}

#[test]
fn an_address_that_is_taken_or_none_is_refused() {
    let bench = bench();
    let (_running, address) = serve(&bench, &[]);
    let serve = |address: &str| served::serve(&bench, "other", address).run();
    let taken = serve(&address);
    let said = taken.error(3).replace(&address, "$ADDRESS");
    insta::assert_snapshot!(said, @r"
    error: cannot serve `other`
      = caused by: listen on `$ADDRESS`
      = caused by: Address already in use (os error 98)
    ");
    let none = serve("5000");
    assert!(
        none.error(2)
            .starts_with("error: invalid value '5000' for '--listen"),
        "{}",
        none.stderr
    );
}

#[test]
fn an_address_that_others_reach_is_warned_of_unless_nothing_can_be_pushed() {
    let bench = bench();
    let warning = "warning: whoever reaches this address may push to it";
    for (arguments, expected) in [
        (&["--listen", "0.0.0.0:0"][..], true),
        (&["--listen", "0.0.0.0:0", "--read-only"], false),
    ] {
        let mut running = bench
            .careen(&["registry", "serve", "--dir", "served"])
            .args(arguments)
            .start();
        running.wait_for_line_with("Serving `served` on http://0.0.0.0:");
        running.id().interrupt();
        let said = running.finish();
        assert_eq!(said.code(), 128 + 2);
        assert_eq!(said.stderr.contains(warning), expected, "{}", said.stderr);
    }
}
