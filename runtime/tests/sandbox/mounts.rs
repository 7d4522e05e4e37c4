//! What is mounted is there as it was asked for, and what it is mounted on is in no result.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use runtime::{Access, MountSource, MountSpec, SandboxSpec, TargetKind};

use crate::harness::{Ground, Ids, Report, RunTask, Task, expect_success, shell, trial};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial("binds_and_memory_are_mounted_in_order", mounts),
        trial("what_is_mounted_on_is_never_in_the_result", stubs),
        trial(
            "t_c06_a_hidden_mount_point_is_made_and_removed",
            hidden_mount_points,
        ),
        trial("many_layers_are_merged", many_layers),
        trial("a_view_of_one_layer_can_be_mounted", view),
        trial("a_part_of_a_mount_is_a_mount_of_its_own", part),
    ]
}

/// Returns a mount of a specification.
pub(crate) fn mount(
    target: &str,
    source: MountSource,
    kind: TargetKind,
    access: Access,
) -> MountSpec {
    MountSpec {
        target: target.as_bytes().to_vec(),
        source,
        kind,
        access,
    }
}

fn run_with(
    ground: &Ground,
    script: &str,
    binds: &[&str],
    mounts: Vec<MountSpec>,
) -> Result<Report, Failed> {
    let binds = binds.iter().map(|path| (*path).into()).collect();
    let spec = SandboxSpec {
        mounts,
        ..shell(script)
    };
    ground.run_task(RunTask {
        spec,
        binds,
        emulate: Vec::new(),
        cancel_at: None,
    })
}

fn mounts() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    fs::create_dir(ground.path().join("cache"))?;
    fs::write(ground.path().join("cache/old"), "old\n")?;
    fs::write(ground.path().join("file"), "file\n")?;
    fs::set_permissions(
        ground.path().join("cache"),
        fs::Permissions::from_mode(0o777),
    )?;
    let size_bytes = Some(1 << 20);
    let tmpfs = MountSource::Tmpfs {
        size_bytes,
        mode: 0o1770,
    };
    let mounts = vec![
        mount(
            "/cache",
            MountSource::Descriptor(0),
            TargetKind::Directory,
            Access::ReadWrite,
        ),
        mount(
            "/ro",
            MountSource::Descriptor(2),
            TargetKind::Directory,
            Access::ReadOnly,
        ),
        mount(
            "/mnt/a/file",
            MountSource::Descriptor(1),
            TargetKind::File,
            Access::ReadOnly,
        ),
        mount("/memory", tmpfs, TargetKind::Directory, Access::ReadWrite),
    ];
    let script = "cat /cache/old /mnt/a/file; echo new > /cache/new; cat /ro/new; \
                  touch /ro/x || echo ro; echo > /mnt/a/file || echo ro; stat -c %a /memory; \
                  dd if=/dev/zero of=/memory/x bs=1M count=2 2>/dev/null || echo full";
    let shown = expect_success(run_with(
        &ground,
        script,
        &["cache", "file", "cache"],
        mounts,
    )?)?;
    assert_eq!(shown, "old\nfile\nnew\nro\nro\n1770\nfull\n".to_owned());
    assert_eq!(
        fs::read_to_string(ground.path().join("cache/new"))?,
        "new\n".to_owned(),
    );
    // Nothing of the places they were mounted on is left in the result.
    assert_eq!(files(&ground.path().join("upper"))?, Vec::<String>::new());
    Ok(())
}

/// Returns the names below a directory, each with its directories.
fn files(directory: &Path) -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        names.push(name.clone());
        if entry.file_type()?.is_dir() {
            names.extend(
                files(&entry.path())?
                    .iter()
                    .map(|below| format!("{name}/{below}")),
            );
        }
    }
    names.sort();
    Ok(names)
}

fn resolv_conf(ground: &Ground) -> Result<MountSpec, Failed> {
    fs::write(ground.path().join("resolv.conf"), "nameserver 192.0.2.1\n")?;
    let source = MountSource::Descriptor(0);
    Ok(mount(
        "/etc/resolv.conf",
        source,
        TargetKind::File,
        Access::ReadOnly,
    ))
}

fn stubs() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let mounts = vec![resolv_conf(&ground)?];
    let script = "cat /etc/resolv.conf; echo > /etc/resolv.conf; rm -f /etc/resolv.conf; \
                  touch /etc/new; true";
    let shown = expect_success(run_with(&ground, script, &["resolv.conf"], mounts)?)?;
    assert_eq!(shown, "nameserver 192.0.2.1\n".to_owned());
    assert_eq!(
        files(&ground.path().join("upper"))?,
        vec!["etc".to_owned(), "etc/new".to_owned()],
    );
    Ok(())
}

fn hidden_mount_points() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    ground.output("rm /etc/resolv.conf; ln -s ../run/resolv.conf /etc/resolv.conf")?;
    let before = files(&ground.path().join("upper"))?;
    assert_eq!(
        before.clone(),
        vec!["etc".to_owned(), "etc/resolv.conf".to_owned()],
    );
    let mounts = vec![resolv_conf(&ground)?];
    let script = "cat /etc/resolv.conf /run/resolv.conf; readlink /etc/resolv.conf";
    let shown = expect_success(run_with(&ground, script, &["resolv.conf"], mounts.clone())?)?;
    let line = "nameserver 192.0.2.1\n";
    assert_eq!(shown, format!("{line}{line}../run/resolv.conf\n"));
    assert_eq!(files(&ground.path().join("upper"))?, before);
    // A command that moves the stub's directory away removes nothing of ours or the host's.
    let script = "busybox mv /run /moved && ln -s /etc /run; ls -a /moved";
    expect_success(run_with(&ground, script, &["resolv.conf"], mounts)?)?;
    assert_eq!(
        ground.output("ls /moved; cat /etc/passwd | wc -l; readlink /etc/resolv.conf")?,
        "2\n../run/resolv.conf\n".to_owned(),
    );
    Ok(())
}

fn many_layers() -> Result<(), Failed> {
    for (count, by_string) in [
        (1, false),
        (2, false),
        (70, false),
        (300, false),
        (150, true),
    ] {
        let ground = Ground::new(Ids::Planned)?;
        let names: Vec<String> = ground.order(Task::Layers { count, by_string })?;
        assert_eq!(
            names,
            (0..count)
                .map(|index| format!("{index:03}"))
                .collect::<Vec<_>>(),
        );
    }
    Ok(())
}

fn view() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    for by_string in [false, true] {
        let names: Vec<String> = ground.order(Task::View { by_string })?;
        let expected = ["bin", "etc", "home", "tmp"].map(str::to_owned).to_vec();
        assert_eq!(names, expected);
    }
    Ok(())
}

fn part() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    for by_string in [false, true] {
        let found: [String; 2] = ground.order(Task::Part { by_string })?;
        assert_eq!(found, ["secret".to_owned(), "in memory".to_owned()]);
    }
    Ok(())
}
