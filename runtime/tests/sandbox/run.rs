//! A command runs, and what it does is reported and kept as it is.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use runtime::userns::{BuilderId, SandboxId};
use runtime::{Access, ExitStatus, MountSource, SandboxSpec, SandboxUser, TargetKind};

use crate::harness::{
    Ground, Ids, Refusal, RunTask, Task, expect_success, requiring, shell, trial,
};
use crate::mounts::mount;
use crate::programs;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial("a_command_reports_its_exit_status", exit_status),
        trial("a_command_reports_the_signal_that_ended_it", signal),
        trial("both_streams_arrive_whole_and_apart", streams),
        trial("the_environment_is_exactly_what_was_given", environment),
        trial("the_working_directory_is_entered", working_directory),
        trial("a_command_that_is_not_there_is_127", not_found),
        trial("a_command_that_cannot_be_executed_is_126", not_executable),
        trial(
            "an_ordinary_user_has_his_ids_and_a_usable_dev",
            ordinary_user,
        ),
        trial("ids_on_disk_are_those_of_the_builders_range", ids_on_disk),
        trial(
            "what_is_removed_leaves_a_whiteout_of_the_builders",
            whiteouts,
        ),
        trial("limits_and_mask_are_fixed", limits),
        trial("one_id_is_enough_to_run_as_root", single_id),
        trial("steps_run_side_by_side", side_by_side),
        requiring(
            "a_program_for_arm64_runs_under_its_emulator",
            Path::new("/usr/bin/qemu-aarch64-static"),
            "qemu-user-static",
            emulated,
        ),
    ]
}

fn exit_status() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    for code in [0, 1, 7, 255] {
        let report = ground.shell(&format!("exit {code}"))?;
        assert_eq!(report.outcome, Ok(ExitStatus::Code(code)));
    }
    Ok(())
}

fn signal() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    // The last two have no name.
    for number in [15, 9, 11, 34, 64] {
        let report = ground.shell(&format!("kill -{number} $$"))?;
        assert_eq!(report.outcome, Ok(ExitStatus::Signal(number)));
    }
    Ok(())
}

fn streams() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let report = ground.shell(
        "dd if=/dev/zero bs=1000 count=3000 2>/dev/null; echo out; \
         dd if=/dev/zero bs=1000 count=2000 >&2 2>/dev/null; echo err >&2",
    )?;
    assert_eq!(
        (report.stdout.len(), report.stderr.len()),
        (3_000_004, 2_000_004),
    );
    assert!(report.stdout.ends_with("out\n") && report.stderr.ends_with("err\n"));
    Ok(())
}

fn environment() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let environment = [
        "PATH=/bin",
        "A=b c",
        "NEWLINE=\n",
        "UMLAUT=\u{fc}",
        "EMPTY=",
    ];
    let spec = SandboxSpec {
        environment: environment.map(|entry| entry.as_bytes().to_vec()).to_vec(),
        ..SandboxSpec::new(vec![b"env".to_vec()])
    };
    let found = expect_success(ground.run(spec)?)?;
    assert_eq!(
        found,
        "PATH=/bin\nA=b c\nNEWLINE=\n\nUMLAUT=\u{fc}\nEMPTY=\n".to_owned(),
    );
    Ok(())
}

fn working_directory() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let at = |path: &str| SandboxSpec {
        working_directory: path.as_bytes().to_vec(),
        ..shell("pwd")
    };
    assert_eq!(
        expect_success(ground.run(at("/tmp"))?)?,
        "/tmp\n".to_owned(),
    );
    // A directory of root's own is entered for a user too, as under other builders.
    ground.output("mkdir -m 700 /root")?;
    let user = SandboxUser {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
    };
    assert_eq!(
        expect_success(ground.run(SandboxSpec {
            user,
            ..at("/root")
        })?)?,
        "/root\n".to_owned(),
    );
    let made = expect_success(ground.run(at("/none/yet"))?)?;
    assert_eq!(made, "/none/yet\n".to_owned());
    let no_directory = ground.run(at("/etc/passwd"))?;
    let text = "set up a sandbox: enter the working directory: chdir(\"/etc/passwd\"): \
                ENOTDIR: Not a directory";
    assert_eq!(
        no_directory.outcome,
        Err(Refusal {
            text: text.to_owned(),
            exit_code: None,
        }),
    );
    Ok(())
}

fn refused(ground: &Ground, words: &[&str]) -> Result<(String, Option<i32>), Failed> {
    let arguments = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let spec = SandboxSpec {
        environment: vec![b"PATH=/bin:/tmp".to_vec()],
        ..SandboxSpec::new(arguments)
    };
    match ground.run(spec)?.outcome {
        Err(refusal) => Ok((refusal.text, refusal.exit_code)),
        Ok(status) => Err(format!("it ran, with {status}").into()),
    }
}

fn not_found() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let missing = "ENOENT: No such file or directory";
    let expected = format!(
        "find the program `nope` in the sandbox: execve(\"nope\") in PATH \"/bin:/tmp\": {missing}"
    );
    assert_eq!(refused(&ground, &["nope", "x"])?, (expected, Some(127)));
    let expected = format!("find the program `/nope` in the sandbox: execve(\"/nope\"): {missing}");
    assert_eq!(refused(&ground, &["/nope"])?, (expected, Some(127)));
    ground.output("echo '#!/no/such' > /tmp/script; busybox chmod 755 /tmp/script")?;
    let expected = format!(
        "find the program `/tmp/script` in the sandbox: execve(\"/tmp/script\"), which is there, \
         and start the interpreter it names: {missing}"
    );
    assert_eq!(refused(&ground, &["/tmp/script"])?, (expected, Some(127)));
    Ok(())
}

fn not_executable() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    ground.output("echo > /tmp/text; echo > /tmp/odd; busybox chmod 755 /tmp/odd")?;
    for word in ["/tmp/text", "text"] {
        let (text, code) = refused(&ground, &[word])?;
        let expected = format!(
            "execute `{word}` in the sandbox: execve(\"/tmp/text\"): EACCES: Permission denied"
        );
        assert_eq!((text, code), (expected, Some(126)));
    }
    let (text, code) = refused(&ground, &["/tmp/odd"])?;
    let expected =
        "execute `/tmp/odd` in the sandbox: execve(\"/tmp/odd\"): ENOEXEC: Exec format error";
    assert_eq!((text, code), (expected.to_owned(), Some(126)));
    Ok(())
}

fn ordinary_user() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let user = SandboxUser {
        uid: 1000,
        gid: 1000,
        groups: vec![5, 50],
    };
    let script = "id -u; id -g; id -G; for d in null zero full random urandom; do \
                  test -r /dev/$d -a -w /dev/$d || echo bad $d; done; \
                  echo > /dev/null && echo out > /dev/stdout && echo err > /dev/stderr; \
                  echo x > /dev/full || echo full; \
                  test -c /dev/ptmx && test -d /dev/pts; echo $?; \
                  touch /dev/shm/x /tmp/x /home/user/x; touch /etc/x || echo closed; \
                  cat /etc/secret || echo secret; readlink /dev/fd; tty || echo no terminal";
    let report = ground.run(SandboxSpec {
        user,
        ..shell(script)
    })?;
    let expected = "1000\n1000\n1000 5 50\nout\nfull\n0\nclosed\nsecret\n/proc/self/fd\nnot a tty\n\
                    no terminal\n";
    assert_eq!(report.stdout, expected);
    assert!(report.stderr.contains("err\n"));
    Ok(())
}

fn ids_on_disk() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    ground.output("mkdir /srv; touch /srv/root /srv/web; chown 33:44 /srv/web")?;
    let ids = own_ids();
    let on_disk = |name: &str| -> Result<(u32, u32), Failed> {
        let metadata = fs::metadata(ground.path().join("upper/srv").join(name))?;
        Ok((metadata.uid(), metadata.gid()))
    };
    assert_eq!(on_disk("root")?, (ids(0), ids(0)));
    assert_eq!(on_disk("web")?, (ids(33), ids(44)));
    Ok(())
}

/// Returns what an id of a sandbox is on this host.
fn own_ids() -> impl Fn(u32) -> u32 {
    use runtime::userns::{Caller, IdPlan, IdSources, PRIVATE_RANGE, plan_ids};
    let caller = Caller::current();
    let sources = IdSources::probe(&caller, Path::new("/etc"), true);
    let plan = plan_ids(&caller, &sources);
    // One more than in the sandbox is the builder's: the first of the range is its 1.
    assert_eq!(plan.id_map().builder_id(SandboxId(33)), Some(BuilderId(34)));
    let start = match plan {
        IdPlan::Multi { uids, .. } => uids.first().map_or(0, |range| range.start),
        IdPlan::Single { .. } | IdPlan::Own { .. } | IdPlan::Nothing => PRIVATE_RANGE.start,
    };
    move |id| start + id
}

fn whiteouts() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    ground.output("rm /etc/group; rm -r /home; mkdir /home")?;
    let whiteout = fs::symlink_metadata(ground.path().join("upper/etc/group"))?;
    let builder = nix::unistd::getuid().as_raw();
    assert_eq!(
        (whiteout.file_type().is_char_device(), whiteout.rdev()),
        (true, 0),
    );
    assert_eq!(whiteout.uid(), builder);
    assert_eq!(
        ground.output("ls /etc; ls /home")?,
        "hosts\npasswd\nresolv.conf\nsecret\n".to_owned(),
    );
    Ok(())
}

fn limits() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
    let shown =
        ground.output("umask; ulimit -Sn; ulimit -Hn; touch /tmp/file; stat -c %a /tmp/file")?;
    let number = |value: u64| {
        if value == nix::sys::resource::RLIM_INFINITY {
            "unlimited".into()
        } else {
            value.to_string()
        }
    };
    assert_eq!(
        shown,
        format!("0022\n{}\n{}\n644\n", number(soft), number(hard)),
    );
    Ok(())
}

fn single_id() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Single)?;
    let shown =
        ground.output("id -u; id -g; cat /proc/self/uid_map; touch /srv; echo > /dev/null")?;
    let words: Vec<&str> = shown.split_whitespace().collect();
    let caller = nix::unistd::getuid().to_string();
    assert_eq!(words, vec!["0", "0", "0", caller.as_str(), "1"]);
    assert_eq!(
        fs::metadata(ground.path().join("upper/srv"))?
            .uid()
            .to_string(),
        caller,
    );
    let user = SandboxUser {
        groups: vec![10],
        ..SandboxUser::default()
    };
    assert_eq!(
        expect_success(ground.run(SandboxSpec {
            user,
            ..shell("id -u; id -G")
        })?)?,
        "0\n0 10\n".to_owned(),
    );
    Ok(())
}

/// One after the other they would take eight seconds.
fn side_by_side() -> Result<(), Failed> {
    const COUNT: usize = 8;
    let ground = Ground::new(Ids::Planned)?;
    let script = "readlink /proc/self/ns/user; sleep 1; echo $$".to_owned();
    let started = Instant::now();
    let printed: Vec<String> = ground.order(Task::SideBySide {
        script,
        count: COUNT,
    })?;
    let elapsed = started.elapsed();
    assert_eq!(printed.len(), COUNT);
    // One user namespace serves all of them, and each has processes of its own.
    let first = printed.first().ok_or("nothing was printed")?;
    assert!(
        first.starts_with("user:[") && first.ends_with("]\n2\n"),
        "{first}"
    );
    assert!(printed.iter().all(|other| other == first), "{printed:?}");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    Ok(())
}

fn emulated() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    fs::write(ground.path().join("arm64"), programs::arm64_uname())?;
    fs::set_permissions(
        ground.path().join("arm64"),
        fs::Permissions::from_mode(0o755),
    )?;
    let before = fs::read_dir("/proc/sys/fs/binfmt_misc")?.count();
    let source = MountSource::Descriptor(0);
    let mounts = vec![mount(
        "/bin/arm64",
        source,
        TargetKind::File,
        Access::ReadOnly,
    )];
    let run = |emulate: &[&str]| {
        ground.run_task(RunTask {
            spec: SandboxSpec {
                mounts: mounts.clone(),
                ..SandboxSpec::new(vec![b"/bin/arm64".to_vec()])
            },
            binds: vec!["arm64".into()],
            emulate: emulate.iter().map(|name| (*name).to_owned()).collect(),
            cancel_at: None,
        })
    };
    assert_eq!(expect_success(run(&["arm64"])?)?, "aarch64".to_owned());
    assert_eq!(fs::read_dir("/proc/sys/fs/binfmt_misc")?.count(), before);
    // An instance without this handler hides that of a host that has one.
    let text = "execute `/bin/arm64` in the sandbox: execve(\"/bin/arm64\"): \
                ENOEXEC: Exec format error";
    let refusal = Refusal {
        text: text.to_owned(),
        exit_code: Some(126),
    };
    assert_eq!(run(&["s390x"])?.outcome, Err(refusal));
    Ok(())
}
