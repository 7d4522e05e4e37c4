//! `careen login` and `careen logout`: what is kept where, and what is said.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use support::{Bench, Feature, HttpServer, Reply, Terminal, needs};

use crate::bench;

/// `me` with `hidden`, and as a registry gets it.
const PAIR: &str = "bWU6aGlkZGVu";

/// A registry that takes nobody but `me` with `hidden`.
fn registry() -> (HttpServer, String) {
    let server = HttpServer::start();
    let reply = Reply::file("{}").only_for(&format!("Basic {PAIR}"));
    server.serve("/v2/", reply);
    let address = server.url("").replace("http://", "");
    (server, address)
}

fn docker_file(bench: &Bench) -> PathBuf {
    bench.path("home/.docker/config.json")
}

/// Writes what is piped into careen.
fn piped(bench: &Bench, text: &str) -> File {
    let path = bench.path("piped");
    fs::write(&path, text).unwrap();
    File::open(path).unwrap()
}

fn log_in(bench: &Bench, address: &str, arguments: &[&str]) -> support::Finished {
    bench
        .careen(&["login", "-u", "me", "--password-stdin"])
        .args(arguments)
        .arg(address)
        .stdin(piped(bench, "hidden\n"))
        .run()
}

/// Puts a helper into the bench that keeps one login in a file, and returns the `PATH` that it is found in.
fn put_helper(bench: &Bench) -> String {
    let script = r#"#!/bin/sh
cd "$HOME" || exit 1
case "$1" in
store) cat > kept ;;
get) read -r server || :; [ -f kept ] && cat kept || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm kept ;;
esac
"#;
    let path = bench.path("docker-credential-test");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bench.path("").display())
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_login_that_the_registry_takes_is_kept_in_a_private_file() {
    let (bench, (server, address)) = (bench(), registry());
    let said = log_in(&bench, &address, &[]).success();
    assert_eq!(said.text(), "Login Succeeded\n");
    assert_eq!(
        said.stderr,
        "warning: the password stands unencrypted in `$BENCH/home/.docker/config.json`; a credential helper \
         (`credsStore`) keeps it safe"
    );
    let file = docker_file(&bench);
    let expected = format!(
        "{{\n\t\"auths\": {{\n\t\t\"{address}\": {{\n\t\t\t\"auth\": \"{PAIR}\"\n\t\t}}\n\t}}\n}}"
    );
    assert_eq!(text(&file), expected);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let sent: Vec<_> = server.asked();
    assert!(
        sent.iter()
            .any(|asked| { asked.header("authorization") == Some(&format!("Basic {PAIR}")) })
    );
}

#[test]
fn a_login_that_the_registry_refuses_is_not_kept() {
    let (bench, (_server, address)) = (bench(), registry());
    let run = bench.careen(&[
        "login",
        "--username",
        "me",
        "--password",
        "wrong-one",
        &address,
    ]);
    let said = run.run();
    assert_eq!(said.code(), 4);
    let stderr = said.stderr.replace(&address, "$REGISTRY");
    assert!(
        stderr.starts_with(
            "warning: others can see a password on the command line; `--password-stdin` hides it\n\
             error: cannot log in to `$REGISTRY`\n"
        ),
        "{stderr}"
    );
    assert!(!stderr.contains("wrong-one"), "{stderr}");
    assert!(!docker_file(&bench).try_exists().unwrap());
}

#[test]
fn what_else_the_file_says_stays_and_a_logout_takes_back_what_was_added() {
    let (bench, (_server, address)) = (bench(), registry());
    let file = docker_file(&bench);
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(
        &file,
        r#"{"psFormat": "x", "auths": {"o.example": {"auth": "eDp5"}}}"#,
    )
    .unwrap();
    log_in(&bench, &address, &[]).success();
    assert!(text(&file).contains(PAIR));
    let out = bench.careen(&["logout", &address]).run().success();
    assert_eq!(out.text(), format!("Removed the login for {address}\n"));
    assert_eq!(
        text(&file),
        "{\n\t\"psFormat\": \"x\",\n\t\"auths\": {\n\t\t\"o.example\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t}\n\t}\n}"
    );
    let out = bench.careen(&["logout", &address]).run().success();
    assert_eq!(out.text(), format!("Not logged in to {address}\n"));
    let out = bench.careen(&["logout", "--all"]).run().success();
    assert_eq!(out.text(), "Removed the login for o.example\n");
}

#[test]
fn a_helper_keeps_the_login_where_one_is_configured() {
    let (bench, (_server, address)) = (bench(), registry());
    let file = docker_file(&bench);
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, r#"{"credsStore": "test"}"#).unwrap();
    let path = put_helper(&bench);
    let careen = |arguments: &[&str]| bench.careen(arguments).env("PATH", &path);
    let said = careen(&["login", "-u", "me", "--password-stdin", &address])
        .stdin(piped(&bench, "hidden\n"))
        .run()
        .success();
    assert_eq!((said.text(), &*said.stderr), ("Login Succeeded\n", ""));
    assert!(!text(&file).contains(PAIR));
    let kept = text(&bench.path("home/kept"));
    let expected = format!(r#"{{"ServerURL":"{address}","Username":"me","Secret":"hidden"}}"#);
    assert_eq!(kept, expected);
    let who = careen(&["login", "--get-login", &address]).run().success();
    assert_eq!(who.text(), "me\n");
    careen(&["logout", &address]).run().success();
    assert!(!bench.path("home/kept").try_exists().unwrap());
    let who = careen(&["login", "--get-login", &address]).run();
    assert_eq!(
        who.error(1),
        format!("error: nobody is logged in to `{address}`")
    );
}

#[test]
fn the_file_that_is_given_is_written_and_counts_alone() {
    let (bench, (_server, address)) = (bench(), registry());
    log_in(&bench, &address, &["--authfile", "mine.json"]).success();
    assert!(text(&bench.path("mine.json")).contains(PAIR));
    assert!(!docker_file(&bench).try_exists().unwrap());
    let who = |run: support::Invocation| run.run().success().text().to_owned();
    let by_argument = bench.careen(&["login", "--get-login", "--authfile", "mine.json", &address]);
    assert_eq!(who(by_argument), "me\n");
    let by_variable = bench.careen(&["login", "--get-login", &address]);
    let by_variable = by_variable.env("REGISTRY_AUTH_FILE", bench.path("mine.json"));
    assert_eq!(who(by_variable), "me\n");
    let nowhere = bench.careen(&["login", "--get-login", &address]).run();
    assert_eq!(nowhere.code(), 1);
    let out = bench.careen(&["logout", &address]);
    let out = out
        .env("REGISTRY_AUTH_FILE", bench.path("mine.json"))
        .env(
            "DOCKER_AUTH_CONFIG",
            format!(r#"{{"auths": {{"{address}": {{"auth": "{PAIR}"}}}}}}"#),
        )
        .run()
        .success();
    assert_eq!(
        out.stderr.replace(&address, "$REGISTRY"),
        "warning: another file or variable than `$BENCH/mine.json` still has a login for `$REGISTRY`"
    );
}

#[test]
fn user_and_password_are_asked_for_and_the_password_is_not_shown() {
    let (bench, (_server, address)) = (bench(), registry());
    let terminal = Terminal::open(24, 80);
    let run = bench.careen(&["login", &address]).stdin(terminal.stream());
    let running = run.start();
    terminal.send("me\n");
    while !terminal.is_raw() {
        std::thread::yield_now();
    }
    terminal.send("hiddex\x7fn\r");
    let said = running.finish().success();
    assert_eq!(said.text(), "Login Succeeded\n");
    assert!(
        said.stderr.starts_with("Username: Password: \n"),
        "{}",
        said.stderr
    );
    assert!(!terminal.is_raw());
    terminal.send("end\n");
    let shown = terminal.wait_for("end");
    assert!(!shown.contains("hid"), "{shown}");
}

#[test]
fn a_key_ends_the_question() {
    let (bench, terminal) = (bench(), Terminal::open(24, 80));
    let run = bench.careen(&["login", "-u", "me", "r.example"]);
    let running = run.stdin(terminal.stream()).start();
    while !terminal.is_raw() {
        std::thread::yield_now();
    }
    terminal.send("hid\x03");
    assert_eq!(running.finish().code(), 130);
    assert!(!terminal.is_raw());
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let bench = bench();
    let error = |arguments: &[&str]| bench.careen(arguments).run().error(2).to_owned();
    assert_eq!(
        error(&["login", "r.example"]),
        "error: cannot ask for the user\n  = caused by: there is no terminal to ask at\n  \
         = help: `--username USER --password-stdin` asks nothing"
    );
    assert_eq!(
        error(&["login", "-u", "me", "--password-stdin", "r.example"]),
        "error: the password is empty"
    );
    assert_eq!(
        error(&["logout", "me:hidden@r.example"]),
        "error: `r.example` is no registry\n  = caused by: its host has a `@`"
    );
    assert_eq!(
        error(&["login", "-u", "a", "-p", "b", "--tls-verify=often"]),
        "error: `--tls-verify=often`: `true` and `false` are known"
    );
}

#[test]
fn a_malformed_file_is_named_and_left_alone() {
    let (bench, (_server, address)) = (bench(), registry());
    let file = docker_file(&bench);
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, "{\n\"auths\": secret\n").unwrap();
    let said = log_in(&bench, &address, &[]);
    assert_eq!(
        said.error(3).replace(&address, "$REGISTRY"),
        "error: cannot find out who is logged in to `$REGISTRY`\n  \
         = caused by: `$BENCH/home/.docker/config.json`, line 2: no valid JSON"
    );
    assert_eq!(text(&file), "{\n\"auths\": secret\n");
}

#[test]
fn proxies_of_dockers_configuration_are_build_arguments_unless_they_are_given() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let file = docker_file(&bench);
    fs::create_dir(file.parent().unwrap()).unwrap();
    let proxies = r#"{"proxies": {"default": {"httpProxy": "http://p.example:3128", "noProxy": "x.example"}}}"#;
    fs::write(&file, proxies).unwrap();
    bench.dockerfile("FROM base\nRUN env | grep -i _proxy= | sort > /proxies\n");
    let built = bench.build(&["--build-arg", "NO_PROXY=given"]);
    assert_eq!(
        built.image().text("proxies"),
        "HTTP_PROXY=http://p.example:3128\nNO_PROXY=given\nhttp_proxy=http://p.example:3128\nno_proxy=given\n"
    );
}
