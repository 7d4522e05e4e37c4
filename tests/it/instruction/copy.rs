//! `COPY`: what is copied.

use std::fs;

use insta::assert_snapshot;
use support::{Feature, Kind, needs};

use crate::bench;

#[test]
fn a_file_keeps_its_content_its_mode_and_its_time() {
    let bench = bench();
    bench.file("tool", "#!/bin/sh\n");
    bench.mode("tool", 0o751);
    bench.dockerfile("FROM scratch\nCOPY tool /\n");
    let built = bench.build(&[]);
    let tool = built.image().entry("tool");
    assert_eq!((tool.text(), tool.mode), ("#!/bin/sh\n", 0o751));
    let time = fs::metadata(bench.path("context/tool"))
        .unwrap()
        .modified()
        .unwrap();
    let seconds = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert_eq!(tool.mtime.unsigned_abs(), seconds);
}

#[test]
fn wildcards_stand_for_the_names_that_match() {
    let bench = bench();
    for name in ["a.txt", "b.txt", "c.md", "sub/d.txt", "sub/e.md"] {
        bench.file(name, name);
    }
    bench.dockerfile("FROM scratch\nCOPY *.txt /top/\nCOPY */[de].* /below/\nCOPY ?.md /one/\n");
    let built = bench.build(&[]);
    let tree = built.image().tree();
    let paths: Vec<_> = tree.keys().copied().collect();
    let expected = [
        "below",
        "below/d.txt",
        "below/e.md",
        "one",
        "one/c.md",
        "top",
        "top/a.txt",
        "top/b.txt",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn directories_are_merged() {
    let bench = bench();
    for (path, content) in [
        ("one/both", "1"),
        ("one/deep/first", "1"),
        ("one/first", "1"),
        ("two/both", "2"),
        ("two/deep/second", "2"),
    ] {
        bench.file(path, content);
    }
    bench.dockerfile("FROM scratch\nCOPY one two /all/\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.layers.len(), 1);
    let tree = image.tree();
    let paths: Vec<_> = tree.keys().copied().collect();
    let expected = [
        "all",
        "all/both",
        "all/deep",
        "all/deep/first",
        "all/deep/second",
        "all/first",
    ];
    assert_eq!(paths, expected);
    assert_eq!(image.text("all/both"), "2");
}

#[test]
fn copy_keeps_hard_links_within_one_instruction() {
    let bench = bench();
    bench.file("d/one", "same\n");
    fs::hard_link(bench.path("context/d/one"), bench.path("context/d/two")).unwrap();
    bench.dockerfile("FROM scratch\nCOPY d /d/\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.text("d/one"), "same\n");
    assert_eq!(
        image.entry("d/two").kind,
        Kind::HardLink("d/one".to_owned())
    );
}

#[test]
fn a_link_below_the_source_stays_one_and_the_source_itself_is_followed() {
    let bench = bench();
    bench.file("d/file", "content\n");
    bench.link("d/link", "file");
    bench.link("d/dangling", "/no/such");
    bench.link("outer", "d/link");
    bench.dockerfile("FROM scratch\nCOPY d /d/\nCOPY outer /followed\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.entry("d/link").kind, Kind::Symlink("file".to_owned()));
    assert_eq!(
        image.entry("d/dangling").kind,
        Kind::Symlink("/no/such".to_owned())
    );
    assert_eq!(image.text("followed"), "content\n");
}

#[test]
fn no_path_and_no_link_leads_out_of_the_context() {
    let bench = bench();
    fs::write(bench.path("secret"), "not yours\n").unwrap();
    bench.file("secret", "of the context\n");
    bench.link("up", "../secret");
    bench.link("root", "/secret");
    bench.dockerfile("FROM scratch\nCOPY ../secret /a\nCOPY up /b\nCOPY root /c\n");
    let built = bench.build(&[]);
    for path in ["a", "b", "c"] {
        assert_eq!(built.image().text(path), "of the context\n", "{path}");
    }
}

#[test]
fn heredocs_are_files() {
    let bench = bench();
    bench.dockerfile(
        "FROM scratch\nARG who=world\n\
         COPY <<a <<\"b\" /etc/\nhello $who\na\nhello $who\nb\n\
         COPY --chmod=755 <<-run /run.sh\n\t#!/bin/sh\n\trun\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.text("etc/a"), "hello world\n");
    assert_eq!(image.text("etc/b"), "hello $who\n");
    assert_eq!(
        (image.text("run.sh"), image.entry("run.sh").mode),
        ("#!/bin/sh\n", 0o755)
    );
}

#[test]
fn patterns_of_exclude_are_left_out() {
    let bench = bench();
    for name in ["d/keep", "d/drop.log", "d/sub/drop.log", "d/sub/keep"] {
        bench.file(name, "");
    }
    bench.dockerfile("FROM scratch\nCOPY --exclude=**/*.log d /d/\n");
    let built = bench.build(&[]);
    let tree = built.image().tree();
    let paths: Vec<_> = tree.keys().copied().collect();
    assert_eq!(paths, ["d", "d/keep", "d/sub", "d/sub/keep"]);
}

#[test]
fn a_named_context_is_copied_from() {
    let bench = bench();
    fs::create_dir(bench.path("other")).unwrap();
    fs::write(bench.path("other/file"), "of the other\n").unwrap();
    bench.dockerfile("FROM scratch\nCOPY --from=other file /\n");
    let built = bench.build(&["--build-context", "other=other"]);
    assert_eq!(built.image().text("file"), "of the other\n");
}

#[test]
fn a_command_sees_what_was_copied() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("d/file", "content\n");
    bench.dockerfile("FROM base\nCOPY d /d/\nRUN cat /d/file && echo more >> /d/file\n");
    let built = bench.build(&[]);
    assert_eq!(built.log.output(), ["content"]);
    assert_eq!(built.image().top_paths(), ["d", "d/file"]);
    assert_eq!(built.image().text("d/file"), "content\nmore\n");
}

#[test]
fn a_source_that_is_missing_is_shown_with_one_that_is_like_it() {
    let bench = bench();
    bench.file("requirements.txt", "");
    bench.dockerfile("FROM scratch\nCOPY requirments.txt /app/\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: COPY source not found: `requirments.txt`
     --> Dockerfile:2:6
      |
    2 | COPY requirments.txt /app/
      |      ^^^^^^^^^^^^^^^ no such path
      |
      = note: build context: $BENCH/context
      = help: a path with a similar name exists: `requirements.txt`
    ");
}

#[test]
fn a_wildcard_without_a_match_copies_nothing() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY *.toml \\\n    Docker* /app/\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().top_paths(), ["app", "app/Dockerfile"]);
}

#[test]
fn of_several_sources_onto_one_file_the_last_stays() {
    let bench = bench();
    bench.file("a", "1\n");
    bench.file("b", "2\n");
    bench.dockerfile("FROM scratch\nCOPY a b /file\n");
    assert_eq!(bench.build(&[]).image().text("file"), "2\n");
}

#[test]
fn special_bits_of_the_context_are_kept() {
    let bench = bench();
    let cases = [
        ("d/setuid", 0o4755),
        ("d/setgid", 0o2755),
        ("d/sub/x", 0o644),
    ];
    for (path, mode) in cases {
        bench.file(path, "");
        bench.mode(path, mode);
    }
    bench.mode("d/sub", 0o1777);
    bench.dockerfile("FROM scratch\nCOPY d /d/\n");
    let built = bench.build(&[]);
    for (path, mode) in cases {
        assert_eq!(built.image().entry(path).mode, mode, "{path}");
    }
    assert_eq!(built.image().entry("d/sub").mode, 0o1777);
}

#[test]
fn a_file_with_holes_is_copied_with_all_its_bytes() {
    let bench = bench();
    bench.file("sparse", "start");
    let file = fs::File::options()
        .write(true)
        .open(bench.path("context/sparse"))
        .unwrap();
    file.set_len(1 << 20).unwrap();
    bench.dockerfile("FROM scratch\nCOPY sparse /\n");
    let built = bench.build(&[]);
    let content = built.image().text("sparse");
    assert_eq!(content.len(), 1 << 20);
    assert_eq!(content.trim_end_matches('\0'), "start");
}

#[test]
fn a_socket_of_the_context_becomes_an_empty_file() {
    let bench = bench();
    bench.file("d/file", "");
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("context/d/socket")).unwrap();
    bench.dockerfile("FROM scratch\nCOPY d /d/\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().entry("d/socket").kind, Kind::File(Vec::new()));
}
