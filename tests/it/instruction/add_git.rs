//! `ADD` of git repositories, served over plain HTTP.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use insta::assert_snapshot;
use support::{Bench, Feature, GitRepository, HttpServer, Kind, needs};

use crate::bench;

/// A repository, the server that has it, and a bench that builds with it.
struct Remote {
    server: HttpServer,
    repository: GitRepository,
    bench: Bench,
}

impl Remote {
    /// Makes a repository with two commits: `v1`, an annotated tag, and what `main` is.
    fn create() -> Self {
        let (server, bench) = (HttpServer::start(), bench());
        let repository = GitRepository::create(&bench.path("repository"));
        repository.file("file", "one\n");
        repository.file("sub/inner", "inner\n");
        repository.commit("one");
        repository.git(&["tag", "-a", "-m", "first", "v1"]);
        let program = repository.file("program", "#!/bin/sh\n");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        repository.file("file", "two\n");
        symlink("/etc", bench.path("repository/outside")).unwrap();
        repository.commit("two");
        server.serve_directory("/r.git", &repository.served());
        Self {
            server,
            repository,
            bench,
        }
    }

    fn commit_of(&self, name: &str) -> String {
        self.repository
            .git(&["rev-parse", &format!("{name}^{{commit}}")])
    }

    /// Writes a Dockerfile with these lines after `FROM scratch`; `$URL` is the repository.
    fn dockerfile(&self, lines: &str) -> &Bench {
        let lines = lines.replace("$URL", &self.server.url("/r.git"));
        self.bench.dockerfile(&format!("FROM scratch\n{lines}\n"));
        &self.bench
    }

    /// Returns what a build that fails says.
    fn refusal(&self, lines: &str) -> String {
        let said = self.dockerfile(lines).refusal(&[]);
        self.server
            .conceal(&said)
            .replace("/usr/local/bin/git", "$GIT")
            .replace("/usr/bin/git", "$GIT")
            .replace(&self.commit_of("v1"), "$V1")
            .replace(&self.commit_of("main"), "$MAIN")
    }
}

#[test]
fn a_repository_is_its_files() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let bench = remote.dockerfile(
        "ADD $URL /main/\nADD $URL#v1 /tag/\nADD $URL#v1:sub /sub/\nADD $URL?subdir=sub&ref=main /query",
    );
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.text("main/file"), "two\n");
    assert_eq!(image.text("tag/file"), "one\n");
    for directory in ["sub", "query"] {
        assert_eq!(image.text(&format!("{directory}/inner")), "inner\n");
        assert!(!image.has(&format!("{directory}/file")));
    }
    let (file, program) = (image.entry("main/file"), image.entry("main/program"));
    assert_eq!((file.mode, file.owner), (0o644, (0, 0)));
    assert_eq!(program.mode, 0o755);
    assert_eq!(image.entry("main/sub").mode, 0o755);
    assert_eq!(
        image.entry("main/outside").kind,
        Kind::Symlink("/etc".into())
    );
    assert!(!image.has("main/.git"));
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let bench = remote.dockerfile("ADD --keep-git-dir $URL /r/");
    let umask = ["sh", "-c", "umask 077; exec \"$@\"", "sh"];
    let output = ["--output", "type=oci,dest=out.tar"];
    bench.careen_build_under(&umask, &output).run().success();
    let archive = support::Archive::read(&std::fs::read(bench.path("out.tar")).unwrap());
    let image = archive.image();
    for (path, mode) in [("r/file", 0o644), ("r/sub", 0o755), ("r/.git/HEAD", 0o644)] {
        assert_eq!(image.entry(path).mode, mode, "{path}");
    }
}

#[test]
fn git_is_kept_when_that_is_asked_for() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let bench =
        remote.dockerfile("ADD --keep-git-dir $URL#v1 /r/\nADD $URL?keep-git-dir#v1:sub /s/");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.text("r/.git/HEAD").trim(), remote.commit_of("v1"));
    assert!(
        image
            .text("r/.git/config")
            .contains(&remote.server.url("/r.git"))
    );
    assert!(!image.has("r/.git/objects/info/alternates"));
    assert!(!image.has("s/.git"));

    let index = image.entry("r/.git/index").kind.clone();
    bench.forget();
    let again = bench.build(&[]);
    assert_eq!(again.image().entry("r/.git/index").kind, index);
}

#[test]
fn files_have_the_time_of_the_commit_when_that_is_asked_for() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let built = remote.dockerfile("ADD $URL?mtime=commit /r/").build(&[]);
    assert_eq!(built.image().entry("r/file").mtime, 1_600_000_000);
    assert_eq!(built.image().entry("r/sub").mtime, 1_600_000_000);
}

#[test]
fn a_name_is_asked_for_again_and_a_known_commit_is_not() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let commit = remote.commit_of("v1");
    let bench = remote.dockerfile(&format!("ADD $URL#v1 /r/\nADD $URL#{commit} /s/"));
    bench.build(&[]);
    remote.server.asked();
    let bench = remote.dockerfile(&format!("ADD $URL?ref={commit}&commit={commit} /r/"));
    assert_eq!(bench.build(&[]).image().text("r/file"), "one\n");
    let bench = remote.dockerfile(&format!("ADD --checksum={commit} $URL#v1 /t/"));
    assert_eq!(bench.build(&[]).image().text("t/file"), "one\n");
    assert_eq!(remote.server.asked(), []);

    let bench = remote.dockerfile("ADD $URL /r/");
    assert_eq!(bench.build(&[]).image().text("r/file"), "two\n");
    remote.repository.file("file", "three\n");
    remote.repository.commit("three");
    assert_eq!(bench.build(&[]).image().text("r/file"), "three\n");
}

#[test]
fn submodules_are_among_the_files_unless_they_are_not_wanted() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let inner = GitRepository::create(&remote.bench.path("inner"));
    inner.file("deep", "deep\n");
    inner.commit("deep");
    remote.server.serve_directory("/inner.git", &inner.served());
    // A relative URL counts from that of the repository.
    remote.repository.git(&[
        "submodule",
        "--quiet",
        "add",
        &remote.server.url("/inner.git"),
        "module",
    ]);
    remote.repository.git(&[
        "config",
        "-f",
        ".gitmodules",
        "submodule.module.url",
        "../inner.git",
    ]);
    remote.repository.commit("module");
    let bench = remote.dockerfile(
        "ADD $URL /r/\nADD $URL?submodules=false /s/\nADD --keep-git-dir $URL /k/\nADD $URL#:module /m/",
    );
    let built = bench.build(&[]);
    let image = built.image();
    for path in ["r/module/deep", "k/module/deep", "m/deep"] {
        assert_eq!(image.text(path), "deep\n", "{path}");
    }
    assert!(!image.has("s/module/deep"));
    assert!(!image.has("r/module/.git"));
    assert!(image.has("k/module/.git"));
}

#[test]
fn a_submodule_leads_to_no_file_of_this_machine() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let inner = GitRepository::create(&remote.bench.path("inner"));
    inner.file("deep", "deep\n");
    inner.commit("deep");
    let path = remote.bench.path("inner").display().to_string();
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &path,
        "module",
    ];
    remote.repository.git(&add);
    remote.repository.commit("module");
    let said = remote.refusal("ADD $URL /r/");
    assert!(said.contains("transport 'file' not allowed"), "{said}");
}

// The case of buildah's own suite, "ADD with git source escape" (CVE-2026-44517): a directory that is a link out of the
// repository, or stands below one.
#[test]
fn t_b01_add_with_git_source_escape() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let host = remote.bench.path("host");
    std::fs::create_dir_all(host.join("below")).unwrap();
    std::fs::write(host.join("below/secret"), "secret").unwrap();
    let repository = remote.bench.path("repository");
    symlink(&host, repository.join("escape")).unwrap();
    symlink("../host", repository.join("relative")).unwrap();
    symlink("../..", repository.join("sub/up")).unwrap();
    remote.repository.commit("links");
    for path in [
        "escape",
        "escape/below",
        "relative/below",
        "sub/up/host/below",
    ] {
        let said = remote.refusal(&format!("ADD $URL#main:{path} /r/"));
        assert!(
            said.contains(&format!("has no directory `{path}`")),
            "{said}"
        );
    }
    // All of it has the links as they are.
    let built = remote.dockerfile("ADD $URL /r/").build(&[]);
    let tree: Vec<_> = built.image().tree().into_keys().collect();
    assert!(tree.contains(&"r/escape"), "{tree:?}");
    assert!(
        !tree.iter().any(|path| path.ends_with("secret")),
        "{tree:?}"
    );
}

#[test]
fn t_b02_a_name_or_directory_that_is_not_there_is_told() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let mut said = String::new();
    for line in [
        "ADD $URL#nothing /r/",
        "ADD $URL?branch=v1 /r/",
        "ADD $URL#v1:nothing /r/",
        "ADD $URL#main:outside /r/",
        "ADD $URL#main:../.. /r/",
    ] {
        said += &remote.refusal(line);
        said += "\n";
    }
    assert_snapshot!(said, @r"
    error: the repository `$URL/r.git` has no branch or tag `nothing`
     --> Dockerfile:2:34
      |
    2 | ADD $URL/r.git#nothing /r/
      |                                  ^^^^^^^ no such branch or tag
      |
      = help: `git ls-remote URL` lists the branches and tags that there are
    error: the repository `$URL/r.git` has no branch or tag `refs/heads/v1`
     --> Dockerfile:2:41
      |
    2 | ADD $URL/r.git?branch=v1 /r/
      |                                         ^^ no such branch or tag
      |
      = help: `git ls-remote URL` lists the branches and tags that there are
    error: the repository `$URL/r.git` has no directory `nothing`
     --> Dockerfile:2:37
      |
    2 | ADD $URL/r.git#v1:nothing /r/
      |                                     ^^^^^^^ no such directory
    error: the repository `$URL/r.git` has no directory `outside`
     --> Dockerfile:2:39
      |
    2 | ADD $URL/r.git#main:outside /r/
      |                                       ^^^^^^^ no such directory
    error: the repository `$URL/r.git` has no directory `../..`
     --> Dockerfile:2:39
      |
    2 | ADD $URL/r.git#main:../.. /r/
      |                                       ^^^^^ no such directory
    ");
}

#[test]
fn t_e16_another_commit_is_told() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let main = remote.commit_of("main");
    let mut said = String::new();
    for line in [
        &format!("ADD --checksum={main} $URL#v1 /r/"),
        &format!("ADD $URL?tag=v1&commit={main} /r/"),
        "ADD $URL#0123456789012345678901234567890123456789 /r/",
    ] {
        said += &remote.refusal(line);
        said += "\n";
    }
    assert_snapshot!(said, @r"
    error: `v1` of `$URL/r.git` is the commit `$V1`, not `$MAIN`
     --> Dockerfile:2:16
      |
    2 | ADD --checksum=$MAIN $URL/r.git#v1 /r/
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ another commit is there
    error: `refs/tags/v1` of `$URL/r.git` is the commit `$V1`, not `$MAIN`
     --> Dockerfile:2:48
      |
    2 | ADD $URL/r.git?tag=v1&commit=$MAIN /r/
      |                                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ another commit is there
    error: the repository `$URL/r.git` has no commit `0123456789012345678901234567890123456789`
     --> Dockerfile:2:34
      |
    2 | ADD $URL/r.git#0123456789012345678901234567890123456789 /r/
      |                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no such commit
    ");
}

#[test]
fn a_remote_that_is_none_is_told_in_the_words_of_git() {
    needs!(Feature::Git);
    let server = HttpServer::start();
    let bench = bench();
    bench.dockerfile(&format!(
        "FROM scratch\nADD {} /r/\n",
        server.url("/none.git")
    ));
    let said = server.conceal(&bench.refusal(&[]));
    let said = said
        .replace("/usr/local/bin/git", "$GIT")
        .replace("/usr/bin/git", "$GIT");
    assert_snapshot!(said, @r"
    error: ask `$URL/none.git` for its branches and tags
     --> Dockerfile:2:1
      |
    2 | ADD $URL/none.git /r/
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not fetched
      |
      = caused by: run `$GIT`: exit status: 128, saying `fatal: repository '$URL/none.git/' not found`
    ");
}

#[test]
fn t_g01_a_token_reaches_the_server_and_is_kept_nowhere() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let bench = remote.dockerfile("ADD --keep-git-dir $URL /r/");
    std::fs::write(bench.path("token"), "canary\n").unwrap();
    bench.build(&["--secret", "id=GIT_AUTH_TOKEN,src=token"]);
    // `x-access-token:canary`, as RFC 7617 has it.
    let expected = "Basic eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5";
    let asked = remote.server.asked();
    assert!(!asked.is_empty());
    for asked in asked {
        assert_eq!(asked.header("authorization"), Some(expected), "{asked:?}");
    }
    assert_eq!(holders(&bench.path("home"), expected.as_bytes()), [""; 0]);
    // The scan sees what is there.
    assert_ne!(holders(&bench.path("home"), b"refs/heads/main"), [""; 0]);
}

/// Returns the files below a directory that hold some bytes, as far as they can be read.
fn holders(directory: &std::path::Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(path);
            } else if std::fs::read(&path)
                .is_ok_and(|content| content.windows(bytes.len()).any(|part| part == bytes))
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn t_b05_hostile_names_reach_git_as_names() {
    needs!(Feature::Git);
    let remote = Remote::create();
    let touched = remote.bench.path("touched");
    for reference in [
        "--upload-pack=touch touched",
        "-x",
        "a b",
        "*",
        "refs/heads/*",
        "a..b",
    ] {
        let encoded = reference.replace(' ', "%20");
        let said = remote.refusal(&format!("ADD $URL#{encoded} /r/"));
        assert!(said.starts_with("error: "), "{said}");
        assert!(!touched.try_exists().unwrap(), "{reference}");
    }
}

#[test]
fn without_git_the_way_out_is_told() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nADD https://e.invalid/r.git /r/\n");
    let finished = bench.careen_build(&[]).env("PATH", "/nowhere").run();
    assert_snapshot!(finished.error(3), @r"
    error: git is needed to fetch `https://e.invalid/r.git`
     --> Dockerfile:2:1
      |
    2 | ADD https://e.invalid/r.git /r/
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not fetched
      |
      = caused by: find the program `git` in /nowhere
      = help: apt-get install --no-install-recommends git
    ");
}
