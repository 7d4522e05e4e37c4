//! `--mount=type=cache`.

use support::{Bench, Feature, Gate, Outcome, needs};

use crate::bench;

/// Returns a step that mounts the cache `c` and runs a command.
fn step(options: &str, command: &str) -> String {
    format!("RUN --mount=type=cache,id=c,target=/c{options} {command}\n")
}

/// Builds steps on the base and returns the text of `/out`.
fn out(bench: &Bench, steps: &[String]) -> String {
    bench.dockerfile(&format!("FROM base\n{}", steps.concat()));
    bench.build(&["--no-cache"]).image().text("out").to_owned()
}

#[test]
fn a_cache_outlives_its_step_and_its_build_and_is_in_no_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(&format!("FROM base\n{}", step("", "echo 1 >> /c/log")));
    let built = bench.build(&[]);
    assert_eq!(built.image().top_layer(), []);
    let found = out(&bench, &[step("", "echo 2 >> /c/log && cp /c/log /out")]);
    assert_eq!(found, "1\n2\n");
}

#[test]
fn what_a_cache_has_does_not_run_a_step_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let run = step("", "echo x >> /c/log");
    bench.dockerfile(&format!("FROM base\n{run}"));
    assert_eq!(
        bench.build(&[]).log.outcome(run.trim()),
        Some(Outcome::Done)
    );
    assert_eq!(
        bench.build(&[]).log.outcome(run.trim()),
        Some(Outcome::Cached)
    );
}

#[test]
fn the_id_is_the_target_as_it_is_written_unless_it_is_given() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nWORKDIR /a\n\
         RUN --mount=type=cache,target=c echo relative > c/file\n\
         RUN --mount=type=cache,target=/a/c ! test -f c/file\n\
         WORKDIR /b\n\
         RUN --mount=type=cache,target=./c/ cp c/file /out\n\
         RUN --mount=type=cache,id=c,target=/x cat /x/file >> /out\n",
    );
    assert_eq!(bench.build(&[]).image().text("out"), "relative\nrelative\n");
}

#[test]
fn t_f03_a_namespace_keeps_caches_apart() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(&format!(
        "FROM base\n{}",
        step("", "ls /c > /out && touch /c/file")
    ));
    let out = |namespace: &[&str]| {
        let arguments = [&["--no-cache"], namespace].concat();
        bench.build(&arguments).image().text("out").to_owned()
    };
    let one = ["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=one"];
    let two = ["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=two"];
    assert_eq!([out(&one), out(&two), out(&[])], ["", "", ""]);
    assert_eq!([out(&one), out(&two), out(&[])], ["file\n"; 3]);
}

#[test]
fn t_c03_a_strange_id_is_an_id_and_no_path() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let long = "x".repeat(4096);
    for id in ["..", "../../../../etc", "/", "a/b", &long] {
        bench.dockerfile(&format!(
            "FROM base\nRUN --mount=type=cache,id={id},target=/c ls -A /c > /out && touch /c/mark\n"
        ));
        assert_eq!(bench.build(&[]).image().text("out"), "", "{id}");
        assert_eq!(
            bench.build(&["--no-cache"]).image().text("out"),
            "mark\n",
            "{id}"
        );
    }
}

#[test]
fn a_new_cache_has_the_owner_and_mode_that_are_asked_for() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let stat = "stat -c '%a %u %g' /c >> /out";
    let found = out(
        &bench,
        &[
            step("", stat),
            step(",uid=1001,gid=1002,mode=0751", stat),
            step(",mode=0700", stat),
            // What it was made with is part of what it is.
            step(
                ",uid=1001,gid=1002,mode=0751",
                "touch /c/mine && ls /c >> /out",
            ),
            step("", "ls /c >> /out"),
        ],
    );
    assert_eq!(found, "755 0 0\n751 1001 1002\n700 0 0\nmine\n");
}

#[test]
fn a_cache_begins_with_what_it_is_said_to_begin_with() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("seed/file", "of the context\n");
    bench.dockerfile(
        "FROM base AS one\nRUN mkdir -m 750 /d && echo seed > /d/file && ln /d/file /d/other\nFROM base\n\
         RUN --mount=type=cache,id=s,target=/c,from=one,source=/d \
         cat /c/file > /out && stat -c '%a %h' /c /c/other >> /out && echo changed > /c/file\n\
         RUN --mount=type=cache,id=s,target=/c,from=one,source=/d cat /c/file >> /out\n\
         RUN --mount=type=cache,id=s,target=/c ls /c >> /out\n\
         RUN --mount=type=cache,id=s,target=/c,from=one,source=/d/file cat /c >> /out\n\
         RUN --mount=type=cache,id=s,target=/c,from=other cat /c/file >> /out\n",
    );
    let built = bench.build(&["--build-context", "other=context/seed"]);
    assert_eq!(
        built.image().text("out"),
        "seed\n750 2\n644 2\nchanged\nseed\nof the context\n"
    );
}

#[test]
fn a_part_of_a_cache_can_be_mounted() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let found = out(
        &bench,
        &[
            step("", "mkdir /c/sub && echo in > /c/sub/file"),
            step(",source=sub", "cp /c/file /out"),
        ],
    );
    assert_eq!(found, "in\n");
    bench.dockerfile(&format!("FROM base\n{}", step(",source=missing", "true")));
    insta::assert_snapshot!(bench.refusal(&[]), @r"
    error: mount source not found: `missing`
     --> Dockerfile:2:39
      |
    2 | RUN --mount=type=cache,id=c,target=/c,source=missing true
      |                                       ^^^^^^^^^^^^^^ no such path
      |
      = note: the cache `c`
    ");
}

#[test]
fn a_link_in_a_cache_leads_nowhere_else() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let found = out(
        &bench,
        &[
            step(
                "",
                "mkdir -p /c/etc && echo cached > /c/etc/hostname && ln -s / /c/top && ln -s /etc /c/e",
            ),
            step(",source=top/etc", "cat /c/hostname > /out"),
            step(",source=e", "cat /c/hostname >> /out"),
        ],
    );
    assert_eq!(found, "cached\ncached\n");
}

#[test]
fn a_cache_that_is_read_only_cannot_be_written() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let found = out(
        &bench,
        &[
            step("", "echo 1 > /c/file"),
            step(",ro", "! touch /c/new 2>/dev/null && cp /c/file /out"),
        ],
    );
    assert_eq!(found, "1\n");
}

#[test]
fn one_cache_can_be_in_two_places_of_a_step() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mount = |target: &str| format!("--mount=type=cache,id=c,sharing=locked,target={target}");
    bench.dockerfile(&format!(
        "FROM base\nRUN {} {} echo x > /one/file && cat /two/file > /out\n",
        mount("/one"),
        mount("/two")
    ));
    assert_eq!(bench.build(&[]).image().text("out"), "x\n");
}

#[test]
fn a_cache_in_a_cache_stays_mounted_when_another_step_ends() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let [one, two, after] = [(); 3].map(|()| Gate::open());
    let mounts = "--mount=type=cache,target=/c --mount=type=cache,target=/c/in";
    bench.dockerfile(&format!(
        "FROM base AS one\nRUN {mounts} {}\nRUN {}\n\
         FROM base AS two\nRUN {mounts} {} && grep ' /c/in ' /proc/self/mounts\n\
         FROM scratch\nCOPY --from=one /etc/passwd 1\nCOPY --from=two /etc/passwd 2\n",
        one.command(),
        after.command(),
        two.command()
    ));
    let running = bench.careen_build(&["--jobs", "2"]).start();
    let stopped = (one.wait(), two.wait());
    // The first ends, and what was made for it to mount on is taken away, while the second goes on.
    drop(stopped.0);
    drop(after.wait());
    drop(stopped.1);
    running.finish().success();
}

/// Two stages that stop at a gate with the cache.
fn two_stages(gate: &Gate, sharing: &str) -> String {
    let stage = |name: &str| {
        format!(
            "FROM base AS {name}\nRUN --mount=type=cache,id=c,target=/c,sharing={sharing} \
             touch /c/{name} && {} && ls /c > /out\n",
            gate.command()
        )
    };
    format!(
        "{}{}FROM scratch\nCOPY --from=one /out 1\nCOPY --from=two /out 2\n",
        stage("one"),
        stage("two")
    )
}

#[test]
fn a_shared_cache_is_used_by_two_steps_at_once() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&two_stages(&gate, "shared"));
    let running = bench
        .careen_build(&["--jobs", "2", "-o", "type=oci,dest=out.tar"])
        .start();
    let stopped = [gate.wait(), gate.wait()];
    drop(stopped);
    running.finish().success();
    let built = support::Archive::read(&std::fs::read(bench.path("out.tar")).unwrap());
    assert_eq!(built.image().text("1"), "one\ntwo\n");
    assert_eq!(built.image().text("2"), "one\ntwo\n");
}

#[test]
fn of_a_private_cache_the_second_step_gets_another_one() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&two_stages(&gate, "private"));
    let running = bench
        .careen_build(&["--jobs", "2", "-o", "type=oci,dest=out.tar"])
        .start();
    let stopped = [gate.wait(), gate.wait()];
    drop(stopped);
    running.finish().success();
    let built = support::Archive::read(&std::fs::read(bench.path("out.tar")).unwrap());
    assert_eq!(built.image().text("1"), "one\n");
    assert_eq!(built.image().text("2"), "two\n");
}

#[test]
fn of_a_locked_cache_the_second_step_waits_and_says_so() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&two_stages(&gate, "locked"));
    let mut running = bench.careen_build(&["--jobs", "2"]).start();
    let first = gate.wait();
    running.wait_for("waiting for the cache `c`, which another step uses");
    assert!(gate.is_quiet());
    drop(first);
    drop(gate.wait());
    running.finish().success();
}

#[test]
fn steps_that_wait_for_a_cache_keep_no_other_step_waiting() {
    needs!(Feature::Busybox);
    let (bench, locked, other) = (bench().with_busybox(), Gate::open(), Gate::open());
    let names: Vec<_> = (0..6).map(|number| format!("s{number}")).collect();
    let stage = |name: &String| {
        let run = step(
            ",sharing=locked",
            &format!("{}; echo > /{name}", locked.command()),
        );
        format!("FROM base AS {name}\n{run}")
    };
    let copy = |name: &String| format!("COPY --from={name} /{name} /\n");
    bench.dockerfile(&format!(
        "{}FROM base AS other\nRUN {}; echo > /other\nFROM scratch\n{}COPY --from=other /other /\n",
        names.iter().map(stage).collect::<String>(),
        other.command(),
        names.iter().map(copy).collect::<String>(),
    ));
    let running = bench.careen_build(&["--jobs", "2"]).start();
    // One has the cache, all others of its kind wait for it, and the second slot is free.
    let first = locked.wait();
    drop(other.wait());
    drop(first);
    (1..names.len()).for_each(|_| drop(locked.wait()));
    running.finish().success();
}

#[test]
fn a_locked_cache_is_locked_between_platforms() {
    needs!(Feature::Busybox, Feature::Arm64);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!(
        "FROM --platform=$BUILDPLATFORM base\nARG TARGETARCH\n\
         RUN --mount=type=cache,id=c,target=/c,sharing=locked {} && touch /c/$TARGETARCH && ls /c\n",
        gate.command()
    ));
    let mut running = bench
        .careen_build(&["--jobs", "2", "--platform", "linux/amd64,linux/arm64"])
        .start();
    let first = gate.wait();
    running.wait_for("waiting for the cache `c`, which another step uses");
    assert!(gate.is_quiet());
    drop(first);
    drop(gate.wait());
    let log = running.finish().success();
    let mut found = log.output();
    found.sort_unstable();
    assert_eq!(found.len(), 3, "{found:?}");
    found.dedup();
    assert_eq!(found, ["amd64", "arm64"]);
}

#[test]
fn a_locked_cache_is_locked_between_builds_and_free_when_one_is_killed() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let stop = gate.command();
    let dockerfile = |name: &str| {
        format!(
            "FROM base\nRUN --mount=type=cache,id=c,target=/c,sharing=locked \
             touch /c/{name} && {stop} && ls /c\n"
        )
    };
    bench.file("one", dockerfile("one"));
    bench.file("two", dockerfile("two"));
    let one = bench.careen_build(&["-f", "context/one"]).start();
    let stopped = gate.wait();
    let mut two = bench.careen_build(&["-f", "context/two"]).start();
    two.wait_for("waiting for the cache `c`, which another step uses");
    assert!(gate.is_quiet());
    one.id().kill();
    drop(gate.wait());
    drop(stopped);
    assert_eq!(one.finish().code(), 128 + 9);
    // What the killed one wrote is there, and nothing is torn.
    assert_eq!(two.finish().success().output(), ["one", "two"]);
}

#[test]
fn a_build_that_waits_for_a_cache_can_be_interrupted() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&two_stages(&gate, "locked"));
    let mut running = bench.careen_build(&["--jobs", "2"]).start();
    let _first = gate.wait();
    running.wait_for("waiting for the cache `c`, which another step uses");
    running.id().interrupt();
    assert_eq!(running.finish().error(130), "error: interrupted by SIGINT");
}
