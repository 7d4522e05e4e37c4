//! What a command may use together with what it starts, and what becomes of that when it ends.

use support::{Bench, Feature, needs};

use crate::bench;
use crate::full_disk::all_modes;

/// Returns what the commands of a Dockerfile print.
fn output(bench: &Bench, dockerfile: &str, arguments: &[&str]) -> Vec<String> {
    bench.dockerfile(dockerfile);
    let log = bench.careen_build(arguments).run().success();
    log.output().into_iter().map(str::to_owned).collect()
}

/// By a control group where there is one, and else by what a user may have; of root of the machine nothing is counted
/// then, and that is said.
#[test]
fn a_fork_bomb_is_held_and_ends_with_its_step() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let bomb = "(for i in $(seq 200); do sleep 1234 & done) 2>/dev/null || echo held";
    bench.dockerfile(&format!("FROM base\nRUN {bomb}\nRUN echo next\n"));
    for mode in all_modes() {
        let arguments = ["--executor", mode, "--no-cache", "--pids-limit", "50"];
        let log = bench.careen_build(&arguments).run().success();
        let is_told = log.stderr.contains(", and none of root's: ");
        let expected: &[&str] = if is_told {
            &["next"]
        } else {
            &["held", "next"]
        };
        assert_eq!(log.output(), expected, "{mode}");
        let free = bench.careen_build(&arguments[..3]).run().success();
        assert_eq!(free.output(), ["next"], "{mode}");
        assert_eq!(sleepers(), 0, "{mode}");
    }
}

/// Returns how many processes of the machine are of the bomb.
fn sleepers() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let texts = processes.map(|process| std::fs::read(process.path().join("cmdline")));
    texts
        .filter(|text| {
            text.as_deref()
                .is_ok_and(|text| text == b"sleep\x001234\x00")
        })
        .count()
}

#[test]
fn a_memory_file_system_that_is_full_says_so_and_is_gone_with_its_step() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = "FROM base\n\
                      RUN head -c 2097152 /dev/zero 2>/dev/null >/dev/shm/x || echo full\n\
                      RUN ls /dev/shm | wc -l\n";
    assert_eq!(
        output(&bench, dockerfile, &["--shm-size", "1m"]),
        ["full", "0"]
    );
}

#[test]
fn what_no_group_could_keep_is_refused() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    for (arguments, expected) in [
        (
            &["--pids-limit", "many"][..],
            "error: `--pids-limit many`: `many` is no number",
        ),
        (
            &["--cpus", "two"],
            "error: `--cpus two`: `two` is no number of processors: `2`, `0.5` are",
        ),
        (
            &["--memory-swap", "1g"],
            "error: `--memory-swap` is memory and swap together, and `--memory` is not given",
        ),
    ] {
        assert_eq!(bench.failure(arguments, 2).trim_end(), expected);
    }
}

#[test]
fn run_takes_limits_too() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let image = format!("oci:{}", bench.path("base").display());
    let bomb = "(for i in $(seq 200); do sleep 1000 & done) 2>/dev/null || echo held";
    let arguments = ["run", "--pids-limit", "50", &image, "sh", "-c", bomb];
    let run = bench.careen(&arguments).run().success();
    assert_eq!(run.stdout, b"held\n");
}
