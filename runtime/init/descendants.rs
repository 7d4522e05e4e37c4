//! Ends every process below this one, where no namespace of processes does it.
//!
//! This process adopts orphans, so that whatever a command started stays below it, however often it forked and whatever
//! session it made. What is there is read from `/proc` and killed until nothing is there: what forks meanwhile is found
//! the next time, and nothing gets away.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};

use crate::sys::{CallError, process};

/// Where the parent and the time of the start are in `/proc/PID/stat`, counted from behind the name (`proc_pid_stat(5)`,
/// fields 4 and 22).
const PARENT_FIELD: usize = 1;
const START_FIELD: usize = 19;

/// A process, told from another one that has its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    start: u64,
}

/// Kills and reaps everything below this process.
pub(super) fn end_all() -> Result<(), CallError> {
    loop {
        while process::reap_any()?.is_some() {}
        let below = below(getpid().as_raw(), &all());
        if below.is_empty() {
            return Ok(());
        }
        below.iter().for_each(kill);
        // One of them is a child of this process and is about to end.
        process::wait_for_any_child()?;
    }
}

/// Kills a process, unless its number is another one's by now.
fn kill(found: &Process) {
    let Ok(held) = process::pidfd_open(Pid::from_raw(found.pid)) else {
        return;
    };
    let still = look(found.pid).is_some_and(|now| now.start == found.start);
    if still {
        // It fails only if the process is gone already.
        drop(process::pidfd_send_signal(held.as_fd(), Signal::SIGKILL));
    }
}

/// Returns the processes that descend from `ancestor`.
fn below(ancestor: i32, all: &[Process]) -> Vec<Process> {
    let mut parents = BTreeSet::from([ancestor]);
    let mut found: Vec<Process> = Vec::new();
    loop {
        let is_new = |process: &&Process| {
            parents.contains(&process.parent) && !parents.contains(&process.pid)
        };
        let new: Vec<Process> = all.iter().filter(is_new).copied().collect();
        if new.is_empty() {
            return found;
        }
        parents.extend(new.iter().map(|process| process.pid));
        found.extend(new);
    }
}

/// Returns all processes that can be seen.
fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| look(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn look(pid: i32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    read(pid, &stat)
}

/// Reads `/proc/PID/stat`, in which the name is in brackets and may hold any byte.
fn read(pid: i32, stat: &[u8]) -> Option<Process> {
    let behind = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let text = std::str::from_utf8(stat.get(behind..)?).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(PARENT_FIELD);
    Some(Process {
        pid,
        parent: fields.next()?.parse().ok()?,
        start: fields.nth(START_FIELD - PARENT_FIELD - 1)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            start: 0,
        }
    }

    #[test]
    fn descendants_are_found_in_whatever_order_they_are_listed() {
        let all = [
            process(9, 7),
            process(7, 5),
            process(6, 1),
            process(8, 5),
            process(5, 1),
        ];
        let pids = |ancestor| -> BTreeSet<i32> {
            let found = below(ancestor, &all);
            found.iter().map(|process| process.pid).collect()
        };
        assert_eq!(pids(5), BTreeSet::from([7, 8, 9]));
        assert_eq!(pids(6), BTreeSet::new());
        assert_eq!(pids(1), BTreeSet::from([5, 6, 7, 8, 9]));
    }

    #[test]
    fn a_name_may_look_like_fields() {
        let stat = b"42 (a) 7 (b) R 5 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3 4";
        let expected = Process {
            pid: 42,
            parent: 5,
            start: 4711,
        };
        assert_eq!(read(42, stat), Some(expected));
        assert_eq!(read(42, b"42 (a"), None);
        assert_eq!(read(42, b"42 (a) R"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let own = getpid().as_raw();
        let found = look(own).unwrap();
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert!(all().contains(&found));
    }
}
