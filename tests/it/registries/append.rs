//! `--append`: each build adds its platform to the index that a name has.

use std::fs;

use oci::Digest;
use oci::check;
use oci::descriptor::platform_of;
use support::Bench;

use crate::bench;
use crate::served::{Served, count, push_base};

const AMD64: &str = "linux/amd64";
const ARM64: &str = "linux/arm64";

/// A bench whose image can be built for any platform.
fn bench_for_all() -> Bench {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    bench
}

/// Returns the bytes of what a place names.
fn raw(bench: &Bench, place: &str) -> Vec<u8> {
    let inspect = ["imagetools", "inspect", "--raw", place];
    bench.careen(&inspect).run().success().stdout
}

/// Returns the platforms of the index that a place names, each with its digest.
fn entries(bench: &Bench, place: &str) -> Vec<(String, String)> {
    let index = check::parse_index(&raw(bench, place)).unwrap();
    let entry = |entry: &oci::Descriptor| {
        let platform = platform_of(entry).unwrap().to_string();
        (platform, entry.digest().to_string())
    };
    index.manifests().iter().map(entry).collect()
}

fn platforms(bench: &Bench, place: &str) -> Vec<String> {
    let entries = entries(bench, place).into_iter();
    let mut platforms: Vec<_> = entries.map(|(platform, _)| platform).collect();
    platforms.sort();
    platforms
}

#[test]
fn builds_for_two_platforms_one_after_the_other_are_one_index_wherever_they_go() {
    let bench = bench_for_all();
    let served = Served::start(&bench);
    let name = served.name("me/app:1");
    let in_store = format!("store:{name}");
    for (output, place) in [
        (&["--push"][..], name.as_str()),
        (&["--load"], &in_store),
        (&["-o", "type=oci,tar=false,dest=layout"], "oci:layout:1"),
    ] {
        let append = |platform: &str| {
            let known = ["--iidfile", "id", "--metadata-file", "known.json"];
            let flags = ["--append", "-t", &name, "--platform", platform];
            let flags = [&flags[..], output, &known].concat();
            bench.careen_build(&flags).run().success();
            let digest = Digest::of(&raw(&bench, place)).to_string();
            assert_eq!(fs::read_to_string(bench.path("id")).unwrap(), digest);
            let known = fs::read_to_string(bench.path("known.json")).unwrap();
            let known: serde_json::Value = serde_json::from_str(&known).unwrap();
            assert_eq!(known["containerimage.digest"], digest.as_str());
            entries(&bench, place)
        };
        bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
        let first = append(AMD64);
        assert_eq!(first.len(), 1, "{place}");
        let both = append(ARM64);
        assert_eq!(platforms(&bench, place), [AMD64, ARM64], "{place}");
        assert_eq!(both[0], first[0], "{place}");
        // Another image for the same platform takes the place of the one that is there.
        bench.dockerfile("FROM scratch\nCOPY Dockerfile /\nLABEL new=1\n");
        let after = append(ARM64);
        assert_eq!(platforms(&bench, place), [AMD64, ARM64], "{place}");
        assert_eq!(after[0], first[0], "{place}");
        assert_ne!(after[1], both[1], "{place}");
    }
}

#[test]
fn builds_that_append_at_the_same_time_are_all_there() {
    let bench = bench_for_all();
    let served = Served::start(&bench);
    let tags: Vec<_> = (0..10)
        .map(|number| served.name(&format!("me/app:{number}")))
        .collect();
    let start = |tag: &String, platform: &str| {
        let flags = ["--append", "--push", "-t", tag, "--platform", platform];
        bench.careen_build(&flags).start()
    };
    for batch in tags.chunks(5) {
        let running = batch
            .iter()
            .flat_map(|tag| [start(tag, AMD64), start(tag, ARM64)]);
        for run in running.collect::<Vec<_>>() {
            run.finish().success();
        }
    }
    for tag in &tags {
        assert_eq!(platforms(&bench, tag), [AMD64, ARM64], "{tag}");
    }
}

#[test]
fn an_image_that_is_there_becomes_an_index_and_keeps_its_platform() {
    let bench = bench_for_all();
    let served = Served::start(&bench);
    let name = served.name("me/app:1");
    let push = |flags: &[&str]| {
        let flags = [&["--push", "-t", &name][..], flags].concat();
        bench.careen_build(&flags).run().success();
    };
    push(&["--platform", AMD64]);
    let image = Digest::of(&raw(&bench, &name)).to_string();
    let index = ["--annotation", "index:a=b", "--load"];
    push(&[&["--append", "--platform", ARM64], &index[..]].concat());
    let entries = entries(&bench, &name);
    assert_eq!(entries[0], (AMD64.to_owned(), image));
    assert_eq!(entries[1].0, ARM64);
    let index = check::parse_index(&raw(&bench, &name)).unwrap();
    assert_eq!(index.annotations().as_ref().unwrap()["a"], "b");
    // The store has what was loaded, and knows nothing of the registry's.
    assert_eq!(platforms(&bench, &format!("store:{name}")), [ARM64]);
}

#[test]
fn a_layer_of_the_base_is_mounted_when_an_image_is_appended() {
    let bench = bench();
    let mut served = Served::start(&bench);
    push_base(&bench, &served, &[AMD64, ARM64]);
    bench.dockerfile(&format!(
        "FROM {}\nCOPY --link Dockerfile /\n",
        served.name("lib/base:1")
    ));
    served.again(&bench);
    let name = served.name("me/app:1");
    let flags = ["--append", "--push", "-t", &name, "--platform", ARM64];
    bench.careen_build(&flags).run().success();
    let asked = served.end();
    assert_eq!(count(&asked, "POST", "mount=sha256:"), 1, "{asked:#?}");
    assert_eq!(count(&asked, "GET", "/v2/lib/base/blobs/"), 1, "{asked:#?}");
}

#[test]
fn an_append_that_is_refused_says_so() {
    let bench = bench_for_all();
    let served = Served::start(&bench);
    let address = served.address();
    served.end();
    let served = Served::with(&bench, &address, &["--read-only"]);
    let name = served.name("me/app:1");
    let said = bench.failure(&["--append", "--push", "-t", &name], 4);
    let said = said.replace(&address, "HOST");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "error: cannot push to `HOST/me/app`");
    let note = "  = note: what was built is in the store: the same command goes on from there";
    assert!(lines.contains(&note), "{said}");
    let said = bench.failure(&["--append", "-t", &name], 2);
    let expected = "error: `--append` needs an image that is added: `--push`, `--load` and \
                    `--output type=oci,tar=false` write one";
    assert_eq!(said.lines().next(), Some(expected));
}
