//! A store that waits for no disk: what a start of the machine does to it.

use std::fs;

use support::{Feature, Outcome, needs};

use crate::bench;

const COMMAND: &str = "RUN echo made > /made";

#[test]
fn what_was_not_synced_is_made_again_after_another_start_of_the_machine() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(&format!("FROM base\n{COMMAND}\n"));
    let first = bench.build(&["--no-sync"]);
    assert_eq!(first.log.outcome(COMMAND), Some(Outcome::Done));
    let mark = bench.path("home/.local/share/careen/UNSYNCED");
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(fs::read(&mark).unwrap(), boot);
    let second = bench.build(&[]);
    assert_eq!(second.log.outcome(COMMAND), Some(Outcome::Cached));
    fs::write(&mark, "an earlier start\n").unwrap();
    let third = bench.build(&[]);
    assert_eq!(third.log.outcome(COMMAND), Some(Outcome::Done));
    assert!(!mark.try_exists().unwrap());
    let fourth = bench.build(&[]);
    assert_eq!(fourth.log.outcome(COMMAND), Some(Outcome::Cached));
}

#[test]
fn a_step_that_was_kept_is_not_found_after_another_start_of_the_machine() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN exit 1\n");
    bench.refusal(&["--no-sync", "--on-failure=keep"]);
    let kept = || {
        let listed = bench.careen(&["debug", "ls", "-q"]).run().success();
        listed.text().lines().count()
    };
    assert_eq!(kept(), 1);
    let mark = bench.path("home/.local/share/careen/UNSYNCED");
    fs::write(&mark, "an earlier start\n").unwrap();
    assert_eq!(kept(), 0);
}
