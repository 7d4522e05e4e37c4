//! `COPY --parents`: files with the directories that lead to them.

use insta::assert_snapshot;
use support::layout::host_platform;
use support::{BaseImage, Entry};

use crate::bench;

#[test]
fn directories_come_with_their_attributes_from_the_pivot_on() {
    let bench = bench();
    for path in ["src/lib/a/x.c", "src/lib/b/y.c", "src/lib/b/y.o", "README"] {
        bench.file(path, "");
    }
    bench.mode("src/lib/b", 0o700);
    bench.dockerfile(
        "FROM scratch\n\
         COPY --parents --exclude=**/*.o src/./lib/**/*.c src/lib/b /out/\n\
         COPY --parents *.none README /\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    let paths: Vec<&str> = image.tree().keys().copied().collect();
    assert_eq!(
        paths,
        [
            "README",
            "out",
            "out/lib",
            "out/lib/a",
            "out/lib/a/x.c",
            "out/lib/b",
            "out/lib/b/y.c",
            "out/src",
            "out/src/lib",
            "out/src/lib/b",
            "out/src/lib/b/y.c",
        ]
    );
    assert_eq!(image.entry("out/lib/b").mode, 0o700);
    assert_eq!(
        image.history().last().map(String::as_str),
        Some("COPY --parents *.none README / # buildkit")
    );
}

#[test]
fn owners_of_an_image_come_along_and_can_be_changed() {
    let entries = vec![
        Entry::directory("data").mode(0o710).owner(5, 6),
        Entry::directory("data/sub").owner(5, 6),
        Entry::file("data/sub/file", "").owner(7, 8),
    ];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), entries)]);
    bench.dockerfile(
        "FROM scratch\nCOPY --from=base --parents data/sub/file /kept/\n\
         COPY --from=base --parents --chown=1:2 --chmod=u=rwX,go= /data/./sub/file /changed/\n",
    );
    let built = bench.build(&[]);
    let found = |path: &str| {
        let entry = built.image().entry(path);
        (entry.mode, entry.owner)
    };
    assert_eq!(found("kept/data"), (0o710, (5, 6)));
    assert_eq!(found("kept/data/sub/file"), (0o644, (7, 8)));
    assert_eq!(found("changed/sub"), (0o700, (1, 2)));
    assert_eq!(found("changed/sub/file"), (0o600, (1, 2)));
}

#[test]
fn a_path_that_is_not_there_is_named_with_a_similar_one() {
    let bench = bench();
    bench.file("src/main.c", "");
    bench.dockerfile("FROM scratch\nCOPY --parents src/mian.c /\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: COPY source not found: `src/mian.c`
     --> Dockerfile:2:16
      |
    2 | COPY --parents src/mian.c /
      |                ^^^^^^^^^^ no such path
      |
      = note: build context: $BENCH/context
      = help: a path with a similar name exists: `src/main.c`
    ");
}
