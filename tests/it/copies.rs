//! Copies of a context that changes a little from build to build: what a command sees and what is packed is what it would
//! be without the earlier builds.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use support::{Bench, Feature, needs};

use crate::bench;

const DOCKERFILE: &str = "FROM base\nRUN mkdir /src && echo base > /src/under && touch -t 202001020304 /src/under\nCOPY files /src/\n\
    RUN find /src -mindepth 1 -exec stat -c '%n %Y %a %s %F' '{}' ';' | sort; find /src -type f | sort | xargs cat\n";

/// What is done to the context between two builds.
type Edit = (&'static str, fn(&Path));

const EDITS: [Edit; 7] = [
    ("the same size and time", |files| {
        let path = files.join("a/3");
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "other 3\n").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    }),
    ("another mode", |files| {
        fs::set_permissions(files.join("b/1"), fs::Permissions::from_mode(0o755)).unwrap();
    }),
    ("a file that is gone", |files| {
        fs::remove_file(files.join("a/5")).unwrap();
    }),
    ("another name", |files| {
        fs::rename(files.join("a/6"), files.join("b/six")).unwrap();
    }),
    ("a new directory", |files| {
        fs::create_dir(files.join("b/new")).unwrap();
        fs::write(files.join("b/new/file"), "new\n").unwrap();
    }),
    ("a directory in the place of a file", |files| {
        fs::remove_file(files.join("a/7")).unwrap();
        fs::create_dir(files.join("a/7")).unwrap();
        fs::write(files.join("a/7/inside"), "inside\n").unwrap();
    }),
    ("what covered a file of the base", |files| {
        fs::remove_file(files.join("under")).unwrap();
    }),
];

fn bench_with_files() -> Bench {
    let bench = bench().with_busybox();
    for directory in ["a", "b"] {
        for number in 0..60 {
            bench.file(
                &format!("files/{directory}/{number}"),
                format!("text {number}\n"),
            );
        }
    }
    bench.file("files/under", "above\n");
    bench.dockerfile(DOCKERFILE);
    bench
}

/// Builds without an output, then packs what is in the store; returns what the command said and what was packed.
fn built(bench: &Bench) -> (Vec<String>, Vec<u8>) {
    let log = bench
        .careen_build(&["-o", "type=cacheonly"])
        .run()
        .success();
    let said = log.output().iter().map(ToString::to_string).collect();
    bench.build_as(&[], "type=oci,dest=out.tar,rewrite-timestamp=true");
    (said, fs::read(bench.path("out.tar")).unwrap())
}

/// Returns how many snapshots are deltas over others; none where owners are recorded, which has no deltas.
fn deltas(bench: &Bench) -> Option<usize> {
    let snapshots = bench.path("home/.local/share/careen/snapshots/userns-multi");
    let found = fs::read_dir(snapshots).ok()?;
    let marks = found.map(|entry| entry.unwrap().path().join("snapshot.json"));
    let texts = marks.filter_map(|mark| fs::read_to_string(mark).ok());
    Some(
        texts
            .filter(|text| text.contains(r#""parent":"copy-"#))
            .count(),
    )
}

#[test]
fn a_copy_that_is_the_same_for_all_platforms_is_made_once() {
    let bench = bench();
    bench.file("file", "text\n");
    bench.dockerfile("FROM scratch\nCOPY file /new/file\n");
    let flags = [
        "--platform",
        "linux/amd64,linux/arm64",
        "-o",
        "type=tar,dest=out.tar",
    ];
    bench.careen_build(&flags).run().success();
    let snapshots = bench.path("home/.local/share/careen/snapshots");
    let modes = fs::read_dir(snapshots).unwrap();
    let made = modes.flat_map(|mode| fs::read_dir(mode.unwrap().path()).unwrap());
    assert_eq!(made.count(), 1);
}

#[test]
fn a_context_of_which_little_changed_is_copied_as_if_it_were_new() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    built(&bench);
    for (name, edit) in EDITS {
        edit(&bench.path("context/files"));
        let found = built(&bench);
        // Where the base has something under what is gone, only a whole copy lets it be seen again.
        let expected = usize::from(name != "what covered a file of the base");
        if let Some(count) = deltas(&bench) {
            assert_eq!(count, expected, "{name}");
        }
        bench.forget();
        let whole = built(&bench);
        assert!(!found.0.is_empty(), "{name}");
        assert_eq!(found.0, whole.0, "{name}");
        assert!(found.1 == whole.1, "{name}: other bytes were packed");
    }
}

#[test]
fn a_delta_without_what_it_is_over_is_made_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    built(&bench);
    EDITS[0].1(&bench.path("context/files"));
    let expected = built(&bench);
    if deltas(&bench).is_none_or(|count| count == 0) {
        return;
    }
    let snapshots = bench.path("home/.local/share/careen/snapshots/userns-multi");
    for entry in fs::read_dir(snapshots).unwrap() {
        let mark = entry.unwrap().path().join("snapshot.json");
        let text = fs::read_to_string(&mark).unwrap();
        if text.contains(r#""id":"copy-"#) && !text.contains(r#""parent":"copy-"#) {
            fs::remove_file(mark).unwrap();
        }
    }
    let again = bench.build_as(
        &["--no-cache"],
        "type=oci,dest=out.tar,rewrite-timestamp=true",
    );
    assert_eq!(again.log.output(), expected.0);
    assert!(fs::read(bench.path("out.tar")).unwrap() == expected.1);
    assert_eq!(deltas(&bench), Some(0));
}
