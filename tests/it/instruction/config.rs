//! The instructions that say how a container runs, and the history of all.

use std::collections::{BTreeMap, BTreeSet};

use support::{Feature, needs};

use crate::bench;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn every_instruction_has_its_field() {
    let bench = bench();
    bench.dockerfile(
        "FROM scratch\n\
         MAINTAINER ana\n\
         LABEL a=1 b=\"two words\"\n\
         EXPOSE 80 53/udp\n\
         VOLUME [\"/data\", \"/with space\"]\n\
         USER app:staff\n\
         STOPSIGNAL SIGQUIT\n\
         SHELL [\"/bin/ash\", \"-ec\"]\n\
         HEALTHCHECK --interval=5s --retries=2 CMD test -e /up\n\
         ENTRYPOINT [\"/entry\"]\n\
         CMD serve all\n\
         ONBUILD RUN echo later\n",
    );
    let built = bench.build(&["--label", "c=3"]);
    let config = &built.image().config;
    let run = &config.config;
    let labels = [("a", "1"), ("b", "two words"), ("c", "3")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let set = |names: &[&str]| words(names).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(config.author.as_deref(), Some("ana"));
    assert_eq!(run.labels, BTreeMap::from(labels));
    assert_eq!(run.exposed_ports, set(&["53/udp", "80/tcp"]));
    assert_eq!(run.volumes, set(&["/data", "/with space"]));
    assert_eq!(run.user.as_deref(), Some("app:staff"));
    assert_eq!(run.stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!(run.shell, words(&["/bin/ash", "-ec"]));
    assert_eq!(run.entrypoint, words(&["/entry"]));
    assert_eq!(run.cmd, words(&["/bin/ash", "-ec", "serve all"]));
    assert_eq!(run.on_build, words(&["RUN echo later"]));
    let check = run.healthcheck.as_ref().unwrap();
    assert_eq!(check.test, words(&["CMD-SHELL", "test -e /up"]));
    assert_eq!((check.interval_ns, check.retries), (5_000_000_000, 2));
}

#[test]
fn the_history_says_what_made_each_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("file", "");
    bench.dockerfile(
        "FROM base\n\
         ARG WHO=world\n\
         ENV GREETING=\"hello $WHO\"\n\
         WORKDIR /app\n\
         COPY file .\n\
         RUN echo $GREETING\n\
         CMD [\"/bin/sh\"]\n",
    );
    let built = bench.build(&[]);
    let expected = [
        "a test",
        "(empty) ARG WHO=world",
        "(empty) ENV GREETING=hello world",
        "WORKDIR /app",
        "COPY file . # buildkit",
        "RUN |1 WHO=world /bin/sh -c echo $GREETING # buildkit",
        "(empty) CMD [\"/bin/sh\"]",
    ];
    assert_eq!(built.image().history(), expected);
    let created = built.image().config.history.last().unwrap();
    assert_eq!(created.comment.as_deref(), Some("buildkit.dockerfile.v0"));
    assert_eq!(created.created.unwrap().seconds(), 1_700_000_000);
    assert_eq!(
        built.image().config.created.unwrap().seconds(),
        1_700_000_000
    );
}

#[test]
fn what_the_image_runs_is_the_last_that_was_said() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS first\nCMD one\nENTRYPOINT two\nFROM first\nENTRYPOINT [\"three\"]\n",
    );
    let built = bench.build(&[]);
    let run = &built.image().config.config;
    assert_eq!(run.entrypoint, words(&["three"]));
    assert_eq!(run.cmd, words(&[]));
}
