//! The filter against Docker's own table, call by call.

use std::collections::BTreeSet;

use super::assembler::interpreter::{Verdict, run};
use super::*;

/// Docker's default profile, as a table of facts (moby/profiles, `seccomp/default.json`).
const DOCKER: &str = include_str!("docker-default.tsv");

const EPERM: Verdict = Verdict::Fail(1);
const MULTI: ExecutorMode = ExecutorMode::UsernsMulti;
const SINGLE: ExecutorMode = ExecutorMode::UsernsSingle;
const MACHINES: [Architecture; 2] = [Architecture::Amd64, Architecture::Arm64];

fn names() -> BTreeMap<&'static str, Row> {
    let lines = PROFILE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| parse(line).unwrap_or_else(|| panic!("bad line: {line}")))
        .collect()
}

/// What a line of Docker's table says of a call whose first argument is `argument`, if it speaks of
/// it.
fn docker_rule(line: &str, machine: Architecture, argument: u64) -> Option<(&str, Verdict)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, action, condition, other] = fields.as_slice() else {
        panic!("bad line: {line}")
    };
    let applies = other.split(' ').all(|part| match part.split_once('=') {
        None => part == "-",
        Some(("kernel>", _)) => true,
        Some(("cap", capability)) => capability == "CAP_SYS_CHROOT",
        Some(("without_cap", _)) => true,
        Some(("arch", names)) => names.split(',').any(|name| name == machine.name()),
        Some(("not_arch", names)) => names.split(',').all(|name| name != machine.name()),
        Some(_) => panic!("unknown condition: {line}"),
    });
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    let words: Vec<&str> = condition.split(' ').collect();
    let holds = match words.as_slice() {
        ["-"] => true,
        ["arg0", "LT", value] => argument < number(value),
        ["arg0", "GT", value] => argument > number(value),
        ["arg0", "EQ", value] => argument == number(value),
        ["arg0", "MASKED_EQ", mask, value] => argument & number(mask) == number(value),
        ["arg1", ..] => false,
        _ => panic!("unknown condition: {line}"),
    };
    let verdict = match *action {
        "allow" => Verdict::Allow,
        "errno 38" => Verdict::Fail(38),
        _ => panic!("unknown action: {line}"),
    };
    (applies && holds).then_some((*name, verdict))
}

fn docker_verdict(name: &str, machine: Architecture, argument: u64) -> Verdict {
    let lines = DOCKER.lines().filter(|line| !line.starts_with('#'));
    let mut rules = lines.filter_map(|line| docker_rule(line, machine, argument));
    rules
        .find(|(other, _)| *other == name)
        .map_or(EPERM, |(_, verdict)| verdict)
}

/// First arguments at which some rule changes its mind.
const ARGUMENTS: [u64; 15] = [
    0,
    1,
    8,
    37,
    38,
    39,
    40,
    41,
    0x1200,
    0x2_0000,
    0x2_0008,
    0x1000_0000,
    0x4000_0000,
    0x7e02_0000,
    0xffff_ffff,
];

#[test]
fn every_call_is_decided_as_docker_decides_it() {
    for machine in MACHINES {
        let program = filter_for(machine, MULTI).unwrap();
        for kind in kinds(machine).unwrap() {
            for (name, row) in names() {
                let Some(number) = row.numbers[kind.column] else {
                    continue;
                };
                for argument in ARGUMENTS {
                    let found = run(&program, kind.audit, number, [argument, 0, 0, 0, 0, 0]);
                    let expected = docker_verdict(name, machine, argument);
                    assert_eq!(found, expected, "{name}({argument:#x}) on {machine}");
                }
            }
        }
    }
}

#[test]
fn every_call_that_docker_allows_is_in_the_table() {
    let ours = names();
    let known: BTreeSet<&str> = ours.keys().copied().collect();
    let lines = DOCKER.lines().filter(|line| !line.starts_with('#'));
    let docker: BTreeSet<&str> = lines
        .filter_map(|line| {
            MACHINES
                .iter()
                .find_map(|machine| docker_rule(line, *machine, 0))
        })
        .map(|(name, _)| name)
        .collect();
    let missing: Vec<_> = docker.difference(&known).collect();
    // The one call of the list that neither processor has.
    assert_eq!(missing, [&"riscv_hwprobe"]);
    let surplus: Vec<_> = known.difference(&docker).collect();
    assert!(surplus.is_empty(), "{surplus:?}");
}

#[test]
fn every_other_number_fails() {
    for machine in MACHINES {
        let program = filter_for(machine, MULTI).unwrap();
        for kind in kinds(machine).unwrap() {
            let named: BTreeSet<u32> = names()
                .values()
                .filter_map(|row| row.numbers[kind.column])
                .collect();
            let high = [0x4000_0000, 0x4000_0001, 0x4000_003b, 0x7fff_ffff, u32::MAX];
            for number in (0..2000).chain(0xe_fff0..0xf_0010).chain(high) {
                if !named.contains(&number) {
                    assert_eq!(run(&program, kind.audit, number, [0; 6]), EPERM, "{number}");
                }
            }
        }
    }
}

#[test]
fn a_program_of_another_kind_is_killed() {
    for machine in MACHINES {
        let program = filter_for(machine, MULTI).unwrap();
        let others = [AMD64, I386, ARM64, ARM].map(|kind| kind.audit);
        let own = kinds(machine).unwrap().map(|kind| kind.audit);
        for audit in others.iter().filter(|audit| !own.contains(audit)) {
            assert_eq!(run(&program, *audit, 0, [0; 6]), Verdict::Kill);
        }
    }
}

#[test]
fn typing_into_a_terminal_fails_whatever_is_above_the_request() {
    for machine in MACHINES {
        let program = filter_for(machine, MULTI).unwrap();
        for kind in kinds(machine).unwrap() {
            let ioctl = names()["ioctl"].numbers[kind.column].unwrap();
            let cases = [
                (0x5412, EPERM),
                (0x541c, EPERM),
                (0x1_0000_5412, EPERM),
                (0x5413, Verdict::Allow),
                (0x5401, Verdict::Allow),
            ];
            for (request, expected) in cases {
                let found = run(&program, kind.audit, ioctl, [0, request, 0, 0, 0, 0]);
                assert_eq!(found, expected, "{request:#x}");
            }
        }
    }
}

#[test]
fn bits_above_an_argument_do_not_get_round_a_rule() {
    let program = filter_for(Architecture::Amd64, MULTI).unwrap();
    let names = names();
    let number = |name| names[name].numbers[AMD64.column].unwrap();
    for (name, argument) in [("socket", 38), ("socket", 40), ("clone", 0x1000_0000)] {
        let arguments = [argument | 0xdead_0000_0000, 0, 0, 0, 0, 0];
        assert_eq!(
            run(&program, AMD64.audit, number(name), arguments),
            EPERM,
            "{name}"
        );
    }
}

#[test]
fn dangerous_calls_are_not_in_the_table() {
    let names = names();
    let dangerous = [
        "add_key",
        "bpf",
        "fsopen",
        "init_module",
        "io_uring_setup",
        "kexec_load",
        "keyctl",
        "mount",
        "move_mount",
        "open_by_handle_at",
        "open_tree",
        "perf_event_open",
        "pivot_root",
        "reboot",
        "request_key",
        "setns",
        "swapon",
        "umount2",
        "unshare",
        "userfaultfd",
    ];
    for name in dangerous {
        assert!(!names.contains_key(name), "{name}");
    }
}

#[test]
fn the_program_is_short() {
    // The kernel takes 4096 instructions; the time to install it grows with them.
    for machine in MACHINES {
        let length = filter_for(machine, MULTI).unwrap().len();
        assert!(length < 600, "{length}");
    }
}

#[test]
fn only_nodes_of_devices_are_asked_about() {
    let kinds_of_nodes = [
        (0, Verdict::Allow),
        (0o010_644, Verdict::Allow),
        (0o020_644, Verdict::Ask),
        (0o060_644, Verdict::Ask),
        (0o100_644, Verdict::Allow),
        (0o120_777, Verdict::Allow),
        (0o140_755, Verdict::Allow),
        (0xffff_0000_0000 | 0o060_000, Verdict::Ask),
    ];
    for machine in MACHINES {
        let program = filter_for(machine, MULTI).unwrap();
        let refusing = without_questions(&program);
        for kind in kinds(machine).unwrap() {
            for (name, at) in [("mknod", 1), ("mknodat", 2)] {
                let Some(number) = names()[name].numbers[kind.column] else {
                    continue;
                };
                let asked = AskedCalls::new().find(kind.audit, number).unwrap();
                assert_eq!((asked.name, asked.subject), (name, Subject::Node));
                for (mode, expected) in kinds_of_nodes {
                    let mut arguments = [0; 6];
                    arguments[at] = mode;
                    let found = run(&program, kind.audit, number, arguments);
                    assert_eq!(found, expected, "{name}({mode:o}) on {machine}");
                    let unanswered = match expected {
                        Verdict::Ask => EPERM,
                        other => other,
                    };
                    let found = run(&refusing, kind.audit, number, arguments);
                    assert_eq!(found, unanswered, "{name}({mode:o}) on {machine}");
                }
            }
        }
    }
}

#[test]
fn a_call_of_another_kind_of_programs_is_not_asked_about() {
    let asked = AskedCalls::new();
    assert_eq!(asked.find(AMD64.audit, 33), None);
    assert_eq!(asked.find(0, 133), None);
    let of = |kind: Kind, number| asked.find(kind.audit, number).map(|call| call.name);
    assert_eq!(of(AMD64, 133), Some("mknod"));
    assert_eq!(of(ARM64, 133), None);
    assert_eq!(of(I386, 195), Some("stat64"));
    assert_eq!(of(AMD64, 195), Some("llistxattr"));
}

/// What the filter for one id does with calls by name, and these arguments.
fn with_one_id(kind: Kind, machine: Architecture, name: &str, arguments: [u64; 6]) -> Verdict {
    let number = names()[name].numbers[kind.column].unwrap();
    let program = filter_for(machine, SINGLE).unwrap();
    run(&program, kind.audit, number, arguments)
}

#[test]
fn with_one_id_calls_about_owners_and_ids_are_asked_about() {
    let above = 0xdead_0000_0000;
    for machine in MACHINES {
        for kind in kinds(machine).unwrap() {
            for (name, arguments, expected) in [
                ("fchownat", [0; 6], Verdict::Ask),
                ("statx", [0; 6], Verdict::Ask),
                ("fstat", [0; 6], Verdict::Ask),
                ("setresuid", [0; 6], Verdict::Ask),
                ("mknodat", [0, 0, 0o010_644, 0, 0, 0], Verdict::Ask),
                ("openat", [0, 0, 0o100_000, 0, 0, 0], Verdict::Allow),
                ("openat", [0, 0, 0o101 | above, 0, 0, 0], Verdict::Ask),
                ("openat", [0, 0, 0o20_200_002, 0, 0, 0], Verdict::Ask),
                ("openat", [0, 0, 0o200_000, 0, 0, 0], Verdict::Allow),
                ("prctl", [8 | above, 1, 0, 0, 0, 0], Verdict::Ask),
                ("prctl", [15, 0, 0, 0, 0, 0], Verdict::Allow),
                ("getsockopt", [3, 1, 17, 0, 0, 0], Verdict::Ask),
                ("getsockopt", [3, 1, 59, 0, 0, 0], Verdict::Ask),
                ("getsockopt", [3, 1, 4, 0, 0, 0], Verdict::Allow),
                ("execve", [0; 6], Verdict::Ask),
                ("setrlimit", [15, 1, 0, 0, 0, 0], Verdict::Ask),
                ("setrlimit", [7, 1, 0, 0, 0, 0], Verdict::Allow),
                ("prlimit64", [0, 15, 1, 0, 0, 0], Verdict::Ask),
                ("prlimit64", [15, 7, 1, 0, 0, 0], Verdict::Allow),
                ("setxattrat", [0; 6], Verdict::Fail(38)),
                ("read", [0; 6], Verdict::Allow),
            ] {
                let found = with_one_id(kind, machine, name, arguments);
                assert_eq!(found, expected, "{name}({arguments:?}) on {machine}");
            }
        }
    }
}

#[test]
fn with_one_id_every_other_call_is_decided_as_with_many() {
    for machine in MACHINES {
        let [many, one] = [MULTI, SINGLE].map(|mode| filter_for(machine, mode).unwrap());
        for kind in kinds(machine).unwrap() {
            for (name, row) in names() {
                let (Some(number), Rule::Always(_)) = (row.number(kind), row.rule) else {
                    continue;
                };
                for argument in ARGUMENTS {
                    let arguments = [argument, 0, 0, 0, 0, 0];
                    let [many, one] =
                        [&many, &one].map(|program| run(program, kind.audit, number, arguments));
                    assert_eq!(one, many, "{name}({argument:#x}) on {machine}");
                }
            }
        }
    }
}
