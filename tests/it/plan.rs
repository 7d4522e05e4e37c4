//! What the command line says about the plan: platforms, the first base, build arguments, what is built again.

use insta::assert_snapshot;
use support::{BaseImage, Entry, Feature, needs};

use crate::bench;

#[test]
fn only_the_stages_that_are_named_are_built_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS one\nRUN cat /proc/sys/kernel/random/uuid > /one\n\
         FROM base AS two\nRUN cat /proc/sys/kernel/random/uuid > /two\nRUN cat /two > /three\n\
         FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /three /\n",
    );
    let texts = |built: &support::Built| {
        ["one", "two", "three"].map(|name| built.image().text(name).to_owned())
    };
    let first = texts(&bench.build(&[]));
    let again = bench.build(&["--no-cache-filter", "TWO,unknown"]);
    let second = texts(&again);
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    assert_eq!(second[1], second[2]);
    // Of the other stage the copy is known, so that nobody asks for more.
    let one = again
        .log
        .outcome("RUN cat /proc/sys/kernel/random/uuid > /one");
    assert_eq!(one, None);
    // What was built again is what counts from now on.
    assert_eq!(texts(&bench.build(&[])), second);
}

#[test]
fn build_arguments_come_from_files_and_the_command_line_goes_before_them() {
    let bench = bench();
    std::fs::write(bench.path("one"), "# first\nA=file\nB=file\nC=file\n").unwrap();
    std::fs::write(bench.path("two"), "\nB=second file\n").unwrap();
    bench.dockerfile("FROM scratch\nARG A B C\nLABEL all=\"$A, $B, $C\"\n");
    let built = bench.build(&[
        "--build-arg",
        "C=typed",
        "--build-arg-file",
        "one",
        "--build-arg-file",
        "two",
    ]);
    let labels = &built.image().config.config.labels;
    let all = labels.get("all").map(String::as_str);
    assert_eq!(all, Some("file, second file, typed"));
}

#[test]
fn a_file_of_build_arguments_that_is_wrong_is_shown() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    std::fs::write(bench.path("args"), "A=1\n=2\n").unwrap();
    assert_snapshot!(bench.failure(&["--build-arg-file", "args"], 2), @r"
    error: `--build-arg-file args`: line 2 is no `NAME=VALUE`: `=2`
    ");
    assert_snapshot!(bench.failure(&["--build-arg-file", "gone"], 2), @r"
    error: cannot read `--build-arg-file gone`
      = caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn the_first_base_can_be_another() {
    let other = BaseImage::new("linux/s390x", vec![Entry::file("other", "other\n")]);
    let bench = bench().with_base(&[other]);
    bench.dockerfile("FROM gone:1 AS one\nFROM scratch\nCOPY --from=one /other /\n");
    let built = bench.build(&["--from", "base", "--platform", "linux/s390x"]);
    assert_eq!(built.image().text("other"), "other\n");
}

#[test]
fn all_platforms_are_those_that_the_bases_share() {
    let image = |platform: &str| BaseImage::new(platform, vec![Entry::file("a", platform)]);
    let bench = bench().with_base(&["linux/arm64", "linux/s390x"].map(image));
    bench.dockerfile("FROM base AS one\nFROM scratch\nCOPY --from=one /a /\n");
    let built = bench.build(&["--all-platforms"]);
    let images = built.archive.images.iter();
    let found: Vec<_> = images
        .map(|image| (image.platform(), image.text("a")))
        .collect();
    let expected = ["linux/arm64", "linux/s390x"].map(|name| (name.to_owned(), name));
    assert_eq!(found, expected);
}

#[test]
fn without_a_platform_a_base_for_another_decides() {
    let bench = bench();
    let output = "type=oci,tar=false,dest=layout";
    bench.file("a", "for s390x\n");
    bench.dockerfile("FROM scratch\nCOPY a /\n");
    let arguments = ["--platform", "linux/s390x", "--output", output];
    bench.careen_build(&arguments).run().success();
    bench.dockerfile("FROM other AS one\nCOPY a /b\nFROM one\nCOPY a /c\n");
    let context = format!("other=oci-layout://{}", bench.path("layout").display());
    let implicit = bench.build(&["--build-context", &context]);
    assert_eq!(implicit.image().platform(), "linux/s390x");
    let explicit = bench.build(&["--build-context", &context, "--platform", "linux/arm64"]);
    assert_eq!(explicit.image().platform(), "linux/arm64");
    let warned = |log: &support::Finished| log.stderr.contains("InvalidBaseImagePlatform");
    assert_eq!(
        (warned(&implicit.log), warned(&explicit.log)),
        (false, true)
    );
}

#[test]
fn all_platforms_needs_a_base_and_no_platform() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    assert_snapshot!(bench.refusal(&["--all-platforms"]), @r"
    error: `--all-platforms` builds for those of the base images, and there is no base image
    ");
    let both = ["--all-platforms", "--platform", "linux/arm64"];
    assert_snapshot!(bench.failure(&both, 2), @r"
    error: `--all-platforms` and `--platform` ask for different things
    ");
}

#[test]
fn a_target_can_be_a_number() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nLABEL a=1\nFROM scratch\nLABEL a=2\nFROM scratch\n");
    let built = bench.build(&["--target", "1"]);
    assert_eq!(built.image().history(), ["(empty) LABEL a=2"]);
}
