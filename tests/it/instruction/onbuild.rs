//! `ONBUILD`: what an image leaves to be done by the builds on it.

use insta::assert_snapshot;
use support::layout::host_platform;
use support::{BaseImage, Bench, Entry, Feature, Outcome, needs};

use crate::bench;

/// Makes a bench whose base is busybox with triggers.
fn bench_with_triggers(triggers: &[&str]) -> Bench {
    let mut base = BaseImage::busybox();
    base.config.on_build = triggers.iter().map(|text| (*text).to_owned()).collect();
    bench().with_base(&[base])
}

#[test]
fn triggers_run_before_the_stage_and_leave_the_image() {
    needs!(Feature::Busybox);
    let bench = bench_with_triggers(&[
        "ARG WHO=nobody",
        "WORKDIR /app",
        "COPY name .",
        "RUN <<EOF\necho \"$WHO $(cat name)\" > all\nEOF",
    ]);
    bench.file("name", "trigger\n");
    bench.dockerfile("FROM base\nONBUILD RUN echo own\nRUN cat all; echo changed > all\n");
    let built = bench.build(&["--build-arg", "WHO=ana"]);
    assert_eq!(built.log.output(), ["ana trigger"]);
    assert_eq!(built.image().text("app/all"), "changed\n");
    assert_eq!(built.image().config.config.on_build, ["RUN echo own"]);
    let expected = [
        "a test",
        "(empty) ARG WHO=ana",
        "WORKDIR /app",
        "COPY name . # buildkit",
        "RUN |1 WHO=ana /bin/sh -c echo \"$WHO $(cat name)\" > all\n # buildkit",
        "RUN |1 WHO=ana /bin/sh -c cat all; echo changed > all # buildkit",
    ];
    assert_eq!(built.image().history(), expected);
    let trigger = built.log.outcome("ONBUILD COPY name .");
    assert_eq!(trigger, Some(Outcome::Done));
}

#[test]
fn a_stage_runs_the_triggers_of_the_stage_it_is_built_on_and_no_older_ones() {
    needs!(Feature::Busybox);
    let bench = bench_with_triggers(&["RUN echo image >> /log"]);
    bench.dockerfile(
        "FROM base AS one\nONBUILD RUN echo one >> /log\n\
         FROM one AS two\nRUN echo two >> /log\n\
         FROM two\nRUN echo three >> /log\n",
    );
    let built = bench.build(&[]);
    assert_eq!(built.image().text("log"), "image\none\ntwo\nthree\n");
}

#[test]
fn a_trigger_copies_from_stages_and_images_of_the_build_it_runs_in() {
    let mut base = BaseImage::new(&host_platform(), vec![Entry::file("a", "base\n")]);
    base.config.on_build = vec![
        "COPY --from=tools /made /from-stage".to_owned(),
        "COPY --from=base /a /from-image".to_owned(),
    ];
    let bench = bench().with_base(&[base]);
    bench.file("made", "stage\n");
    bench.dockerfile("FROM scratch AS tools\nCOPY made /\nFROM base\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().text("from-stage"), "stage\n");
    assert_eq!(built.image().text("from-image"), "base\n");
}

#[test]
fn what_fails_in_a_trigger_is_shown_at_the_base_with_the_trigger() {
    let mut base = BaseImage::new(&host_platform(), vec![Entry::file("a", "")]);
    base.config.on_build = vec!["COPY requirements.txt /app/".to_owned()];
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: COPY source not found: `/requirements.txt`
     --> Dockerfile:1:1
      |
    1 | FROM base
      | ^^^^^^^^^ step 2/3
      |
      = note: in the trigger `ONBUILD COPY requirements.txt /app/`
      = note: build context: $BENCH/context
    ");
}

#[test]
fn a_trigger_that_is_no_instruction_is_shown_at_the_base() {
    let mut base = BaseImage::new(&host_platform(), vec![Entry::file("a", "")]);
    base.config.on_build = vec!["FROM scratch".to_owned()];
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: ONBUILD cannot hold FROM
     --> Dockerfile:1:6
      |
    1 | FROM base
      |      ^^^^
      |
      = note: in the trigger `ONBUILD FROM scratch`
    ");
}

#[test]
fn a_stage_that_a_trigger_copies_from_must_stand_above() {
    let mut base = BaseImage::new(&host_platform(), vec![Entry::file("a", "")]);
    base.config.on_build = vec!["COPY --from=tools / /".to_owned()];
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base AS app\nFROM scratch AS tools\nFROM app\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: stage `tools` stands below the one that takes files from it
     --> Dockerfile:1:6
      |
    1 | FROM base AS app
      |      ^^^^
      |
      = note: in the trigger `ONBUILD COPY --from=tools / /`
      = help: move the stage up: files can be taken from stages above only
    ");
}
