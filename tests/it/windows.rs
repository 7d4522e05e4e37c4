//! Images for Windows, which are put together and never run.

use insta::assert_snapshot;
use support::{BaseImage, Entry};

use crate::bench;

/// Makes an image as it is for Windows: what is on `C:` is below `Files`.
fn windows_base() -> BaseImage {
    let entries = vec![
        Entry::directory("Files"),
        Entry::directory("Files/tools"),
        Entry::file("Files/tools/old.exe", "old\n"),
        Entry::directory("Hives"),
    ];
    let mut base = BaseImage::new("windows/amd64", entries);
    base.platform.os_version = Some("10.0.20348.1006".to_owned());
    base.config.env.clear();
    base
}

#[test]
fn an_image_from_scratch_has_the_shell_and_the_paths_of_windows() {
    let bench = bench();
    bench.file("app.exe", "app\n");
    bench.dockerfile(
        "# escape=`\nFROM scratch\nWORKDIR C:\\srv\nCOPY app.exe .\nENTRYPOINT app.exe /all\n",
    );
    let built = bench.build(&["--platform", "windows(10.0.17763)/amd64"]);
    let image = built.image();
    let run = &image.config.config;
    assert_eq!(image.config.os_version.as_deref(), Some("10.0.17763"));
    assert_eq!(run.working_dir.as_deref(), Some("\\srv"));
    assert_eq!(run.entrypoint, ["cmd", "/S", "/C", "app.exe /all"]);
    assert_eq!(run.env, [""; 0]);
    assert_eq!(image.text("srv/app.exe"), "app\n");
    assert_eq!(
        image.history(),
        [
            "WORKDIR /srv",
            "COPY app.exe . # buildkit",
            "(empty) ENTRYPOINT [\"cmd\" \"/S\" \"/C\" \"app.exe /all\"]",
        ]
    );
}

#[test]
fn files_go_where_a_base_for_windows_has_its_drive_and_its_version_stays() {
    let bench = bench().with_base(&[windows_base()]);
    bench.file("new.exe", "new\n");
    bench.dockerfile(
        "# escape=`\nFROM base\nCOPY new.exe C:\\tools\\\nCOPY --from=base c:/tools/old.exe \\copy.exe\n",
    );
    let built = bench.build(&["--platform", "windows/amd64"]);
    let image = built.image();
    let version = image.config.os_version.as_deref();
    assert_eq!(version, Some("10.0.20348.1006"));
    assert_eq!(image.text("Files/tools/new.exe"), "new\n");
    assert_eq!(image.text("Files/copy.exe"), "old\n");
    assert_eq!(image.top_paths(), ["Files", "Files/copy.exe"]);
}

#[test]
fn two_versions_of_windows_are_two_platforms() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nARG TARGETOSVERSION\nCOPY <<EOF /v\n$TARGETOSVERSION\nEOF\n");
    let built = bench.build(&["--platform", "windows(1.2.3)/bar,windows(1.1.0)/bar"]);
    let images = built.archive.images.iter();
    let found: Vec<_> = images
        .map(|image| (image.config.os_version.as_deref(), image.text("v")))
        .collect();
    assert_eq!(
        found,
        [(Some("1.2.3"), "1.2.3\n"), (Some("1.1.0"), "1.1.0\n")]
    );
}

#[test]
fn a_base_that_is_not_for_windows_is_refused_with_what_careen_builds() {
    let bench = bench().with_base(&[BaseImage::new("linux/amd64", Vec::new())]);
    bench.dockerfile("FROM base\n");
    assert_snapshot!(bench.refusal(&["--platform", "windows/amd64"]), @r"
    error: `$BENCH/base` has no image for windows/amd64
     --> Dockerfile:1:6
      |
    1 | FROM base
      |      ^^^^ asked for windows/amd64
      |
      = note: it has linux/amd64
      = note: careen builds Linux images; for Windows it runs nothing, and adds files to bases for Windows
    ");
}

#[test]
fn a_command_for_windows_is_refused_at_its_instruction() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nRUN dir\n");
    assert_snapshot!(bench.refusal(&["--platform", "windows/amd64"]), @r"
    error: RUN cannot run programs for `windows/amd64`
     --> Dockerfile:2:1
      |
    2 | RUN dir
      | ^^^
      |
      = note: only Linux containers run here
      = help: files are added by `COPY`: a stage of another platform can make them
    ");
}
