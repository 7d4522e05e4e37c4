//! A build that is asked to end.

use support::process::{self, Role};
use support::{Fault, Feature, Finished, Gate, Outcome, Registry, needs};

use crate::bench;

#[test]
fn an_interrupt_ends_everything_at_once_and_leaves_the_store_whole() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!(
        "FROM base\nRUN echo kept > /kept\nRUN {}; echo made > /made\n",
        gate.command()
    ));
    let running = bench.careen_build(&[]).start();
    let stopped = gate.wait();
    process::wait_for(running.id(), Role::Command);
    let processes = process::tree(running.id());
    running.id().interrupt();
    let log = running.finish();
    assert_eq!(log.error(130), "error: interrupted by SIGINT");
    assert!(said_cancelled(&log), "{}", log.stderr);
    process::wait_for_end(&processes);
    drop(stopped);

    let again = bench.careen_build(&[]).start();
    drop(gate.wait());
    let again = again.finish().success();
    assert_eq!(
        again.outcome("RUN echo kept > /kept"),
        Some(Outcome::Cached)
    );
}

/// Tells whether the one command that had not ended says that it was cancelled, and nothing says that it failed.
fn said_cancelled(log: &Finished) -> bool {
    let steps = log.steps();
    let commands = steps.iter().filter(|(name, _)| name.starts_with("RUN "));
    let cancelled = commands.filter(|(_, outcome)| **outcome == Outcome::Cancelled);
    cancelled.count() == 1 && !log.stderr.contains(" ERROR: ")
}

/// The network is connected before the command is started, by a program that is never ready here.
#[test]
fn a_build_that_ends_while_its_command_is_being_started_was_cancelled() {
    needs!(Feature::Busybox, Feature::UserNetwork);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let pasta = format!(
        "#!/bin/busybox sh\nexec /bin/busybox {} </dev/null\n",
        gate.command()
    );
    bench.file("bin/pasta", pasta);
    bench.mode("bin/pasta", 0o755);
    bench.dockerfile("FROM base\nRUN true\n");
    for (end, code, said) in [
        (process::Id::interrupt as fn(_), 130, "SIGINT"),
        (process::Id::terminate, 143, "SIGTERM"),
    ] {
        let build = bench.careen_build(&["--network", "sandbox"]);
        let build = build.env("PATH", bench.path("context/bin"));
        let running = build.start();
        let _stopped = gate.wait();
        end(running.id());
        let log = running.finish();
        assert_eq!(log.error(code), format!("error: interrupted by {said}"));
        assert!(said_cancelled(&log), "{}", log.stderr);
    }
}

#[test]
fn a_request_to_end_is_heard_as_well() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    bench.dockerfile(&format!("FROM base\nRUN {}\n", gate.command()));
    let running = bench.careen_build(&[]).start();
    let _stopped = gate.wait();
    let processes = process::tree(running.id());
    running.id().terminate();
    assert_eq!(running.finish().code(), 128 + 15);
    process::wait_for_end(&processes);
}

#[test]
fn a_command_that_ignores_signals_ends_too() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let stop = gate.command();
    bench.dockerfile(&format!(
        "FROM base\nRUN trap '' INT TERM; {stop}; sleep 100000\n"
    ));
    let running = bench.careen_build(&[]).start();
    let stopped = gate.wait();
    let processes = process::tree(running.id());
    running.id().interrupt();
    assert_eq!(running.finish().code(), 130);
    process::wait_for_end(&processes);
    drop(stopped);
}

#[test]
fn an_archive_that_nobody_reads_is_waited_for_until_an_interrupt() {
    let bench = bench();
    bench.file("large", vec![7; 1 << 20]);
    bench.dockerfile("FROM scratch\nCOPY large /\n");
    // Whoever holds both ends of a pipe never sees it closed, and reads nothing.
    let script = "mkfifo pipe && exec 7<>pipe && exec \"$@\" >&7";
    let mut running = bench
        .careen_build_under(&["sh", "-c", script, "sh"], &["-o", "-"])
        .start();
    running.wait_for("sending tarball");
    running.id().interrupt();
    assert_eq!(running.finish().error(130), "error: interrupted by SIGINT");
}

#[test]
fn a_cache_that_is_interrupted_is_no_failure_of_the_cache() {
    for ignored in ["false", "true"] {
        let registry = Registry::start();
        registry.misbehave(|_| Some(Fault::status(500)));
        let bench = bench();
        bench.file("file", "content\n");
        bench.dockerfile("FROM scratch\nCOPY file /\n");
        let cache = format!(
            "type=registry,ref={}/app:cache,ignore-error={ignored}",
            registry.host()
        );
        let mut running = bench
            .careen_build(&["-o", "type=oci,dest=out.tar", "--cache-to", &cache])
            .start();
        running.wait_for_line_with("trying again in");
        running.id().interrupt();
        assert_eq!(
            running.finish().error(130),
            "error: interrupted by SIGINT\n  \
             = note: the outputs of the build are written, and its cache is not exported"
        );
        assert!(std::fs::exists(bench.path("out.tar")).unwrap());
    }
}
