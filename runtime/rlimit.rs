//! Limits of processes: of open files, raised for the builder and given back to commands, and what
//! a specification asks for.
//!
//! The builder opens a directory for each layer of each running step. A command must not find the
//! limit raised: programs go through all descriptors that they might have, and there can be a
//! million.
//!
//! A hard limit can be lowered by everybody and raised by the machine's root alone: capabilities in
//! a user namespace do not count (`setrlimit(2)`).

use std::os::fd::{BorrowedFd, RawFd};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::protocol::OpenFiles;
use crate::sys::{CallError, Called as _, fd};

/// A resource whose use is limited for each process or user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are the documentation: they are those of getrlimit(2)"
)]
pub enum LimitedResource {
    Core,
    Cpu,
    Data,
    FileSize,
    Locks,
    LockedMemory,
    MessageQueues,
    Nice,
    OpenFiles,
    Processes,
    ResidentSet,
    RealTimePriority,
    RealTime,
    PendingSignals,
    Stack,
}

/// Each resource with the name that command lines have for it, and the kernel's.
const RESOURCES: [(LimitedResource, &str, Resource); 15] = [
    (LimitedResource::Core, "core", Resource::RLIMIT_CORE),
    (LimitedResource::Cpu, "cpu", Resource::RLIMIT_CPU),
    (LimitedResource::Data, "data", Resource::RLIMIT_DATA),
    (LimitedResource::FileSize, "fsize", Resource::RLIMIT_FSIZE),
    (LimitedResource::Locks, "locks", Resource::RLIMIT_LOCKS),
    (
        LimitedResource::LockedMemory,
        "memlock",
        Resource::RLIMIT_MEMLOCK,
    ),
    (
        LimitedResource::MessageQueues,
        "msgqueue",
        Resource::RLIMIT_MSGQUEUE,
    ),
    (LimitedResource::Nice, "nice", Resource::RLIMIT_NICE),
    (
        LimitedResource::OpenFiles,
        "nofile",
        Resource::RLIMIT_NOFILE,
    ),
    (LimitedResource::Processes, "nproc", Resource::RLIMIT_NPROC),
    (LimitedResource::ResidentSet, "rss", Resource::RLIMIT_RSS),
    (
        LimitedResource::RealTimePriority,
        "rtprio",
        Resource::RLIMIT_RTPRIO,
    ),
    (LimitedResource::RealTime, "rttime", Resource::RLIMIT_RTTIME),
    (
        LimitedResource::PendingSignals,
        "sigpending",
        Resource::RLIMIT_SIGPENDING,
    ),
    (LimitedResource::Stack, "stack", Resource::RLIMIT_STACK),
];

/// A limit for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// What is limited.
    pub resource: LimitedResource,
    /// The limit in force, in the unit of the resource; none is without limit.
    pub soft: Option<u64>,
    /// The limit up to which a process may raise it; none is without limit.
    pub hard: Option<u64>,
}

impl LimitedResource {
    /// Returns all names of resources, in their order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        RESOURCES.iter().map(|(_, name, _)| *name)
    }

    /// Returns the resource of this name: `nofile`, `nproc`, ….
    pub fn from_name(name: &str) -> Option<Self> {
        let mut rows = RESOURCES.iter();
        rows.find(|(_, known, _)| *known == name)
            .map(|(resource, _, _)| *resource)
    }

    /// Returns the name.
    pub fn name(self) -> &'static str {
        let mut rows = RESOURCES.iter();
        rows.find(|(resource, _, _)| *resource == self)
            .map_or("", |(_, name, _)| *name)
    }

    /// Returns the most that a command can be given; none is without limit.
    ///
    /// # Errors
    ///
    /// Fails when the kernel does not know the resource.
    pub fn most(self) -> Result<Option<u64>, CallError> {
        let Some(kernels) = self.kernels() else {
            return Ok(None);
        };
        let (_, hard) = getrlimit(kernels).called(|| format!("getrlimit({kernels:?})"))?;
        Ok((hard != RLIM_INFINITY).then_some(hard))
    }

    fn kernels(self) -> Option<Resource> {
        let mut rows = RESOURCES.iter();
        rows.find(|(resource, _, _)| *resource == self)
            .map(|(_, _, kernels)| *kernels)
    }
}

impl ResourceLimit {
    /// Sets it for this process.
    pub(crate) fn apply(self) -> Result<(), CallError> {
        let Some(resource) = self.resource.kernels() else {
            return Ok(());
        };
        let [soft, hard] = [self.soft, self.hard].map(|limit| limit.unwrap_or(RLIM_INFINITY));
        setrlimit(resource, soft, hard)
            .called(|| format!("setrlimit({resource:?}, {soft}, {hard})"))
    }
}

/// The most that the builder asks for; it has no use for more.
const OPEN_FILES_WANTED: u64 = 65_536;

/// How many descriptors there is room for before the table of them grows: a directory for each of some hundred layers,
/// what a few steps have open, and a lock for each result that a build counts on.
const ROOM: RawFd = 1024;

/// Raises this process's limit and returns what it was. Room for a usual build is made at once, which the process must
/// have one thread for; `any` is a descriptor.
pub(crate) fn raise_open_files(any: BorrowedFd<'_>) -> Result<OpenFiles, CallError> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).called(|| "getrlimit(RLIMIT_NOFILE)".to_owned())?;
    let wanted = hard.min(OPEN_FILES_WANTED);
    if wanted > soft {
        set_open_files(OpenFiles { soft: wanted, hard })?;
    }
    make_room(any);
    Ok(OpenFiles { soft, hard })
}

/// Makes room for the descriptors of a usual build, which the process must have one thread for; `any` is a descriptor.
pub(crate) fn make_room(any: BorrowedFd<'_>) {
    // Where the limit is lower, the table grows as it needs to.
    fd::reserve(any, ROOM - 1).unwrap_or_default();
}

/// Takes the hard limit of time under real-time scheduling for the soft one as well: the distance of the two is what a
/// process is known by where there is one id (`notify/ids/table.rs`).
pub(crate) fn join_real_time() -> Result<(), CallError> {
    let kind = Resource::RLIMIT_RTTIME;
    let (_, hard) = getrlimit(kind).called(|| "getrlimit(RLIMIT_RTTIME)".to_owned())?;
    setrlimit(kind, hard, hard).called(|| format!("setrlimit(RLIMIT_RTTIME, {hard}, {hard})"))
}

/// Sets this process's limit.
pub(crate) fn set_open_files(limit: OpenFiles) -> Result<(), CallError> {
    setrlimit(Resource::RLIMIT_NOFILE, limit.soft, limit.hard)
        .called(|| format!("setrlimit(RLIMIT_NOFILE, {}, {})", limit.soft, limit.hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_found_by_its_name() {
        for name in LimitedResource::names() {
            let found = LimitedResource::from_name(name).map(LimitedResource::name);
            assert_eq!(found, Some(name));
        }
        assert_eq!(LimitedResource::from_name("as"), None);
    }

    #[test]
    fn the_most_that_can_be_given_is_the_hard_limit() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let most = LimitedResource::OpenFiles.most().unwrap();
        assert_eq!(most.unwrap_or(RLIM_INFINITY), hard);
    }
}
