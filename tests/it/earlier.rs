//! Early cut-off: a command that ran again and made what an earlier one made.

use support::{Bench, Built, Feature, Finished, Outcome, needs};

use crate::bench;

/// Builds a Dockerfile; returns what came of it.
fn build(bench: &Bench, dockerfile: &str) -> Built {
    bench.dockerfile(dockerfile);
    bench.build(&[])
}

/// Returns the digests of the uncompressed layers.
fn layers(built: &Built) -> Vec<String> {
    let ids = &built.image().config.rootfs.diff_ids;
    ids.iter().map(ToString::to_string).collect()
}

fn outcomes(log: &Finished, names: &[&str]) -> Vec<Option<Outcome>> {
    names.iter().map(|name| log.outcome(name)).collect()
}

const DONE: Option<Outcome> = Some(Outcome::Done);
const CACHED: Option<Outcome> = Some(Outcome::Cached);

#[test]
fn an_argument_without_effect_costs_the_commands_that_see_it() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("file", "1\n");
    let steps = "RUN mkdir /d && echo 1 > /d/one";
    bench.dockerfile(&format!(
        "FROM base AS made\nARG A\n{steps}\nFROM base AS other\nRUN echo o > /o\n\
         FROM made\nCOPY file /d/\nCOPY --from=other /o /\nRUN cat /d/* /o > /all\n"
    ));
    let first = bench.build(&["--build-arg", "A=1"]);
    let names = [
        "RUN mkdir /d && echo 1 > /d/one",
        "COPY file /d/",
        "COPY --from=other /o /",
        "RUN cat /d/* /o > /all",
    ];
    assert_eq!(outcomes(&first.log, &names), [DONE; 4]);
    let second = bench.build(&["--build-arg", "A=2"]);
    // The argument is a variable of the last command too.
    let expected = [DONE, CACHED, CACHED, DONE];
    assert_eq!(outcomes(&second.log, &names), expected);
    assert_eq!(layers(&first), layers(&second));
    // It is remembered under the new keys too, and the old ones are what they were.
    for argument in ["A=2", "A=1"] {
        let again = bench.build(&["--build-arg", argument]);
        assert_eq!(outcomes(&again.log, &names), [CACHED; 4], "{argument}");
        assert_eq!(layers(&first), layers(&again));
    }
}

#[test]
fn each_command_of_a_chain_is_cut_off() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = |word: &str| {
        format!(
            "FROM base\nRUN : {word}; echo 1 > /one\nRUN cat /one > /two\n\
             RUN : {word}; cat /two > /three\nRUN cat /three > /four\n"
        )
    };
    let first = build(&bench, &dockerfile("a"));
    let names = [
        "RUN : b; echo 1 > /one",
        "RUN cat /one > /two",
        "RUN : b; cat /two > /three",
        "RUN cat /three > /four",
    ];
    let second = build(&bench, &dockerfile("b"));
    assert_eq!(outcomes(&second.log, &names), [DONE, CACHED, DONE, CACHED]);
    assert_eq!(layers(&first), layers(&second));
    let third = build(&bench, &dockerfile("b"));
    assert_eq!(outcomes(&third.log, &names), [CACHED; 4]);
}

/// Both lines begin and end with what makes the same, so that only what differs can tell them apart.
#[test]
fn what_differs_is_not_cut_off() {
    needs!(Feature::Busybox);
    for (one, other) in [
        ("echo 1 > /f", "echo 2 > /f"),
        ("echo 1 > /f", "echo 1 > /f; chmod 600 /f"),
        ("echo 1 > /f", "echo 1 > /f; touch -t 200102030405 /f"),
        (
            "echo 1 > /f; touch -t 200002030405 /f",
            "echo 1 > /f; touch -t 200102030405 /f",
        ),
        ("echo 1 > /f", "echo 1 > /f; chown 1:1 /f"),
        (
            "echo 1 > /f; echo 1 > /g",
            "echo 1 > /f; rm -f /g; ln /f /g",
        ),
        ("rm /etc/group; :", "rm /etc/passwd; :"),
        ("rm /etc/group", "echo > /etc/group"),
        ("ln -s a /f", "ln -s b /f"),
        ("mkdir /f", "mkfifo /f"),
    ] {
        let bench = bench().with_busybox();
        let dockerfile = |command: &str| format!("FROM base\nRUN {command}\nRUN ls / > /list\n");
        let first = build(&bench, &dockerfile(one));
        let second = build(&bench, &dockerfile(other));
        let next = second.log.outcome("RUN ls / > /list");
        assert_eq!(next, DONE, "{one} / {other}");
        assert_ne!(
            layers(&first)[1..2],
            layers(&second)[1..2],
            "{one} / {other}"
        );
        // And the first one is still there under its own name.
        let third = build(&bench, &dockerfile(one));
        assert_eq!(layers(&first), layers(&third), "{one} / {other}");
    }
}

#[test]
fn a_stage_that_comes_out_as_before_is_not_copied_from_again_for_any_platform() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = |word: &str| {
        format!(
            "FROM --platform=$BUILDPLATFORM base AS tools\nRUN : {word}; echo x > /x\n\
             RUN cat /x > /y; echo ran >&2\nFROM scratch\nARG TARGETARCH\nCOPY --from=tools / /\n"
        )
    };
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    bench.dockerfile(&dockerfile("a"));
    let first = bench.build(&platforms);
    assert_eq!(first.log.output(), ["ran"]);
    bench.dockerfile(&dockerfile("b"));
    let second = bench.build(&platforms);
    assert_eq!(second.log.output(), [""; 0]);
    let ids = |built: &Built| {
        let images = built.archive.images.iter();
        images
            .map(|image| image.config.rootfs.diff_ids.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&second));
}

#[test]
fn without_the_cache_nothing_is_cut_off() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile =
        |word: &str| format!("FROM base\nRUN : {word}; echo 1 > /f\nRUN cat /f > /g\n");
    build(&bench, &dockerfile("a"));
    bench.dockerfile(&dockerfile("b"));
    let second = bench.build(&["--no-cache"]);
    assert_eq!(second.log.outcome("RUN cat /f > /g"), DONE);
}

/// The record of the second word says that it led to the same as the first one; then the first one is made again.
#[test]
fn a_result_that_was_made_anew_is_not_the_earlier_one_any_more() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("value", "1");
    let dockerfile = |word: &str| {
        format!(
            "FROM base\nRUN --mount=type=cache,target=/c : {word}; cat /c/value > /f 2> /dev/null; :\n\
             RUN cat /f > /g\n"
        )
    };
    build(&bench, &dockerfile("a"));
    build(&bench, &dockerfile("b"));
    // What the command makes changes without its key.
    build(
        &bench,
        "FROM base\nRUN --mount=type=cache,target=/c echo 2 > /c/value\n",
    );
    bench.dockerfile(&dockerfile("a"));
    let renewed = bench.build(&["--no-cache"]);
    assert_eq!(renewed.image().text("g"), "2\n");
    let third = build(&bench, &dockerfile("b"));
    let image = third.image();
    assert_eq!((image.text("f"), image.text("g")), ("", ""));
}
