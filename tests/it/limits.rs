//! What a command may use together with what it starts, and what becomes of that when it ends.

use support::{Bench, Feature, needs};

use crate::bench;

/// Returns what the commands of a Dockerfile print.
fn output(bench: &Bench, dockerfile: &str, arguments: &[&str]) -> Vec<String> {
    bench.dockerfile(dockerfile);
    let log = bench.careen_build(arguments).run().success();
    log.output().into_iter().map(str::to_owned).collect()
}

/// By a control group where there is one, and else by what a user may have.
#[test]
fn a_fork_bomb_is_held_and_ends_with_its_step() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let bomb = "(for i in $(seq 200); do sleep 1000 & done) 2>/dev/null || echo held";
    let dockerfile = format!("FROM base\nRUN {bomb}\nRUN ps -o args | grep -c '[s]leep'; true\n");
    let printed = output(&bench, &dockerfile, &["--pids-limit", "50"]);
    assert_eq!(printed, ["held", "0"]);
    let free = output(&bench, &dockerfile, &["--no-cache"]);
    assert_eq!(free, ["0"]);
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
