//! Programs for the kernel's packet filter (`Documentation/networking/filter.rst`, `seccomp(2)`).
//!
//! ```text
//! load kind of program
//! is it the first?  ──► load number ──► tree of comparisons ──► allow | fail | look at an argument | ask
//! is it the second? ──► …
//! kill the process
//! ```
//!
//! Jumps go forward only. A conditional one reaches 255 instructions; where a half of the tree is
//! longer, an unconditional one follows it.

use crate::sys::security::Instruction;

/// Loads 32 bits of the call's description at an offset (`BPF_LD | BPF_W | BPF_ABS`).
const LOAD: u16 = 0x20;
/// Jumps always (`BPF_JMP | BPF_JA`).
const JUMP: u16 = 0x05;
/// Compares with what was loaded (`BPF_JMP | BPF_JEQ | BPF_K`).
const IF_EQUAL: u16 = 0x15;
/// (`BPF_JMP | BPF_JGE | BPF_K`)
const IF_AT_LEAST: u16 = 0x35;
/// Whether a bit is in both (`BPF_JMP | BPF_JSET | BPF_K`).
const IF_ANY_BIT: u16 = 0x45;
/// Ends with an action (`BPF_RET | BPF_K`).
const RETURN: u16 = 0x06;

/// `SECCOMP_RET_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO`, to which the number is added.
const FAIL: u32 = 0x0005_0000;
/// `SECCOMP_RET_USER_NOTIF`.
const ASK: u32 = 0x7fc0_0000;
/// `SECCOMP_RET_KILL_PROCESS`.
const KILL: u32 = 0x8000_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const KIND: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `EPERM`.
const NOT_PERMITTED: u32 = 1;

/// The bit that `S_IFCHR` and `S_IFBLK` have, and one that neither has (inode(7), "The file type and mode").
const DEVICE_BIT: u32 = 0o020_000;
const NO_DEVICE_BIT: u32 = 0o100_000;

/// What is done with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It is not made and returns this error.
    Fail(u16),
    /// It is made or fails with `EPERM`, depending on an argument.
    Check(Check),
    /// It is made, unless it would make a device node: then the supervisor answers. The argument is
    /// the one with the kind of node.
    AskAboutDevice { argument: u32 },
}

/// A question about the low half of an argument.
///
/// The kernel takes all of these as `int`, `unsigned int` or as flags below 2³². A comparison of
/// all 64 bits, in which rubbish above them counts, can be got round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Allows a value with none of these bits.
    NoneOf { argument: u32, bits: u32 },
    /// Allows these values.
    In {
        argument: u32,
        values: &'static [u32],
    },
    /// Allows all but these values.
    NotIn {
        argument: u32,
        values: &'static [u32],
    },
}

/// Consecutive numbers with the same action, up to the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: u32,
    pub(super) action: Action,
}

/// The calls of one kind of programs.
#[derive(Debug)]
pub(super) struct SystemCalls {
    /// The kernel's number for the kind.
    pub(super) audit: u32,
    /// What is done with each call; the first segment begins with 0.
    pub(super) segments: Vec<Segment>,
}

/// Returns the program that decides about the calls of these kinds, and kills programs of any
/// other.
pub(super) fn assemble(kinds: &[SystemCalls]) -> Vec<Instruction> {
    let mut program = vec![statement(LOAD, KIND)];
    for kind in kinds {
        let mut body = vec![statement(LOAD, NUMBER)];
        body.extend(tree(&kind.segments));
        program.extend(branch(IF_EQUAL, kind.audit, body, Vec::new()));
    }
    program.push(statement(RETURN, KILL));
    program
}

/// Halves until one segment is left.
fn tree(segments: &[Segment]) -> Vec<Instruction> {
    let (below, above) = segments.split_at(segments.len() / 2);
    match (below, above) {
        ([], [only]) => leaf(only.action),
        (_, [first, ..]) => branch(IF_AT_LEAST, first.first, tree(above), tree(below)),
        (_, []) => Vec::new(),
    }
}

fn leaf(action: Action) -> Vec<Instruction> {
    match action {
        Action::Allow => vec![statement(RETURN, ALLOW)],
        Action::Fail(errno) => vec![statement(RETURN, FAIL | u32::from(errno))],
        Action::AskAboutDevice { argument } => device_leaf(argument),
        Action::Check(check) => {
            let (argument, comparison, values, found, otherwise) = match &check {
                Check::NoneOf { argument, bits } => (
                    argument,
                    IF_ANY_BIT,
                    std::slice::from_ref(bits),
                    FAIL | NOT_PERMITTED,
                    ALLOW,
                ),
                Check::In { argument, values } => {
                    (argument, IF_EQUAL, *values, ALLOW, FAIL | NOT_PERMITTED)
                }
                Check::NotIn { argument, values } => {
                    (argument, IF_EQUAL, *values, FAIL | NOT_PERMITTED, ALLOW)
                }
            };
            let mut code = vec![statement(LOAD, ARGUMENTS + 8 * argument)];
            for value in values {
                code.extend(branch(
                    comparison,
                    *value,
                    vec![statement(RETURN, found)],
                    Vec::new(),
                ));
            }
            code.push(statement(RETURN, otherwise));
            code
        }
    }
}

/// Asks about the kinds of nodes that have the bit of devices and not that of files, links and sockets.
fn device_leaf(argument: u32) -> Vec<Instruction> {
    let mut code = vec![statement(LOAD, ARGUMENTS + 8 * argument)];
    for (bit, action) in [(NO_DEVICE_BIT, ALLOW), (DEVICE_BIT, ASK)] {
        let found = vec![statement(RETURN, action)];
        code.extend(branch(IF_ANY_BIT, bit, found, Vec::new()));
    }
    code.push(statement(RETURN, ALLOW));
    code
}

/// What is done instead of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unasked {
    Allowed,
    Refused,
}

/// Returns the program that answers itself what another one asks about.
pub(super) fn without_questions(program: &[Instruction], answer: Unasked) -> Vec<Instruction> {
    let answer = match answer {
        Unasked::Allowed => statement(RETURN, ALLOW),
        Unasked::Refused => statement(RETURN, FAIL | NOT_PERMITTED),
    };
    let is_question = |code: &Instruction| code.code == RETURN && code.k == ASK;
    program
        .iter()
        .map(|code| if is_question(code) { answer } else { *code })
        .collect()
}

/// Returns code that goes on with `then` if the comparison holds, else with `otherwise`, which may
/// be empty to go on behind it all. Neither of the two falls through to the other: each ends with a
/// return.
fn branch(
    comparison: u16,
    value: u32,
    then: Vec<Instruction>,
    otherwise: Vec<Instruction>,
) -> Vec<Instruction> {
    // What is jumped over comes first when there is something else to do, so that the jump is the
    // shorter.
    let (first, second, on_true) = if otherwise.is_empty() {
        (then, otherwise, false)
    } else {
        (otherwise, then, true)
    };
    let mut code = match u8::try_from(first.len()) {
        Ok(length) if on_true => vec![conditional(comparison, value, length, 0)],
        Ok(length) => vec![conditional(comparison, value, 0, length)],
        Err(_) => {
            let (when_true, when_false) = if on_true { (0, 1) } else { (1, 0) };
            let length = u32::try_from(first.len()).unwrap_or(u32::MAX);
            vec![
                conditional(comparison, value, when_true, when_false),
                statement(JUMP, length),
            ]
        }
    };
    code.extend(first);
    code.extend(second);
    code
}

const fn statement(code: u16, k: u32) -> Instruction {
    conditional(code, k, 0, 0)
}

const fn conditional(code: u16, k: u32, when_true: u8, when_false: u8) -> Instruction {
    Instruction {
        code,
        jt: when_true,
        jf: when_false,
        k,
    }
}

/// The kernel's reading of such a program, to test the ones that are made here.
#[cfg(test)]
pub(super) mod interpreter {
    use super::*;

    /// What a program says of a call.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Verdict {
        Allow,
        Fail(u32),
        Ask,
        Kill,
    }

    /// Runs `program` for one call.
    pub(crate) fn run(
        program: &[Instruction],
        audit: u32,
        number: u32,
        arguments: [u64; 6],
    ) -> Verdict {
        let mut accumulator = 0;
        let mut next = 0;
        loop {
            let instruction = program[next];
            next += 1;
            let holds = match instruction.code {
                LOAD => {
                    accumulator = match instruction.k {
                        NUMBER => number,
                        KIND => audit,
                        offset => {
                            let index = usize::try_from((offset - ARGUMENTS) / 8).unwrap();
                            assert_eq!((offset - ARGUMENTS) % 8, 0);
                            u32::try_from(arguments[index] & 0xffff_ffff).unwrap()
                        }
                    };
                    continue;
                }
                JUMP => {
                    next += usize::try_from(instruction.k).unwrap();
                    continue;
                }
                RETURN => return verdict(instruction.k),
                IF_EQUAL => accumulator == instruction.k,
                IF_AT_LEAST => accumulator >= instruction.k,
                IF_ANY_BIT => accumulator & instruction.k != 0,
                other => panic!("no such instruction: {other:#x}"),
            };
            next += usize::from(if holds {
                instruction.jt
            } else {
                instruction.jf
            });
        }
    }

    fn verdict(value: u32) -> Verdict {
        match value {
            ALLOW => Verdict::Allow,
            KILL => Verdict::Kill,
            ASK => Verdict::Ask,
            _ => Verdict::Fail(value.checked_sub(FAIL).unwrap()),
        }
    }
}
