//! A build of which one process is killed, whichever: nothing of it is left, and the next one gives what an
//! undisturbed one gives.

use support::process::{self, Role};
use support::{Archive, Feature, Gate, needs};

use crate::bench;

/// Kills the process in this role while a command runs, and builds again.
fn kill(role: Role) {
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.file("file", "content\n");
    bench.dockerfile(&format!(
        "FROM base\nCOPY file /\nRUN echo one > /one\nRUN touch /half; {}; echo two > /two\n",
        gate.command()
    ));
    let build = || {
        let running = bench
            .careen_build(&["-o", "type=oci,dest=out.tar,rewrite-timestamp=true"])
            .start();
        let stopped = gate.wait();
        (running, stopped)
    };
    let digest = || Archive::read(&std::fs::read(bench.path("out.tar")).unwrap()).top_digest();

    let (running, stopped) = build();
    drop(stopped);
    running.finish().success();
    let undisturbed = digest();
    std::fs::remove_file(bench.path("out.tar")).unwrap();
    bench.forget();

    let (running, stopped) = build();
    let victim = process::wait_for(running.id(), role);
    let processes = process::tree(running.id());
    victim.kill();
    assert_ne!(running.finish().code(), 0);
    process::wait_for_end(&processes);
    drop(stopped);
    assert!(!std::fs::exists(bench.path("out.tar")).unwrap());

    let (running, stopped) = build();
    drop(stopped);
    running.finish().success();
    assert_eq!(digest(), undisturbed);
}

#[test]
fn the_first_process_is_killed() {
    needs!(Feature::Busybox);
    kill(Role::First);
}

#[test]
fn the_builder_is_killed() {
    needs!(Feature::Busybox);
    kill(Role::Builder);
}

#[test]
fn init_is_killed() {
    needs!(Feature::Busybox);
    kill(Role::Init);
}

#[test]
fn the_first_process_of_the_sandbox_is_killed() {
    needs!(Feature::Busybox);
    kill(Role::PidOne);
}

#[test]
fn the_command_is_killed() {
    needs!(Feature::Busybox);
    kill(Role::Command);
}

#[test]
fn a_builder_that_is_killed_is_told_of() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!("FROM base\nRUN {}\n", gate.command()));
    let running = bench.careen_build(&[]).start();
    let stopped = gate.wait();
    process::wait_for(running.id(), Role::Builder).kill();
    assert_eq!(
        running.finish().error(128 + 9),
        "error: the builder was ended by SIGKILL\n  \
         = note: the kernel ends processes so when memory is short, and writes it into its log"
    );
    drop(stopped);
}
