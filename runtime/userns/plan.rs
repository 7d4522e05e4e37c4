//! Which ids a build has: decided from what the host gives, without touching it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vendor_shim::idmap::{IdMapping, IdRange, parse_map, subordinate_ranges};

use crate::credentials;
use crate::executor::ExecutorMode;

/// The ids of a build that root starts and for which no subordinate ids are set aside: 65536 from
/// 0x70000000.
///
/// systemd's table of ids lists 1879048192 to 2147352575 as unused: no user, container or service
/// is given them (systemd, `docs/UIDS-GIDS.md`, "Summary"). They are the same on every machine, so
/// that a store can be used again.
pub const PRIVATE_RANGE: IdRange = IdRange {
    start: 0x7000_0000,
    count: 65_536,
};

/// How many lines the kernel takes in an id map (`user_namespaces(7)`, since Linux 4.15), less the
/// caller's.
const LINES_LIMIT: usize = 339;

/// An id inside a sandbox: a user or a group of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxId(pub u32);

/// An id inside the builder's namespace: what the builder gives to `chown` and gets from `stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuilderId(pub u32);

/// Who started the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The name in the user database, if there is one.
    pub name: Option<String>,
}

/// What the host gives to map ids from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSources {
    /// The caller's ranges in `/etc/subuid`.
    pub subuids: Vec<IdRange>,
    /// The caller's ranges in `/etc/subgid`.
    pub subgids: Vec<IdRange>,
    /// Whether `newuidmap` and `newgidmap` were found.
    pub helpers: bool,
    /// Whether the caller may map any id of its own namespace.
    pub privileged: bool,
    /// The user ids of the caller's own namespace.
    pub own_uids: Vec<IdMapping>,
    /// The group ids of the caller's own namespace.
    pub own_gids: Vec<IdMapping>,
}

/// Who is to write the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapWriter {
    /// `newuidmap` and `newgidmap`.
    Helpers,
    /// The first process itself.
    Direct,
}

/// The ids of a build, named as the caller's namespace has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdPlan {
    /// The caller, and ranges for everybody in a container.
    Multi {
        /// The ranges of user ids, `count` altogether.
        uids: Vec<IdRange>,
        /// The ranges of group ids, `count` altogether.
        gids: Vec<IdRange>,
        /// How many ids a container has.
        count: u32,
        /// Who maps them.
        writer: MapWriter,
    },
    /// The caller alone.
    Single {
        /// What is missing for more.
        reason: SingleReason,
    },
    /// No user namespace: the ids of an image are those of the caller's own namespace. For root, where the kernel
    /// refuses namespaces.
    Own {
        /// How many there are, counted from 0.
        count: u32,
    },
    /// No user namespace, and no commands: for everybody else, where the kernel refuses namespaces.
    Nothing,
}

/// What is missing for a range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SingleReason {
    /// The caller has no range in `/etc/subuid`.
    #[error("`/etc/subuid` has no range for this user")]
    NoSubuids,
    /// The caller has no range in `/etc/subgid`.
    #[error("`/etc/subgid` has no range for this user")]
    NoSubgids,
    /// `newuidmap` or `newgidmap` is not installed.
    #[error("`newuidmap` or `newgidmap` is not installed")]
    NoHelpers,
    /// The caller's own namespace has no second id.
    #[error("the user namespace that this runs in has one id")]
    OneIdInNamespace,
    /// There is a range, and an image has an id that it does not reach.
    #[error("the range has {count} ids, 0 to {}, and the image has the id {id}", count.saturating_sub(1))]
    TooFew {
        /// How many ids there are.
        count: u32,
        /// The id in the image.
        id: u32,
    },
    /// There is a range. It was refused, or one id was asked for.
    #[error("the range of ids of this user is not used")]
    NotUsed,
}

/// How ids inside a sandbox are ids inside the builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// What runs commands with these ids.
    mode: ExecutorMode,
    /// What a sandbox's 0 is in the builder.
    first: u32,
    /// How many ids a sandbox has.
    count: u32,
}

impl Caller {
    /// Returns who started this process.
    pub fn current() -> Self {
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        // A user without an entry has no name; that the database cannot be asked comes to the same.
        let name = nix::unistd::User::from_uid(uid)
            .ok()
            .flatten()
            .map(|user| user.name);
        Self {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            name,
        }
    }
}

impl IdSources {
    /// Asks the host: the tables in `etc`, the caller's namespace, and its capabilities.
    ///
    /// A table that is missing or cannot be read gives nothing.
    pub fn probe(caller: &Caller, etc: &Path, helpers: bool) -> Self {
        let table = |name: &str| {
            let text = std::fs::read_to_string(etc.join(name)).unwrap_or_default();
            subordinate_ranges(&text, caller.name.as_deref(), caller.uid)
        };
        let own = |name: &str| {
            parse_map(
                &std::fs::read_to_string(Path::new("/proc/self").join(name)).unwrap_or_default(),
            )
        };
        Self {
            subuids: table("subuid"),
            subgids: table("subgid"),
            helpers,
            privileged: credentials::may_map_ids(),
            own_uids: own("uid_map"),
            own_gids: own("gid_map"),
        }
    }
}

/// Decides which ids a build of `caller` has.
///
/// As many ids as both tables give are used. A privileged caller takes its own subordinate ids,
/// else
/// [`PRIVATE_RANGE`]; in a container that has been given only some ids, it takes all of those but its own.
pub fn plan_ids(caller: &Caller, sources: &IdSources) -> IdPlan {
    let has_ranges = !sources.subuids.is_empty() && !sources.subgids.is_empty();
    if sources.privileged {
        return plan_privileged(caller, sources, has_ranges);
    }
    let reason = if sources.subuids.is_empty() {
        SingleReason::NoSubuids
    } else if sources.subgids.is_empty() {
        SingleReason::NoSubgids
    } else if !sources.helpers {
        SingleReason::NoHelpers
    } else {
        return multi(&sources.subuids, &sources.subgids, MapWriter::Helpers);
    };
    IdPlan::Single { reason }
}

fn plan_privileged(caller: &Caller, sources: &IdSources, has_ranges: bool) -> IdPlan {
    let whole = [&sources.own_uids, &sources.own_gids]
        .iter()
        .all(|map| is_whole(map));
    if whole && has_ranges {
        return multi(&sources.subuids, &sources.subgids, MapWriter::Direct);
    }
    if whole {
        return multi(&[PRIVATE_RANGE], &[PRIVATE_RANGE], MapWriter::Direct);
    }
    let uids = all_but(&sources.own_uids, caller.uid);
    let gids = all_but(&sources.own_gids, caller.gid);
    if uids.is_empty() || gids.is_empty() {
        return IdPlan::Single {
            reason: SingleReason::OneIdInNamespace,
        };
    }
    multi(&uids, &gids, MapWriter::Direct)
}

fn multi(uids: &[IdRange], gids: &[IdRange], writer: MapWriter) -> IdPlan {
    let [uids, gids] = [uids, gids].map(|ranges| &ranges[..ranges.len().min(LINES_LIMIT)]);
    // One number is no id, and the builder's own id comes before those of containers.
    let count = total(uids).min(total(gids)).min(u64::from(u32::MAX) - 2);
    let count = u32::try_from(count).unwrap_or(u32::MAX - 2);
    IdPlan::Multi {
        uids: first(uids, count),
        gids: first(gids, count),
        count,
        writer,
    }
}

fn total(ranges: &[IdRange]) -> u64 {
    ranges.iter().map(|range| u64::from(range.count)).sum()
}

/// Returns the first `count` ids of `ranges`.
fn first(ranges: &[IdRange], count: u32) -> Vec<IdRange> {
    let mut left = count;
    let mut taken = Vec::new();
    for range in ranges {
        let count = range.count.min(left);
        if count > 0 {
            taken.push(IdRange {
                start: range.start,
                count,
            });
        }
        left -= count;
    }
    taken
}

fn is_whole(map: &[IdMapping]) -> bool {
    // The last number is no id and is mapped nowhere.
    map == [IdMapping {
        inside: 0,
        outside: 0,
        count: u32::MAX,
    }]
}

/// Returns the ids of a namespace except one.
fn all_but(map: &[IdMapping], id: u32) -> Vec<IdRange> {
    let mut ranges = Vec::new();
    for line in map {
        let (start, end) = (
            u64::from(line.inside),
            u64::from(line.inside) + u64::from(line.count),
        );
        let id = u64::from(id);
        let parts = if (start..end).contains(&id) {
            [(start, id), (id + 1, end)]
        } else {
            [(start, end), (end, end)]
        };
        for (start, end) in parts {
            if let (Ok(start), Ok(count @ 1..)) = (u32::try_from(start), u32::try_from(end - start))
            {
                ranges.push(IdRange { start, count });
            }
        }
    }
    ranges
}

impl IdPlan {
    /// Returns the lines of the builder's maps, first those of users, then those of groups.
    pub fn lines(&self, caller: &Caller) -> (Vec<IdMapping>, Vec<IdMapping>) {
        match self {
            Self::Multi { uids, gids, .. } => (
                builder_lines(caller.uid, uids),
                builder_lines(caller.gid, gids),
            ),
            Self::Single { .. } => (
                builder_lines(caller.uid, &[]),
                builder_lines(caller.gid, &[]),
            ),
            // There is nothing to be mapped.
            Self::Own { .. } | Self::Nothing => (Vec::new(), Vec::new()),
        }
    }

    /// Returns how ids of sandboxes will be ids of the builder.
    pub fn id_map(&self) -> IdMap {
        match self {
            Self::Multi { count, .. } => IdMap {
                mode: ExecutorMode::UsernsMulti,
                first: 1,
                count: *count,
            },
            Self::Single { .. } => IdMap {
                mode: ExecutorMode::UsernsSingle,
                first: 0,
                count: 1,
            },
            Self::Own { count } => IdMap {
                mode: ExecutorMode::Chroot,
                first: 0,
                count: *count,
            },
            Self::Nothing => IdMap {
                mode: ExecutorMode::Nothing,
                first: 0,
                count: 1,
            },
        }
    }
}

impl IdSources {
    /// Returns the plan that uses the ids of the caller's own namespace as they are: as many as there are for users and
    /// for groups alike, counted from 0 without a gap.
    ///
    /// A namespace of one id has all of them: it serves only where a second one could be taken, so that
    /// somebody answers for the kernel there, as a build with one id does for its commands.
    pub fn own_plan(&self) -> IdPlan {
        let count = match own_count(&self.own_uids).min(own_count(&self.own_gids)) {
            1 => u32::MAX,
            count => count,
        };
        IdPlan::Own { count }
    }
}

/// Returns how many ids from 0 on a namespace has without a gap.
fn own_count(map: &[IdMapping]) -> u32 {
    let mut lines: Vec<_> = map.iter().collect();
    lines.sort_by_key(|line| line.inside);
    lines.iter().fold(0, |count, line| {
        if line.inside == count {
            count.saturating_add(line.count)
        } else {
            count
        }
    })
}

fn builder_lines(caller: u32, ranges: &[IdRange]) -> Vec<IdMapping> {
    let mut lines = vec![IdMapping {
        inside: 0,
        outside: caller,
        count: 1,
    }];
    let mut inside = 1;
    for range in ranges {
        lines.push(IdMapping {
            inside,
            outside: range.start,
            count: range.count,
        });
        inside += range.count;
    }
    lines
}

impl IdMap {
    /// Returns what `id` is in the builder, if a sandbox has it.
    pub fn builder_id(self, id: SandboxId) -> Option<BuilderId> {
        (id.0 < self.count).then(|| BuilderId(self.first + id.0))
    }

    /// Returns what `id` is in a sandbox, if a sandbox has it.
    pub fn sandbox_id(self, id: BuilderId) -> Option<SandboxId> {
        let id = id.0.checked_sub(self.first)?;
        (id < self.count).then_some(SandboxId(id))
    }

    /// Returns what root of a container is in the builder.
    pub fn container_root(self) -> BuilderId {
        BuilderId(self.first)
    }

    /// Returns how many ids a sandbox has, counted from 0.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Returns the mode of execution that goes with these ids. Stores of different modes are not
    /// mixed.
    pub fn mode(self) -> ExecutorMode {
        self.mode
    }
}

#[cfg(test)]
mod tests;
