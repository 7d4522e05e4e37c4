//! Control groups: what the processes of one command may use together, of memory, processors and processes.
//!
//! Only the second version of control groups is used, where this process may divide a group: one that systemd has
//! delegated to the user, that of a container, or any as the machine's root (`Documentation/admin-guide/cgroup-v2.rst`,
//! "Delegation"). Of the group that this process is in and those above it the nearest is taken that hands the needed
//! controllers on, or can be made to.
//!
//! ```text
//! a group that is divided
//!  ├─ careen-PID-0        the processes of one command; limits are in its files
//!  ├─ careen-PID-1
//!  └─ careen-PID-builder  this process, if it was alone in the group that is divided: a group with processes hands no
//!                         controllers on ("No Internal Process Constraint"), or none that groups of processes have
//! ```
//!
//! A group is removed with its command; what a builder that was killed left is removed by the next one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What the names of our groups begin with.
const PREFIX: &str = "careen-";

/// What the processes of one command may use together. What is not said is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupLimits {
    /// Memory, in bytes (`memory.max`).
    pub memory_bytes: Option<u64>,
    /// Swap in addition to that, in bytes (`memory.swap.max`).
    pub swap_bytes: Option<u64>,
    /// How many processes and threads there are (`pids.max`).
    pub processes: Option<u64>,
    /// The share of the processors when others want them too, 1 to 10000; usual is 100 (`cpu.weight`).
    pub processor_weight: Option<u64>,
    /// Time of processors in each period, both in microseconds (`cpu.max`).
    pub processor_time: Option<(u64, u64)>,
    /// The processors that may be used, as a list: `0-3,5` (`cpuset.cpus`).
    pub processors: Option<String>,
    /// The memory nodes that may be used, as a list (`cpuset.mems`).
    pub memory_nodes: Option<String>,
}

/// Why commands are not put into control groups.
#[derive(Debug, Error)]
pub enum GroupError {
    /// What runs commands has no control groups.
    #[error("commands are not put into control groups here")]
    Unsupported,
    /// There is no hierarchy of the second version.
    #[error("no hierarchy of control groups of version 2 is mounted")]
    NoHierarchy,
    /// No group can be divided with these controllers.
    #[error("no control group with {controllers} can be divided by this user; the nearest is `{}`", group.display())]
    NotDelegated {
        /// The controllers.
        controllers: String,
        /// The nearest group.
        group: PathBuf,
        /// What the kernel said of it.
        source: io::Error,
    },
    /// A file of a group cannot be written.
    #[error("limit a control group: write `{value}` to `{}`", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The value.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A group cannot be made.
    #[error("make the control group `{}`", group.display())]
    Make {
        /// The group.
        group: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl GroupLimits {
    /// Returns what is left of it without what these controllers limit (`memory`, `pids`, `cpu`, `cpuset`).
    #[must_use]
    pub fn without(self, controllers: &[&str]) -> Self {
        let has = |name| !controllers.contains(&name);
        Self {
            memory_bytes: self.memory_bytes.filter(|_| has("memory")),
            swap_bytes: self.swap_bytes.filter(|_| has("memory")),
            processes: self.processes.filter(|_| has("pids")),
            processor_weight: self.processor_weight.filter(|_| has("cpu")),
            processor_time: self.processor_time.filter(|_| has("cpu")),
            processors: self.processors.filter(|_| has("cpuset")),
            memory_nodes: self.memory_nodes.filter(|_| has("cpuset")),
        }
    }

    /// Returns the controllers that it takes, in the order of their names.
    fn controllers(&self) -> Vec<&'static str> {
        let mut controllers: Vec<_> = self.settings().into_iter().map(controller).collect();
        controllers.sort_unstable();
        controllers.dedup();
        controllers
    }

    /// Returns the files of a group, and what is written to each.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let number = |limit: Option<u64>| limit.map(|limit| limit.to_string());
        let time = |(time, period): (u64, u64)| format!("{time} {period}");
        let all = [
            ("memory.max", number(self.memory_bytes)),
            ("memory.swap.max", number(self.swap_bytes)),
            ("pids.max", number(self.processes)),
            ("cpu.weight", number(self.processor_weight)),
            ("cpu.max", self.processor_time.map(time)),
            ("cpuset.cpus", self.processors.clone()),
            ("cpuset.mems", self.memory_nodes.clone()),
        ];
        all.into_iter()
            .filter_map(|(file, value)| Some((file, value?)))
            .collect()
    }
}

/// Returns the controller that a file belongs to.
fn controller((file, _): (&'static str, String)) -> &'static str {
    file.split('.').next().unwrap_or_default()
}

/// Where control groups are, and which this process is in.
#[derive(Debug, Clone)]
struct Hierarchy {
    mount: PathBuf,
    own: PathBuf,
}

impl Hierarchy {
    /// Reads it from what the kernel says of this process.
    fn of_this_process() -> Result<Self, GroupError> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
            .ok_or(GroupError::NoHierarchy)
    }

    /// Finds the mount of the second version that this process's group is below (`proc_pid_mountinfo(5)`, cgroups(7)).
    fn parse(mounts: &str, groups: &str) -> Option<Self> {
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        mounts.lines().find_map(|line| {
            let (fields, kind) = line.split_once(" - ")?;
            let mut fields = fields.split(' ').skip(3);
            let (root, mount) = (fields.next()?, fields.next()?);
            let below = Path::new(own).strip_prefix(root).ok()?;
            let mount = PathBuf::from(mount);
            // Joined with nothing, a path would end with a slash.
            let own = mount.components().chain(below.components()).collect();
            kind.starts_with("cgroup2 ").then_some(Self { mount, own })
        })
    }
}

/// A control group that commands get groups in.
#[derive(Debug)]
pub(crate) struct ControlGroups {
    directory: PathBuf,
    count: AtomicU64,
}

impl ControlGroups {
    /// Finds a group to be divided for these limits: `parent`, as a path from the root of the hierarchy, or the nearest
    /// one.
    pub(crate) fn find(limits: &GroupLimits, parent: Option<&str>) -> Result<Self, GroupError> {
        Self::find_in(&Hierarchy::of_this_process()?, limits, parent)
    }

    fn find_in(
        hierarchy: &Hierarchy,
        limits: &GroupLimits,
        parent: Option<&str>,
    ) -> Result<Self, GroupError> {
        let controllers = limits.controllers();
        let candidates: Vec<PathBuf> = if let Some(parent) = parent {
            vec![hierarchy.mount.join(parent.trim_start_matches('/'))]
        } else {
            let above = hierarchy.own.ancestors();
            let inside = above.take_while(|group| group.starts_with(&hierarchy.mount));
            inside.map(Path::to_owned).collect()
        };
        let mut nearest = None;
        for group in candidates {
            match divide(&group, &controllers) {
                Ok(()) => {
                    remove_leftovers(&group);
                    return Ok(Self {
                        directory: group,
                        count: AtomicU64::new(0),
                    });
                }
                Err(source) => nearest = nearest.or(Some((group, source))),
            }
        }
        let (group, source) = nearest.ok_or(GroupError::NoHierarchy)?;
        Err(GroupError::NotDelegated {
            controllers: controllers.join(", "),
            group,
            source,
        })
    }

    /// Makes the group of one command.
    pub(crate) fn create(&self, limits: &GroupLimits) -> Result<Group, GroupError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", getpid());
        let directory = self.directory.join(name);
        fs::create_dir(&directory).map_err(|source| GroupError::Make {
            group: directory.clone(),
            source,
        })?;
        let group = Group { directory };
        for (file, value) in limits.settings() {
            // A kernel without swap has no such file, and then there is nothing to limit.
            let is_there = group.directory.join(file).try_exists();
            if file == "memory.swap.max" && matches!(is_there, Ok(false)) {
                continue;
            }
            group.write(file, &value)?;
        }
        Ok(group)
    }
}

/// Makes sure that groups can be made in `group`, and have these controllers.
fn divide(group: &Path, controllers: &[&str]) -> io::Result<()> {
    let file = group.join("cgroup.subtree_control");
    let has_all = |text: &str| {
        let there: Vec<&str> = text.split_whitespace().collect();
        controllers.iter().all(|name| there.contains(name))
    };
    if !has_all(&fs::read_to_string(group.join("cgroup.controllers"))?) {
        let text = "it does not have these controllers";
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    if !has_all(&fs::read_to_string(&file)?) {
        hand_on(group, &file, controllers)?;
    }
    // Whether it is this user's, making one tells best; and whether a process can be in it, what it is.
    let trial = group.join(format!("{PREFIX}{}-trial", getpid()));
    fs::create_dir(&trial)?;
    let kind = fs::read_to_string(trial.join("cgroup.type"));
    fs::remove_dir(&trial)?;
    if kind.is_ok_and(|kind| kind.trim() != "domain") {
        let text = "a group with processes of its own cannot be divided";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
    }
    Ok(())
}

/// Has a group hand controllers on.
fn hand_on(group: &Path, file: &Path, controllers: &[&str]) -> io::Result<()> {
    // That of the machine alone has no kind, and may have processes.
    if group.join("cgroup.type").try_exists()? {
        leave(group)?;
    }
    let wanted: Vec<String> = controllers.iter().map(|name| format!("+{name}")).collect();
    fs::write(file, wanted.join(" "))
}

/// Leaves a group, if this process and the first are alone in it. With processes it could hand no controllers on but
/// those of threads; and when it has handed those on, it can no longer be left for a group below
/// ("Threads", "domain invalid").
fn leave(group: &Path) -> io::Result<()> {
    let ours = [getpid(), getppid()].map(|pid| pid.to_string());
    let inside = fs::read_to_string(group.join("cgroup.procs"))?;
    if inside.is_empty() {
        return Ok(());
    }
    if !inside.lines().all(|pid| ours.iter().any(|our| our == pid)) {
        return Err(io::Error::from(Errno::EBUSY));
    }
    let own = group.join(format!("{PREFIX}{}-builder", getpid()));
    fs::create_dir(&own)?;
    for pid in inside.lines() {
        fs::write(own.join("cgroup.procs"), pid)?;
    }
    Ok(())
}

/// Removes groups of builders that are gone. A group with processes stays: the kernel refuses it.
fn remove_leftovers(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let pid = rest.and_then(|rest| rest.split('-').next());
        if let Some(pid) = pid.filter(|pid| pid.parse::<u32>().is_ok())
            && matches!(Path::new("/proc").join(pid).try_exists(), Ok(false))
        {
            drop(fs::remove_dir(entry.path()));
        }
    }
}

/// The control group of one command. Dropping it removes it, which takes that all its processes are gone.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
}

impl Group {
    /// Puts a process into it, and so all that it starts from now on.
    pub(crate) fn add(&self, process: Pid) -> Result<(), GroupError> {
        self.write("cgroup.procs", &process.to_string())
    }

    /// Tells whether the kernel ended a process of it because its memory was used up (`oom_kill` of `memory.events`).
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.directory.join("memory.events")).unwrap_or_default();
        let kills = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "));
        kills.is_some_and(|count| count.trim() != "0")
    }

    fn write(&self, file: &str, value: &str) -> Result<(), GroupError> {
        let file = self.directory.join(file);
        fs::write(&file, value).map_err(|source| GroupError::Write {
            file,
            value: value.to_owned(),
            source,
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // One that is not empty yet is removed by the next builder.
        drop(fs::remove_dir(&self.directory));
    }
}

#[cfg(test)]
mod tests;
