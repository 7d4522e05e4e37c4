//! What cache mounts hold, exported and imported with caches.

use std::collections::BTreeMap;
use std::fs;

use support::{Bench, Feature, Outcome, needs};

use crate::bench;
use crate::served::Served;

const TO: &str = "type=local,dest=cache,mounts=all";
const FROM: &str = "type=local,src=cache";

/// Returns a step that mounts the cache `c` and runs a command.
fn step(command: &str) -> String {
    format!("RUN --mount=type=cache,id=c,target=/c {command}\n")
}

/// Builds steps on the base.
fn build(bench: &Bench, steps: &[String], arguments: &[&str]) -> support::Built {
    bench.dockerfile(&format!("FROM base\n{}", steps.concat()));
    bench.build(arguments)
}

/// Builds one step in a store that has never been used, with what was exported.
fn imported(bench: &Bench, command: &str) -> String {
    bench.forget();
    let built = build(bench, &[step(command)], &["--cache-from", FROM]);
    built.image().text("out").to_owned()
}

/// Returns the sizes of the blobs of the exported cache, in bytes.
fn blobs(bench: &Bench) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(bench.path("cache/blobs/sha256")).unwrap();
    let sizes = entries.map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, entry.metadata().unwrap().len())
    });
    sizes.collect()
}

#[test]
fn a_mount_of_one_store_is_there_in_another() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let fill = step(
        "mkdir -p /c/d && echo kept > /c/d/f && chmod 751 /c/d/f && ln -s d/f /c/l && ln /c/d/f /c/h \
         && touch -d '2020-02-03 04:05:06' /c/d/f /c/d",
    );
    build(&bench, &[fill], &["--cache-to", TO]);
    let found = imported(
        &bench,
        "cat /c/l > /out && stat -c '%a %h %Y %n' /c/d/f /c/h /c/d >> /out",
    );
    let expected = "kept\n751 2 1580702706 /c/d/f\n751 2 1580702706 /c/h\n755 2 1580702706 /c/d\n";
    assert_eq!(found, expected);
}

#[test]
fn a_mount_is_exported_only_where_it_is_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let fill = step("touch /c/file");
    let other = "RUN --mount=type=cache,id=o,target=/o touch /o/file\n".to_owned();
    let steps = [fill, other];
    build(&bench, &steps, &["--cache-to", "type=local,dest=cache"]);
    assert_eq!(imported(&bench, "ls /c > /out"), "");
    fs::remove_dir_all(bench.path("cache")).unwrap();
    bench.forget();
    let to = "type=local,dest=cache,\"mounts=o,nope\"";
    let built = build(&bench, &steps, &["--cache-to", to]);
    let warning = "the cache mount `nope` is not exported: the store has none of that id";
    assert!(built.log.stderr.contains(warning), "{}", built.log.stderr);
    let look =
        "RUN --mount=type=cache,id=o,target=/o --mount=type=cache,id=c,target=/c ls /o /c > /out\n";
    bench.forget();
    let built = build(&bench, &[look.to_owned()], &["--cache-from", FROM]);
    assert_eq!(built.image().text("out"), "/c:\n\n/o:\nfile\n");
    bench.forget();
    let from = format!("{FROM},mounts=none");
    let built = build(&bench, &[look.to_owned()], &["--cache-from", &from]);
    assert_eq!(built.image().text("out"), "/c:\n\n/o:\n");
}

#[test]
fn a_second_export_has_what_changed_and_no_more() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let fill = "head -c 3000000 /dev/urandom > /c/large && echo gone > /c/goes";
    build(&bench, &[step(fill)], &["--cache-to", TO]);
    let first = blobs(&bench);
    let change = "touch /c/large && rm /c/goes && echo new > /c/comes";
    build(&bench, &[step(change)], &["--cache-to", TO]);
    let second = blobs(&bench);
    let new: u64 = second
        .iter()
        .filter(|(name, _)| !first.contains_key(*name))
        .map(|(_, size)| size)
        .sum();
    assert!(new < 100_000, "{new} bytes were written for one small file");
    let found = imported(
        &bench,
        "ls /c > /out && wc -c < /c/large >> /out && cat /c/comes >> /out",
    );
    assert_eq!(found, "comes\nlarge\n3000000\nnew\n");
    // Exported from the copy, it is the same.
    build(&bench, &[step("true")], &["--cache-to", TO]);
    let again = blobs(&bench);
    let large =
        |blobs: &BTreeMap<String, u64>| blobs.values().filter(|size| **size > 2_000_000).count();
    assert_eq!((large(&first), large(&again)), (1, 1));
}

#[test]
fn a_mount_is_fetched_when_a_step_uses_it_and_not_before() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let fill = step("head -c 200000 /dev/urandom > /c/file && echo done > /out");
    build(&bench, std::slice::from_ref(&fill), &["--cache-to", TO]);
    let packs: Vec<_> = blobs(&bench)
        .into_iter()
        .filter(|(_, size)| *size > 150_000)
        .collect();
    let [(pack, _)] = packs.as_slice() else {
        panic!("one pack: {packs:?}")
    };
    fs::remove_file(bench.path("cache/blobs/sha256").join(pack)).unwrap();
    bench.forget();
    let built = build(&bench, std::slice::from_ref(&fill), &["--cache-from", FROM]);
    assert_eq!(built.log.outcome(fill.trim()), Some(Outcome::Cached));
    assert!(
        !built.log.stderr.contains("is not used"),
        "{}",
        built.log.stderr
    );
}

#[test]
fn a_damaged_mount_is_an_empty_one_with_a_warning() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let fill = step("head -c 200000 /dev/urandom > /c/file && touch /c/other");
    build(&bench, &[fill], &["--cache-to", TO]);
    for (name, size) in blobs(&bench) {
        if size > 150_000 {
            let path = bench.path("cache/blobs/sha256").join(name);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
    bench.forget();
    let look = step("ls /c > /out && touch /c/begun");
    let built = build(&bench, &[look], &["--cache-from", FROM]);
    assert_eq!(built.image().text("out"), "");
    assert!(
        built.log.stderr.contains("the cache mount `c` of `"),
        "{}",
        built.log.stderr
    );
    let built = build(&bench, &[step("ls /c > /out")], &["--cache-from", FROM]);
    assert_eq!(built.image().text("out"), "begun\n");
}

#[test]
fn a_mount_that_the_store_has_is_left_as_it_is() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    build(&bench, &[step("touch /c/exported")], &["--cache-to", TO]);
    bench.forget();
    build(&bench, &[step("touch /c/own")], &[]);
    let built = build(&bench, &[step("ls /c > /out")], &["--cache-from", FROM]);
    assert_eq!(built.image().text("out"), "own\n");
}

#[test]
fn what_another_build_exported_stays() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    build(&bench, &[step("touch /c/file")], &["--cache-to", TO]);
    bench.forget();
    let other = "RUN --mount=type=cache,id=o,target=/o touch /o/file\n".to_owned();
    build(&bench, &[other], &["--cache-to", TO]);
    assert_eq!(imported(&bench, "ls /c > /out"), "file\n");
}

#[test]
fn a_secret_in_a_mount_is_not_exported() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let secret = "hunter2-and-more";
    bench.file("token", secret);
    let read = "RUN --mount=type=cache,id=c,target=/c --mount=type=secret,id=t,target=/c/token \
                grep -q hunter2 /c/token && echo used > /c/file\n";
    let given = ["--secret", "id=t,src=context/token", "--cache-to", TO];
    build(&bench, &[read.to_owned()], &given);
    let found = imported(&bench, "cat /c/file > /out; cat /c/token >> /out || true");
    assert_eq!(found, "used\n");
}

#[test]
fn a_registry_has_mounts_as_a_directory_has() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let served = Served::start(&bench);
    let reference = served.name("team/cache:main");
    let to = format!("type=registry,ref={reference},mounts=all");
    build(&bench, &[step("echo one > /c/file")], &["--cache-to", &to]);
    bench.forget();
    let both = ["--cache-from", &reference, "--cache-to", &to];
    let built = build(
        &bench,
        &[step("cp /c/file /out && echo two > /c/more")],
        &both,
    );
    assert_eq!(built.image().text("out"), "one\n");
    bench.forget();
    let look = step("cat /c/file /c/more > /out");
    let built = build(&bench, &[look], &["--cache-from", &reference]);
    assert_eq!(built.image().text("out"), "one\ntwo\n");
}
