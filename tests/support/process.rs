//! The processes of a build, as /proc shows them (proc(5)).
#![expect(
    clippy::disallowed_methods,
    reason = "the tests look at the machine that they run on, and wait for processes that are not theirs"
)]

use std::collections::BTreeSet;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::program::PATIENCE;

/// A process: its number, and when it was started, since numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    number: i32,
    /// Clock ticks since the machine was started.
    started: u64,
}

/// Which of a build's processes one is (ARCHITECTURE.md, "Processes and privileges").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The process that the user started.
    First,
    /// The one that does the work.
    Builder,
    /// Starts what sets a sandbox up.
    Starter,
    /// Sets a sandbox up.
    Init,
    /// Is the first process in the sandbox.
    PidOne,
    /// The user's command, and what it started.
    Command,
}

/// What /proc/PID/stat says.
#[derive(Clone, Copy, Debug)]
struct Stat {
    id: Id,
    state: char,
    parent: i32,
}

impl Id {
    pub(crate) fn of_child(child: &Child) -> Self {
        let number = i32::try_from(child.id()).expect("a process has a number");
        stat(number)
            .expect("a child is there until it is waited for")
            .id
    }

    /// Tells whether it runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.number).is_some_and(|stat| stat.id == self && !"ZX".contains(stat.state))
    }

    /// Sends it a signal; one that has ended is past that.
    fn signal(self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.number)
        {
            // It may end between the question and this: then there is nothing to end.
            rustix::process::kill_process(pid, signal).unwrap_or_default();
        }
    }

    /// Ends it without asking.
    pub fn kill(self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(self) {
        self.signal(Signal::INT);
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(self) {
        self.signal(Signal::TERM);
    }

    /// Tells it that its terminal has another size.
    pub fn resized(self) {
        self.signal(Signal::WINCH);
    }

    /// Sends it a signal that means what the program wants it to.
    pub fn poke(self) {
        self.signal(Signal::USR1);
    }

    /// Returns the arguments and the environment, as anybody with the right to see them does; nothing of a
    /// process that has ended.
    pub fn texts(self) -> Vec<u8> {
        let read = |name| fs::read(format!("/proc/{}/{name}", self.number)).unwrap_or_default();
        [read("cmdline"), read("environ")].concat()
    }

    /// Returns what it does for a build.
    pub fn role(self) -> Role {
        let arguments = fs::read(format!("/proc/{}/cmdline", self.number)).unwrap_or_default();
        let role = String::from_utf8_lossy(&arguments)
            .split('\0')
            .find_map(|word| word.strip_prefix("--careen-role=").map(str::to_owned));
        let name = fs::read_to_string(format!("/proc/{}/comm", self.number)).unwrap_or_default();
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.number)).unwrap_or_default();
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .unwrap_or_default();
        match (
            role,
            numbers.split_whitespace().collect::<Vec<_>>().as_slice(),
        ) {
            (_, [_, .., "1"]) => Role::PidOne,
            (_, [_, _, ..]) => Role::Command,
            (None, _) if name == "careen-builder\n" => Role::Builder,
            (None, _) => Role::First,
            (Some(_), _) if name == "careen-init\n" => Role::Init,
            (Some(_), _) => Role::Starter,
        }
    }
}

/// Tells whether this process may see what is another user's.
pub fn sees_all() -> bool {
    rustix::process::getuid().is_root()
}

/// Returns a process and all that it and its children have started, the oldest first.
pub fn tree(root: Id) -> Vec<Id> {
    let numbers = fs::read_dir("/proc")
        .expect("/proc can be listed")
        .filter_map(|entry| {
            entry
                .expect("/proc can be listed")
                .file_name()
                .to_str()?
                .parse()
                .ok()
        });
    let mut stats: Vec<_> = numbers.filter_map(stat).collect();
    stats.sort_by_key(|stat| stat.id.started);
    let mut tree = BTreeSet::from([root.number]);
    let mut found = vec![root];
    // A parent may have the same tick as its child, and a larger number.
    for _ in 0..stats.len() {
        let before = tree.len();
        for stat in &stats {
            if tree.contains(&stat.parent) && tree.insert(stat.id.number) {
                found.push(stat.id);
            }
        }
        if tree.len() == before {
            break;
        }
    }
    found
}

/// Waits until a build has a process in this role, and returns it.
pub fn wait_for(root: Id, role: Role) -> Id {
    wait(&format!("a process as {role:?}"), || {
        tree(root)
            .into_iter()
            .find(|id| id.role() == role && id.is_alive())
    })
}

/// Waits until none of these runs.
pub fn wait_for_end(processes: &[Id]) {
    wait("the end of all processes", || {
        processes.iter().all(|id| !id.is_alive()).then_some(())
    });
}

/// Ends a process and all below it.
pub fn kill_tree(root: Id) {
    for id in tree(root) {
        id.kill();
    }
}

/// Asks again and again until there is an answer; fails when there is none in time.
///
/// Only for what sends no event: processes that are not our children.
fn wait<T, F: FnMut() -> Option<T>>(what: &str, mut ask: F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads /proc/PID/stat; nothing if there is no such process any more.
fn stat(number: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name of the program is in parentheses, and may have some itself.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<_> = rest.split(' ').collect();
    Some(Stat {
        id: Id {
            number,
            started: fields.get(19)?.parse().ok()?,
        },
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
    })
}
