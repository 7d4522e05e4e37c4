//! `--cache-to` and `--cache-from`: what one store leaves, another finds.

mod damaged;
mod elsewhere;

use std::fs;

use support::layout::host_platform;
use support::registry::Seen;
use support::{Bench, Feature, Finished, Outcome, Registry, needs};

use crate::bench;

/// A stage whose result is copied, and a command that leaves something else each time.
const STAGES: &str = "FROM base AS build\nCOPY in in\n\
    RUN cat in > out && head -c 16 /dev/urandom | md5sum > /made\n\
    FROM base\nCOPY --from=build out /out\nRUN head -c 16 /dev/urandom | md5sum > /made\n";

/// Makes a bench with two stages.
fn bench_with_stages() -> Bench {
    let bench = bench().with_busybox();
    bench.file("in", "1\n");
    bench.dockerfile(STAGES);
    bench
}

/// Returns how the steps of a build ended, but for the bases, which only ever are looked up.
fn outcomes(log: &Finished) -> Vec<(String, Outcome)> {
    let steps = log.steps().into_iter();
    let steps = steps.filter(|(name, _)| {
        ["COPY", "RUN", "WORKDIR"]
            .iter()
            .any(|word| name.contains(word))
    });
    steps.collect()
}

/// Returns how one step ended, which has this text in its name.
fn outcome(log: &Finished, text: &str) -> Outcome {
    let found = outcomes(log)
        .into_iter()
        .find(|(name, _)| name.contains(text));
    found
        .unwrap_or_else(|| panic!("no {text} in {:?}", log.steps()))
        .1
}

fn all(outcomes: &[(String, Outcome)], expected: Outcome) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(|(_, outcome)| *outcome == expected)
}

/// Returns the bytes of what was built last.
fn written(bench: &Bench) -> Vec<u8> {
    fs::read(bench.path("out.tar")).unwrap()
}

/// Returns the requests that a registry has seen, and that say this.
fn requests(registry: &Registry, method: &str, part: &str) -> Vec<String> {
    let lines = registry.seen().into_iter().map(|seen| seen.line());
    lines
        .filter(|line| line.starts_with(method) && line.contains(part))
        .collect()
}

#[test]
fn what_a_directory_has_is_not_made_again_by_an_empty_store() {
    needs!(Feature::Busybox);
    let bench = bench_with_stages();
    bench.build(&["--cache-to", "type=local,dest=cache,mode=max"]);
    let first = written(&bench);
    bench.forget();
    // A checkout of the same files has other times.
    bench.file("in", "1\n");
    let second = bench.build(&["--cache-from", "type=local,src=cache"]);
    assert!(
        all(&outcomes(&second.log), Outcome::Cached),
        "{:?}",
        second.log.steps()
    );
    assert_eq!(written(&bench), first);
    // What was fetched is the store's own now.
    fs::remove_dir_all(bench.path("cache")).unwrap();
    let third = bench.build(&[]);
    assert!(
        all(&outcomes(&third.log), Outcome::Cached),
        "{:?}",
        third.log.steps()
    );
    assert_eq!(written(&bench), first);
}

#[test]
fn of_a_registry_only_what_is_needed_is_fetched_and_nothing_is_asked_in_vain() {
    needs!(Feature::Busybox);
    let registry = Registry::start();
    let bench = bench_with_stages();
    let to = format!("type=registry,ref={}/app:cache,mode=max", registry.host());
    let from = format!("{}/app:cache", registry.host());
    bench.build(&["--cache-to", &to]);
    let first = written(&bench);
    bench.forget();
    registry.seen();
    // Without an output nobody needs a layer: the index, the manifest, the document.
    let log = bench.careen_build(&["--cache-from", &from]).run().success();
    assert!(all(&outcomes(&log), Outcome::Cached), "{:?}", log.steps());
    let seen = requests(&registry, "GET", "/v2/app/");
    assert_eq!(seen.len(), 3, "{seen:?}");
    // The layers of the image, and not those of the stage that it copies from.
    let second = bench.build(&["--cache-from", &from]);
    assert!(
        all(&outcomes(&second.log), Outcome::Cached),
        "{:?}",
        second.log.steps()
    );
    assert_eq!(written(&bench), first);
    let seen = requests(&registry, "GET", "/v2/app/blobs/");
    assert_eq!(seen.len(), 1 + 2, "{seen:?}");
    // What the store knows, nobody is asked for.
    bench.build(&["--cache-from", &from]);
    assert_eq!(requests(&registry, "", ""), [""; 0]);
    assert_eq!(written(&bench), first);
}

#[test]
fn a_command_runs_on_layers_of_a_cache() {
    needs!(Feature::Busybox);
    let bench = bench_with_stages();
    bench.build(&["--cache-to", "type=local,dest=cache"]);
    bench.forget();
    bench.dockerfile(&format!("{STAGES}RUN cp /out /copied\n"));
    let built = bench.build(&["--cache-from", "type=local,src=cache"]);
    assert_eq!(outcome(&built.log, "RUN cp"), Outcome::Done);
    assert_eq!(outcome(&built.log, "COPY --from"), Outcome::Cached);
    assert_eq!(built.image().text("copied"), "1\n");
}

#[test]
fn a_small_cache_has_the_layers_of_the_image_and_a_large_one_all() {
    needs!(Feature::Busybox);
    for (mode, expected) in [("min", Outcome::Done), ("max", Outcome::Cached)] {
        let bench = bench_with_stages();
        bench.build(&["--cache-to", &format!("type=local,dest=cache,mode={mode}")]);
        bench.forget();
        bench.dockerfile(&STAGES.replace("/out", "/other"));
        let built = bench.build(&["--cache-from", "type=local,src=cache"]);
        assert_eq!(outcome(&built.log, "RUN cat"), expected, "{mode}");
    }
}

#[test]
fn a_cache_of_a_build_that_ran_nothing_is_as_large() {
    needs!(Feature::Busybox);
    let bench = bench_with_stages();
    bench.build(&[]);
    // The stage that is copied from is not needed now, and is in the cache all the same.
    bench.build(&["--cache-to", "type=local,dest=cache,mode=max"]);
    bench.forget();
    bench.dockerfile(&STAGES.replace("/out", "/other"));
    let built = bench.build(&["--cache-from", "type=local,src=cache"]);
    assert_eq!(outcome(&built.log, "RUN cat"), Outcome::Cached);
}

#[test]
fn a_cache_keeps_what_another_branch_left() {
    needs!(Feature::Busybox);
    let bench = bench_with_stages();
    let branches = ["1\n", "2\n"];
    for branch in branches {
        bench.file("in", branch);
        bench.build(&["--cache-to", "type=local,dest=cache,mode=max"]);
        bench.forget();
    }
    for branch in branches {
        bench.file("in", branch);
        let built = bench.build(&["--cache-from", "type=local,src=cache"]);
        assert!(
            all(&outcomes(&built.log), Outcome::Cached),
            "{:?}",
            built.log.steps()
        );
        bench.forget();
    }
    // Unless nothing is to stay: then there is nothing of it left.
    bench.build(&[
        "--cache-from",
        "type=local,src=cache",
        "--cache-to",
        "type=local,dest=cache,reset=true",
    ]);
    let blobs = fs::read_dir(bench.path("cache/blobs/sha256"))
        .unwrap()
        .count();
    assert_eq!(blobs, 2 + 3);
}

#[test]
fn what_was_imported_is_exported_without_its_bytes() {
    needs!(Feature::Busybox);
    let registry = Registry::start();
    let bench = bench_with_stages();
    let from = format!("{}/app:cache", registry.host());
    let to = format!("type=registry,ref={}/other:cache", registry.host());
    bench.careen_build(&["--cache-to", &from]).run().success();
    bench.forget();
    registry.seen();
    bench
        .careen_build(&["--cache-from", &from, "--cache-to", &to])
        .run()
        .success();
    let seen: Vec<_> = registry.seen().iter().map(Seen::line).collect();
    let layers = seen
        .iter()
        .filter(|line| line.starts_with("GET /v2/app/blobs/"));
    // The document alone.
    assert_eq!(layers.count(), 1, "{seen:?}");
    bench.forget();
    let from = format!("{}/other:cache", registry.host());
    let log = bench.careen_build(&["--cache-from", &from]).run().success();
    assert!(all(&outcomes(&log), Outcome::Cached), "{:?}", log.steps());
}

#[test]
fn without_the_cache_nothing_is_imported_and_all_is_exported() {
    needs!(Feature::Busybox);
    let registry = Registry::start();
    let bench = bench_with_stages();
    let cache = format!("{}/app:cache", registry.host());
    bench.build(&["--cache-to", &cache]);
    let first = written(&bench);
    let flags = ["--no-cache", "--cache-from", &cache, "--cache-to", &cache];
    let second = bench.build(&flags);
    assert!(
        all(&outcomes(&second.log), Outcome::Done),
        "{:?}",
        second.log.steps()
    );
    let again = written(&bench);
    assert_ne!(again, first);
    bench.forget();
    bench.build(&["--cache-from", &cache]);
    assert_eq!(written(&bench), again);
}

#[test]
fn two_stores_leave_two_platforms_in_one_reference() {
    let registry = Registry::start();
    let bench = bench();
    bench.file("in", "1\n");
    bench.dockerfile("FROM scratch\nCOPY in /in\n");
    let cache = format!("{}/app:cache", registry.host());
    let platforms = [host_platform(), "linux/s390x".to_owned()];
    let build = |platform: &str, flags: &[&str]| {
        let store = bench.path(&format!("store-{}", platform.replace('/', "-")));
        let run = bench.careen_build(&["--platform", platform]).args(flags);
        run.env("CAREEN_STORE", store)
    };
    let running: Vec<_> = platforms
        .iter()
        .map(|platform| build(platform, &["--cache-to", &cache]).start())
        .collect();
    for run in running {
        run.finish().success();
    }
    for platform in &platforms {
        let log =
            build(platform, &["--cache-from", &cache]).env("CAREEN_STORE", bench.path("empty"));
        let log = log.run().success();
        assert_eq!(outcome(&log, "COPY in"), Outcome::Cached, "{platform}");
    }
}

#[test]
fn an_image_can_have_its_own_cache() {
    needs!(Feature::Busybox);
    let registry = Registry::start();
    let bench = bench_with_stages();
    let name = format!("{}/app:1", registry.host());
    let inline = ["--push", "-t", &name, "--cache-to", "type=inline"];
    bench.careen_build(&inline).run().success();
    let plain = bench.build(&[]);
    bench.forget();
    let built = bench.build(&["--cache-from", &name]);
    // The stage that is copied from is not needed.
    let steps = outcomes(&built.log);
    assert!(all(&steps, Outcome::Cached), "{steps:?}");
    // The image that is built has no cache in it, since nobody asked for that, and the same files.
    assert_eq!(built.image().tree(), plain.image().tree());
    // An image that is made from one with a cache does not say that it has it.
    bench.forget();
    bench.dockerfile(&format!("FROM {name}\nRUN true\n"));
    let next = format!("{}/next:1", registry.host());
    bench.careen_build(&["--push", "-t", &next]).run().success();
    let log = bench
        .careen_build(&["--no-cache-filter", "none", "--cache-from", &next])
        .env("CAREEN_STORE", bench.path("empty"))
        .run()
        .success();
    assert!(
        log.stderr
            .contains("it is an image without a cache of careen's"),
        "{}",
        log.stderr
    );
}
