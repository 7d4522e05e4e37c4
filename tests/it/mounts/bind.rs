//! `--mount=type=bind`.

use insta::assert_snapshot;
use support::{Bench, Feature, Outcome, needs};

use crate::bench;

/// Makes a bench with a context of a few files.
fn bench_with_files() -> Bench {
    let bench = bench().with_busybox();
    bench.file("a.txt", "a\n");
    bench.file("dir/b.txt", "b\n");
    bench.file("hidden.log", "x\n");
    bench.file(".dockerignore", "*.log\n");
    bench.link("link", "dir");
    bench
}

/// Builds a Dockerfile whose last line is a `RUN` that writes `/out`, and returns that.
fn out(bench: &Bench, dockerfile: &str) -> String {
    bench.dockerfile(dockerfile);
    bench.build(&[]).image().text("out").to_owned()
}

#[test]
fn the_context_is_seen_without_what_is_ignored_and_as_roots() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile(
        "FROM base\nRUN --mount=target=/c cd /c && find . | sort > /out && stat -c '%u %g' a.txt dir >> /out\n",
    );
    let built = bench.build(&[]);
    assert_eq!(
        built.image().text("out"),
        ".\n./.dockerignore\n./Dockerfile\n./a.txt\n./dir\n./dir/b.txt\n./link\n0 0\n0 0\n"
    );
    assert_eq!(built.image().top_paths(), ["out"]);
}

#[test]
fn a_source_is_a_directory_a_file_or_a_link_to_one() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let found = out(
        &bench,
        "FROM base\nWORKDIR /w\nRUN --mount=source=dir,target=d --mount=src=a.txt,dst=/etc/a \
         --mount=type=bind,source=/link/b.txt,destination=../f \
         cat /w/d/b.txt /etc/a /f > /out\n",
    );
    assert_eq!(found, "b\na\nb\n");
}

#[test]
fn a_source_is_no_wildcard() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.file("*.txt", "star\n");
    let found = out(
        &bench,
        "FROM base\nRUN --mount=source=*.txt,target=/f cat /f > /out\n",
    );
    assert_eq!(found, "star\n");
}

#[test]
fn a_bind_is_read_only_and_what_is_written_to_a_writable_one_is_discarded() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let found = out(
        &bench,
        "FROM base AS one\nRUN echo 1 > /one\nFROM base\n\
         RUN --mount=target=/c ! touch /c/new 2>/dev/null\n\
         RUN --mount=target=/c,rw echo new > /c/a.txt && cat /c/a.txt\n\
         RUN --mount=from=one,target=/s,rw echo 2 > /s/one && touch /s/two && rm /s/etc/passwd\n\
         RUN --mount=from=one,source=one,target=/f,rw echo 3 > /f && cat /f\n\
         RUN --mount=target=/c --mount=from=one,target=/s cat /c/a.txt /s/one > /out && \
         test -f /s/etc/passwd && ! test -f /s/two\n",
    );
    assert_eq!(found, "a\n1\n");
}

#[test]
fn a_stage_an_image_and_nothing_can_be_mounted() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let found = out(
        &bench,
        "FROM base AS first\nRUN mkdir /d && echo first > /d/file\nFROM base\n\
         RUN --mount=from=0,source=d,target=/d --mount=from=base,target=/image,ro \
         --mount=from=scratch,target=/nothing \
         cat /d/file > /out && ls /nothing >> /out && \
         test -x /image/bin/busybox && ! touch /nothing/x 2>/dev/null\n",
    );
    assert_eq!(found, "first\n");
}

#[test]
fn the_files_of_a_stage_keep_their_owners() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench_with_files();
    let found = out(
        &bench,
        "FROM base AS one\nRUN echo 1 > /file && chown 7:8 /file\nFROM base\n\
         RUN --mount=from=one,source=file,target=/f stat -c '%u %g' /f > /out\n",
    );
    assert_eq!(found, "7 8\n");
}

#[test]
fn a_stage_that_only_a_mount_needs_is_built_and_no_other() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile(
        "FROM base AS used\nRUN echo used > /file\nFROM base AS unused\nRUN false\n\
         FROM base\nRUN --mount=from=used,target=/u cat /u/file > /out\n",
    );
    assert_eq!(bench.build(&[]).image().text("out"), "used\n");
}

#[test]
fn a_named_context_can_be_mounted() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile("FROM base\nRUN --mount=from=other,target=/o cat /o/b.txt > /out\n");
    let built = bench.build(&["--build-context", "other=context/dir"]);
    assert_eq!(built.image().text("out"), "b\n");
}

#[test]
fn mounts_lie_in_each_other_whatever_their_order() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let found = out(
        &bench,
        "FROM base\nRUN --mount=source=a.txt,target=/c/dir/b.txt --mount=target=/c cat /c/dir/b.txt > /out\n",
    );
    assert_eq!(found, "a\n");
}

#[test]
fn a_target_below_a_link_of_the_image_is_where_the_link_leads() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile(
        "FROM base\nRUN mkdir /real && ln -s /real /link && ln -s /nowhere /gone\n\
         RUN --mount=source=dir,target=/link/d --mount=source=a.txt,target=/gone/f \
         cat /real/d/b.txt /nowhere/f > /out\n",
    );
    let built = bench.build(&[]);
    assert_eq!(built.image().text("out"), "b\na\n");
    // What was mounted on is gone; a directory of the image in which it was is in the layer as it is below.
    assert_eq!(built.image().top_paths(), ["out", "real"]);
}

#[test]
fn an_existing_file_is_hidden_and_is_there_again_afterwards() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile(
        "FROM base\nRUN echo mine > /file\nRUN --mount=source=a.txt,target=/file cat /file > /out\nRUN cat /file >> /out\n",
    );
    assert_eq!(bench.build(&[]).image().text("out"), "a\nmine\n");
}

#[test]
fn what_is_mounted_decides_whether_a_step_is_run_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let run = "RUN --mount=source=a.txt,target=/a cat /a";
    bench.dockerfile(&format!("FROM base\n{run}\n"));
    let outcome = || bench.build(&[]).log.outcome(run);
    assert_eq!(outcome(), Some(Outcome::Done));
    assert_eq!(outcome(), Some(Outcome::Cached));
    bench.file("dir/b.txt", "changed\n");
    assert_eq!(outcome(), Some(Outcome::Cached));
    bench.file("a.txt", "changed\n");
    assert_eq!(outcome(), Some(Outcome::Done));
}

#[test]
fn a_stage_that_is_built_anew_with_the_same_files_does_not_run_a_step_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let run = "RUN --mount=from=one,source=out,target=/o,rw cat /o/file";
    bench.dockerfile(&format!(
        "FROM base AS one\nCOPY a.txt /\nRUN mkdir /out && echo same > /out/file\nFROM base\n{run}\n"
    ));
    assert_eq!(bench.build(&[]).log.outcome(run), Some(Outcome::Done));
    bench.file("a.txt", "changed\n");
    let log = bench.build(&[]).log;
    let made = "RUN mkdir /out && echo same > /out/file";
    assert_eq!(log.outcome(made), Some(Outcome::Done));
    assert_eq!(log.outcome(run), Some(Outcome::Cached));
}

#[test]
fn a_source_that_is_missing_is_named_at_its_place() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile("FROM base\nRUN --mount=source=a.txtt,target=/a \\\n    cat /a\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: mount source not found: `a.txtt`
     --> Dockerfile:2:13
      |
    2 | RUN --mount=source=a.txtt,target=/a \
      |             ^^^^^^^^^^^^^ no such path
      |
      = note: build context: $BENCH/context
      = help: a path with a similar name exists: `a.txt`
    ");
    bench.dockerfile(
        "FROM base AS one\nFROM base\nRUN --mount=from=one,source=/etc/pasword,target=/a cat /a\n",
    );
    assert_snapshot!(bench.refusal(&[]), @r"
    error: mount source not found: `/etc/pasword`
     --> Dockerfile:3:22
      |
    3 | RUN --mount=from=one,source=/etc/pasword,target=/a cat /a
      |                      ^^^^^^^^^^^^^^^^^^^ no such path
      |
      = note: the file system of the stage
      = help: a path with a similar name exists: `etc/passwd`
    ");
    bench.dockerfile("FROM base\nRUN --mount=source=hidden.log,target=/a cat /a\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: mount source is left out by the ignore file: `hidden.log`
     --> Dockerfile:2:13
      |
    2 | RUN --mount=source=hidden.log,target=/a cat /a
      |             ^^^^^^^^^^^^^^^^^ ignored
      |
      = note: build context: $BENCH/context
    ");
    bench.dockerfile("FROM base\nRUN --mount=from=scratch,source=/x,target=/a cat /a\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: mount source not found: `/x`
     --> Dockerfile:2:26
      |
    2 | RUN --mount=from=scratch,source=/x,target=/a cat /a
      |                          ^^^^^^^^^ no such path
      |
      = note: an empty file system
    ");
}

#[test]
fn a_link_in_what_is_mounted_leads_nowhere_else() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let secret = bench.path("outside");
    std::fs::write(&secret, "secret").unwrap();
    bench.link("out", &secret.display().to_string());
    bench.dockerfile("FROM base\nRUN --mount=source=out,target=/a cat /a\n");
    let refusal = bench.refusal(&[]);
    assert!(
        refusal.starts_with("error: mount source not found: `out`"),
        "{refusal}"
    );
    bench.dockerfile(&format!(
        "FROM base AS one\nRUN ln -s {} /out\nFROM base\nRUN --mount=from=one,source=/out,target=/a cat /a\n",
        secret.display()
    ));
    let refusal = bench.refusal(&[]);
    assert!(
        refusal.starts_with("error: mount source not found: `/out`"),
        "{refusal}"
    );
}

#[test]
fn a_target_that_cannot_be_mounted_on_is_marked() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.dockerfile("FROM base\nRUN --mount=source=dir,target=/etc/passwd true\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot mount on `/etc/passwd`
     --> Dockerfile:2:24
      |
    2 | RUN --mount=source=dir,target=/etc/passwd true
      |                        ^^^^^^^^^^^^^^^^^^ step 2/2 [stage-0]
      |
      = caused by: it is no directory, or its path leads through a file
    ");
    bench.dockerfile("FROM base\nRUN --mount=source=a.txt,target=/etc true\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot mount on `/etc`
     --> Dockerfile:2:26
      |
    2 | RUN --mount=source=a.txt,target=/etc true
      |                          ^^^^^^^^^^^ step 2/2 [stage-0]
      |
      = caused by: it is a directory, and a file is to be mounted on it
    ");
    bench.dockerfile("FROM base\nRUN --mount=target=/c --mount=type=cache,dst=/c/new true\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot mount on `/c/new`
     --> Dockerfile:2:42
      |
    2 | RUN --mount=target=/c --mount=type=cache,dst=/c/new true
      |                                          ^^^^^^^^^^ step 2/2 [stage-0]
      |
      = caused by: there is no such directory in the read-only mount that it would be in
      = help: write `rw` for the outer mount, or make the directory in what it mounts
    ");
}

#[test]
fn the_working_directory_is_there_in_a_writable_mount_too() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let found = out(
        &bench,
        "FROM base\nWORKDIR /c/build\nRUN --mount=target=/c,rw pwd > /out && cat ../a.txt >> /out\n",
    );
    assert_eq!(found, "/c/build\na\n");
}
