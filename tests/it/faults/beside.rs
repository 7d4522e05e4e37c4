//! What goes on beside a step that fails is ended: a build that is lost keeps nobody waiting.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use support::layout::{self, host_platform};
use support::process;
use support::program::PATIENCE;
use support::{BaseImage, Bench, Entry, Fault, Feature, Finished, Gate, Outcome, Registry, needs};

use crate::bench;

/// Builds with a stage that never ends and a stage that fails as soon as `has_begun` says that the other one is there.
fn fail_beside<B>(bench: &Bench, endless: &str, has_begun: B) -> Finished
where
    B: FnOnce(),
{
    let gate = Gate::open();
    bench.dockerfile(&format!(
        "FROM base AS wrong\nRUN {}; exit 9\n\
         {endless}\n\
         FROM scratch\nCOPY --from=wrong /bin /wrong\nCOPY --from=endless /bin /endless\n",
        gate.command()
    ));
    let running = bench.careen_build(&["-j", "2"]).start();
    let stopped = gate.wait();
    has_begun();
    let processes = process::tree(running.id());
    drop(stopped);
    let log = running.finish();
    process::wait_for_end(&processes);
    assert_eq!(log.code(), 1, "{}", log.stderr);
    assert_eq!(log.stderr.matches(" ERROR: ").count(), 1, "{}", log.stderr);
    let wrong = format!("RUN {}; exit 9", gate.command());
    assert_eq!(log.outcome(&wrong), Some(Outcome::Failed));
    log
}

#[test]
fn a_command_beside_a_step_that_fails_is_ended_and_nothing_else_begins() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let command = gate.command();
    let mut stopped = None;
    let log = fail_beside(
        &bench,
        &format!("FROM base AS endless\nRUN trap '' TERM; {command}; sleep 100000\nRUN echo never"),
        || stopped = Some(gate.wait()),
    );
    let endless = format!("RUN trap '' TERM; {command}; sleep 100000");
    assert_eq!(log.outcome(&endless), Some(Outcome::Cancelled));
    assert_eq!(log.outcome("RUN echo never"), None);
}

#[test]
fn a_server_that_says_nothing_beside_a_step_that_fails_is_left() {
    needs!(Feature::Busybox);
    let (bench, server) = (bench().with_busybox(), Gate::open());
    let address = server.command().replace("nc 127.0.0.1 ", "127.0.0.1:");
    let mut connection = None;
    let log = fail_beside(
        &bench,
        &format!("FROM base AS endless\nADD http://{address}/file /bin/"),
        || connection = Some(server.wait()),
    );
    let fetched = format!("ADD http://{address}/file /bin/");
    assert_eq!(
        log.outcome(&fetched),
        Some(Outcome::Cancelled),
        "{}",
        log.stderr
    );
}

#[test]
fn a_base_that_comes_slowly_beside_a_step_that_fails_is_left() {
    needs!(Feature::Busybox);
    let (bench, registry) = (bench().with_busybox(), Registry::start());
    let file = Entry::file("bin/file", "content\n");
    let slow = BaseImage::new(&host_platform(), vec![file]);
    layout::write(&bench.path("slow"), &[slow]);
    let name = format!("{}/lib/slow:1", registry.host());
    let copy = bench.careen(&["copy", "--all", "oci:slow:latest", &name]);
    copy.run().success();
    let (sender, asked) = channel();
    registry.misbehave(slow_layers(sender));
    let log = fail_beside(&bench, &format!("FROM {name} AS endless\nRUN true"), || {
        asked.recv_timeout(PATIENCE).unwrap();
    });
    assert!(log.stderr.contains(" CANCELED"), "{}", log.stderr);
}

/// Sends all blobs but the first, which is the configuration, as good as never, and tells when one is asked for.
fn slow_layers(told: Sender<()>) -> impl FnMut(&support::http::Asked) -> Option<Fault> {
    let mut blobs = 0;
    move |asked| {
        if asked.method != "GET" || !asked.path.contains("/blobs/") {
            return None;
        }
        blobs += 1;
        if blobs == 1 {
            return None;
        }
        told.send(()).unwrap_or_default();
        Some(Fault::Slow(Duration::from_secs(1000)))
    }
}
