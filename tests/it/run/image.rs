//! Which image of several, and what runs it.

use support::layout::host_platform;
use support::{BaseImage, Entry, Feature, needs};

use super::run;
use crate::bench;

#[test]
fn entry_point_and_command_are_the_images_or_the_users() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    base.config.entrypoint = vec!["/bin/echo".to_owned(), "entry".to_owned()];
    base.config.cmd = vec!["usual".to_owned()];
    base.config.working_dir = Some("/tmp".to_owned());
    let bench = bench().with_base(&[base]);
    let said = |words: &[&str]| run(&bench, words).success().text().to_owned();
    assert_eq!(said(&["oci:base"]), "entry usual\n");
    assert_eq!(said(&["oci:base", "-n", "own"]), "entry -n own\n");
    assert_eq!(said(&["--entrypoint", "pwd", "oci:base"]), "/tmp\n");
}

#[test]
fn an_image_of_the_store_is_run_by_its_name() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo built > /made\nCMD [\"cat\", \"/made\"]\n");
    bench.build_as(&["-t", "example.org/app:1"], "type=oci,dest=out.tar");
    bench.careen(&["load", "-i", "out.tar"]).run().success();
    let ended = run(&bench, &["example.org/app:1"]).success();
    assert_eq!(ended.text(), "built\n");
    let ended = run(&bench, &["--pull", "never", "example.org/app:2"]);
    assert_eq!(
        ended.error(125).lines().next(),
        Some("error: no such image: `example.org/app:2`")
    );
}

#[test]
fn what_a_build_says_of_an_image_leads_to_it() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nCMD [\"echo\", \"ran\"]\n");
    bench
        .careen_build(&["--load", "--iidfile", "id"])
        .run()
        .success();
    let id = std::fs::read_to_string(bench.path("id")).unwrap();
    let id = id.as_str();
    assert_eq!(run(&bench, &[id]).success().text(), "ran\n");
    // An id is no name that a registry could be asked for.
    bench.careen(&["rmi", id]).run().success();
    assert_eq!(
        run(&bench, &[id]).error(125),
        format!("error: no such image: `{id}`")
    );
}

#[test]
fn an_image_that_is_run_where_it_is_becomes_none_of_the_store() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\n");
    bench
        .careen_build(&[
            "--load",
            "-t",
            "app",
            "--platform",
            &host_platform(),
            "--build-arg",
            "BUILDKIT_MULTI_PLATFORM=1",
        ])
        .run()
        .success();
    for image in ["app", "oci:base"] {
        run(&bench, &[image, "true"]).success();
    }
    let listed = bench
        .careen(&["images", "--format", "{{.Repository}}"])
        .run();
    assert_eq!(listed.success().text(), "app\n");
}

#[test]
fn an_image_for_another_processor_is_emulated_and_warned_of_if_nobody_asked() {
    needs!(Feature::Arm64);
    if cfg!(target_arch = "aarch64") {
        return;
    }
    let bench = bench().with_base(&[BaseImage::arm64()]);
    let ended = run(&bench, &["oci:base", "/say"]).success();
    assert_eq!(ended.text(), "arm64\n");
    let (start, end) = (
        "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform (",
        ") and no specific platform was requested",
    );
    let host = ended
        .stderr
        .strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(end));
    assert!(
        host.is_some_and(|host| host.starts_with(&host_platform())),
        "{}",
        ended.stderr
    );
    let ended = run(&bench, &["--platform", "linux/arm64", "oci:base", "/say"]).success();
    assert_eq!((ended.text(), &*ended.stderr), ("arm64\n", ""));
}

#[test]
fn a_processor_without_an_emulator_is_named_in_the_place_of_a_format_error() {
    let base = BaseImage::new("linux/sparc64", vec![Entry::file("bin", "")]);
    let bench = bench().with_base(&[base]);
    let ended = run(&bench, &["--platform", "linux/sparc64", "oci:base", "/bin"]);
    assert_eq!(
        ended.error(125),
        "error: cannot run linux/sparc64 programs: no emulator is known for that processor"
    );
}

#[test]
fn a_platform_that_the_image_lacks_is_refused() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let ended = run(&bench, &["--platform", "linux/s390x", "oci:base", "true"]);
    let said = ended.error(125).replace(&host_platform(), "$HOST");
    assert_eq!(
        said,
        "error: `$BENCH/base` has no image for linux/s390x\n  = note: it has $HOST"
    );
}
