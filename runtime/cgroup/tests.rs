//! A directory stands for the hierarchy: which files are written, and what. That the kernel takes them is for a machine
//! with delegated groups (`tests/it/limits.rs`).

use super::*;

/// Makes a hierarchy with two groups, one in the other.
fn hierarchy(directory: &Path, controllers: &str, handed_on: &str) -> Hierarchy {
    let own = directory.join("user/session");
    fs::create_dir_all(&own).unwrap();
    for group in [directory, &directory.join("user"), &own] {
        fs::write(group.join("cgroup.controllers"), controllers).unwrap();
        fs::write(group.join("cgroup.subtree_control"), handed_on).unwrap();
        fs::write(group.join("cgroup.procs"), "").unwrap();
    }
    Hierarchy {
        mount: directory.to_owned(),
        own,
    }
}

fn of_memory_and_processes() -> GroupLimits {
    GroupLimits {
        memory_bytes: Some(64 << 20),
        swap_bytes: Some(0),
        processes: Some(9),
        ..GroupLimits::default()
    }
}

#[test]
fn the_hierarchy_is_that_of_the_second_version() {
    let mounts = "30 24 0:26 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids\n\
                  31 24 0:27 /user /mnt/one\\040two rw - tmpfs none rw\n\
                  42 24 0:38 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw\n";
    let found = Hierarchy::parse(mounts, "8:pids:/x\n0::/user/session\n").unwrap();
    assert_eq!(found.mount, Path::new("/sys/fs/cgroup/unified"));
    assert_eq!(found.own, Path::new("/sys/fs/cgroup/unified/user/session"));
    assert!(Hierarchy::parse(mounts, "8:pids:/x\n").is_none());
    assert!(Hierarchy::parse("", "0::/\n").is_none());
}

#[test]
fn the_nearest_group_is_divided_that_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy(directory.path(), "cpu memory pids", "");
    // The nearest has no controllers to hand on.
    fs::write(hierarchy.own.join("cgroup.controllers"), "pids").unwrap();
    let limits = of_memory_and_processes();
    let groups = ControlGroups::find_in(&hierarchy, &limits, None).unwrap();
    assert_eq!(groups.directory, directory.path().join("user"));
    let handed_on = groups.directory.join("cgroup.subtree_control");
    assert_eq!(fs::read_to_string(handed_on).unwrap(), "+memory +pids");
}

#[test]
fn a_group_is_left_before_it_hands_controllers_on() {
    let directory = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy(directory.path(), "pids", "");
    let limits = GroupLimits {
        processes: Some(9),
        ..GroupLimits::default()
    };
    for group in [&hierarchy.own, &directory.path().join("user")] {
        fs::write(group.join("cgroup.type"), "domain\n").unwrap();
    }
    let own = getpid();
    fs::write(hierarchy.own.join("cgroup.procs"), format!("{own}\n")).unwrap();
    let groups = ControlGroups::find_in(&hierarchy, &limits, None).unwrap();
    assert_eq!(groups.directory, hierarchy.own);
    let left_for = hierarchy
        .own
        .join(format!("careen-{own}-builder/cgroup.procs"));
    assert_eq!(fs::read_to_string(left_for).unwrap(), own.to_string());
}

#[test]
fn a_group_with_processes_of_others_is_not_divided() {
    let directory = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy(directory.path(), "pids", "");
    let limits = GroupLimits {
        processes: Some(9),
        ..GroupLimits::default()
    };
    fs::write(hierarchy.own.join("cgroup.type"), "domain\n").unwrap();
    fs::write(hierarchy.own.join("cgroup.procs"), "1\n").unwrap();
    let asked = ControlGroups::find_in(&hierarchy, &limits, Some("user/session"));
    assert!(matches!(asked, Err(GroupError::NotDelegated { .. })));
    let handed_on = hierarchy.own.join("cgroup.subtree_control");
    assert_eq!(fs::read_to_string(handed_on).unwrap(), "");
    let nearest = ControlGroups::find_in(&hierarchy, &limits, None).unwrap();
    assert_eq!(nearest.directory, directory.path().join("user"));
}

#[test]
fn a_group_that_is_asked_for_is_the_one_that_is_divided() {
    let directory = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy(directory.path(), "memory pids", "memory pids");
    let limits = of_memory_and_processes();
    let groups = ControlGroups::find_in(&hierarchy, &limits, Some("/user")).unwrap();
    assert_eq!(groups.directory, directory.path().join("user"));
    let missing = ControlGroups::find_in(&hierarchy, &limits, Some("nobodys"));
    assert_eq!(
        missing.unwrap_err().to_string(),
        format!(
            "no control group with memory, pids can be divided by this user; the nearest is `{}/nobodys`",
            directory.path().display()
        )
    );
}

#[test]
fn limits_are_written_to_the_files_of_a_group_before_a_process_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy(directory.path(), "cpu cpuset memory pids", "");
    let limits = GroupLimits {
        processor_weight: Some(39),
        processor_time: Some((50_000, 100_000)),
        processors: Some("0-1".to_owned()),
        memory_nodes: Some("0".to_owned()),
        ..of_memory_and_processes()
    };
    let groups = ControlGroups::find_in(&hierarchy, &limits, None).unwrap();
    let group = groups.create(&limits).unwrap();
    let read = |name: &str| fs::read_to_string(group.directory.join(name));
    for (file, value) in [
        ("memory.max", "67108864"),
        ("pids.max", "9"),
        ("cpu.weight", "39"),
        ("cpu.max", "50000 100000"),
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
    ] {
        assert_eq!(read(file).unwrap(), value, "{file}");
    }
    // The machine has no swap.
    read("memory.swap.max").unwrap_err();
    read("cgroup.procs").unwrap_err();
    group.add(Pid::from_raw(7)).unwrap();
    assert_eq!(read("cgroup.procs").unwrap(), "7");
}

#[test]
fn running_out_of_memory_is_what_the_kernel_counts() {
    let directory = tempfile::tempdir().unwrap();
    let group = Group {
        directory: directory.path().to_owned(),
    };
    assert!(!group.ran_out_of_memory());
    for (events, expected) in [
        ("low 0\nmax 3\noom 1\noom_kill 0\n", false),
        ("low 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n", true),
    ] {
        fs::write(directory.path().join("memory.events"), events).unwrap();
        assert_eq!(group.ran_out_of_memory(), expected);
    }
}

#[test]
fn groups_that_dead_builders_left_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let alive = format!("{PREFIX}{}-0", getpid());
    // No process has this number: it is above what the kernel gives.
    for name in ["careen-4999999-0", alive.as_str(), "other-4999999-0"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    remove_leftovers(directory.path());
    let mut left: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [alive, "other-4999999-0".to_owned()]);
}
