//! `ARG` and `ENV`.

use support::{Feature, Outcome, needs};

use crate::bench;

#[test]
fn an_argument_comes_from_the_flag_the_environment_or_its_default() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nARG A=default\nARG B=default\nARG C=default\nARG D\nRUN echo $A $B $C ${D-none}\n");
    let run = bench.careen_build(&["--build-arg", "A=flag", "--build-arg", "B"]);
    let log = run
        .env("B", "environment")
        .env("C", "not asked for")
        .run()
        .success();
    assert_eq!(log.output(), ["flag environment default none"]);
}

#[test]
fn an_argument_is_no_part_of_the_image_and_a_variable_is() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nARG A=1\nENV B=$A C=\"x y\"\nENV A=2\nRUN echo $A $B $C\n");
    let built = bench.build(&["--build-arg", "A=3"]);
    assert_eq!(built.log.output(), ["2 3 x y"]);
    let expected = ["PATH=/usr/local/bin:/usr/bin:/bin", "B=3", "C=x y", "A=2"];
    assert_eq!(built.image().config.config.env, expected);
}

#[test]
fn an_argument_before_the_first_stage_is_for_from_alone_until_it_is_declared_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "ARG NAME=base\nFROM ${NAME}\nRUN echo \"[$NAME]\"\nARG NAME\nRUN echo \"[$NAME]\"\n",
    );
    assert_eq!(
        bench.careen_build(&[]).run().success().output(),
        ["[]", "[base]"]
    );
}

#[test]
fn platform_arguments_are_known_where_they_are_declared() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN echo \"[$TARGETPLATFORM]\"\n\
         ARG TARGETPLATFORM TARGETOS BUILDPLATFORM\nRUN echo $TARGETPLATFORM $TARGETOS $BUILDPLATFORM\n",
    );
    let platform = support::layout::host_platform();
    let expected = ["[]".to_owned(), format!("{platform} linux {platform}")];
    assert_eq!(bench.careen_build(&[]).run().success().output(), expected);
}

#[test]
fn only_an_argument_that_is_declared_changes_a_step() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo before\nARG A\nRUN echo after\n");
    let outcomes = |value: &str| {
        let log = bench.careen_build(&["--build-arg", value]).run().success();
        (
            log.outcome("RUN echo before"),
            log.outcome("RUN echo after"),
        )
    };
    assert_eq!(outcomes("A=1"), (Some(Outcome::Done), Some(Outcome::Done)));
    assert_eq!(
        outcomes("A=2"),
        (Some(Outcome::Cached), Some(Outcome::Done))
    );
    assert_eq!(
        outcomes("A=1"),
        (Some(Outcome::Cached), Some(Outcome::Cached))
    );
}

#[test]
fn t_g04_a_proxy_reaches_commands_and_neither_the_key_nor_the_image() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo $http_proxy\n");
    let first = bench.build(&["--build-arg", "http_proxy=http://secret@one"]);
    assert_eq!(first.log.output(), ["http://secret@one"]);
    let second = bench.build(&["--build-arg", "http_proxy=http://secret@two"]);
    assert_eq!(
        second.log.outcome("RUN echo $http_proxy"),
        Some(Outcome::Cached)
    );
    assert_eq!(first.archive.top_digest(), second.archive.top_digest());
    let config = String::from_utf8(second.image().config.to_bytes()).unwrap();
    assert!(!config.contains("secret"), "{config}");
}
