//! What each command may use: as much of that as this machine can see to, and a word on the rest.

use std::io::ErrorKind;

use runtime::{ExecutorMode, GroupError, GroupLimits, LimitedResource, ResourceLimit};
use solver::{CommandLimits, Workshop};
use vendor_shim::idmap::parse_map;

use crate::command::failure::chain;
use crate::options::ResourceOptions;

/// What is given up where not all can be had, one after the other: first what is handed on least often.
const GIVEN_UP: [&[&str]; 3] = [&[], &["cpuset"], &["cpuset", "cpu"]];

/// What was found out.
struct Found {
    group: Option<GroupLimits>,
    /// The controllers that nothing is limited by, and why.
    lost: Option<(Vec<&'static str>, GroupError)>,
}

/// Finds out which limits can be kept, and says once of which that is not so.
pub(super) fn settle(asked: &ResourceOptions, workshop: &Workshop) -> CommandLimits {
    if asked.flags.is_empty() {
        return CommandLimits::default();
    }
    let Found { group, lost } = find(asked, workshop);
    let Some((controllers, failure)) = lost else {
        let processes = Vec::new();
        return CommandLimits { group, processes };
    };
    let cause = chain(&failure);
    let lost = asked.flags.iter().filter(|(_, controller)| {
        *controller != "pids" && (group.is_none() || controllers.contains(controller))
    });
    let flags: Vec<String> = lost.map(|(flag, _)| format!("`{flag}`")).collect();
    if !flags.is_empty() {
        let are = if flags.len() == 1 { "is" } else { "are" };
        let (flags, way_out) = (flags.join(", "), way_out(&failure));
        let text = format!("{flags} {are} not enforced: {cause}{way_out}");
        workshop.events.warn(text);
    }
    let processes = asked.limits.processes.filter(|_| group.is_none());
    if processes.is_some() {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let but_root = if counts_root(workshop.executor.mode(), &map) {
            ""
        } else {
            ", and none of root's"
        };
        workshop.events.warn(format!(
            "`--pids-limit` counts all commands of the build that run as the same user{but_root}: {cause}"
        ));
    }
    CommandLimits {
        group,
        processes: processes.map(of_processes).into_iter().collect(),
    }
}

/// Finds the limits that control groups can keep.
fn find(asked: &ResourceOptions, workshop: &Workshop) -> Found {
    let mut why_not_all = None;
    for given_up in GIVEN_UP {
        let limits = asked.limits.clone().without(given_up);
        let is_left = limits != GroupLimits::default() || asked.parent.is_some();
        if !is_left && why_not_all.is_some() {
            break;
        }
        let parent = asked.parent.as_deref();
        match workshop.executor.find_groups(&limits, parent) {
            Ok(()) => {
                return Found {
                    group: Some(limits),
                    lost: why_not_all.map(|error| (given_up.to_vec(), error)),
                };
            }
            Err(error) => why_not_all = why_not_all.or(Some(error)),
        }
    }
    Found {
        group: None,
        lost: why_not_all.map(|error| (Vec::new(), error)),
    }
}

/// Without a control group, the kernel counts the processes of each user in a user namespace (`RLIMIT_NPROC`,
/// getrlimit(2)).
fn of_processes(most: u64) -> ResourceLimit {
    ResourceLimit {
        resource: LimitedResource::Processes,
        soft: Some(most),
        hard: Some(most),
    }
}

/// Tells whether the kernel counts the processes of a command's root: never those of the machine's (`copy_process` in the
/// kernel's `kernel/fork.c`), which it is where commands have its id. `map` is that of the builder's user ids.
fn counts_root(mode: ExecutorMode, map: &str) -> bool {
    let first = parse_map(map).first().copied();
    let is_machines = first.is_some_and(|line| (line.inside, line.outside) == (0, 0));
    mode == ExecutorMode::UsernsMulti || !is_machines
}

fn way_out(failure: &GroupError) -> &'static str {
    match failure {
        GroupError::NotDelegated { source, .. }
            if matches!(
                source.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ResourceBusy
            ) =>
        {
            "; `systemd-run --user --scope --property=Delegate=yes careen …` gives it one that can be"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_counted_where_it_is_not_the_machines() {
        for (mode, map, expected) in [
            (
                ExecutorMode::UsernsMulti,
                "0 0 1\n1 1879048192 65536\n",
                true,
            ),
            (ExecutorMode::UsernsSingle, "0 1000 1\n", true),
            (ExecutorMode::UsernsSingle, "0 0 1\n", false),
            (ExecutorMode::Chroot, "0 0 4294967295\n", false),
            (ExecutorMode::Chroot, "0 100000 65536\n", true),
        ] {
            assert_eq!(counts_root(mode, map), expected, "{mode} {map}");
        }
    }
}
