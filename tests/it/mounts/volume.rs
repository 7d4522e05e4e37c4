//! `--volume`: files and directories of the machine.

use std::fs;

use insta::assert_snapshot;
use support::{Bench, Feature, needs};

use crate::bench;

/// Makes a bench with a directory that everybody may read, and write to.
fn bench_with_directory() -> Bench {
    let bench = bench().with_busybox();
    for (name, mode) in [("shared", 0o777), ("shared/sub", 0o777)] {
        fs::create_dir(bench.path(name)).unwrap();
        set_mode(&bench, name, mode);
    }
    fs::write(bench.path("shared/file"), "of the machine\n").unwrap();
    set_mode(&bench, "shared/file", 0o644);
    // The directory of the bench itself is its owner's alone.
    set_mode(&bench, ".", 0o755);
    bench
}

fn set_mode(bench: &Bench, name: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(bench.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn every_command_sees_a_volume_and_no_layer_has_it() {
    needs!(Feature::Busybox);
    let bench = bench_with_directory();
    bench.dockerfile("FROM base\nRUN cat /v/file > /one\nRUN cat /v/file > /two\n");
    let built = bench.build(&["-v", "shared:/v:ro"]);
    assert_eq!(built.image().text("one"), "of the machine\n");
    assert_eq!(built.image().text("two"), "of the machine\n");
    assert!(!built.image().has("v"));
}

#[test]
fn what_is_written_to_a_volume_stays_unless_it_is_read_only_or_discarded() {
    needs!(Feature::Busybox);
    for (option, is_written, stays) in [
        ("rw", "yes", true),
        ("ro", "no", false),
        ("O", "yes", false),
    ] {
        let bench = bench_with_directory();
        bench.dockerfile(
            "FROM base\nRUN if echo x > /v/sub/new; then echo yes; else echo no; fi > /written 2>/dev/null\n",
        );
        let volume = format!("shared:/v:{option}");
        let built = bench.build(&["--volume", &volume]);
        assert_eq!(
            built.image().text("written"),
            format!("{is_written}\n"),
            "{option}"
        );
        assert_eq!(
            fs::exists(bench.path("shared/sub/new")).unwrap(),
            stays,
            "{option}"
        );
        // What a command made belongs to another id.
        drop(fs::remove_file(bench.path("shared/sub/new")));
    }
}

#[test]
fn one_file_can_be_a_volume() {
    needs!(Feature::Busybox);
    let bench = bench_with_directory();
    bench.dockerfile("FROM base\nRUN cat /etc/motd > /copy\n");
    let built = bench.build(&["-v", "shared/file:/etc/motd:ro"]);
    assert_eq!(built.image().text("copy"), "of the machine\n");
    assert!(!built.image().has("etc/motd"));
}

#[test]
fn a_volume_that_changes_does_not_run_a_step_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_directory();
    bench.dockerfile("FROM base\nRUN cat /v/file > /one\n");
    bench.build(&["-v", "shared:/v"]);
    fs::write(bench.path("shared/file"), "changed\n").unwrap();
    let built = bench.build(&["-v", "shared:/v"]);
    assert_eq!(built.image().text("one"), "of the machine\n");
}

#[test]
fn what_cannot_be_a_volume_is_refused() {
    needs!(Feature::Busybox);
    let bench = bench_with_directory();
    bench.dockerfile("FROM base\nRUN true\n");
    assert_snapshot!(bench.failure(&["-v", "shared:/v:shared"], 2), @"error: `--volume shared:/v:shared`: the option `shared` is not supported: `ro`, `rw` and `O` are");
    assert_snapshot!(bench.failure(&["-v", "shared"], 2), @"error: `--volume shared` is no `PATH:TARGET[:OPTIONS]`");
    assert_snapshot!(bench.refusal(&["-v", "missing:/v"]), @r"
    error: cannot read the volume `$BENCH/missing`
      = caused by: No such file or directory (os error 2)
    ");
}
