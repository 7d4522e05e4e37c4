//! Owners of mounts, and of what is in them, where a build has one id: those that a build with many ids shows.

use std::fs;

use support::{Bench, Feature, needs};

use crate::bench;

const ONE_ID: [&str; 2] = ["--executor", "userns-single"];
const MANY_IDS: [&str; 2] = ["--executor", "userns-multi"];

/// Builds steps on the base, and returns what they print.
fn output(bench: &Bench, steps: &str, arguments: &[&str]) -> Vec<String> {
    bench.dockerfile(&format!("FROM base\n{steps}"));
    let run = bench.careen_build(&["--no-cache"]).args(arguments).run();
    let run = run.success();
    run.output().into_iter().map(str::to_owned).collect()
}

/// Builds steps with one id and with many, each with a store of its own, and returns what both print.
fn same_output(bench: &Bench, steps: &str, arguments: &[&str]) -> Vec<String> {
    let [one, many] = [ONE_ID, MANY_IDS].map(|executor| {
        bench.forget();
        output(bench, steps, &[&executor[..], arguments].concat())
    });
    assert_eq!(one, many);
    one
}

#[test]
fn mounts_belong_to_whom_they_are_given() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    fs::write(bench.path("token"), "hidden").unwrap();
    let found = same_output(
        &bench,
        "USER 1000:1000\n\
         RUN --mount=type=secret,id=t,target=/t,uid=1000,gid=7,mode=0400 --mount=type=secret,id=t,target=/u,mode=0040 \
         stat -c '%u:%g %a %n' /t /u && test $(cat /t) = hidden\n\
         RUN --mount=type=cache,target=/c,uid=1000,gid=1002,mode=0751 --mount=type=cache,target=/d \
         stat -c '%u:%g %a %n' /c /d && touch /c/f && stat -c '%u:%g %n' /c/f\n\
         RUN --mount=type=tmpfs,target=/m stat -c '%u:%g %a %n' /m && touch /m/f && ln -s f /m/l \
         && stat -c '%u:%g %n' /m/f /m/l\n",
        &["--secret", "id=t,src=token", "-j", "1"],
    );
    let expected = [
        "1000:7 400 /t",
        "0:0 40 /u",
        "1000:1002 751 /c",
        "0:0 755 /d",
        "1000:1000 /c/f",
        "0:0 1777 /m",
        "1000:1000 /m/f",
        "1000:1000 /m/l",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_mounted_of_another_stage_keeps_its_owners() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let found = same_output(
        &bench,
        "RUN mkdir /s && cd /s && ln -s x l && mkfifo p && touch f && chown -h 5:6 l p f\n\
         FROM base\n\
         RUN --mount=type=bind,from=0,source=/s,target=/b stat -c '%u:%g %n' /b/f /b/l /b/p\n",
        &[],
    );
    assert_eq!(found, ["5:6 /b/f", "5:6 /b/l", "5:6 /b/p"]);
}

/// What is done to a cache, and what is seen of it then.
const FILL: &str = "RUN --mount=type=cache,id=c,target=/c,uid=7,gid=8,mode=2750 \
     cd /c && touch f && ln -s f l && ln -s f gone && mkfifo p && chown -h 5:6 f l gone p && mv l moved\n";
const CHANGE: &str = "RUN --mount=type=cache,id=c,target=/c,uid=7,gid=8,mode=2750 \
     cd /c && rm gone && ln -s new gone && ln -s x other && chown -h 9 other && chown -h :10 p; false\n";
const LOOK: &str = "RUN --mount=type=cache,id=c,target=/c,uid=7,gid=8,mode=2750 \
     cd /c && stat -c '%u:%g %a %N' . f gone moved other p\n";
const SEEN: [&str; 6] = [
    "7:8 2750 .",
    "5:8 644 f",
    "0:8 777 gone -> new",
    "5:8 777 moved -> f",
    "9:8 777 other -> x",
    "5:10 644 p",
];

/// Returns what is seen of the cache, without the quotation marks.
fn look(bench: &Bench, arguments: &[&str]) -> Vec<String> {
    let found = output(bench, LOOK, arguments).into_iter();
    found.map(|line| line.replace(['\'', '"'], "")).collect()
}

#[test]
fn owners_in_a_cache_are_kept_for_the_next_build_and_go_with_it_elsewhere() {
    needs!(Feature::Busybox, Feature::IdRange);
    let fill = FILL.replace("5:6", "5:8");
    for executor in [ONE_ID, MANY_IDS] {
        let bench = bench().with_busybox();
        output(&bench, &fill, &executor);
        // What a command does to a cache is kept though it fails.
        bench.dockerfile(&format!("FROM base\n{CHANGE}"));
        bench.careen_build(&executor).run().error(1);
        assert_eq!(look(&bench, &executor), SEEN, "{executor:?}");
        let to = "type=local,dest=cache,mounts=all";
        look(&bench, &[&executor[..], &["--cache-to", to]].concat());
        for other in [ONE_ID, MANY_IDS] {
            bench.forget();
            let from = ["--cache-from", "type=local,src=cache"];
            let found = look(&bench, &[&other[..], &from].concat());
            assert_eq!(found, SEEN, "{executor:?} to {other:?}");
            assert_eq!(look(&bench, &other), SEEN, "{other:?} again");
        }
    }
}

#[test]
fn each_executor_has_caches_of_its_own() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let add = "RUN --mount=type=cache,id=c,target=/c touch /c/$(awk 'END { print $3 }' /proc/self/uid_map) && ls /c | wc -l\n";
    for executor in [ONE_ID, MANY_IDS] {
        assert_eq!(output(&bench, add, &executor), ["1"], "{executor:?}");
    }
}

#[test]
fn a_cache_that_begins_with_a_stage_has_its_owners() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let found = same_output(
        &bench,
        "RUN mkdir /s && ln -s x /s/l && touch /s/f && chown -h 5:6 /s /s/f /s/l\n\
         FROM base\n\
         RUN --mount=type=cache,from=0,source=/s,target=/c stat -c '%u:%g %n' /c /c/f /c/l\n",
        &[],
    );
    assert_eq!(found, ["5:6 /c", "5:6 /c/f", "5:6 /c/l"]);
}
