//! What a command sees of itself and of the rest, and what it is kept from.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};

use libtest_mimic::{Failed, Trial};
use runtime::{
    Access, Hostname, MountSource, MountSpec, NetworkMode, SandboxSpec, SandboxUser, TargetKind,
};

use crate::harness::{Ground, Ids, Refusal, RunTask, expect_success, shell, this_program, trial};
use crate::programs::{self, Entry};

pub(crate) fn tests() -> Vec<Trial> {
    let mut tests = vec![
        trial(
            "t_d02_a_command_has_three_descriptors_and_no_other_process",
            descriptors,
        ),
        trial(
            "t_d09_capabilities_are_the_fourteen_and_nobodys_none",
            capabilities,
        ),
        trial("the_host_name_is_that_of_the_sandbox", hostname),
        trial("no_network_is_loopback_alone", network_none),
        trial("the_hosts_network_comes_without_sys", network_host),
        trial("files_of_the_kernel_are_masked_or_read_only", masked_paths),
        trial("t_c05_the_mounts_of_a_sandbox_are_these", mount_table),
        trial("pid_one_is_out_of_reach", pid_one),
        trial(
            "a_callers_private_file_is_not_readable_when_bound",
            private_file,
        ),
        trial(
            "t_d02_a_working_directory_leads_nowhere_through_descriptors",
            working_directory,
        ),
        trial(
            "an_image_without_a_directory_for_proc_is_refused",
            no_directory,
        ),
    ];
    if cfg!(target_arch = "x86_64") {
        tests.push(trial(
            "t_d15_system_calls_that_lead_out_are_refused",
            system_calls,
        ));
        tests.push(trial(
            "t_d12_abstract_sockets_of_the_host_are_out_of_reach",
            abstract_sockets,
        ));
    }
    tests
}

fn descriptors() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    // The shell counts by itself: another process of a pipe may be there by then, or not.
    let script = "set -- /proc/[0-9]*; echo $#; ls /proc/$$/fd; readlink /proc/$$/fd/0";
    // PID 1 and the shell.
    assert_eq!(ground.output(script)?, "2\n0\n1\n2\n/dev/null\n".to_owned());
    Ok(())
}

fn capabilities() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
    let [all, none] = ["00000000a80425fb", "0000000000000000"];
    let expected = |own: &str| {
        format!(
            "CapInh:\t{none}\nCapPrm:\t{own}\nCapEff:\t{own}\nCapBnd:\t{all}\nCapAmb:\t{none}\n\
             NoNewPrivs:\t0\nSeccomp:\t2\n"
        )
    };
    assert_eq!(ground.output(script)?, expected(all));
    let user = SandboxUser {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
    };
    let shown = expect_success(ground.run(SandboxSpec {
        user,
        ..shell(script)
    })?)?;
    assert_eq!(shown, expected(none));
    Ok(())
}

fn hostname() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let before = nix::unistd::gethostname()?;
    let script = "hostname; hostname other || echo refused";
    assert_eq!(
        ground.output(script)?,
        "buildkitsandbox\nrefused\n".to_owned(),
    );
    let spec = SandboxSpec {
        hostname: Hostname::Asked("elsewhere".to_owned()),
        ..shell("hostname")
    };
    assert_eq!(expect_success(ground.run(spec)?)?, "elsewhere\n".to_owned());
    assert_eq!(nix::unistd::gethostname()?, before);
    Ok(())
}

fn network_none() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "ls /sys/class/net; cat /sys/class/net/lo/carrier; \
                  echo > /sys/kernel/x || echo read-only; \
                  (echo hello | nc -l -p 7777 127.0.0.1 &) ; sleep 1; nc 127.0.0.1 7777 </dev/null";
    let network = NetworkMode::None;
    let shown = expect_success(ground.run(SandboxSpec {
        network,
        ..shell(script)
    })?)?;
    assert_eq!(shown, "lo\n1\nread-only\nhello\n".to_owned());
    Ok(())
}

fn network_host() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let shown = ground.output("readlink /proc/self/ns/net; ls -A /sys")?;
    let own = fs::read_link("/proc/self/ns/net")?;
    assert_eq!(shown, format!("{}\n", own.display()));
    Ok(())
}

fn masked_paths() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "
        for f in interrupts kcore keys latency_stats sched_debug timer_list timer_stats; do
            test -e /proc/$f && wc -c < /proc/$f
        done | grep -v '^0$'
        for d in acpi asound scsi; do test -d /proc/$d && ls -A /proc/$d; done
        for d in bus fs irq sys; do grep -c \"^proc /proc/$d proc ro,\" /proc/mounts; done
        (echo x > /proc/sys/kernel/core_pattern) 2>&1 | grep -c 'Read-only'
        (echo b > /proc/sysrq-trigger) 2>&1 | grep -c -e 'Read-only' -e 'nonexistent'
        true";
    assert_eq!(ground.output(script)?, "1\n1\n1\n1\n1\n1\n".to_owned());
    Ok(())
}

/// Nothing of the host is mounted that was not asked for.
fn mount_table() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let shown =
        ground.output("while read a b c d e f g; do echo $e; done < /proc/self/mountinfo")?;
    let everywhere = [
        "/",
        "/proc",
        "/dev",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
    ];
    let found: Vec<&str> = shown.lines().collect();
    let (first, rest) = found.split_at(everywhere.len().min(found.len()));
    assert_eq!(first.to_vec(), everywhere.to_vec());
    let foreign: Vec<&&str> = rest
        .iter()
        .filter(|path| !path.starts_with("/proc/"))
        .collect();
    assert_eq!(foreign, Vec::<&&str>::new());
    Ok(())
}

fn pid_one() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "for f in environ exe root cwd fd/0 ns/mnt maps; do \
                  cat /proc/1/$f >/dev/null 2>&1 && echo $f; readlink /proc/1/$f; done; \
                  kill -9 1; kill -15 1; kill -19 1; echo alive";
    assert_eq!(ground.output(script)?, "alive\n".to_owned());
    Ok(())
}

/// Container root is not the caller.
fn private_file() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    fs::write(ground.path().join("private"), "secret")?;
    fs::set_permissions(
        ground.path().join("private"),
        fs::Permissions::from_mode(0o600),
    )?;
    let mount = MountSpec {
        target: b"/mnt".to_vec(),
        source: MountSource::Descriptor(0),
        kind: TargetKind::File,
        access: Access::ReadWrite,
    };
    let report = ground.run_task(RunTask {
        spec: SandboxSpec {
            mounts: vec![mount],
            ..shell("stat -c %u /mnt; cat /mnt; echo > /mnt; chown 0 /mnt; true")
        },
        binds: vec!["private".into()],
        emulate: Vec::new(),
        cancel_at: None,
    })?;
    assert_eq!(expect_success(report)?, "65534\n".to_owned());
    assert_eq!(
        fs::read_to_string(ground.path().join("private"))?,
        "secret".to_owned(),
    );
    Ok(())
}

fn working_directory() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    for number in 3..=20 {
        let path = format!("/proc/self/fd/{number}");
        let working_directory = path.clone().into_bytes();
        let report = ground.run(SandboxSpec {
            working_directory,
            ..shell("pwd")
        })?;
        let text = format!("set up a sandbox: enter the working directory: chdir(\"{path}\"): ");
        match report.outcome {
            Err(refusal) if refusal.text.starts_with(&text) => {}
            // A descriptor of the new root is as good as the root itself.
            Ok(_) => assert!(report.stdout.starts_with('/')),
            Err(refusal) => return Err(format!("{path}: {refusal:?}").into()),
        }
    }
    Ok(())
}

fn no_directory() -> Result<(), Failed> {
    for name in ["proc", "dev"] {
        let ground = Ground::new(Ids::Planned)?;
        fs::write(ground.path().join("extra").join(name), "")?;
        let outcome = ground.shell("true")?.outcome;
        let Err(Refusal {
            text,
            exit_code: None,
        }) = outcome
        else {
            return Err(format!("{name}: {outcome:?}").into());
        };
        assert!(text.starts_with(&format!("set up a sandbox: mount /{name}: openat(")));
        assert!(text.ends_with("ENOTDIR: Not a directory"));
    }
    Ok(())
}

/// Number and arguments, and the error that is expected.
fn forbidden() -> Vec<(&'static str, Entry, u32, [u64; 3], u32)> {
    use Entry::{Int80, Syscall};
    const NEW_USER: u64 = 0x1000_0000;
    let (eperm, enosys) = (1, 38);
    vec![
        ("unshare", Syscall, 272, [NEW_USER, 0, 0], eperm),
        ("setns", Syscall, 308, [0, 0, 0], eperm),
        ("mount", Syscall, 165, [0, 0, 0], eperm),
        ("umount2", Syscall, 166, [0, 0, 0], eperm),
        ("pivot_root", Syscall, 155, [0, 0, 0], eperm),
        ("fsopen", Syscall, 430, [0, 0, 0], eperm),
        ("open_tree", Syscall, 428, [0, 0, 0], eperm),
        ("move_mount", Syscall, 429, [0, 0, 0], eperm),
        ("mount_setattr", Syscall, 442, [0, 0, 0], eperm),
        ("keyctl", Syscall, 250, [0, 0, 0], eperm),
        ("add_key", Syscall, 248, [0, 0, 0], eperm),
        ("request_key", Syscall, 249, [0, 0, 0], eperm),
        ("bpf", Syscall, 321, [0, 0, 0], eperm),
        ("io_uring_setup", Syscall, 425, [1, 0, 0], eperm),
        ("userfaultfd", Syscall, 323, [0, 0, 0], eperm),
        ("perf_event_open", Syscall, 298, [0, 0, 0], eperm),
        ("open_by_handle_at", Syscall, 304, [0, 0, 0], eperm),
        ("kexec_load", Syscall, 246, [0, 0, 0], eperm),
        ("reboot", Syscall, 169, [0, 0, 0], eperm),
        ("swapon", Syscall, 167, [0, 0, 0], eperm),
        ("settimeofday", Syscall, 164, [0, 0, 0], eperm),
        (
            "clone with a user namespace",
            Syscall,
            56,
            [NEW_USER | 0x11, 0, 0],
            eperm,
        ),
        ("clone3", Syscall, 435, [0, 0, 0], enosys),
        ("socket(AF_ALG)", Syscall, 41, [38, 5, 0], eperm),
        ("socket(AF_VSOCK)", Syscall, 41, [40, 1, 0], eperm),
        (
            "personality(ADDR_NO_RANDOMIZE)",
            Syscall,
            135,
            [0x4_0000, 0, 0],
            eperm,
        ),
        ("ioctl(TIOCSTI)", Syscall, 16, [0, 0x5412, 0], eperm),
        ("ioctl(TIOCLINUX)", Syscall, 16, [0, 0x541c, 0], eperm),
        ("getpid of x32", Syscall, 0x4000_0000 + 39, [0, 0, 0], eperm),
        ("unshare of 386", Int80, 310, [NEW_USER, 0, 0], eperm),
        ("mount of 386", Int80, 21, [0, 0, 0], eperm),
        ("keyctl of 386", Int80, 288, [0, 0, 0], eperm),
        ("clone3 of 386", Int80, 435, [0, 0, 0], enosys),
        ("getpid", Syscall, 39, [0, 0, 0], 0),
        ("personality(PER_LINUX)", Syscall, 135, [0, 0, 0], 0),
        ("getpid of 386", Int80, 20, [0, 0, 0], 0),
    ]
}

fn system_calls() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let place = ground.path().join("extra/calls");
    fs::create_dir(&place)?;
    let calls = forbidden();
    for (index, (_, entry, number, arguments, _)) in calls.iter().enumerate() {
        let path = place.join(format!("{index:02}"));
        fs::write(&path, programs::amd64_call(*entry, *number, *arguments))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let shown = ground.output("for call in /calls/*; do $call; echo $?; done")?;
    let found: Vec<(&str, &str)> = calls.iter().map(|call| call.0).zip(shown.lines()).collect();
    let errors: Vec<String> = calls.iter().map(|call| call.4.to_string()).collect();
    let expected = calls
        .iter()
        .zip(&errors)
        .map(|(call, error)| (call.0, error.as_str()));
    assert_eq!(found, expected.collect::<Vec<_>>());
    Ok(())
}

fn abstract_sockets() -> Result<(), Failed> {
    const REFUSED: &str = "1\n";
    let ground = Ground::new(Ids::Planned)?;
    let name = format!("careen-test-{}", fs::metadata(ground.path())?.ino());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes())?)?;
    let path = ground.path().join("extra/connect");
    fs::write(&path, programs::amd64_connect(name.as_bytes()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    // The program works: outside it reaches the socket.
    assert_eq!(this_program(&path).status()?.code(), Some(0));
    assert_eq!(ground.output("/connect; echo $?")?, REFUSED.to_owned());
    let network = NetworkMode::None;
    let shown = expect_success(ground.run(SandboxSpec {
        network,
        ..shell("/connect; echo $?")
    })?)?;
    // There is no such socket in a network of its own: ECONNREFUSED.
    assert_eq!(shown, "111\n".to_owned());
    Ok(())
}
