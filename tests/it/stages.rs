//! Several stages.

use std::sync::mpsc;

use insta::assert_snapshot;
use support::{Feature, Gate, Outcome, Registry, needs};

use crate::bench;

#[test]
fn a_stage_that_the_target_does_not_need_is_not_built() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS broken\nRUN exit 9\n\
         FROM no-such-image AS missing\n\
         FROM base AS wanted\nRUN echo wanted\n\
         FROM broken\nCOPY --from=missing / /\n",
    );
    let log = bench.careen_build(&["--target", "wanted"]).run().success();
    assert_eq!(log.outcome("RUN echo wanted"), Some(Outcome::Done));
    assert_eq!(log.outcome("RUN exit 9"), None);
}

#[test]
fn files_come_from_stages_by_name_by_number_and_from_images() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS one\nRUN mkdir /out && echo 1 > /out/one\n\
         FROM base\nRUN echo 2 > /two\n\
         FROM scratch\n\
         COPY --from=one /out /\n\
         COPY --from=1 two /\n\
         COPY --from=base etc/group /group\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!((image.text("one"), image.text("two")), ("1\n", "2\n"));
    assert!(image.text("group").starts_with("root:x:0:"));
    assert_eq!(image.tree().len(), 3);
}

#[test]
fn a_stage_goes_on_from_another() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS lower\nENV A=1\nRUN echo 1 > /one\nARG B=x\n\
         FROM lower\nRUN echo $A${B-none} > /two\n",
    );
    let built = bench.build(&[]);
    assert_eq!(built.image().text("one"), "1\n");
    assert_eq!(built.image().text("two"), "1x\n");
}

#[test]
fn stages_that_do_not_need_each_other_run_side_by_side() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let stop = gate.command();
    bench.dockerfile(&format!(
        "FROM base AS a\nRUN {stop}; echo a > /a\nFROM base AS b\nRUN {stop}; echo b > /b\n\
         FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    ));
    let running = bench.careen_build(&["-j", "2"]).start();
    // Both are at the gate before either may go on.
    let both = [gate.wait(), gate.wait()];
    drop(both);
    assert_eq!(running.finish().code(), 0);
}

#[test]
fn stages_that_wait_for_one_base_keep_no_other_stage_waiting() {
    needs!(Feature::Busybox);
    let (bench, gate, registry) = (bench().with_busybox(), Gate::open(), Registry::start());
    let slow = format!("{}/slow:1", registry.host());
    bench.dockerfile("FROM scratch\nCOPY --from=base / /\n");
    bench.careen_build(&["--push", "-t", &slow]).run().success();
    bench.forget();
    let (release, released) = mpsc::channel::<()>();
    let mut blobs = 0;
    registry.misbehave(move |asked| {
        blobs += u32::from(asked.path.contains("/blobs/"));
        // The first is the configuration. The layer does not come before it is let go.
        (blobs > 1).then(|| released.recv().unwrap_or_default());
        None
    });
    let stages = (0..6).map(|number| format!("FROM {slow} AS s{number}\nRUN echo > /{number}\n"));
    let copies = (0..6).map(|number| format!("COPY --from=s{number} /{number} /\n"));
    bench.dockerfile(&format!(
        "{}FROM base AS other\nRUN {}; echo > /other\nFROM scratch\n{}COPY --from=other /other /\n",
        stages.collect::<String>(),
        gate.command(),
        copies.collect::<String>(),
    ));
    let running = bench.careen_build(&["-j", "2"]).start();
    drop(gate.wait());
    drop(release);
    running.finish().success();
}

#[test]
fn no_more_commands_run_at_once_than_jobs_were_asked_for() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    let stop = gate.command();
    bench.dockerfile(&format!(
        "FROM base AS a\nRUN {stop}; echo a > /a\nFROM base AS b\nRUN echo quick > /b\n\
         FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    ));
    let mut running = bench.careen_build(&["-j", "1"]).start();
    // Whichever stage comes first, the other begins after its end.
    drop(gate.wait());
    running.wait_for("COPY --from=b /b /");
    assert_eq!(running.finish().code(), 0);
}

/// What they need is known from the first build.
#[test]
fn commands_that_are_expected_to_need_too_much_together_run_one_after_the_other() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let stage = |name: &str| {
        format!(
            "FROM base AS {name}\nRUN echo begin; dd if=/dev/zero of=/dev/null bs=60M count=4 2> /{name}; echo end\n"
        )
    };
    let stages: String = ["a", "b", "c"].map(stage).concat();
    bench.dockerfile(&format!(
        "{stages}FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n"
    ));
    bench.build(&[]);
    let built = bench.build(&["--no-cache", "-j", "3", "--memory-budget", "100m"]);
    assert_eq!(built.log.output(), ["begin", "end"].repeat(3));
    let refused = bench.careen_build(&["--memory-budget", "much"]).run();
    assert!(refused.error(2).contains("`--memory-budget much`"));
}

#[test]
fn a_target_that_is_not_there_is_shown_with_those_that_are() {
    let bench = bench();
    bench.dockerfile("FROM scratch AS build\nFROM scratch AS test\n");
    assert_snapshot!(bench.refusal(&["--target", "bulid"]), @r"
    error: there is no stage `bulid`, which `--target` asks for
     --> Dockerfile:1:1
      |
    1 | FROM scratch AS build
      | ^^^^
      |
      = note: the stages are `build`, `test`
      = help: did you mean `build`?
    ");
}

#[test]
fn a_stage_cannot_copy_from_a_later_one() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY --from=later /a /a\nFROM scratch AS later\n");
    assert_snapshot!(bench.refusal(&["--target", "0"]), @r"
    error: stage `later` stands below the one that takes files from it
     --> Dockerfile:2:13
      |
    2 | COPY --from=later /a /a
      |             ^^^^^
      |
      = help: move the stage up: files can be taken from stages above only
    ");
}
