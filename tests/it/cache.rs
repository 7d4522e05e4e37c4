//! What is not done again.

use std::fs::File;
use std::time::{Duration, SystemTime};

use support::{Bench, Feature, Finished, Gate, Outcome, needs};

use crate::bench;

const STEPS: &str = "FROM base\nWORKDIR /app\nCOPY src src\nRUN cat src/* > all\nRUN wc -l < all\n";

/// Makes a bench with a context of two files and some steps on it.
fn bench_with_steps() -> Bench {
    let bench = bench().with_busybox();
    bench.file("src/a", "1\n");
    bench.file("src/b", "2\n");
    bench.dockerfile(STEPS);
    bench
}

/// Returns how the steps of a build ended, but for the base, which only ever is looked up.
fn outcomes(log: &Finished) -> Vec<(String, Outcome)> {
    log.steps()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("FROM "))
        .collect()
}

fn all(outcomes: &[(String, Outcome)], expected: Outcome) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(|(_, outcome)| *outcome == expected)
}

#[test]
fn a_second_build_runs_nothing_and_gives_the_same_bytes() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    let first = bench.build(&[]);
    let bytes = std::fs::read(bench.path("out.tar")).unwrap();
    assert!(
        all(&outcomes(&first.log), Outcome::Done),
        "{:?}",
        first.log.steps()
    );
    let second = bench.build_as(&[], "type=oci,dest=second.tar");
    assert!(
        all(&outcomes(&second.log), Outcome::Cached),
        "{:?}",
        second.log.steps()
    );
    assert_eq!(second.log.output(), [""; 0]);
    assert_eq!(std::fs::read(bench.path("second.tar")).unwrap(), bytes);
}

#[test]
fn a_file_that_was_only_touched_is_the_same() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.build(&[]);
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    File::options()
        .append(true)
        .open(bench.path("context/src/a"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    // Written anew, with the same content.
    bench.file("src/b", "2\n");
    let second = bench.build(&[]);
    assert!(
        all(&outcomes(&second.log), Outcome::Cached),
        "{:?}",
        second.log.steps()
    );
}

#[test]
fn a_file_that_was_changed_makes_all_that_follows_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.build(&[]);
    bench.file("src/b", "2\n3\n");
    let second = bench.build(&[]);
    let log = &second.log;
    let expected = [
        ("COPY src src".to_owned(), Outcome::Done),
        ("RUN cat src/* > all".to_owned(), Outcome::Done),
        ("RUN wc -l < all".to_owned(), Outcome::Done),
        ("WORKDIR /app".to_owned(), Outcome::Cached),
    ];
    assert_eq!(outcomes(log), expected);
    assert_eq!(log.output(), ["3"]);
}

#[test]
fn names_and_modes_count_as_content() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.build(&[]);
    bench.mode("src/a", 0o755);
    assert_eq!(
        bench.build(&[]).log.outcome("COPY src src"),
        Some(Outcome::Done)
    );
    std::fs::rename(bench.path("context/src/a"), bench.path("context/src/c")).unwrap();
    assert_eq!(
        bench.build(&[]).log.outcome("COPY src src"),
        Some(Outcome::Done)
    );
}

#[test]
fn a_step_is_made_again_from_where_the_dockerfile_differs() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.build(&[]);
    // Comments, empty lines and the case of an instruction do not.
    bench.dockerfile(&format!(
        "# a comment\n\n{}",
        STEPS.replace("WORKDIR", "workdir")
    ));
    assert!(all(&outcomes(&bench.build(&[]).log), Outcome::Cached));
    bench.dockerfile(&STEPS.replace("wc -l", "wc -c"));
    let log = bench.build(&[]).log;
    assert_eq!(log.outcome("RUN cat src/* > all"), Some(Outcome::Cached));
    assert_eq!(log.outcome("RUN wc -c < all"), Some(Outcome::Done));
}

#[test]
fn a_step_whose_input_came_out_the_same_is_not_made_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = |word: &str| {
        format!(
            "FROM base AS a\nRUN echo {word} > /dev/null; echo same > /out\n\
            FROM base\nCOPY --from=a /out /\nRUN cat /out\n"
        )
    };
    bench.dockerfile(&dockerfile("one"));
    bench.build(&[]);
    bench.dockerfile(&dockerfile("two"));
    let log = bench.build(&[]).log;
    assert_eq!(log.outcome("RUN cat /out"), Some(Outcome::Cached));
}

#[test]
fn nothing_is_taken_from_the_cache_where_that_is_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench_with_steps();
    bench.build(&[]);
    let log = bench.build(&["--no-cache"]).log;
    assert!(all(&outcomes(&log), Outcome::Done), "{:?}", log.steps());
    assert_eq!(log.output(), ["2"]);
}

#[test]
fn two_builds_at_the_same_time_run_the_same_step_once() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!(
        "FROM base\nRUN {}; echo made > /made\n",
        gate.command()
    ));
    let output = |name: &str| format!("type=oci,dest={name}");
    let one = bench.careen_build(&["-o", &output("one.tar")]).start();
    let stopped = gate.wait();
    let mut two = bench.careen_build(&["-o", &output("two.tar")]).start();
    two.wait_for("echo made > /made");
    drop(stopped);
    assert_eq!(one.finish().code(), 0);
    assert_eq!(two.finish().code(), 0);
    assert!(gate.is_quiet());
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert_eq!(read("one.tar"), read("two.tar"));
}

#[test]
fn a_build_that_waits_for_another_says_so() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!("FROM base\nRUN {}\n", gate.command()));
    let one = bench.careen_build(&[]).start();
    let stopped = gate.wait();
    let mut two = bench.careen_build(&[]).start();
    two.wait_for("waiting for another build that runs this step");
    drop(stopped);
    assert_eq!((one.finish().code(), two.finish().code()), (0, 0));
}

#[test]
fn a_build_takes_a_step_over_when_the_one_that_runs_it_dies() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!(
        "FROM base\nRUN {}; echo made > /made\n",
        gate.command()
    ));
    let one = bench.careen_build(&[]).start();
    let stopped = gate.wait();
    let mut two = bench.careen_build(&[]).start();
    two.wait_for("echo made > /made");
    one.id().kill();
    drop(gate.wait());
    assert_eq!(one.finish().code(), 128 + 9);
    assert_eq!(two.finish().code(), 0);
    drop(stopped);
}
