//! `git` against repositories on this machine.

use super::*;
use crate::testing::write_script;

#[test]
fn t_b04_names_that_could_be_something_else_are_refused() {
    for good in [
        "refs/heads/a",
        "+refs/heads/*:refs/x/*",
        "0123abc:refs/tags/v1",
    ] {
        assert!(check_refspec(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "-x",
        "--upload-pack=touch x",
        "refs/heads/*",
        "a b",
        "a..b",
        "a:b:c",
        "a:",
        "a^{}",
        "refs/heads/*:refs/x",
    ] {
        assert!(check_refspec(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_format_is_known_by_the_length_of_a_name() {
    for (name, expected) in [
        ("a".repeat(40), Some(ObjectFormat::Sha1)),
        ("0".repeat(64), Some(ObjectFormat::Sha256)),
        ("A".repeat(40), None),
        ("a".repeat(8), None),
    ] {
        assert_eq!(ObjectFormat::of(&name), expected, "{name}");
    }
}

fn refs(text: &str) -> RemoteRefs {
    RemoteRefs::parse(text).unwrap()
}

fn line(digit: &str, name: &str) -> String {
    format!("{}\t{name}\n", digit.repeat(40))
}

#[test]
fn a_name_is_a_whole_name_or_a_branch_or_a_tag() {
    let text = [
        line("a", "refs/heads/both"),
        line("b", "refs/tags/both"),
        line("c", "refs/tags/v1"),
        line("d", "refs/tags/v1^{}"),
        line("e", "refs/pull/1/head"),
    ]
    .concat();
    let refs = refs(&text);
    for (name, commit) in [
        ("both", Some("a")),
        ("refs/tags/both", Some("b")),
        ("tags/both", Some("b")),
        ("v1", Some("d")),
        ("refs/tags/v1", Some("d")),
        ("pull/1/head", Some("e")),
        ("refs/heads/v1", None),
        ("other", None),
    ] {
        let found = refs.find(name).map(|found| found.commit().to_owned());
        assert_eq!(found, commit.map(|digit| digit.repeat(40)), "{name}");
    }
}

#[test]
fn head_is_called_by_its_branch() {
    let text = format!("ref: refs/heads/main\tHEAD\n{}", line("a", "HEAD"));
    assert_eq!(refs(&text).head().unwrap().name, "refs/heads/main");
    assert_eq!(refs(&line("a", "HEAD")).head().unwrap().name, "HEAD");
    assert_eq!(refs("").head(), None);
}

#[test]
fn what_git_does_not_print_is_an_error() {
    for text in ["no tab\n", "xyz\tHEAD\n", &line("a", "refs/tags/v1^{}")] {
        assert_eq!(
            RemoteRefs::parse(text),
            Err(text.trim_end().to_owned()),
            "{text:?}"
        );
    }
}

/// A program that stands in for `git`.
fn script(directory: &Path, text: &str) -> Program {
    let path = directory.join("git");
    write_script(&path, text);
    Program::at(path)
}

fn session(text: &str, check: impl FnOnce(&Session<'_>, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let settings = SessionSettings {
        access: RemoteAccess {
            remote: "https://e.com/r.git".to_owned(),
            ..RemoteAccess::default()
        },
        ..SessionSettings::default()
    };
    let program = script(directory.path(), text);
    let session = Session::create(program, &home, &settings, &|| false).unwrap();
    check(&session, &home);
}

#[test]
fn the_last_words_of_git_are_in_the_error() {
    session("echo fatal: no >&2; exit 128", |git, home| {
        let error = git.refs(&["v1".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ask `https://e.com/r.git` for its branches and tags"
        );
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.ends_with("exit status: 128, saying `fatal: no`"),
            "{cause}"
        );
        assert!(!error.is_refused_by_server());
        assert!(!git.has_commit(home, &"a".repeat(40)).unwrap());
    });
}

#[test]
fn what_a_server_cannot_do_is_told_from_what_failed() {
    let words = "fatal: dumb http transport does not support shallow capabilities";
    session(&format!("echo '{words}' >&2; exit 128"), |git, home| {
        let what = ["refs/heads/a:refs/x".to_owned()];
        let error = git.fetch(home, &what, Depth::One).unwrap_err();
        assert!(error.is_refused_by_server());
    });
}

#[test]
fn t_b06_git_sees_its_own_configuration_and_none_of_the_users() {
    session("env >env; printf '%s\\n' \"$@\" >arguments", |git, home| {
        git.refs(&["v1".to_owned()]).unwrap();
        let arguments = std::fs::read_to_string(home.join("arguments")).unwrap();
        assert_eq!(
            arguments,
            "ls-remote\n--symref\n--\nhttps://e.com/r.git\nv1\n"
        );
        let env = std::fs::read_to_string(home.join("env")).unwrap();
        for expected in [
            "GIT_CONFIG_NOSYSTEM=1".to_owned(),
            "GIT_TERMINAL_PROMPT=0".to_owned(),
            format!("HOME={}", home.display()),
            format!("GIT_CONFIG_GLOBAL={}/.gitconfig", home.display()),
        ] {
            assert!(
                env.lines().any(|line| line == expected),
                "{expected}\n{env}"
            );
        }
    });
}

#[test]
fn a_cancelled_job_ends_git() {
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), "sleep 60; exit 0");
    let settings = SessionSettings::default();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let git = Session::create(program, &home, &settings, &|| true).unwrap();
    let error = git.refs(&[]).unwrap_err();
    assert!(error.is_cancelled(), "{error:?}");
}
