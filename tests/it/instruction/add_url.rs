//! `ADD` of files that a server has.

use insta::assert_snapshot;
use support::{Bench, Built, Entry, HttpServer, Kind, Reply, compress, tarball};

use crate::bench;

/// The digest of `text\n`.
const DIGEST: &str = "sha256:b9e68e1bea3e5b19ca6b2f98b73a54b73daafaa250484902e09982e07a12e733";

/// The digest of an empty file.
const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn text() -> Reply {
    Reply::file("text\n")
}

/// Makes a bench whose Dockerfile has these lines after `FROM scratch`; `$URL` is the server.
fn bench_with(server: &HttpServer, lines: &str) -> Bench {
    let bench = bench();
    write(&bench, server, lines);
    bench
}

fn write(bench: &Bench, server: &HttpServer, lines: &str) {
    let lines = lines.replace("$URL", &server.url(""));
    bench.dockerfile(&format!("FROM scratch\n{lines}\n"));
}

/// Returns what a build that fails says, with the server's address as `$URL`.
fn refusal(server: &HttpServer, bench: &Bench) -> String {
    server.conceal(&bench.refusal(&[]))
}

fn methods(server: &HttpServer) -> Vec<String> {
    let asked = server.asked().into_iter();
    asked
        .map(|asked| format!("{} {}", asked.method, asked.path))
        .collect()
}

#[test]
fn a_file_is_roots_alone_and_as_old_as_the_server_says() {
    let server = HttpServer::start();
    let changed = "Sun, 06 Nov 1994 08:49:37 GMT";
    server.serve("/a/file.txt?v=1", text().header("Last-Modified", changed));
    server.serve("/old", text());
    let bench = bench_with(
        &server,
        "ADD $URL/a/file.txt?v=1 /in/\nADD $URL/a/file.txt?v=1 /called\n\
         ADD --chown=3:4 --chmod=640 $URL/old /changed",
    );
    let built = bench.build(&[]);
    let image = built.image();
    for path in ["in/file.txt", "called"] {
        let file = image.entry(path);
        assert_eq!(
            (file.mode, file.owner, file.mtime),
            (0o600, (0, 0), 784_111_777),
            "{path}"
        );
        assert_eq!(image.text(path), "text\n");
    }
    let changed = image.entry("changed");
    assert_eq!(
        (changed.mode, changed.owner, changed.mtime),
        (0o640, (3, 4), 0)
    );
}

#[test]
fn t_b03_a_file_without_a_name_gets_one_and_its_host_is_none() {
    let server = HttpServer::start();
    server.serve("/", text());
    let built = bench_with(&server, "ADD $URL /in/").build(&[]);
    assert_eq!(built.image().text("in/__unnamed__"), "text\n");
}

#[test]
fn what_is_unchanged_is_not_fetched_again() {
    let server = HttpServer::start();
    server.serve("/f", text().header("ETag", "\"one\""));
    let bench = bench_with(&server, "ADD $URL/f /f\nCOPY Dockerfile /");
    let first = bench.build(&[]);
    let second = bench.build(&[]);
    assert_eq!(first.archive.top_digest(), second.archive.top_digest());
    let asked = server.asked();
    let tags: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("if-none-match"))
        .collect();
    assert_eq!(tags, [None, Some("\"one\"")]);
    assert!(
        second.log.stderr.contains("CACHED"),
        "{}",
        second.log.stderr
    );

    server.serve("/f", Reply::file("other\n").header("ETag", "\"two\""));
    assert_eq!(bench.build(&[]).image().text("f"), "other\n");
}

#[test]
fn a_time_alone_changes_no_key() {
    let server = HttpServer::start();
    let dated = |day: u32| {
        text().header(
            "Last-Modified",
            &format!("Sun, 0{day} Nov 1994 08:49:37 GMT"),
        )
    };
    server.serve("/f", dated(6));
    let bench = bench_with(&server, "ADD $URL/f /f");
    bench.build(&[]);
    server.serve("/f", dated(7));
    let second = bench.build(&[]);
    assert_eq!(methods(&server), ["GET /f", "GET /f"]);
    assert!(
        second.log.stderr.contains("CACHED"),
        "{}",
        second.log.stderr
    );
}

#[test]
fn a_known_digest_needs_no_server() {
    let server = HttpServer::start();
    server.serve("/f", text());
    let bench = bench_with(&server, &format!("ADD --checksum={DIGEST} $URL/f /f"));
    bench.build(&[]);
    write(
        &bench,
        &server,
        &format!("ADD --checksum={DIGEST} $URL/elsewhere/g /in/"),
    );
    let built = bench.build(&[]);
    assert_eq!(built.image().text("in/g"), "text\n");
    assert_eq!(methods(&server), ["GET /f"]);
}

#[test]
fn t_e16_another_digest_is_refused() {
    let server = HttpServer::start();
    server.serve("/f", text());
    let bench = bench_with(&server, &format!("ADD --checksum={EMPTY} $URL/f /f"));
    assert_snapshot!(refusal(&server, &bench), @r"
    error: the file at `$URL/f` has the digest `sha256:b9e68e1bea3e5b19ca6b2f98b73a54b73daafaa250484902e09982e07a12e733`, not `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 $URL/f /f
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the file is another one
    ");
}

#[test]
fn an_archive_is_unpacked_only_when_that_is_asked_for() {
    let server = HttpServer::start();
    let packed = compress::gzip(&tarball::write(&[Entry::file("file", "packed\n")]));
    server.serve("/a.tgz", Reply::file(packed.clone()));
    let bench = bench_with(
        &server,
        "ADD $URL/a.tgz /kept/\nADD --unpack $URL/a.tgz /unpacked/\nADD --unpack=false $URL/a.tgz /too/",
    );
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.entry("kept/a.tgz").kind, Kind::File(packed.clone()));
    assert_eq!(image.entry("too/a.tgz").kind, Kind::File(packed));
    assert_eq!(image.text("unpacked/file"), "packed\n");
    // It is one source of three steps.
    assert_eq!(methods(&server), ["GET /a.tgz"]);
}

#[test]
fn local_and_remote_sources_stand_in_one_layer() {
    let server = HttpServer::start();
    server.serve("/a", Reply::file("a of the server\n"));
    server.serve("/b", Reply::file("b of the server\n"));
    let bench = bench_with(&server, "ADD a $URL/a $URL/b b /in/");
    bench.file("a", "a of the context\n");
    bench.file("b", "b of the context\n");
    let built = bench.build(&[]);
    // The last one of a name is the one that stays.
    assert_eq!(built.image().text("in/a"), "a of the server\n");
    assert_eq!(built.image().text("in/b"), "b of the context\n");
}

#[test]
fn redirects_lead_to_the_file_and_not_into_this_machine() {
    let server = HttpServer::start();
    server.serve("/moved", Reply::status(302).header("Location", "/there"));
    server.serve("/there", text());
    let local = Reply::status(302).header("Location", "file:///etc/passwd");
    server.serve("/local", local);
    let bench = bench_with(&server, "ADD $URL/moved /in/");
    assert_eq!(bench.build(&[]).image().text("in/moved"), "text\n");
    write(&bench, &server, "ADD $URL/local /in/");
    assert_snapshot!(refusal(&server, &bench), @r"
    error: fetch `$URL/local`: redirected to `file:///etc/passwd`
     --> Dockerfile:2:1
      |
    2 | ADD $URL/local /in/
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not fetched
      |
      = caused by: it begins with neither `http://` nor `https://`
    ");
}

#[test]
fn t_g01_user_and_password_of_a_url_reach_its_server_and_no_message() {
    let server = HttpServer::start();
    server.serve("/f", text());
    let url = server.url("/f").replace("http://", "http://me:canary@");
    let bench = bench();
    bench.dockerfile(&format!("FROM scratch\nADD {url} /f\n"));
    let Built { log, archive } = bench.build(&[]);
    let asked = server.asked();
    assert_eq!(asked[0].header("authorization"), Some("Basic bWU6Y2FuYXJ5"));
    assert!(!log.stderr.contains("canary"), "{}", log.stderr);
    assert_eq!(
        archive.image().history(),
        [format!("ADD {} /f # buildkit", server.url("/f"))]
    );
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_url() {
    let server = HttpServer::start();
    let bench = bench_with(&server, "ADD $URL/missing /f");
    assert_snapshot!(refusal(&server, &bench), @r"
    error: fetch `$URL/missing`: the server answered 404 Not Found
     --> Dockerfile:2:1
      |
    2 | ADD $URL/missing /f
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not there
    ");
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_host() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nADD http://no.such.host.invalid/f /f\n");
    let said = bench.refusal(&[]);
    assert!(
        said.starts_with("error: fetch `http://no.such.host.invalid/f`: "),
        "{said}"
    );
}

#[test]
fn a_name_that_is_no_name_is_refused() {
    let server = HttpServer::start();
    server.serve("/a/%2e%2e", text());
    let bench = bench_with(&server, "ADD $URL/a/%2e%2e /in/");
    let said = refusal(&server, &bench);
    assert!(
        said.starts_with("error: cannot use the path `..`"),
        "{said}"
    );
}

#[test]
fn a_checksum_that_does_not_fit_is_refused_at_its_place() {
    let server = HttpServer::start();
    let mut said = String::new();
    for line in [
        "ADD --checksum=0123 http://e.invalid/f /f",
        &format!("ADD --checksum={DIGEST} http://e.invalid/f http://e.invalid/g /d/"),
        &format!("ADD --checksum={DIGEST} Dockerfile /d/"),
    ] {
        said += &refusal(&server, &bench_with(&server, line));
        said += "\n";
    }
    assert_snapshot!(said, @r"
    error: invalid checksum: digest `0123` is not of the form `algorithm:digits`
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=0123 http://e.invalid/f /f
      |                ^^^^
      |
      = help: write `sha256:` and 64 hexadecimal digits
    error: --checksum is for one source, and this has 2
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=sha256:b9e68e1bea3e5b19ca6b2f98b73a54b73daafaa250484902e09982e07a12e733 http://e.invalid/f http://e.invalid/g /d/
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write an `ADD` for each
    error: --checksum is for URLs and git repositories
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=sha256:b9e68e1bea3e5b19ca6b2f98b73a54b73daafaa250484902e09982e07a12e733 Dockerfile /d/
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_repository_that_is_said_in_two_ways_is_refused_at_its_place() {
    let server = HttpServer::start();
    let mut said = String::new();
    for line in [
        "ADD https://e.invalid/r.git?tag=a#b /d/",
        "ADD --checksum=xyz https://e.invalid/r.git /d/",
        "ADD --keep-git-dir=false https://e.invalid/r.git?keep-git-dir=true /d/",
        "ADD --checksum=abcd https://e.invalid/r.git?commit=abce /d/",
        "ADD https://e.invalid/r.git?fetch-by-commit=true /d/",
        "COPY https://e.invalid/f /d/",
    ] {
        said += &refusal(&server, &bench_with(&server, line));
        said += "\n";
    }
    assert_snapshot!(said, @r"
    error: `https://e.invalid/r.git?tag=a#b`: a git URL names both `b` and `refs/tags/a`
     --> Dockerfile:2:5
      |
    2 | ADD https://e.invalid/r.git?tag=a#b /d/
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    error: invalid checksum `xyz`: a commit is named by hexadecimal digits
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=xyz https://e.invalid/r.git /d/
      |                ^^^
    error: --keep-git-dir and the URL say different things
     --> Dockerfile:2:5
      |
    2 | ADD --keep-git-dir=false https://e.invalid/r.git?keep-git-dir=true /d/
      |     ^^^^^^^^^^^^^^^^^^^^
    error: --checksum and the URL name different commits: `abcd` and `abce`
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=abcd https://e.invalid/r.git?commit=abce /d/
      |                ^^^^
    error: `fetch-by-commit` needs a commit: `commit=…` in the URL, or --checksum
     --> Dockerfile:2:5
      |
    2 | ADD https://e.invalid/r.git?fetch-by-commit=true /d/
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    error: COPY takes no URLs: `https://e.invalid/f`
     --> Dockerfile:2:6
      |
    2 | COPY https://e.invalid/f /d/
      |      ^^^^^^^^^^^^^^^^^^^
      |
      = help: use `ADD`, which does
    ");
}

#[test]
fn a_secret_for_the_host_reaches_that_host_alone() {
    let (server, other) = (HttpServer::start(), HttpServer::start());
    server.serve("/f", text());
    server.serve(
        "/moved",
        Reply::status(302).header("Location", &other.url("/f")),
    );
    other.serve("/f", text());
    let bench = bench_with(&server, "ADD $URL/f /f\nADD $URL/moved /g");
    std::fs::write(bench.path("token"), "canary\n").unwrap();
    let host = server.url("").replace("http://", "");
    let secret = format!("id=HTTP_AUTH_TOKEN_{host},src=token");
    let log = bench.build(&["--secret", &secret]).log;
    for asked in server.asked() {
        assert_eq!(
            asked.header("authorization"),
            Some("Bearer canary"),
            "{asked:?}"
        );
    }
    assert_eq!(other.asked()[0].header("authorization"), None);
    assert!(!log.stderr.contains("canary"), "{}", log.stderr);
}
