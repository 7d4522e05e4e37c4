//! What other runtimes could be left by, one test for each way. `t_dNN` are the numbers by which they are known in
//! `docs/sandbox.md`; some stand in `isolation.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use runtime::{
    Access, Confinement, MountSource, MountSpec, NetworkMode, SandboxSpec, SandboxUser, TargetKind,
    TerminalSize,
};

use crate::harness::{
    Ground, Ids, PROGRAM, Report, RunTask, Task, expect_success, requiring, shell, trial,
};
use crate::programs;

/// The loader that a program for this machine names, as far as we have programs to put into its place.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

pub(crate) fn tests() -> Vec<Trial> {
    let mut tests = vec![
        trial(
            "the_keys_of_the_callers_session_are_left_behind",
            session_keys,
        ),
        trial(
            "t_d03_what_hides_files_is_not_the_images",
            null_of_the_image,
        ),
        trial(
            "t_d04_a_console_of_the_image_is_not_used",
            console_of_the_image,
        ),
        trial(
            "t_d05_nothing_is_written_to_a_proc_that_is_none",
            proc_of_others,
        ),
        trial(
            "t_d06_the_places_of_an_image_lead_nowhere",
            places_of_the_image,
        ),
        trial("t_d08_control_groups_are_out_of_reach", control_groups),
        trial("t_d10_the_own_group_is_among_the_groups", groups),
        trial("t_d13_there_is_no_terminal_to_type_into", terminal),
        requiring(
            "t_d15_system_calls_that_lead_out_are_refused_to_an_emulated_program",
            Path::new("/usr/bin/qemu-aarch64-static"),
            "qemu-user-static",
            emulated_calls,
        ),
    ];
    if cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
        tests.push(trial(
            "t_d01_an_image_cannot_change_the_program_that_runs_it",
            own_program,
        ));
    }
    tests
}

fn unconfined(script: &str) -> SandboxSpec {
    SandboxSpec {
        confinement: Confinement::Namespace,
        ..shell(script)
    }
}

/// CVE-2019-5736: a script whose interpreter is whatever executes it, and a loader that the image brings.
fn own_program() -> Result<(), Failed> {
    let script = "test -e /proc/self/fd/3 && echo held; (echo x >> /proc/self/fd/3) 2>/dev/null && \
                  echo written; chmod 777 /proc/self/fd/3 2>/dev/null; touch -d @1 /proc/self/fd/3 \
                  2>/dev/null; true";
    for (ids, confinement) in [
        (Ids::Planned, Confinement::Container),
        (Ids::Planned, Confinement::Namespace),
        (Ids::Single, Confinement::Container),
        (Ids::Single, Confinement::Namespace),
    ] {
        let ground = Ground::new(ids)?;
        ground.order::<()>(Task::CopyProgram)?;
        let program = ground.path().join(PROGRAM);
        let extra = ground.path().join("extra");
        fs::create_dir(extra.join("lib64"))?;
        let loader = programs::amd64_loader_that_keeps_the_program(script);
        add_program(&extra.join(LOADER), &loader)?;
        add_program(&extra.join("again"), b"#!/proc/self/exe\n")?;
        let state = |path: &Path| -> Result<_, Failed> {
            let metadata = fs::metadata(path)?;
            Ok((
                metadata.permissions().mode(),
                metadata.modified()?,
                metadata.len(),
            ))
        };
        let before = state(&program)?;
        let task = run_task(SandboxSpec {
            confinement,
            ..SandboxSpec::new(vec![b"/again".to_vec()])
        });
        let report: Report = ground.order_of(&program, Task::Run(Box::new(task)))?;
        let case = format!("{ids:?}, {confinement:?}");
        assert_eq!(expect_success(report)?, "held\n", "{case}");
        assert_eq!(state(&program)?, before, "{case}");
    }
    Ok(())
}

fn add_program(path: &Path, content: &[u8]) -> Result<(), Failed> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A command without a filter has a keyring of its own, with nothing in it: the list is of what it may see.
fn session_keys() -> Result<(), Failed> {
    if fs::metadata("/proc/keys").is_err() {
        return Ok(());
    }
    let ground = Ground::new(Ids::Planned)?;
    let script = "while read id flags uses left perms uid gid kind name; do \
                  case $name in _ses*|_uid_ses*) echo $name;; esac; done < /proc/keys";
    // With one id, all that is the caller's may be looked at.
    if ground.output("grep -c ' 1$' /proc/self/uid_map; true")? == "1\n" {
        return Ok(());
    }
    let shown = expect_success(ground.run(unconfined(script))?)?;
    // Those of other commands that run now look the same.
    let seen: BTreeSet<&str> = shown.lines().collect();
    assert_eq!(seen, BTreeSet::from(["_ses: empty"]));
    Ok(())
}

fn run_task(spec: SandboxSpec) -> RunTask {
    let (binds, emulate, cancel_at) = (Vec::new(), Vec::new(), None);
    RunTask {
        spec,
        binds,
        emulate,
        cancel_at,
    }
}

/// What a test puts at a place of the image.
#[derive(Debug, Clone, Copy)]
enum Odd {
    Link,
    File,
    Fifo,
}

/// Makes an image with something odd at `place`, and a directory of the host's that a link there leads to.
fn odd_image(place: &str, odd: Odd) -> Result<Ground, Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let victim = ground.path().join("victim");
    fs::create_dir(&victim)?;
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o777))?;
    let path = ground.path().join("extra").join(place);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    match odd {
        Odd::Link => symlink(&victim, &path)?,
        Odd::File => fs::write(&path, "image")?,
        Odd::Fifo => mkfifo(&path, Mode::from_bits_truncate(0o666))?,
    }
    Ok(ground)
}

fn names(directory: &Path) -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// CVE-2025-31133: what lies over a hidden file was taken from the image.
fn null_of_the_image() -> Result<(), Failed> {
    for odd in [Odd::Link, Odd::File, Odd::Fifo] {
        let ground = odd_image("dev/null", odd)?;
        let script = "test -c /dev/null && wc -c < /proc/keys; echo x > /dev/null; \
                      (echo h > /proc/sysrq-trigger) 2>/dev/null && echo written; true";
        let shown = ground.output(script)?;
        assert!(shown == "0\n" || shown.is_empty(), "{odd:?}: {shown}");
        assert_eq!(names(&ground.path().join("victim"))?, [""; 0], "{odd:?}");
    }
    Ok(())
}

/// CVE-2025-52565: the terminal was bound onto a path of the image.
fn console_of_the_image() -> Result<(), Failed> {
    for (place, odd) in [
        ("dev/console", Odd::Link),
        ("dev/console", Odd::File),
        ("dev/ptmx", Odd::Link),
        ("dev/pts", Odd::Link),
        ("dev/tty", Odd::Link),
    ] {
        let ground = odd_image(place, odd)?;
        let spec = SandboxSpec {
            terminal: Some(TerminalSize::default()),
            ..shell("tty; ls -A /dev/console 2>/dev/null")
        };
        let shown = ground.run(spec)?.stdout;
        assert_eq!(shown, "/dev/pts/0\r\n", "{place}: {odd:?}");
        assert_eq!(names(&ground.path().join("victim"))?, [""; 0], "{place}");
    }
    Ok(())
}

/// CVE-2025-52881: what a runtime writes below `/proc` went to a file system that a step had put there.
fn proc_of_others() -> Result<(), Failed> {
    let over = |source| MountSpec {
        target: b"/proc".to_vec(),
        source,
        kind: TargetKind::Directory,
        access: Access::ReadWrite,
    };
    let memory = MountSource::Tmpfs {
        size_bytes: None,
        mode: 0o777,
    };
    for source in [memory, MountSource::Descriptor(0)] {
        let ground = odd_image("proc", Odd::Link)?;
        let binds = match source {
            MountSource::Descriptor(_) => vec!["victim".into()],
            _ => Vec::new(),
        };
        let report = ground.run_task(RunTask {
            binds,
            ..run_task(SandboxSpec {
                mounts: vec![over(source)],
                ..shell("ls -A /proc; id -u")
            })
        })?;
        assert_eq!(expect_success(report)?, "0\n");
        assert_eq!(names(&ground.path().join("victim"))?, [""; 0]);
    }
    Ok(())
}

/// CVE-2026-41579, CVE-2026-47766: a runtime made and removed what it needs behind a link of the image.
fn places_of_the_image() -> Result<(), Failed> {
    for place in ["dev", "dev/pts", "dev/shm", "proc", "sys", "etc"] {
        for odd in [Odd::Link, Odd::File, Odd::Fifo] {
            let ground = odd_image(place, odd)?;
            let report = ground.shell("test -c /dev/null && test -d /proc/self && echo fine")?;
            let case = format!("{place}: {odd:?}: {report:?}");
            match (place, odd) {
                ("dev" | "proc", Odd::File | Odd::Fifo) => {
                    let refusal = report.outcome.expect_err("nothing can be mounted there");
                    let text = format!("set up a sandbox: mount /{place}: openat(");
                    assert!(refusal.text.starts_with(&text), "{case}");
                }
                _ => assert_eq!(report.stdout, "fine\n", "{case}"),
            }
            assert_eq!(names(&ground.path().join("victim"))?, [""; 0], "{case}");
        }
    }
    Ok(())
}

/// CVE-2023-25809.
fn control_groups() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "cut -d : -f 3 /proc/self/cgroup; readlink /proc/self/ns/cgroup; \
                  mkdir /sys/fs/cgroup/new 2>/dev/null && echo made; \
                  (echo 0 > /sys/fs/cgroup/cgroup.procs) 2>/dev/null && echo moved; true";
    let own = fs::read_link("/proc/self/ns/cgroup")?;
    for network in [NetworkMode::Host, NetworkMode::None] {
        let spec = SandboxSpec {
            network,
            ..shell(script)
        };
        let shown = expect_success(ground.run(spec)?)?;
        let lines: Vec<&str> = shown.lines().collect();
        let [groups @ .., namespace] = lines.as_slice() else {
            return Err("nothing was printed".into());
        };
        assert!(!groups.is_empty(), "{shown}");
        assert!(groups.iter().all(|group| *group == "/"), "{shown}");
        assert!(namespace.starts_with("cgroup:["), "{shown}");
        assert_ne!(Path::new(namespace), own, "{network:?}");
    }
    Ok(())
}

/// CVE-2022-2990: who left his group by a program of another one lost what the group is denied.
fn groups() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    // A namespace with one id has no groups to give.
    if ground.output("grep -c ' 1$' /proc/self/uid_map; true")? == "1\n" {
        return Ok(());
    }
    for (groups, expected) in [
        (vec![], "7\n"),
        (vec![20, 7], "7 20\n"),
        (vec![20], "7 20\n"),
    ] {
        let user = SandboxUser {
            uid: 1000,
            gid: 7,
            groups,
        };
        let spec = SandboxSpec {
            user,
            ..shell(
                "while read name list; do test $name = Groups: && echo $list; done < /proc/self/status; true",
            )
        };
        assert_eq!(expect_success(ground.run(spec)?)?, expected);
    }
    Ok(())
}

/// CVE-2017-5226: what is typed into the caller's terminal is executed by the caller's shell.
fn terminal() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    // The session's number is 0 if its leader is outside; the terminal's is 0 if there is none.
    let script = "read pid name state parent group session terminal rest < /proc/self/stat; \
                  echo $session $terminal; (: < /dev/tty) 2>/dev/null && echo opened; true";
    assert_eq!(ground.output(script)?, "2 0\n");
    Ok(())
}

/// The numbers of the same calls for arm64, where each program is QEMU.
fn emulated_calls() -> Result<(), Failed> {
    const NEW_USER: u64 = 0x1000_0000;
    // QEMU itself refuses a pointer to nothing.
    const TEXT: u64 = programs::BASE;
    let refused: [(&str, u16, [u64; 3]); 24] = [
        ("unshare", 97, [NEW_USER, 0, 0]),
        ("setns", 268, [0, 0, 0]),
        ("mount", 40, [TEXT, TEXT, TEXT]),
        ("umount2", 39, [TEXT, 2, 0]),
        ("pivot_root", 41, [TEXT, TEXT, 0]),
        ("fsopen", 430, [0, 0, 0]),
        ("open_tree", 428, [0, 0, 0]),
        ("move_mount", 429, [0, 0, 0]),
        ("mount_setattr", 442, [0, 0, 0]),
        ("keyctl", 219, [0, 0, 0]),
        ("add_key", 217, [0, 0, 0]),
        ("request_key", 218, [0, 0, 0]),
        ("bpf", 280, [0, 0, 0]),
        ("io_uring_setup", 425, [1, 0, 0]),
        ("userfaultfd", 282, [0, 0, 0]),
        ("perf_event_open", 241, [0, 0, 0]),
        ("open_by_handle_at", 265, [0, TEXT, 0]),
        ("kexec_load", 104, [0, 0, 0]),
        ("reboot", 142, [0, 0, 0]),
        ("swapon", 224, [TEXT, 0, 0]),
        ("sethostname", 161, [TEXT, 1, 0]),
        ("clone with a user namespace", 220, [NEW_USER | 0x11, 0, 0]),
        ("socket(AF_ALG)", 198, [38, 5, 0]),
        ("socket(AF_VSOCK)", 198, [40, 1, 0]),
    ];
    let allowed = [("getpid", 172, [0, 0, 0]), ("getuid", 174, [0, 0, 0])];
    let ground = Ground::new(Ids::Planned)?;
    let place = ground.path().join("extra/calls");
    fs::create_dir(&place)?;
    for (index, (_, number, arguments)) in refused.iter().chain(&allowed).enumerate() {
        let program = programs::arm64_call(*number, *arguments);
        add_program(&place.join(format!("{index:02}")), &program)?;
    }
    let emulate = if cfg!(target_arch = "aarch64") {
        Vec::new()
    } else {
        vec!["arm64".to_owned()]
    };
    // QEMU has an error of its own for what it does not know.
    let report = ground.run_task(RunTask {
        emulate,
        ..run_task(shell("for call in /calls/*; do $call; echo $?; done"))
    })?;
    let shown = expect_success(report)?;
    let codes: Vec<&str> = shown.lines().collect();
    assert_eq!(codes.len(), refused.len() + allowed.len(), "{shown}");
    let calls = refused.iter().chain(&allowed).map(|call| call.0);
    let succeeded: Vec<&str> = calls
        .zip(codes)
        .filter(|(_, code)| *code == "0")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(succeeded, ["getpid", "getuid"]);
    Ok(())
}
