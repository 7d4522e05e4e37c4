//! What the store takes on the disk (`du`, `system df`), and what of that goes (`prune`, and after builds).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::{Bench, Feature, Finished, Gate, Outcome, needs};

use crate::bench;

const STEPS: &str = "FROM base\nCOPY file /copied\n\
    RUN head -c 1000000 /dev/zero > /big; ln /big /link\n\
    RUN --mount=type=cache,target=/cache head -c 300000 /dev/zero > /cache/x; echo made > /made\n";

/// Makes a bench with a build that leaves some of everything.
fn bench_with_steps() -> Bench {
    let bench = bench().with_busybox();
    bench.file("file", vec![b'x'; 50_000]);
    bench.dockerfile(STEPS);
    bench
}

fn store(bench: &Bench) -> PathBuf {
    bench.path("home/.local/share/careen")
}

fn said(bench: &Bench, arguments: &[&str]) -> String {
    bench.careen(arguments).run().success().text().to_owned()
}

/// Returns how the steps of a build ended, but for the base, which only ever is looked up.
fn outcomes(log: &Finished) -> Vec<Outcome> {
    let steps = log.steps().into_iter();
    let own = steps.filter(|(name, _)| !name.starts_with("FROM "));
    own.map(|(_, outcome)| outcome).collect()
}

/// Adds up what `stat` says of everything below paths, each inode once.
fn on_disk(paths: &[PathBuf]) -> u64 {
    let (mut seen, mut left, mut bytes) = (BTreeSet::new(), paths.to_vec(), 0);
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        if seen.insert((found.dev(), found.ino())) {
            bytes += found.blocks() * 512;
        }
        if found.is_dir() {
            left.extend(children(&path));
        }
    }
    bytes
}

/// Returns the paths in a directory; none where there is no such directory.
fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Returns what is so many directories below a path.
fn below(path: &Path, depth: usize) -> Vec<PathBuf> {
    let mut paths = vec![path.to_owned()];
    for _ in 0..depth {
        paths = paths.iter().flat_map(|path| children(path)).collect();
    }
    paths
}

/// Returns what `du` says, as ids with their sizes.
fn items(bench: &Bench, filters: &[&str]) -> Vec<(String, u64)> {
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let arguments: Vec<_> = ["du", "--format", "json"]
        .into_iter()
        .chain(filters)
        .collect();
    let text = said(bench, &arguments);
    let field = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let item = |line: &str| (field(line, "ID"), field(line, "Size").parse().unwrap());
    text.lines().map(item).collect()
}

fn ids(bench: &Bench, filters: &[&str]) -> Vec<String> {
    items(bench, filters)
        .into_iter()
        .map(|(id, _)| id)
        .collect()
}

/// Makes everything in the store look as if it had been used so long ago.
fn age(bench: &Bench, by: Duration) {
    let store = store(bench);
    let marks = below(&store.join("snapshots"), 2);
    let caches = below(&store.join("caches"), 2);
    let marks = marks
        .iter()
        .map(|directory| directory.join("snapshot.json"));
    let caches = caches.iter().map(|directory| directory.join("cache.json"));
    let records = below(&store.join("records"), 3).into_iter();
    // The clock of the file system, which gave the files their times.
    let now = fs::metadata(store.join("lock")).unwrap().modified();
    let then = now.unwrap() - by;
    for path in marks.chain(caches).chain(records) {
        File::open(path).unwrap().set_modified(then).unwrap();
    }
}

#[test]
fn the_sizes_are_those_that_the_file_system_counts() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.careen_build(&["-t", "demo:1"]).run().success();
    // The first one measures, and remembers that.
    said(&bench, &["du"]);
    let items = items(&bench, &[]);
    let store = store(&bench);
    let total: u64 = items.iter().map(|(_, size_bytes)| size_bytes).sum();
    let counted = [
        below(&store.join("snapshots"), 2),
        below(&store.join("content/blobs"), 2),
        below(&store.join("caches"), 2),
        below(&store.join("records"), 3),
        below(&store.join("hints"), 1),
    ];
    assert_eq!(total, on_disk(&counted.concat()), "{items:?}");
    for (id, size_bytes) in &items {
        for directory in below(&store.join("snapshots"), 1) {
            let path = directory.join(id);
            if fs::exists(&path).unwrap() {
                assert_eq!(*size_bytes, on_disk(&[path]), "{id}");
            }
        }
    }
    // Two names of a file are one file.
    let big = items.iter().filter(|(id, _)| id.starts_with("run-"));
    let big = big.map(|(_, size_bytes)| *size_bytes).max().unwrap();
    assert!((1_000_000..1_900_000).contains(&big), "{items:?}");
    let caches = ids(&bench, &["type=exec.cachemount"]);
    assert_eq!(caches.len(), 1);
    let table = said(&bench, &["du"]);
    assert!(table.starts_with("ID  "), "{table}");
    for title in [
        "RECLAIMABLE",
        "SIZE",
        "LAST ACCESSED",
        "\nReclaimable: ",
        "\nTotal: ",
        "\nShared: ",
    ] {
        assert!(table.contains(title), "{table}");
    }
    let shown = said(
        &bench,
        &["du", "--verbose", "--filter", "description~=/big"],
    );
    assert!(
        shown.contains("Description:   RUN head -c 1000000 /dev/zero > /big; ln /big /link\n"),
        "{shown}"
    );
}

#[test]
fn everything_goes_but_what_images_need_and_builds_begin_anew() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.careen_build(&["-t", "demo:1"]).run().success();
    let kept = said(&bench, &["image", "inspect", "demo:1"]);
    let pruned = said(&bench, &["prune", "-af"]);
    assert!(pruned.contains("\nTotal: "), "{pruned}");
    let store = store(&bench);
    for (name, depth) in [
        ("snapshots", 2),
        ("caches", 2),
        ("records", 3),
        ("hints", 1),
        ("trash", 1),
    ] {
        assert_eq!(
            below(&store.join(name), depth),
            [""; 0].map(PathBuf::from),
            "{name}"
        );
    }
    assert_eq!(said(&bench, &["image", "inspect", "demo:1"]), kept);
    let blobs = ids(&bench, &["shared"]).len();
    assert_eq!(below(&store.join("content/blobs"), 2).len(), blobs);
    assert_eq!(ids(&bench, &["private"]), [""; 0]);
    let built = bench.careen_build(&[]).run().success();
    assert!(
        outcomes(&built)
            .iter()
            .all(|outcome| *outcome == Outcome::Done)
    );
    said(&bench, &["system", "prune", "-af"]);
    assert_eq!(below(&store.join("content/blobs"), 2).len(), 0);
    assert_eq!(said(&bench, &["images", "-q"]), "");
}

#[test]
fn what_a_running_build_uses_stays_and_it_is_not_waited_for() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench_with_steps(), Gate::open());
    bench.dockerfile(&format!(
        "{STEPS}RUN --mount=type=cache,target=/cache {}; cat /cache/x /big > /all\n",
        gate.command()
    ));
    let build = bench.careen_build(&[]).start();
    let stopped = gate.wait();
    let before: BTreeSet<_> = ids(&bench, &["inuse"]).into_iter().collect();
    assert!(
        before.iter().any(|id| id.starts_with("cache-")),
        "{before:?}"
    );
    // It ends though the build stands still.
    said(&bench, &["prune", "-af"]);
    let after: BTreeSet<_> = ids(&bench, &["inuse"]).into_iter().collect();
    assert_eq!(after, before);
    drop(stopped);
    assert_eq!(build.finish().code(), 0);
    let again = bench.careen_build(&[]).run().success();
    let steps = outcomes(&again);
    assert!(
        steps.iter().all(|outcome| *outcome == Outcome::Cached),
        "{:?}",
        again.steps()
    );
    assert!(gate.is_quiet());
}

#[test]
fn after_a_build_the_oldest_goes_and_the_newest_is_all_there() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = |name: &str| {
        // On a directory of its own: a command is compared with those that stood where it does, which is use.
        let text = format!("FROM base\nWORKDIR /{name}\nRUN head -c 1000000 /dev/zero > file\n");
        bench.dockerfile(&text);
    };
    let build = || {
        let log = bench.careen_build(&[]).run().success();
        log.outcome("RUN head -c 1000000 /dev/zero > file")
    };
    dockerfile("one");
    assert_eq!(build(), Some(Outcome::Done));
    age(&bench, Duration::from_hours(3));
    let total: u64 = items(&bench, &["private"])
        .iter()
        .map(|(_, size_bytes)| size_bytes)
        .sum();
    let config = format!(
        "network = \"host\"\n[[gc.policy]]\nmax-used-space = \"{}\"\n",
        total + 500_000
    );
    fs::write(bench.path("home/.config/careen/config.toml"), config).unwrap();
    let inspected = said(&bench, &["inspect"]);
    assert!(
        inspected.contains("GC Policy rule#0:\n All:             false\n Max Used Space:  "),
        "{inspected}"
    );
    assert_eq!(build(), Some(Outcome::Cached), "there is room");
    age(&bench, Duration::from_hours(2));
    dockerfile("two");
    assert_eq!(build(), Some(Outcome::Done));
    let total: u64 = items(&bench, &["private"])
        .iter()
        .map(|(_, size_bytes)| size_bytes)
        .sum();
    let most = fs::read_to_string(bench.path("home/.config/careen/config.toml")).unwrap();
    let most: u64 = most.split('"').nth(3).unwrap().parse().unwrap();
    assert!(total <= most, "{total} of {most}");
    assert_eq!(build(), Some(Outcome::Cached));
    dockerfile("one");
    assert_eq!(build(), Some(Outcome::Done));
}

#[test]
fn what_was_used_lately_or_does_not_fit_stays() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.careen_build(&[]).run().success();
    let all = ids(&bench, &["private"]).len();
    let none = "Total: 0B\n";
    assert_eq!(
        said(&bench, &["prune", "-af", "--filter", "until=24h"]),
        none
    );
    assert_eq!(
        said(&bench, &["prune", "-f", "--max-used-space", "1tb"]),
        none
    );
    assert_eq!(
        said(&bench, &["prune", "-f", "--keep-storage", "1tb"]),
        none
    );
    // Nobody says yes.
    let asked = said(&bench, &["prune", "-a"]);
    assert_eq!(
        asked,
        "WARNING! This will remove all build cache. Are you sure you want to continue? [y/N] "
    );
    assert_eq!(ids(&bench, &["private"]).len(), all);
    age(&bench, Duration::from_hours(30));
    let cache = said(
        &bench,
        &[
            "prune",
            "-f",
            "--filter",
            "unused-for=24h",
            "--filter",
            "type=exec.cachemount",
        ],
    );
    assert!(cache.contains("\ncache-"), "{cache}");
    assert_eq!(ids(&bench, &["private"]).len(), all - 1);
    let step = ids(&bench, &["description~=/big"]);
    let [step] = &step[..] else {
        panic!("one step: {step:?}");
    };
    said(&bench, &["prune", "-f", "--filter", &format!("id={step}")]);
    assert_eq!(ids(&bench, &["private"]).len(), all - 2);
    said(&bench, &["prune", "-f", "--filter", "until=24h"]);
    assert_eq!(ids(&bench, &["type=regular"]), [""; 0]);
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let bench = bench();
    let refused = |arguments: &[&str]| bench.careen(arguments).run().error(2).to_owned();
    assert_eq!(
        refused(&["prune", "-f", "--filter", "size=1"]),
        "error: `--filter size=1` cannot be used\n  = caused by: there is no filter `size` here; there are `id`, `parents`, \
         `description`, `type`, `inuse`, `mutable`, `immutable`, `shared`, `private`, `until`, `unused-for`"
    );
    assert_eq!(
        refused(&["du", "--filter", "until=now"]),
        "error: `--filter until=now`: an age is expected, as `24h` or `90m`"
    );
    assert_eq!(
        refused(&["prune", "-f", "--min-free-space", "some"]),
        "error: `--min-free-space some`: a size is expected, as `10GB`"
    );
    assert_eq!(
        refused(&["du", "--builder", "none"]).lines().next(),
        Some("error: no builder `none` found: there are `default`")
    );
    assert_eq!(
        refused(&["system", "events"]),
        "error: there is no command `system events`"
    );
    fs::write(
        bench.path("home/.config/careen/config.toml"),
        "[gc]\nmax-used-space = \"all\"\n",
    )
    .unwrap();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    assert_eq!(
        bench.failure(&[], 2),
        "error: `gc.max-used-space = \"all\"`: a size is expected, as `10GB`, or a part of the disk, as `10%`"
    );
}

#[test]
fn dockers_words_are_understood() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.careen_build(&["-t", "demo:1"]).run().success();
    let link = bench.path("docker");
    symlink(env!("CARGO_BIN_EXE_careen"), &link).unwrap();
    let docker = |arguments: &[&str]| {
        let run = bench.program(&link).args(arguments).run();
        run.success().text().to_owned()
    };
    let first_words = |text: &str| {
        let words = text
            .lines()
            .map(|line| line.split("  ").next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    let df = docker(&["system", "df"]);
    assert_eq!(
        first_words(&df),
        [
            "TYPE",
            "Images",
            "Containers",
            "Local Volumes",
            "Build Cache"
        ]
    );
    let format = [
        "system",
        "df",
        "--format",
        "{{.Type}} {{.TotalCount}} {{.Active}}",
    ];
    let rows = docker(&format);
    assert!(
        rows.starts_with("Images 1 0\nContainers 0 0\nLocal Volumes 0 0\nBuild Cache "),
        "{rows}"
    );
    let verbose = docker(&["system", "df", "-v"]);
    for part in [
        "Images space usage:\n\nREPOSITORY",
        "demo         1  ",
        "\nBuild cache usage: ",
        "CACHE ID",
        "exec.cachemount",
    ] {
        assert!(verbose.contains(part), "{verbose}");
    }
    assert!(docker(&["buildx", "du"]).contains("\nReclaimable: "));
    assert!(docker(&["builder", "prune", "-f"]).contains("\nTotal: "));
    assert_eq!(docker(&["buildx", "prune", "-f"]), "Total: 0B\n");
    let gone = docker(&["system", "prune", "-af", "--volumes"]);
    assert!(
        gone.starts_with("Deleted Images:\nuntagged: demo:1\n"),
        "{gone}"
    );
    assert!(gone.contains("\nTotal reclaimed space: "), "{gone}");
}
