//! The filter of system calls: a table, compiled to a program for the kernel.
//!
//! What is allowed is the choice of Docker's default profile (`seccomp/profile.tsv`), so that what
//! builds there builds here, and two requests of `ioctl` fewer. A call that is not in the table
//! fails with `EPERM`.
//!
//! | Rule | Fails when | Because |
//! | --- | --- | --- |
//! | `clone` | a flag asks for a new namespace | most ways from root to the kernel's faults begin with one |
//! | `clone3` | always, with `ENOSYS` | its flags are in memory, where a filter cannot look; libraries use `clone` then |
//! | `socket` | the family is `AF_ALG` or `AF_VSOCK` | they lead to the kernel's ciphers and out of a virtual machine |
//! | `personality` | it is none of five harmless ones | some make faults easier to use |
//! | `mknod`, `mknodat` | the supervisor says so, if they would make a device node | no user namespace may make one; [`crate::notify`] records it |
//! | `ioctl` | the request is `TIOCSTI` or `TIOCLINUX` | they type into the terminal of others (CVE-2017-5226) |
//!
//! Where a sandbox has one id, the kernel can give a file no owner and a process no other user. There the filter asks
//! about more, and [`crate::notify`] answers as if there were all ids. With a range it asks about none of this.
//!
//! | Rule | Calls | With one id |
//! | --- | --- | --- |
//! | `file` | that give files owners, modes and attributes, show them, or make files | asked about |
//! | `create` | `open` and `openat` | asked about if they may make a file |
//! | `device` | `mknod` and `mknodat` | asked about for every kind of node |
//! | `ids` | that change or show the ids of processes | asked about; `prctl` and `getsockopt` for what is about ids, and calls that set the limit in which ids are kept |
//! | `newer` | `setxattrat` and its like (Linux 6.13) | fail with `ENOSYS`: programs take the older ones then |
//!
//! A processor runs programs of two kinds, 64 and 32 bits, whose calls have different numbers: the
//! program begins by looking which. The numbers of the x32 kind are in neither table, so those
//! calls fail.
//!
//! Numbers are looked up by halving: the kernel tries the program for every number when it is
//! installed, and remembers those that are always allowed.

mod assembler;

use std::collections::BTreeMap;

use crate::executor::ExecutorMode;
use crate::sys::security::Instruction;

use assembler::{Action, Ask, Check, Segment, SystemCalls, assemble, without_questions};
use vendor_shim::emulation::Architecture;

/// The table. Parsed, it is a few kilobytes; the starter does that once a build.
const PROFILE: &str = include_str!("seccomp/profile.tsv");

/// `EPERM`.
const NOT_PERMITTED: u16 = 1;
/// `ENOSYS`.
const NO_SUCH_CALL: u16 = 38;

/// Flags of `clone` that ask for a new namespace: mount, cgroup, UTS, IPC, user, PID and network.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;
/// `AF_ALG` and `AF_VSOCK`.
const REFUSED_FAMILIES: &[u32] = &[38, 40];
/// Linux, with 32-bit addresses or not, printing another version or not; and the question which it
/// is.
const PERSONALITIES: &[u32] = &[0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// `TIOCSTI` and `TIOCLINUX`.
const REFUSED_REQUESTS: &[u32] = &[0x5412, 0x541c];

/// `O_CREAT` and the bit of `O_TMPFILE` that `O_DIRECTORY` has not; the same on all processors here.
const CREATING_FLAGS: u32 = 0o20_000_100;
/// What of `prctl` is about capabilities: `PR_GET_KEEPCAPS` and `PR_SET_KEEPCAPS`, `PR_CAPBSET_READ` and
/// `PR_CAPBSET_DROP`, `PR_GET_SECUREBITS` and `PR_SET_SECUREBITS`, and `PR_CAP_AMBIENT` (linux/prctl.h).
const ASKED_OPTIONS: &[u32] = &[7, 8, 23, 24, 27, 28, 47];
/// `RLIMIT_RTTIME`, on all processors here: what `notify/ids/table.rs` keeps its numbers in.
const ASKED_LIMITS: &[u32] = &[15];
/// `SO_PEERCRED` and `SO_PEERGROUPS`, on all processors here.
const ASKED_SOCKET_OPTIONS: &[u32] = &[17, 59];

/// A kind of programs: which column of the table, and what the kernel calls it (`AUDIT_ARCH_*`).
#[derive(Debug, Clone, Copy)]
struct Kind {
    column: usize,
    audit: u32,
    program: ProgramKind,
}

const AMD64: Kind = Kind {
    column: 0,
    audit: 0xc000_003e,
    program: ProgramKind::Amd64,
};
const I386: Kind = Kind {
    column: 1,
    audit: 0x4000_0003,
    program: ProgramKind::I386,
};
const ARM64: Kind = Kind {
    column: 2,
    audit: 0xc000_00b7,
    program: ProgramKind::Arm64,
};
const ARM: Kind = Kind {
    column: 3,
    audit: 0x4000_0028,
    program: ProgramKind::Arm,
};

/// What a question of the filter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A node, which may be a device.
    Node,
    /// A file: its owner, mode or attributes.
    File,
    /// The ids of a process.
    Ids,
}

/// A call that the filter asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskedCall {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) subject: Subject,
    /// Which programs make it.
    pub(crate) kind: ProgramKind,
}

/// The kinds of programs that there are tables for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProgramKind {
    /// amd64.
    Amd64,
    /// 386, on amd64 as well.
    I386,
    /// arm64.
    Arm64,
    /// arm, on arm64 as well.
    Arm,
}

/// The calls that may be asked about, by the kernel's number for the kind of program and the call's.
#[derive(Debug)]
pub(crate) struct AskedCalls {
    calls: BTreeMap<(u32, u32), AskedCall>,
}

impl AskedCalls {
    /// Reads the table.
    pub(crate) fn new() -> Self {
        let mut calls = BTreeMap::new();
        for (name, row) in PROFILE.lines().filter_map(parse) {
            let Some(subject) = row.rule.subject() else {
                continue;
            };
            for kind in [AMD64, I386, ARM64, ARM] {
                if let Some(number) = row.number(kind) {
                    let kind_of_program = kind.program;
                    let call = AskedCall {
                        name,
                        subject,
                        kind: kind_of_program,
                    };
                    calls.insert((kind.audit, number), call);
                }
            }
        }
        Self { calls }
    }

    /// Returns the call of this number, if the filter of any mode asks about it.
    pub(crate) fn find(&self, audit: u32, number: u32) -> Option<AskedCall> {
        self.calls.get(&(audit, number)).copied()
    }
}

/// Returns the filter for commands on this machine, in a sandbox whose ids are of this mode; `None` on a processor that
/// has no table.
pub(crate) fn filter(mode: ExecutorMode) -> Option<Vec<Instruction>> {
    Architecture::of_this_program().and_then(|machine| filter_for(machine, mode))
}

/// Returns the filter for commands that nobody answers questions of: it refuses device nodes, and all else is as the
/// kernel does it.
pub(crate) fn unanswered() -> Option<Vec<Instruction>> {
    filter(ExecutorMode::UsernsMulti).map(|filter| without_questions(&filter))
}

/// Returns whether there is a table for the processor of this machine.
pub(crate) fn is_supported() -> bool {
    Architecture::of_this_program().and_then(kinds).is_some()
}

fn filter_for(architecture: Architecture, mode: ExecutorMode) -> Option<Vec<Instruction>> {
    let kinds = kinds(architecture)?;
    let calls: Vec<SystemCalls> = kinds
        .iter()
        .map(|kind| SystemCalls {
            audit: kind.audit,
            segments: segments(*kind, mode),
        })
        .collect();
    Some(assemble(&calls))
}

/// Returns the kinds of programs that a processor runs.
fn kinds(architecture: Architecture) -> Option<[Kind; 2]> {
    match architecture {
        Architecture::Amd64 => Some([AMD64, I386]),
        Architecture::Arm64 => Some([ARM64, ARM]),
        _ => None,
    }
}

/// Returns what is done with each number, from 0 up, as runs of numbers with the same action.
fn segments(kind: Kind, mode: ExecutorMode) -> Vec<Segment> {
    let rows = PROFILE.lines().filter_map(parse);
    let numbers = rows.filter_map(|(name, row)| Some((row.number(kind)?, name, row.rule)));
    let mut rules: Vec<(u32, Action)> = numbers
        .map(|(number, name, rule)| (number, rule.action(name, mode)))
        .collect();
    rules.sort_unstable_by_key(|(number, _)| *number);
    let mut segments = vec![Segment {
        first: 0,
        action: Action::Fail(NOT_PERMITTED),
    }];
    for (number, action) in rules {
        append(&mut segments, number, action);
        append(&mut segments, number + 1, Action::Fail(NOT_PERMITTED));
    }
    segments
}

/// Adds a run to `segments`, or makes the last one longer.
fn append(segments: &mut Vec<Segment>, first: u32, action: Action) {
    // The run that ended just before this number had no number of its own.
    if segments.last().is_some_and(|last| last.first == first) {
        segments.pop();
    }
    if segments.last().is_none_or(|last| last.action != action) {
        segments.push(Segment { first, action });
    }
}

/// One line of the table.
struct Row {
    rule: Rule,
    numbers: [Option<u32>; 4],
}

impl Row {
    fn number(&self, kind: Kind) -> Option<u32> {
        self.numbers.get(kind.column).copied().flatten()
    }
}

/// What a line says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The same whatever ids there are.
    Always(Action),
    Create,
    Device,
    File,
    Ids,
    Newer,
}

impl Rule {
    fn parse(word: &str) -> Option<Self> {
        let check = |check| Some(Self::Always(Action::Check(check)));
        match word {
            "allow" => Some(Self::Always(Action::Allow)),
            "missing" => Some(Self::Always(Action::Fail(NO_SUCH_CALL))),
            "clone" => check(Check::NoneOf {
                argument: 0,
                bits: NAMESPACE_FLAGS,
            }),
            "socket" => check(Check::NotIn {
                argument: 0,
                values: REFUSED_FAMILIES,
            }),
            "personality" => check(Check::In {
                argument: 0,
                values: PERSONALITIES,
            }),
            "ioctl" => check(Check::NotIn {
                argument: 1,
                values: REFUSED_REQUESTS,
            }),
            "create" => Some(Self::Create),
            "device" => Some(Self::Device),
            "file" => Some(Self::File),
            "ids" => Some(Self::Ids),
            "newer" => Some(Self::Newer),
            _ => None,
        }
    }

    /// Returns what questions about it are about, if there are any.
    fn subject(self) -> Option<Subject> {
        match self {
            Self::Always(_) | Self::Newer => None,
            Self::Device => Some(Subject::Node),
            Self::Create | Self::File => Some(Subject::File),
            Self::Ids => Some(Subject::Ids),
        }
    }

    fn action(self, name: &str, mode: ExecutorMode) -> Action {
        match (self, mode) {
            (Self::Always(action), _) => action,
            (Self::Device, ExecutorMode::UsernsMulti) => Action::Ask(Ask::Device {
                argument: if name == "mknodat" { 2 } else { 1 },
            }),
            (_, ExecutorMode::UsernsMulti | ExecutorMode::Chroot | ExecutorMode::Nothing) => {
                Action::Allow
            }
            (Self::Create, ExecutorMode::UsernsSingle) => Action::Ask(Ask::AnyBit {
                argument: if name == "openat" { 2 } else { 1 },
                bits: CREATING_FLAGS,
            }),
            (Self::Device | Self::File, ExecutorMode::UsernsSingle) => Action::Ask(Ask::Always),
            (Self::Ids, ExecutorMode::UsernsSingle) => Action::Ask(about_ids(name)),
            (Self::Newer, ExecutorMode::UsernsSingle) => Action::Fail(NO_SUCH_CALL),
        }
    }
}

/// Returns when a call is about ids that has other uses as well.
fn about_ids(name: &str) -> Ask {
    match name {
        "prctl" => Ask::In {
            argument: 0,
            values: ASKED_OPTIONS,
        },
        "setrlimit" => Ask::In {
            argument: 0,
            values: ASKED_LIMITS,
        },
        "prlimit64" => Ask::In {
            argument: 1,
            values: ASKED_LIMITS,
        },
        "getsockopt" => Ask::In {
            argument: 2,
            values: ASKED_SOCKET_OPTIONS,
        },
        _ => Ask::Always,
    }
}

/// Returns the name and the row of a line; `None` for a comment. A test reads every line.
fn parse(line: &'static str) -> Option<(&'static str, Row)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let rule = Rule::parse(fields.next()?)?;
    let mut numbers = [None; 4];
    for place in &mut numbers {
        *place = fields.next()?.parse().ok();
    }
    Some((name, Row { rule, numbers }))
}

#[cfg(test)]
mod tests;
