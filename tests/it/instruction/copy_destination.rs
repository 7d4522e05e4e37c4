//! `COPY`: where it goes.

use insta::assert_snapshot;
use support::{BaseImage, Bench, Entry, Feature, Kind, needs};

use crate::bench;

/// Makes a bench whose base has directories and links to copy into.
fn bench_with_places() -> Bench {
    let places = vec![
        Entry::directory("dir").mode(0o711).owner(5, 6),
        Entry::file("dir/old", "old\n"),
        Entry::file("file", "old\n").mode(0o600),
        Entry::directory("real"),
        Entry::symlink("absolute", "/real"),
        Entry::symlink("relative", "real"),
        Entry::symlink("upwards", "../../../real"),
        Entry::symlink("to-file", "file"),
        Entry::symlink("dangling", "/made/later"),
    ];
    bench().with_base(&[BaseImage::new(&support::layout::host_platform(), places)])
}

#[test]
fn a_destination_is_a_directory_if_it_is_one_or_ends_with_a_slash() {
    let bench = bench_with_places();
    bench.file("new", "new\n");
    bench.file("tree/leaf", "leaf\n");
    let cases: [(&str, &str, &[&str]); 9] = [
        ("", "new /dir", &["dir", "dir/new"]),
        ("", "new /dir/", &["dir", "dir/new"]),
        ("", "new /other", &["other"]),
        ("", "new /other/", &["other", "other/new"]),
        ("", "new /a/b/c", &["a", "a/b", "a/b/c"]),
        ("", "new /file", &["file"]),
        ("", "tree /other", &["other", "other/leaf"]),
        ("", "tree /dir", &["dir", "dir/leaf"]),
        ("WORKDIR /dir\n", "new .", &["dir", "dir/new"]),
    ];
    for (before, words, expected) in cases {
        bench.dockerfile(&format!("FROM base\n{before}COPY {words}\n"));
        assert_eq!(
            bench.build(&[]).image().top_paths(),
            expected,
            "COPY {words}"
        );
    }
}

#[test]
fn what_is_there_stays_and_keeps_its_attributes() {
    let bench = bench_with_places();
    bench.file("tree/leaf", "leaf\n");
    bench.dockerfile("FROM base\nCOPY tree /dir/\n");
    let built = bench.build(&[]);
    let image = built.image();
    let dir = image.entry("dir");
    assert_eq!(
        (&dir.kind, dir.mode, dir.owner),
        (&Kind::Directory, 0o711, (5, 6))
    );
    assert_eq!(image.text("dir/old"), "old\n");
    assert_eq!(image.text("dir/leaf"), "leaf\n");
}

#[test]
fn directories_on_the_way_are_made_for_root_and_everybody() {
    let bench = bench_with_places();
    bench.file("new", "");
    bench.dockerfile("FROM base\nCOPY --chown=5:6 new /a/b/c\n");
    let built = bench.build(&[]);
    let image = built.image();
    for (path, mode) in [("a", 0o755), ("a/b", 0o755), ("a/b/c", 0o644)] {
        assert_eq!(
            (image.entry(path).mode, image.entry(path).owner),
            (mode, (5, 6)),
            "{path}"
        );
    }
}

#[test]
fn t_b09_links_in_the_destination_are_followed_inside_the_image() {
    let bench = bench_with_places();
    bench.file("new", "new\n");
    for link in ["absolute", "relative", "upwards"] {
        bench.dockerfile(&format!("FROM base\nCOPY new /{link}/\n"));
        let built = bench.build(&[]);
        assert_eq!(built.image().top_paths(), ["real", "real/new"], "{link}");
        assert!(
            matches!(built.image().entry(link).kind, Kind::Symlink(_)),
            "{link}"
        );
    }
}

#[test]
fn a_directory_and_a_file_do_not_replace_each_other() {
    let bench = bench_with_places();
    bench.file("tree/leaf", "");
    bench.dockerfile("FROM base\nCOPY tree /file\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot copy a directory onto `/file`, which is not a directory
     --> Dockerfile:2:1
      |
    2 | COPY tree /file
      | ^^^^^^^^^^^^^^^ step 2/2
    ");
    bench.file("more/old/leaf", "");
    bench.dockerfile("FROM base\nCOPY more /dir\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot copy a directory onto `/dir/old`, which is not a directory
     --> Dockerfile:2:1
      |
    2 | COPY more /dir
      | ^^^^^^^^^^^^^^ step 2/2
    ");
}

#[test]
fn a_copy_goes_where_a_command_that_ran_again_says_and_to_whom() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("new", "new\n");
    // Another number with each run, under the same key.
    bench.dockerfile(
        "FROM base\n\
         RUN n=1$(tr -dc 0-9 < /proc/sys/kernel/random/uuid | head -c 3) && mkdir -p /$n /etc && ln -s /$n /app \
         && echo $n > /n && echo user:x:$n:$n::/: >> /etc/passwd\n\
         COPY --chown=user new /app/\nWORKDIR /app/made\nRUN cat /app/new && test -d /app/made\n",
    );
    for arguments in [&[][..], &["--no-cache"], &["--no-cache"]] {
        let built = bench.build(arguments);
        assert_eq!(built.log.output(), ["new"], "{arguments:?}");
        let image = built.image();
        let number: u64 = image.text("n").trim().parse().unwrap();
        let copied = image.entry(&format!("{number}/new"));
        assert_eq!(copied.owner, (number, number), "{arguments:?}");
    }
}
