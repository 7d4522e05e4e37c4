//! Tests of what is said about refusals.

use runtime::probe::Finding;

use super::*;

fn caller() -> Caller {
    Caller {
        uid: 1000,
        gid: 1000,
        name: Some("ana".to_owned()),
    }
}

fn refused(primitive: Primitive, errno: Option<Errno>) -> Obstacle {
    let finding = Finding::Refused {
        call: "a call".to_owned(),
        errno: errno.map(|errno| errno as i32),
    };
    Obstacle::Refused { primitive, finding }
}

fn command(obstacle: &Obstacle, facts: Facts) -> Option<String> {
    advise(obstacle, facts, &caller()).map(|advice| advice.command)
}

#[test]
fn missing_ids_are_given_by_the_machines_owner() {
    let cases = [
        (
            SingleReason::NoSubuids,
            Some("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ana"),
        ),
        (
            SingleReason::NoHelpers,
            Some("sudo apt-get install --no-install-recommends uidmap"),
        ),
        (
            SingleReason::TooFew {
                count: 1000,
                id: 65_534,
            },
            Some("sudo usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 ana"),
        ),
        (
            SingleReason::TooFew {
                count: 65_536,
                id: 100_000,
            },
            Some("sudo usermod --add-subuids 1000000-1100000 --add-subgids 1000000-1100000 ana"),
        ),
        (SingleReason::OneIdInNamespace, None),
    ];
    for (reason, expected) in cases {
        let found = command(&Obstacle::Ids(reason), Facts::default());
        assert_eq!(found.as_deref(), expected, "{reason:?}");
    }
}

#[test]
fn each_knob_is_named_by_what_failed() {
    let none = Facts::default();
    let filtered = Facts {
        filtered: true,
        ..none
    };
    let namespace = Primitive::UserNamespace;
    let cases = [
        (
            namespace,
            Errno::EPERM,
            filtered,
            Some("--security-opt seccomp=unconfined"),
        ),
        (
            namespace,
            Errno::ENOSPC,
            Facts {
                no_user_namespaces: true,
                ..filtered
            },
            Some("sudo sysctl user.max_user_namespaces=15000"),
        ),
        (
            namespace,
            Errno::EPERM,
            Facts {
                no_unprivileged_namespaces: true,
                ..none
            },
            Some("sudo sysctl kernel.unprivileged_userns_clone=1"),
        ),
        (namespace, Errno::EPERM, none, None),
        (
            Primitive::PrivateMounts,
            Errno::EACCES,
            none,
            Some("--security-opt apparmor=unconfined"),
        ),
        (
            Primitive::Overlay,
            Errno::ENODEV,
            none,
            Some("sudo modprobe overlay"),
        ),
        (
            Primitive::FreshProc,
            Errno::EPERM,
            none,
            Some("--security-opt systempaths=unconfined"),
        ),
        (Primitive::ChangeRoot, Errno::EPERM, filtered, None),
    ];
    for (primitive, errno, facts, expected) in cases {
        let found = command(&refused(primitive, Some(errno)), facts);
        assert_eq!(
            found.as_deref(),
            expected,
            "{primitive:?} {errno} {facts:?}"
        );
    }
}

#[test]
fn a_restriction_by_apparmor_is_found_by_what_fails_in_a_namespace() {
    let restricted = Facts {
        restricted_by_apparmor: true,
        ..Facts::default()
    };
    for primitive in [Primitive::PrivateMounts, Primitive::Ids] {
        let found = command(&refused(primitive, Some(Errno::EPERM)), restricted).unwrap();
        assert!(found.contains("apparmor_parser --replace"), "{found}");
    }
}

#[test]
fn facts_are_read_where_the_kernel_shows_them() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Facts::read(root.path()), Facts::default());
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/sys/user/max_user_namespaces", "0\n");
    write("proc/sys/kernel/unprivileged_userns_clone", "0\n");
    write(
        "proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1\n",
    );
    write(
        "proc/self/status",
        "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n",
    );
    let all = Facts {
        no_user_namespaces: true,
        no_unprivileged_namespaces: true,
        restricted_by_apparmor: true,
        filtered: true,
        no_new_privileges: true,
    };
    assert_eq!(Facts::read(root.path()), all);
}
