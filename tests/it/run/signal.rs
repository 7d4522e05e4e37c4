//! Signals to careen are the command's.

use support::process::{self, Role};
use support::{Feature, Gate, needs};

use crate::bench;

#[test]
fn a_signal_reaches_the_command_once_and_does_not_end_careen() {
    needs!(Feature::Busybox);
    let (bench, gates) = (bench().with_busybox(), [Gate::open(), Gate::open()]);
    // A shell looks at signals between two commands.
    let script = format!(
        "trap 'echo poked' USR1; trap 'echo asked; exit 9' TERM; {}; {}; sleep 100000 & wait; wait",
        gates[0].command(),
        gates[1].command(),
    );
    let running = bench
        .careen(&["run", "oci:base", "sh", "-c", &script])
        .start();
    let stopped = gates[0].wait();
    running.id().poke();
    drop(stopped);
    let stopped = gates[1].wait();
    running.id().terminate();
    drop(stopped);
    let ended = running.finish();
    assert_eq!((ended.code(), ended.text()), (9, "poked\nasked\n"));
}

#[test]
fn a_command_without_a_trap_ends_by_the_signal() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let script = format!("exec {}", gate.command());
    let running = bench
        .careen(&["run", "oci:base", "sh", "-c", &script])
        .start();
    let _stopped = gate.wait();
    let processes = process::tree(running.id());
    running.id().interrupt();
    let ended = running.finish();
    assert_eq!((ended.code(), &*ended.stderr), (130, ""));
    process::wait_for_end(&processes);
}

#[test]
fn without_passing_on_a_signal_ends_careen_and_everything_with_it() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let script = format!("trap '' TERM; {}; sleep 100000", gate.command());
    let words = ["run", "--sig-proxy=false", "oci:base", "sh", "-c", &script];
    let running = bench.careen(&words).start();
    let _stopped = gate.wait();
    let processes = process::tree(running.id());
    running.id().terminate();
    assert_eq!(running.finish().error(143), "error: interrupted by SIGTERM");
    process::wait_for_end(&processes);
}

#[test]
fn nothing_outlives_the_process_that_the_user_started() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let script = format!("{}; sleep 100000", gate.command());
    let running = bench
        .careen(&["run", "oci:base", "sh", "-c", &script])
        .start();
    let _stopped = gate.wait();
    process::wait_for(running.id(), Role::Command);
    let processes = process::tree(running.id());
    running.id().kill();
    assert_eq!(running.finish().code(), 137);
    process::wait_for_end(&processes);
}
