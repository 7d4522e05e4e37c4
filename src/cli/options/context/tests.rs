use clap::Parser as _;

use super::*;
use crate::args::{Arguments, Command};

fn arguments(words: &[&str]) -> BuildArguments {
    let words = ["careen", "build"].iter().chain(words);
    match Arguments::try_parse_from(words).unwrap().command {
        Command::Build(build) => *build,
        other => panic!("{other:?}"),
    }
}

fn env() -> Environment {
    Environment {
        current_directory: PathBuf::from("/nowhere"),
        ..Environment::default()
    }
}

fn git(text: &str) -> GitUrl {
    parse_git_url(text).unwrap().unwrap()
}

#[test]
fn a_context_is_a_directory_unless_it_is_written_as_something_else() {
    let github = GitUrl {
        remote: "https://github.com/a/b".to_owned(),
        ..git("github.com/a/b")
    };
    let directory = |path: &str| ContextSource::Directory(PathBuf::from(path));
    for (text, expected) in [
        (".", directory("/nowhere/.")),
        ("a.git", directory("/nowhere/a.git")),
        ("/abs", directory("/abs")),
        ("-", ContextSource::Stdin),
        (
            "https://e.com/a.git#v1:d",
            ContextSource::Git(git("https://e.com/a.git#v1:d")),
        ),
        ("git@e.com:a/b", ContextSource::Git(git("git@e.com:a/b"))),
        ("ssh://e.com/a", ContextSource::Git(git("ssh://e.com/a"))),
        ("github.com/a/b", ContextSource::Git(github)),
        (
            "https://e.com/a.tar",
            ContextSource::Http("https://e.com/a.tar".to_owned()),
        ),
    ] {
        assert_eq!(
            context(&arguments(&[text]), &env()).unwrap(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn a_directory_goes_before_a_repository_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("github.com/a/b");
    std::fs::create_dir_all(&path).unwrap();
    let env = Environment {
        current_directory: directory.path().to_owned(),
        ..Environment::default()
    };
    let found = context(&arguments(&["github.com/a/b"]), &env).unwrap();
    assert_eq!(found, ContextSource::Directory(path));
}

#[test]
fn the_dockerfile_is_a_path_as_it_is_written_or_from_elsewhere() {
    for (words, expected) in [
        (vec!["."], DockerfileSource::Usual),
        (
            vec!["-f", "sub/D", "."],
            DockerfileSource::Path("sub/D".into()),
        ),
        (vec!["-f", "-", "."], DockerfileSource::Stdin),
        (
            vec!["-f", "http://e.com/D", "."],
            DockerfileSource::Http("http://e.com/D".to_owned()),
        ),
    ] {
        assert_eq!(
            dockerfile(&arguments(&words)).unwrap(),
            expected,
            "{words:?}"
        );
    }
    let error = dockerfile(&arguments(&["-f", "-", "-"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "standard input cannot be both the build context and the Dockerfile"
    );
}

#[test]
fn named_contexts_are_told_apart() {
    let location = |path: &str, selector: &str| {
        let mut location = LayoutLocation::parse(&format!("x{selector}")).unwrap();
        location.path = PathBuf::from(path);
        NamedContext::Layout(location)
    };
    let image = |name: &str| NamedContext::Image(name.to_owned());
    for (text, name, expected) in [
        ("a=dir", "a", NamedContext::Directory("/nowhere/dir".into())),
        ("a=d=r", "a", NamedContext::Directory("/nowhere/d=r".into())),
        (
            "Base=oci-layout://l:1",
            "base",
            location("/nowhere/l", ":1"),
        ),
        (
            "docker.io/library/alpine:latest=docker-image://x",
            "alpine",
            image("x"),
        ),
        (
            "a::linux/arm64=container-image://x:1",
            "a::linux/arm64",
            image("x:1"),
        ),
        ("a=docker://x", "a", image("x")),
        ("a=docker-image://scratch", "a", NamedContext::Empty),
        (
            "a=https://e.com/x.git",
            "a",
            NamedContext::Git(git("https://e.com/x.git")),
        ),
        (
            "a=https://e.com/x",
            "a",
            NamedContext::Http("https://e.com/x".to_owned()),
        ),
    ] {
        let found = named_contexts(&arguments(&["--build-context", text, "."]), &env()).unwrap();
        assert_eq!(
            found,
            BTreeMap::from([(name.to_owned(), expected)]),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_context_says_why() {
    for (text, expected) in [
        ("name", "`--build-context name`: `name` is no `NAME=VALUE`"),
        ("=x", "`--build-context =x`: `=x` is no `NAME=VALUE`"),
        ("x=", "`--build-context x=`: `x=` is no `NAME=VALUE`"),
        (
            "a b=.",
            "`--build-context a b=.`: `a b` cannot be the name of a context",
        ),
        (
            "::linux/arm64=.",
            "`--build-context ::linux/arm64=.`: `::linux/arm64` cannot be the name of a context",
        ),
        (
            "a=s3://b",
            "`--build-context a=s3://b`: there are no contexts `s3://`, but directories, URLs, git repositories, \
             `oci-layout://` and `docker-image://`",
        ),
        (
            "a=target:b",
            "`--build-context a=target:b`: there are no contexts `target:`, but directories, URLs, git \
             repositories, `oci-layout://` and `docker-image://`",
        ),
        (
            "a=docker-image://X",
            "`--build-context a=docker-image://X`: `X` is no name of an image",
        ),
        (
            "a=https://u:p@e.com/x.git?tag=",
            "`https://u:xxxxx@e.com/x.git?tag=` is no URL of a git repository",
        ),
    ] {
        let found = named_contexts(&arguments(&["--build-context", text, "."]), &env());
        assert_eq!(found.unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_password_is_not_shown() {
    for (url, expected) in [
        ("https://u:p@e.com/a?b#c", "https://u:xxxxx@e.com/a?b#c"),
        ("https://u:p@w@e.com", "https://u:xxxxx@e.com"),
        ("https://e.com/a:b@c", "https://e.com/a:b@c"),
        ("ssh://git@e.com/a", "ssh://git@e.com/a"),
        ("ssh://git:p:w@e.com/a", "ssh://git:xxxxx@e.com/a"),
        ("git@e.com:a/b", "git@e.com:a/b"),
    ] {
        assert_eq!(without_password(url), expected);
    }
}

#[test]
fn a_token_is_not_shown_wherever_it_stands() {
    for userinfo in [
        "TOKEN",
        "TOKEN:",
        ":TOKEN",
        "TOKEN:x-oauth-basic",
        "u:TOKEN",
    ] {
        for (scheme, path) in [
            ("https", "/r.git#v1"),
            ("http", "/r.git"),
            ("https", "/f"),
            ("http", ""),
        ] {
            let url = format!("{scheme}://{userinfo}@e.com{path}");
            let source = context(&arguments(&[&url]), &env()).unwrap();
            let shown = source.to_string();
            assert!(!shown.contains("TOKEN"), "{url}: {shown}");
            assert!(shown.contains(&format!("xxxxx@e.com{path}")), "{shown}");
        }
        let http = format!("https://{userinfo}@e.com/r.git?tag=");
        let refused = context(&arguments(&[&http]), &env()).unwrap_err();
        assert!(!refused.to_string().contains("TOKEN"), "{refused}");
        for (name, tag) in [("", "tag"), ("", "tag=v1"), ("a b=", "tag"), ("a=", "tag")] {
            let text = format!("{name}{http}").replace("tag=", tag);
            let found = named_contexts(&arguments(&["--build-context", &text, "."]), &env());
            let refused =
                crate::report::Report::new(crate::report::Kind::Usage, &found.unwrap_err());
            assert!(
                !refused.to_text().contains("TOKEN"),
                "{}",
                refused.to_text()
            );
        }
    }
}
