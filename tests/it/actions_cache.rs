//! Caches in the cache service of GitHub Actions, as workflows have them: `type=gha`.

use support::program::Invocation;
use support::registry::Fault;
use support::{ActionsCache, Archive, Bench, Feature, Finished, Outcome, needs};

use crate::bench;

const MAIN: &str = "refs/heads/main";
const PULL: &str = "refs/pull/7/merge";

/// A step whose result is another one each time that it runs.
const DOCKERFILE: &str = "\
FROM base AS early
RUN cat /proc/sys/kernel/random/uuid > /early
FROM base
WORKDIR /app
COPY src src
COPY --from=early /early early
RUN cat /proc/sys/kernel/random/uuid > id
";

/// Which of the two protocols a runner has.
#[derive(Clone, Copy, Debug)]
enum Runner {
    /// That of GitHub Enterprise Server, and of other runners.
    One,
    /// GitHub's.
    Two,
}

fn bench_with_steps() -> Bench {
    let bench = bench().with_busybox();
    bench.file("src/a", "1\n");
    bench.dockerfile(DOCKERFILE);
    bench
}

/// Adds what the runner gives to the steps of a workflow.
fn in_workflow(
    run: Invocation,
    server: &ActionsCache,
    (runner, token): (Runner, &str),
) -> Invocation {
    let run = run.env("ACTIONS_RUNTIME_TOKEN", token);
    match runner {
        Runner::One => run.env("ACTIONS_CACHE_URL", server.url()),
        Runner::Two => run
            .env("ACTIONS_CACHE_SERVICE_V2", "True")
            .env("ACTIONS_CACHE_URL", "http://127.0.0.1:1/")
            .env("ACTIONS_RESULTS_URL", server.url()),
    }
}

/// A job of a workflow: a machine that has built nothing before.
struct Job<'s> {
    bench: Bench,
    server: &'s ActionsCache,
    runner: Runner,
    token: String,
}

impl<'s> Job<'s> {
    fn new(server: &'s ActionsCache, runner: Runner, permissions: &[(&'static str, u32)]) -> Self {
        Self {
            bench: bench_with_steps(),
            server,
            runner,
            token: server.token(permissions),
        }
    }

    fn build(&self, arguments: &[&str]) -> Finished {
        let run = self.bench.careen_build(arguments);
        let run = run.args(&["--output", "type=oci,dest=out.tar"]);
        in_workflow(run, self.server, (self.runner, &self.token)).run()
    }

    /// Returns the digests of the layers that were built last.
    fn layers(&self) -> Vec<String> {
        let archive = std::fs::read(self.bench.path("out.tar")).unwrap();
        let archive = Archive::read(&archive);
        let layers = archive.image().config.rootfs.diff_ids.iter();
        layers.map(ToString::to_string).collect()
    }
}

/// Returns how the steps ended that are no look-up of a base.
fn outcomes(log: &Finished) -> Vec<(String, Outcome)> {
    let steps = log.steps().into_iter();
    steps
        .filter(|(name, _)| name.starts_with("RUN") || name.starts_with("COPY"))
        .collect()
}

fn assert_all(log: &Finished, expected: Outcome) {
    let outcomes = outcomes(log);
    // A stage that nobody needs any more is not shown.
    assert!(outcomes.len() >= 3, "{}", log.stderr);
    let is_it = |(_, outcome): &(String, Outcome)| *outcome == expected;
    assert!(outcomes.iter().all(is_it), "{}", log.stderr);
}

fn count(steps: &[&str], step: &str) -> usize {
    steps.iter().filter(|known| **known == step).count()
}

#[test]
fn what_one_machine_has_built_another_one_does_not_build_again() {
    needs!(Feature::Busybox);
    for runner in [Runner::One, Runner::Two] {
        let server = ActionsCache::start();
        let first = Job::new(&server, runner, &[(MAIN, 3)]);
        let log = first.build(&["--cache-to", "type=gha,mode=max"]).success();
        assert_all(&log, Outcome::Done);
        assert!(
            log.stderr
                .contains("exporting cache to GitHub Actions Cache")
        );
        server.steps();
        let second = Job::new(&server, runner, &[(MAIN, 3)]);
        let log = second.build(&["--cache-from", "type=gha"]).success();
        assert_all(&log, Outcome::Cached);
        assert!(
            log.stderr
                .contains("importing cache manifest from gha:buildkit")
        );
        assert_eq!(second.layers(), first.layers());
        // The index, and the layers of the image: those of the other stage are left where they are.
        let steps = server.steps();
        assert_eq!((count(&steps, "find"), count(&steps, "get")), (5, 5));
        assert_eq!(steps.len(), 10);
        // The layers are there now; the other stage, which never came, may be looked up once more.
        let log = second.build(&["--cache-from", "type=gha"]).success();
        assert_all(&log, Outcome::Cached);
        assert!(server.steps().len() <= 2, "{}", log.stderr);
    }
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    needs!(Feature::Busybox);
    let server = ActionsCache::start();
    let job = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    job.build(&["--cache-to", "type=gha,mode=max"]).success();
    let entries = server.entries();
    server.steps();
    job.build(&["--cache-to", "type=gha,mode=max"]).success();
    let steps = server.steps();
    assert_eq!((count(&steps, "reserve"), count(&steps, "put")), (0, 0));
    assert_eq!(server.entries(), entries);
}

#[test]
fn machines_for_two_platforms_share_one_scope() {
    let server = ActionsCache::start();
    let platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
    let make = || {
        let bench = bench();
        bench.file("a", "1\n");
        bench.dockerfile("FROM scratch\nCOPY a /a\nCOPY a /b\n");
        let runner = Runner::Two;
        let token = server.token(&[(MAIN, 3)]);
        let server = &server;
        Job {
            bench,
            server,
            runner,
            token,
        }
    };
    std::thread::scope(|scope| {
        for platform in platforms {
            scope.spawn(move || {
                let cache = ["--cache-to", "type=gha,mode=max"];
                make()
                    .build(&[&["--platform", platform], &cache[..]].concat())
                    .success();
            });
        }
    });
    for platform in platforms {
        let log = make().build(&["--platform", platform, "--cache-from", "type=gha"]);
        let log = log.success();
        let all: Vec<_> = outcomes(&log).into_iter().map(|(_, how)| how).collect();
        assert_eq!(all, [Outcome::Cached; 2], "{}", log.stderr);
    }
}

#[test]
fn a_pull_request_begins_with_what_its_base_has() {
    needs!(Feature::Busybox);
    let server = ActionsCache::start();
    let main = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    main.build(&["--cache-to", "type=gha,mode=max"]).success();
    let pull = Job::new(&server, Runner::Two, &[(PULL, 3), (MAIN, 1)]);
    let both = [
        "--cache-from",
        "type=gha",
        "--cache-to",
        "type=gha,mode=max",
    ];
    assert_all(&pull.build(&both).success(), Outcome::Cached);
    let branches: Vec<_> = server.entries().into_iter().map(|entry| entry.0).collect();
    // Its own index, and no blob a second time.
    assert_eq!(branches.iter().filter(|branch| *branch == PULL).count(), 1);
    // Another scope is another cache.
    let other = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    let log = other.build(&["--cache-from", "type=gha,scope=other"]);
    let log = log.success();
    assert_all(&log, Outcome::Done);
    assert!(log.stderr.contains("gha:other is not there yet"));
}

#[test]
fn a_fork_reads_and_is_told_that_it_cannot_write() {
    needs!(Feature::Busybox);
    let server = ActionsCache::start();
    let main = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    main.build(&["--cache-to", "type=gha,mode=max"]).success();
    let fork = Job::new(&server, Runner::Two, &[(MAIN, 1)]);
    let log = fork.build(&[
        "--cache-from",
        "type=gha",
        "--cache-to",
        "type=gha,mode=max",
    ]);
    assert_all(&log, Outcome::Cached);
    let text = log.error(4).replace(&server.host(), "HOST");
    assert!(
        text.contains("cannot export the cache to `gha:buildkit`"),
        "{text}"
    );
    assert!(text.contains("the token of this job may read caches and not write them"));
    assert!(text.contains("the outputs of the build are written; `ignore-error=true`"));
    assert!(text.contains("pull requests from forks read the caches of their base alone"));
    assert_eq!(fork.layers(), main.layers());
    let log = fork.build(&["--cache-to", "type=gha,mode=max,ignore-error=true"]);
    let log = log.success();
    assert!(log.stderr.contains("may read caches and not write them"));
}

#[test]
fn outside_a_workflow_it_is_said_what_is_missing() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    for flag in ["--cache-from", "--cache-to"] {
        let said = bench.failure(&[flag, "type=gha"], 2);
        for word in [
            "`ACTIONS_RUNTIME_TOKEN`",
            "`crazy-max/ghaction-github-runtime`",
            "`token=`",
        ] {
            assert!(said.contains(word), "{said}");
        }
    }
}

#[test]
fn entries_that_are_gone_or_damaged_are_built_again() {
    needs!(Feature::Busybox);
    let server = ActionsCache::start();
    let first = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    first.build(&["--cache-to", "type=gha,mode=max"]).success();
    server.misbehave(|asked| {
        let is_content = asked.path.starts_with("/store/") && asked.method == "GET";
        is_content.then_some(Fault::WrongByte)
    });
    let damaged = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    let log = damaged.build(&["--cache-from", "type=gha"]).success();
    assert!(log.stderr.contains("gha:buildkit"), "{}", log.stderr);
    server.misbehave(|_| None);
    server.evict("careen-blob-");
    let gone = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    let log = gone.build(&["--cache-from", "type=gha"]).success();
    assert!(
        log.stderr.contains("the entry is not there, or no longer"),
        "{}",
        log.stderr
    );
    assert_ne!(gone.layers(), first.layers());
}

#[test]
fn a_service_that_is_not_there_is_a_warning_for_an_import_and_an_error_for_an_export() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let cache = "type=gha,version=2,url_v2=http://127.0.0.1:1/,token=SECRETTOKEN";
    let from = bench.careen_build(&["--cache-from", cache]);
    let log = from.args(&["--output", "type=oci,dest=out.tar"]).run();
    let log = log.success();
    assert!(
        log.stderr
            .contains("nothing is imported from `gha:buildkit`"),
        "{}",
        log.stderr
    );
    let to = bench.careen_build(&["--cache-to", cache]);
    let log = to.args(&["--output", "type=oci,dest=out.tar"]).run();
    let said = log.error(4);
    assert!(
        said.contains("`gha:buildkit`") && said.contains("127.0.0.1:1"),
        "{said}"
    );
    assert!(!log.stderr.contains("SECRETTOKEN"));
}

#[test]
fn the_token_of_a_job_is_seen_by_no_command_and_told_to_nobody() {
    needs!(Feature::Busybox);
    let server = ActionsCache::start();
    let job = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
    let steps = "RUN env; cat /proc/*/environ | tr '\\0' '\\n'; true\n";
    job.bench.dockerfile(&format!("FROM base\n{steps}"));
    let both = [
        "--cache-from",
        "type=gha",
        "--cache-to",
        "type=gha,mode=max",
    ];
    let log = job.build(&both).success();
    assert!(log.stderr.contains("PATH="), "{}", log.stderr);
    assert!(!log.stderr.contains("SECRET"), "{}", log.stderr);
}

#[test]
fn what_a_cache_mount_holds_goes_with_the_cache() {
    needs!(Feature::Busybox);
    let server = ActionsCache::start();
    let mount = "RUN --mount=type=cache,id=c,target=/c";
    let job = |command: &str| {
        let job = Job::new(&server, Runner::Two, &[(MAIN, 3)]);
        job.bench
            .dockerfile(&format!("FROM base\n{mount} {command}\n"));
        job
    };
    let to = ["--cache-to", "type=gha,mounts=all"];
    job("echo kept > /c/file").build(&to).success();
    let next = job("cat /c/file > /out");
    next.build(&["--cache-from", "type=gha"]).success();
    let archive = std::fs::read(next.bench.path("out.tar")).unwrap();
    assert_eq!(Archive::read(&archive).image().text("out"), "kept\n");
}
