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
//! A processor runs programs of two kinds, 64 and 32 bits, whose calls have different numbers: the
//! program begins by looking which. The numbers of the x32 kind are in neither table, so those
//! calls fail.
//!
//! Numbers are looked up by halving: the kernel tries the program for every number when it is
//! installed, and remembers those that are always allowed.

mod assembler;

use crate::sys::security::Instruction;

use assembler::{Action, Check, Segment, SystemCalls, Unasked, assemble, without_questions};
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

/// A kind of programs: which column of the table, and what the kernel calls it (`AUDIT_ARCH_*`).
#[derive(Debug, Clone, Copy)]
struct Kind {
    column: usize,
    audit: u32,
}

const AMD64: Kind = Kind {
    column: 0,
    audit: 0xc000_003e,
};
const I386: Kind = Kind {
    column: 1,
    audit: 0x4000_0003,
};
const ARM64: Kind = Kind {
    column: 2,
    audit: 0xc000_00b7,
};
const ARM: Kind = Kind {
    column: 3,
    audit: 0x4000_0028,
};

/// Returns the filter for commands on this machine; `None` on a processor that has no table.
pub(crate) fn filter() -> Option<Vec<Instruction>> {
    Architecture::of_this_program().and_then(filter_for)
}

/// Returns the filter for commands that nobody answers questions of: it refuses what another one asks about.
pub(crate) fn unanswered(filter: &[Instruction]) -> Vec<Instruction> {
    without_questions(filter, Unasked::Refused)
}

/// Returns the filter for commands whose device nodes are left to the kernel: it allows what another one asks about.
pub(crate) fn with_devices(filter: &[Instruction]) -> Vec<Instruction> {
    without_questions(filter, Unasked::Allowed)
}

/// Returns the name of a call that the filter asks about: the kernel's number for the kind of program, and the
/// call's.
pub(crate) fn asked_call(audit: u32, number: u32) -> Option<&'static str> {
    let kind = [AMD64, I386, ARM64, ARM]
        .into_iter()
        .find(|kind| kind.audit == audit)?;
    let asked = PROFILE.lines().filter_map(parse).filter(|(_, row)| {
        matches!(row.action, Action::AskAboutDevice { .. })
            && row.numbers.get(kind.column) == Some(&Some(number))
    });
    asked.map(|(name, _)| name).next()
}

/// Returns whether there is a table for the processor of this machine.
pub(crate) fn is_supported() -> bool {
    Architecture::of_this_program().and_then(kinds).is_some()
}

fn filter_for(architecture: Architecture) -> Option<Vec<Instruction>> {
    let kinds = kinds(architecture)?;
    let calls: Vec<SystemCalls> = kinds
        .iter()
        .map(|kind| SystemCalls {
            audit: kind.audit,
            segments: segments(*kind),
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
fn segments(kind: Kind) -> Vec<Segment> {
    let mut rules: Vec<(u32, Action)> = rows().filter_map(|row| row.rule_for(kind)).collect();
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
    action: Action,
    numbers: [Option<u32>; 4],
}

impl Row {
    fn rule_for(&self, kind: Kind) -> Option<(u32, Action)> {
        let number = self.numbers.get(kind.column).copied().flatten()?;
        Some((number, self.action))
    }
}

fn rows() -> impl Iterator<Item = Row> {
    PROFILE
        .lines()
        .filter_map(|line| parse(line).map(|(_, row)| row))
}

/// Returns the name and the row of a line; `None` for a comment. A test reads every line.
fn parse(line: &'static str) -> Option<(&'static str, Row)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let action = match fields.next()? {
        "allow" => Action::Allow,
        "missing" => Action::Fail(NO_SUCH_CALL),
        "clone" => Action::Check(Check::NoneOf {
            argument: 0,
            bits: NAMESPACE_FLAGS,
        }),
        "socket" => Action::Check(Check::NotIn {
            argument: 0,
            values: REFUSED_FAMILIES,
        }),
        "personality" => Action::Check(Check::In {
            argument: 0,
            values: PERSONALITIES,
        }),
        "ioctl" => Action::Check(Check::NotIn {
            argument: 1,
            values: REFUSED_REQUESTS,
        }),
        "device" => Action::AskAboutDevice {
            argument: if name == "mknodat" { 2 } else { 1 },
        },
        _ => return None,
    };
    let mut numbers = [None; 4];
    for place in &mut numbers {
        *place = fields.next()?.parse().ok();
    }
    Some((name, Row { action, numbers }))
}

#[cfg(test)]
mod tests;
