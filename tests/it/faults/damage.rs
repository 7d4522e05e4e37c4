//! A store whose files are damaged.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use support::Bench;

use crate::bench;

/// Makes a bench with an image whose layers are in the store.
fn bench_with_layers() -> Bench {
    let bench = bench();
    for name in ["one", "two"] {
        bench.file(name, format!("{name}\n").repeat(1000));
    }
    bench.dockerfile("FROM scratch\nCOPY one /\nCOPY two /\n");
    bench
}

fn blobs(bench: &Bench) -> Vec<PathBuf> {
    let directory = bench.path("home/.local/share/careen/content/blobs/sha256");
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn cut_off(blob: &Path) {
    fs::set_permissions(blob, fs::Permissions::from_mode(0o600)).unwrap();
    File::options()
        .write(true)
        .open(blob)
        .unwrap()
        .set_len(10)
        .unwrap();
}

#[test]
fn t_f02_layers_that_are_damaged_in_the_store_are_made_again() {
    for kind in ["oci", "docker"] {
        let bench = bench_with_layers();
        let build = |name: &str| {
            let output = format!("type={kind},dest={name}");
            bench.careen_build(&["-o", &output]).run().success()
        };
        build("before.tar");
        for blob in blobs(&bench) {
            cut_off(&blob);
        }
        let log = build("after.tar");
        assert_eq!(
            log.stderr
                .matches("in the store is damaged; it is made again")
                .count(),
            1,
            "{}",
            log.stderr
        );
        let read = |name| fs::read(bench.path(name)).unwrap();
        assert!(read("before.tar") == read("after.tar"), "{kind}");
    }
}

#[test]
fn a_stream_is_not_begun_anew_and_the_next_one_is_whole() {
    let bench = bench_with_layers();
    let stream = || bench.careen_build(&["-o", "type=oci,dest=-"]).run();
    let before = stream().success().stdout;
    for blob in blobs(&bench) {
        cut_off(&blob);
    }
    let said = stream().error(1).to_owned();
    assert!(said.starts_with("error: cannot write `-`"), "{said}");
    assert!(stream().success().stdout == before);
}
