//! Commands of other processors.

use insta::assert_snapshot;
use support::{BaseImage, Entry, Feature, needs};

use crate::bench;

/// Returns what the machine's own `binfmt_misc` holds; none where it is not mounted.
fn registrations() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc/sys/fs/binfmt_misc") else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn t_d14_a_program_of_another_processor_runs_and_the_machine_is_left_alone() {
    needs!(Feature::Arm64);
    let before = registrations();
    let bench = bench().with_base(&[BaseImage::arm64()]);
    bench.dockerfile("FROM base\nRUN [\"/say\"]\n");
    let built = bench.build(&["--platform", "linux/arm64"]);
    assert_eq!(built.log.output(), ["arm64"]);
    assert_eq!(built.image().platform(), "linux/arm64");
    assert_eq!(registrations(), before);
}

/// Root without a namespace of its own could register emulators for everybody.
#[test]
fn without_namespaces_the_machine_is_left_alone_too() {
    needs!(Feature::Root);
    let before = registrations();
    let bench = bench().with_base(&[BaseImage::arm64()]);
    bench.dockerfile("FROM base\nRUN [\"/say\"]\n");
    let arguments = ["--platform", "linux/arm64", "--executor", "chroot"];
    let run = bench.careen_build(&arguments).run();
    assert_eq!(registrations(), before);
    if cfg!(target_arch = "aarch64") || before.iter().any(|name| name == "qemu-aarch64") {
        assert_eq!(run.success().output(), ["arm64"]);
    } else {
        let error = run.error(3);
        let title =
            "error: cannot run linux/arm64 programs on this machine: it has no emulator registered";
        assert!(error.starts_with(title), "{error}");
    }
}

#[test]
fn a_stage_for_this_machine_is_built_once_for_all_platforms() {
    needs!(Feature::Busybox);
    let other = ["linux/s390x", "linux/riscv64"];
    let empty = |platform: &str| BaseImage::new(platform, vec![Entry::file("for", platform)]);
    let bench = bench().with_base(&[BaseImage::busybox(), empty(other[0]), empty(other[1])]);
    bench.dockerfile(
        "FROM --platform=$BUILDPLATFORM base AS tools\nRUN echo once; echo made > /made\n\
         FROM base\nCOPY --from=tools /made /\n",
    );
    let built = bench.build(&["--platform", &other.join(",")]);
    assert_eq!(built.log.output(), ["once"]);
    for (image, platform) in built.archive.images.iter().zip(other) {
        assert_eq!(
            (image.text("for"), image.text("made")),
            (platform, "made\n")
        );
    }
}

/// A declared argument is a variable of each command, so that the stages differ, as they do for `BuildKit`.
#[test]
fn a_stage_for_this_machine_that_declares_the_target_is_built_for_each() {
    needs!(Feature::Busybox);
    let other = ["linux/s390x", "linux/riscv64"];
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM --platform=$BUILDPLATFORM base AS tools\nRUN echo shared\nARG TARGETARCH\nRUN echo for $TARGETARCH; : > /made\n\
         FROM scratch\nCOPY --from=tools /made /\n",
    );
    let built = bench.build(&["--platform", &other.join(",")]);
    let mut said = built.log.output();
    said.sort_unstable();
    assert_eq!(said, ["for riscv64", "for s390x", "shared"]);
}

#[test]
fn a_processor_without_an_emulator_is_named() {
    let base = BaseImage::new("linux/sparc64", vec![Entry::file("bin", "")]);
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nRUN uname -m\n");
    assert_snapshot!(bench.failure(&["--platform", "linux/sparc64"], 3), @r"
    error: cannot run linux/sparc64 programs: no emulator is known for that processor
     --> Dockerfile:2:1
      |
    2 | RUN uname -m
      | ^^^^^^^^^^^^ step 2/2
    ");
}
