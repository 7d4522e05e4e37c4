//! A command that is confined by its own user namespace alone, and limits of commands.

use std::fs;

use libtest_mimic::{Failed, Trial};
use runtime::{
    Access, Confinement, LimitedResource, MountSource, MountSpec, NetworkMode, ResourceLimit,
    SandboxSpec, SandboxUser, TargetKind,
};

use crate::harness::{Ground, Ids, RunTask, expect_success, shell, trial};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial(
            "a_command_without_confinement_has_all_capabilities_of_its_namespace",
            capabilities,
        ),
        trial(
            "a_command_without_confinement_can_mount_and_make_namespaces",
            mounts,
        ),
        trial(
            "a_command_without_confinement_sees_the_kernels_files",
            kernel_files,
        ),
        trial(
            "a_command_without_confinement_cannot_harm_the_machine",
            machine,
        ),
        trial("a_mount_stays_read_only_without_confinement", read_only),
        trial("the_size_of_shared_memory_is_the_one_asked_for", memory),
        trial("limits_are_those_asked_for", limits),
        trial("a_limit_above_the_callers_is_refused", raised),
    ]
}

fn unconfined(script: &str) -> SandboxSpec {
    SandboxSpec {
        confinement: Confinement::Namespace,
        ..shell(script)
    }
}

fn capabilities() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | cut -f 2";
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?
        .trim()
        .parse()?;
    let all = format!("{:016x}\n", (1_u64 << (last + 1)) - 1);
    let expected = format!("{}0\n0\n", all.repeat(5));
    assert_eq!(
        expect_success(ground.run(unconfined(script))?)?,
        expected.clone()
    );
    // A user with one id has no other to give away.
    if ground.output("grep -c ' 1$' /proc/self/uid_map; true")? == "1\n" {
        return Ok(());
    }
    let user = SandboxUser {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
    };
    let spec = SandboxSpec {
        user,
        ..unconfined(script)
    };
    assert_eq!(expect_success(ground.run(spec)?)?, expected);
    Ok(())
}

fn mounts() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "mkdir -p /mnt; mount -t tmpfs none /mnt && touch /mnt/x && ls /mnt && \
                  umount /mnt && unshare -m -n sh -c 'ip link | grep -c .'; \
                  ls -A /mnt | wc -l; hostname other && hostname";
    let shown = expect_success(ground.run(unconfined(script))?)?;
    assert_eq!(shown, "x\n2\n0\nother\n".to_owned());
    Ok(())
}

fn kernel_files() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "wc -l < /proc/interrupts | grep -vxc 0; grep -c ' /proc/' /proc/mounts; \
                  ls /sys | grep -cx -e class -e devices";
    for network in [NetworkMode::Host, NetworkMode::None] {
        let spec = SandboxSpec {
            network,
            ..unconfined(script)
        };
        let report = ground.run(spec)?;
        assert_eq!(report.stdout, "1\n0\n2\n".to_owned(), "{network:?}");
    }
    Ok(())
}

/// What belongs to the machine asks for capabilities over its first namespace.
fn machine() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "
        (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null || echo core_pattern
        (echo b > /proc/sysrq-trigger) 2>/dev/null || echo sysrq
        mknod /tmp/kmem c 1 1 2>/dev/null || echo mknod
        for f in environ exe root cwd fd/0; do cat /proc/1/$f >/dev/null 2>&1 && echo $f; done
        kill -9 1; kill -15 1; echo alive";
    let shown = expect_success(ground.run(unconfined(script))?)?;
    assert_eq!(shown, "core_pattern\nsysrq\nmknod\nalive\n".to_owned());
    Ok(())
}

fn read_only() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    fs::write(ground.path().join("shared"), "kept")?;
    let mount = MountSpec {
        target: b"/mnt".to_vec(),
        source: MountSource::Descriptor(0),
        kind: TargetKind::File,
        access: Access::ReadOnly,
    };
    let report = ground.run_task(RunTask {
        spec: SandboxSpec {
            mounts: vec![mount],
            ..unconfined(
                "mount -o remount,bind,rw /mnt 2>/dev/null && echo remounted; umount /mnt \
                 2>/dev/null && echo unmounted; grep ' /mnt ' /proc/mounts | grep -c ' ro,'",
            )
        },
        binds: vec!["shared".into()],
        emulate: Vec::new(),
        cancel_at: None,
    })?;
    assert_eq!(expect_success(report)?, "1\n".to_owned());
    Ok(())
}

fn memory() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "grep ' /dev/shm ' /proc/mounts | grep -o 'size=[0-9a-z]*'";
    assert_eq!(ground.output(script)?, "size=65536k\n".to_owned());
    let spec = SandboxSpec {
        shared_memory_bytes: 128 << 20,
        ..shell(script)
    };
    assert_eq!(
        expect_success(ground.run(spec)?)?,
        "size=131072k\n".to_owned()
    );
    Ok(())
}

fn limits() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let limit = |resource, soft, hard| ResourceLimit {
        resource,
        soft: Some(soft),
        hard: Some(hard),
    };
    let spec = SandboxSpec {
        limits: vec![
            limit(LimitedResource::OpenFiles, 20, 30),
            limit(LimitedResource::Core, 0, 0),
        ],
        ..shell("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc")
    };
    assert_eq!(
        expect_success(ground.run(spec)?)?,
        "20\n30\n0\n0\n".to_owned()
    );
    Ok(())
}

fn raised() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let Some(most) = LimitedResource::OpenFiles.most()? else {
        return Ok(());
    };
    let resource = LimitedResource::OpenFiles;
    let hard = Some(most + 1);
    let spec = SandboxSpec {
        limits: vec![ResourceLimit {
            resource,
            soft: Some(1),
            hard,
        }],
        ..shell("true")
    };
    let refusal = ground.run(spec)?.outcome.expect_err("it is refused");
    let expected = format!(
        "set up a sandbox: set limits: setrlimit(RLIMIT_NOFILE, 1, {}): EPERM: Operation not \
         permitted",
        most + 1
    );
    assert_eq!(refusal.text, expected);
    Ok(())
}
