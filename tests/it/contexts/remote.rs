//! Contexts and Dockerfiles that a server has.

use insta::assert_snapshot;
use support::{
    Bench, Built, Entry, Feature, GitRepository, HttpServer, Invocation, Reply, compress, needs,
    tarball,
};

use super::built;
use crate::bench;

/// When the repository's commits were made.
const COMMITTED: i64 = 1_600_000_000;

/// A context as a tar, whose newest file is of the second 1 700 000 302.
fn archive() -> Vec<u8> {
    tarball::write(&[
        Entry::file("Dockerfile", "FROM scratch\nCOPY * /\n").mtime(1_699_996_702),
        Entry::file("sub/D", "FROM scratch\nCOPY file /sub\n").mtime(1),
        Entry::file("file", "packed\n")
            .owner(3, 4)
            .mtime(1_700_000_302),
        Entry::file(".dockerignore", "file\n").mtime(1),
    ])
}

/// Serves a repository as `/r.git`.
fn serve_repository(bench: &Bench, server: &HttpServer) -> GitRepository {
    let repository = GitRepository::create(&bench.path("repository"));
    repository.file("Dockerfile", "FROM scratch\nCOPY file* .git* /\n");
    repository.file("file", "one\n");
    repository.file(".dockerignore", "file\n");
    repository.file("sub/Dockerfile", "FROM scratch\nCOPY inner /\n");
    repository.file("sub/inner", "inner\n");
    repository.commit("one");
    repository.git(&["branch", "first"]);
    repository.file("file", "two\n");
    repository.commit("two");
    server.serve_directory("/r.git", &repository.served());
    repository
}

fn paths(built: &Built) -> Vec<&str> {
    built.image().tree().into_keys().collect()
}

fn created(built: &Built) -> Option<i64> {
    built.image().config.created.map(oci::Timestamp::seconds)
}

/// Returns a run of `careen build` with a context of the server.
fn build(bench: &Bench, server: &HttpServer, path: &str, arguments: &[&str]) -> Invocation {
    bench
        .careen(&["build"])
        .args(arguments)
        .arg(server.url(path))
}

#[test]
fn a_repository_is_a_context() {
    needs!(Feature::Git);
    let (bench, server) = (bench(), HttpServer::start());
    serve_repository(&bench, &server);
    let at =
        |path: &str, arguments: &[&str]| built(&bench, build(&bench, &server, path, arguments));
    // What is in a repository is there by intent: its ignore file does not count.
    let main = at("/r.git", &[]);
    assert_eq!(paths(&main), ["file"]);
    let step = format!("[internal] load git source {}", server.url("/r.git"));
    assert!(main.log.stderr.contains(&step), "{}", main.log.stderr);
    let file = main.image().entry("file");
    assert_eq!((file.text(), file.owner), ("two\n", (0, 0)));
    assert_eq!(at("/r.git#first", &[]).image().text("file"), "one\n");
    assert_eq!(at("/r.git?branch=first", &[]).image().text("file"), "one\n");
    assert_eq!(at("/r.git#first:sub", &[]).image().text("inner"), "inner\n");
    // `-f` is a path in the repository.
    let named = at("/r.git?subdir=sub", &["-f", "Dockerfile"]);
    assert_eq!(paths(&named), ["inner"]);
    let kept = at(
        "/r.git",
        &["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"],
    );
    assert!(kept.image().has("HEAD"));
}

#[test]
fn an_archive_is_a_context_and_anything_else_a_dockerfile() {
    let (bench, server) = (bench(), HttpServer::start());
    server.serve("/plain", Reply::file(archive()));
    server.serve("/a.tar.gz", Reply::file(compress::gzip(&archive())));
    for path in ["/plain", "/a.tar.gz"] {
        let whole = built(&bench, build(&bench, &server, path, &[]));
        assert_eq!(whole.image().entry("file").owner, (3, 4), "{path}");
        let named = built(&bench, build(&bench, &server, path, &["-f", "sub/D"]));
        assert_eq!(paths(&named), ["sub"], "{path}");
    }
    server.serve("/D", Reply::file("FROM scratch\nCOPY context /file\n"));
    // A name in the context means nothing where the context is the Dockerfile.
    for arguments in [[].as_slice(), &["-f", "any"]] {
        let built = built(&bench, build(&bench, &server, "/D", arguments));
        let file = built.image().entry("file");
        assert_eq!(file.text(), "FROM scratch\nCOPY context /file\n");
        assert_eq!((file.mode, file.mtime), (0o600, 0));
    }
}

#[test]
fn the_dockerfile_alone_comes_from_a_server_or_this_machine() {
    let (bench, server) = (bench(), HttpServer::start());
    server.serve("/D", Reply::file("FROM scratch\nCOPY file /there\n"));
    server.serve("/a.tar", Reply::file(archive()));
    bench.file("file", "here\n");
    let run = bench.careen(&["build", "context", "-f", &server.url("/D")]);
    assert_eq!(built(&bench, run).image().text("there"), "here\n");
    let local = bench.path("local");
    std::fs::write(&local, "FROM scratch\nCOPY file /local\n").unwrap();
    let local = local.display().to_string();
    let run = build(&bench, &server, "/a.tar", &["-f", &local]);
    assert_eq!(built(&bench, run).image().text("local"), "packed\n");
    let run = build(&bench, &server, "/a.tar", &["-f", "-"]);
    let run = run.stdin(super::input(&bench, "FROM scratch\nCOPY file /in\n"));
    assert_eq!(built(&bench, run).image().text("in"), "packed\n");
}

#[test]
fn a_named_context_of_a_server_is_fetched_when_it_is_needed() {
    needs!(Feature::Git);
    let (bench, server) = (bench(), HttpServer::start());
    serve_repository(&bench, &server);
    server.serve("/a.tar", Reply::file(archive()));
    server.serve("/text", Reply::file("text\n"));
    bench.dockerfile(
        "FROM scratch AS tar\nCOPY --from=tar file /tar\n\
         FROM git AS git-base\n\
         FROM scratch\nCOPY --from=tar file /tar\nCOPY --from=text context /text\nCOPY --from=git-base file /git\n",
    );
    let given = [
        format!("tar={}", server.url("/a.tar")),
        format!("text={}", server.url("/text")),
        format!("git={}", server.url("/r.git#first")),
        format!("unused={}", server.url("/none")),
    ];
    let given: Vec<&str> = given
        .iter()
        .flat_map(|context| ["--build-context", context])
        .collect();
    let all = bench.build(&given);
    for (path, text) in [("tar", "packed\n"), ("text", "text\n"), ("git", "one\n")] {
        assert_eq!(all.image().text(path), text);
    }
    assert_eq!(all.image().entry("tar").owner, (3, 4));
    let unused = |asked: &support::http::Asked| asked.path == "/none";
    assert!(!server.asked().iter().any(unused));
}

#[test]
fn a_time_is_that_of_the_commit_of_the_server_or_of_the_newest_file() {
    needs!(Feature::Git);
    let (bench, server) = (bench(), HttpServer::start());
    serve_repository(&bench, &server);
    let modified = Reply::file(archive()).header("Last-Modified", "Tue, 14 Nov 2023 22:16:41 GMT");
    server.serve("/modified.tar", modified);
    server.serve("/a.tar", Reply::file(archive()));
    let context = ["--build-arg", "SOURCE_DATE_EPOCH=context"];
    for (path, expected) in [
        ("/r.git", COMMITTED),
        ("/modified.tar", 1_700_000_201),
        ("/a.tar", 1_700_000_302),
    ] {
        let built = built(&bench, build(&bench, &server, path, &context));
        assert_eq!(created(&built), Some(expected), "{path}");
    }
    for (value, stage, expected) in [
        ("named", String::new(), 1_700_000_302),
        (
            "s",
            format!("FROM scratch AS s\nADD {} /\n", server.url("/a.tar")),
            1_700_000_302,
        ),
        (
            "s",
            format!("FROM scratch AS s\nADD {} /\n", server.url("/r.git")),
            COMMITTED,
        ),
    ] {
        bench.dockerfile(&format!(
            "ARG SOURCE_DATE_EPOCH={value}\n{stage}FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=$SOURCE_DATE_EPOCH\n"
        ));
        let named = format!("named={}", server.url("/a.tar"));
        let run = bench.careen_build(&["--build-context", &named]);
        let built = built(&bench, run.env("SOURCE_DATE_EPOCH", ""));
        assert_eq!(created(&built), Some(expected), "{stage}");
        let label = built.image().config.config.labels.get("epoch").cloned();
        assert_eq!(label, Some(expected.to_string()), "{stage}");
    }
}

#[test]
fn a_policy_may_deny_what_is_fetched_before_it_is() {
    let (bench, server) = (bench(), HttpServer::start());
    bench.dockerfile("FROM scratch\nCOPY --from=named a /\n");
    let rule = r#"{"action": "DENY", "selector": {"identifier": "$ID"}}"#;
    let deny = |identifier: &str| {
        let rules = format!("{{\"rules\": [{rule}]}}").replace("$ID", identifier);
        std::fs::write(bench.path("policy.json"), rules).unwrap();
    };
    let policy = ["--source-policy-file", "policy.json"];
    let said = |run: Invocation| server.conceal(run.run().error(1));
    let at = |path: &str| said(build(&bench, &server, path, &policy));
    deny(&server.url("/*"));
    assert_snapshot!(at("/a.tar"), @r"error: source `$URL/a.tar` denied by policy (rule 1)");
    let url = server.url("/D");
    assert_snapshot!(said(bench.careen_build(&policy).args(&["-f", &url])), @r"error: source `$URL/D` denied by policy (rule 1)");
    let named = format!("named={}", server.url("/a.tar"));
    let run = bench.careen_build(&policy);
    assert_snapshot!(said(run.args(&["--build-context", &named])), @r"error: source `$URL/a.tar` denied by policy (rule 1)");
    deny(&server.url("/r.git").replace("http:", "git:"));
    let git = at("/r.git").replace(&server.url("").replace("http:", "git:"), "$GIT");
    assert_snapshot!(git, @r"error: source `$GIT/r.git` denied by policy (rule 1)");
    assert_eq!(server.asked(), []);
}

#[test]
fn a_token_in_a_url_is_shown_nowhere() {
    needs!(Feature::Git);
    let (bench, server) = (bench(), HttpServer::start());
    serve_repository(&bench, &server);
    server.serve("/a.tar", Reply::file(archive()));
    server.serve("/D", Reply::file("FROM scratch\nCOPY missing /\n"));
    bench.dockerfile("FROM scratch\nCOPY --from=named missing /\n");
    let at = |path: &str| server.url(path).replace("://", "://canary@");
    let (named, unnamed) = (format!("named={}", at("/a.tar")), at("/a.tar?a=b"));
    let (archive, repository, dockerfile) = (at("/a.tar"), at("/r.git"), at("/D"));
    let (none, no_branch) = (at("/none"), at("/r.git#none"));
    for arguments in [
        &["build", &archive][..],
        &["build", &repository],
        &["build", &none],
        &["build", &no_branch],
        &["build", "context", "-f", &dockerfile],
        &["build", "context", "-f", &at("")],
        &["build", "context", "--build-context", &named],
        &["build", "context", "--build-context", &unnamed],
        &["history", "ls"],
    ] {
        let log = bench.careen(arguments).run();
        let said = String::from_utf8_lossy(&log.stdout).into_owned() + &log.stderr;
        assert!(!said.contains("canary"), "{arguments:?}\n{said}");
        assert!(!said.is_empty(), "{arguments:?}");
    }
    assert!(server.asked()[0].header("authorization").is_some());
}

#[test]
fn what_a_server_does_not_have_is_named() {
    needs!(Feature::Git);
    let (bench, server) = (bench(), HttpServer::start());
    serve_repository(&bench, &server);
    server.serve("/a.tar", Reply::file(archive()));
    server.serve("/torn", Reply::file(&archive()[..1500]));
    server.serve("/binary", Reply::file(b"\xff\xfe"));
    let said = |run: Invocation| server.conceal(run.run().error(1));
    let at = |path: &str, arguments: &[&str]| said(build(&bench, &server, path, arguments));
    assert_snapshot!(at("/none", &[]), @r"error: fetch `$URL/none`: the server answered 404 Not Found");
    assert_snapshot!(at("/r.git#none", &[]), @r"
    error: the repository `$URL/r.git` has no branch or tag `none`
      = help: `git ls-remote URL` lists the branches and tags that there are
    ");
    assert_snapshot!(at("/r.git#main:none", &[]), @r"error: the repository `$URL/r.git` has no directory `none`");
    assert_snapshot!(at("/r.git", &["-f", "none"]), @r"
    error: cannot read the Dockerfile `none`
      = caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(at("/a.tar", &["-f", "/none"]), @r"
    error: cannot read the Dockerfile `/none`
      = caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(at("/torn", &[]), @r"
    error: cannot unpack $URL/torn
      = caused by: read the archive of the layer near byte 1024
      = caused by: the archive ends inside an entry
    ");
    assert_snapshot!(at("/binary", &[]), @r"
    error: cannot read the Dockerfile `$URL/binary`
      = caused by: it is not UTF-8
    ");
    bench.dockerfile("FROM scratch\nCOPY --from=named a /\n");
    let named = format!("named={}", server.url("/none"));
    assert_snapshot!(said(bench.careen_build(&["--build-context", &named])), @r"error: fetch `$URL/none`: the server answered 404 Not Found");
    let url = server.url("/none");
    assert_snapshot!(said(bench.careen_build(&["-f", &url])), @r"error: fetch `$URL/none`: the server answered 404 Not Found");
    assert_snapshot!(said(bench.careen_build(&["--build-arg", "SOURCE_DATE_EPOCH=named", "--build-context", &named])), @r"error: fetch `$URL/none`: the server answered 404 Not Found");
}
