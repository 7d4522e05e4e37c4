//! Device nodes, which no command of a user namespace can make: what those who try are told.

use libtest_mimic::{Failed, Trial};
use runtime::{Confinement, SandboxSpec, SandboxUser};

use crate::harness::{Ground, Ids, expect_success, shell, trial};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial("a_device_node_is_an_empty_file_of_the_callers", placeholder),
        trial("a_device_node_can_be_made_with_one_id", with_one_id),
        trial("a_device_node_fails_as_in_the_kernel", refusals),
        trial(
            "a_device_node_is_made_in_the_callers_root",
            in_the_callers_root,
        ),
        trial("only_root_makes_device_nodes", only_root),
        trial("many_processes_make_device_nodes_at_once", many),
        trial("other_nodes_are_made_by_the_kernel", other_nodes),
        trial(
            "a_command_without_confinement_makes_no_device_node",
            without_confinement,
        ),
    ]
}

const LOOK: &str = "stat -c '%F %a %u:%g %n'";

fn placeholder() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = format!(
        "umask 027; mknod /null c 1 3; mknod -m 604 /disk b 8 1; mknod /dev/tun c 10 200
        mkdir -m 2755 /given; chown 0:7 /given; chmod 2755 /given; mknod /given/x c 1 5
        {LOOK} /null /disk /dev/tun /given/x"
    );
    // A caller without a range has no second group.
    let group = if has_one_id(&ground)? { 0 } else { 7 };
    assert_eq!(
        ground.output(&script)?,
        format!(
            "regular empty file 640 0:0 /null\n\
             regular empty file 604 0:0 /disk\n\
             regular empty file 640 0:0 /dev/tun\n\
             regular empty file 640 0:{group} /given/x\n"
        )
    );
    Ok(())
}

fn has_one_id(ground: &Ground) -> Result<bool, Failed> {
    Ok(ground.output("grep -c ' 1$' /proc/self/uid_map; true")? == "1\n")
}

fn with_one_id() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Single)?;
    let script = format!("mknod -m 666 /null c 1 3 && {LOOK} /null");
    assert_eq!(
        ground.output(&script)?,
        "character special file 666 0:0 /null\n"
    );
    Ok(())
}

fn refusals() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "mkdir /d; ln -s /nowhere /dangling; echo > /f
        for path in /w:0:0 /d:1:3 /dangling:1:3 /no/x:1:3 /f/x:1:3 /new/:1:3; do
            echo $path | { IFS=: read -r at major minor; mknod $at c $major $minor 2>&1; }
        done; ls -A / | grep -c nowhere";
    let ended = ground.shell(script)?;
    assert_eq!(
        ended.stdout,
        "mknod: /w: Operation not permitted\n\
         mknod: /d: File exists\n\
         mknod: /dangling: File exists\n\
         mknod: /no/x: No such file or directory\n\
         mknod: /f/x: Not a directory\n\
         mknod: /new/: No such file or directory\n\
         0\n"
    );
    Ok(())
}

fn in_the_callers_root() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "mkdir -p /jail/bin /jail/in/deep /out; cp /bin/busybox /jail/bin/
        ln -s /out /jail/absolute; ln -s ../../../../out /jail/in/above; mkdir /jail/out
        chroot /jail /bin/busybox sh -c 'cd /in/deep; for at in /abs rel ../up /absolute/a ../above/b ../../../../c; do
            /bin/busybox mknod $at c 1 3; done'
        find /jail /out -type f | grep -v busybox | sort";
    assert_eq!(
        ground.output(script)?,
        "/jail/abs\n/jail/c\n/jail/in/deep/rel\n/jail/in/up\n/jail/out/a\n/jail/out/b\n"
    );
    Ok(())
}

fn only_root() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    if has_one_id(&ground)? {
        return Ok(());
    }
    let nobody = SandboxSpec {
        user: SandboxUser {
            uid: 99,
            gid: 99,
            groups: Vec::new(),
        },
        ..shell("mknod /dev/shm/null c 1 3 2>&1; ls -A /dev/shm")
    };
    assert_eq!(
        ground.run(nobody)?.stdout,
        "mknod: /dev/shm/null: Operation not permitted\n"
    );
    Ok(())
}

fn many() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let script = "mkdir /d; for at in 1 2 3 4 5 6 7 8; do
            (for in in 1 2 3 4 5 6 7 8 9; do mknod /d/$at.$in b $at $in; done) &
        done; wait; ls /d | wc -l";
    assert_eq!(ground.output(script)?.trim(), "72");
    Ok(())
}

fn other_nodes() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    assert_eq!(
        ground.output(&format!("mknod /pipe p && {LOOK} /pipe"))?,
        "fifo 644 0:0 /pipe\n"
    );
    Ok(())
}

fn without_confinement() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let spec = SandboxSpec {
        confinement: Confinement::Namespace,
        ..shell("mknod /null c 1 3 2>&1; true")
    };
    assert_eq!(
        expect_success(ground.run(spec)?)?,
        "mknod: /null: Operation not permitted\n"
    );
    Ok(())
}
