//! Users and groups of processes where there is one id: they are what they would be with a range.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use libtest_mimic::{Failed, Trial};
use runtime::{Confinement, ExitStatus, LimitedResource, ResourceLimit, SandboxSpec, SandboxUser};

use crate::calls::{self, Argument, Call, RECORD};
use crate::harness::{Ground, Ids, Refusal, expect_success, shell, trial};
use crate::programs::{self, Entry};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        #[cfg(target_arch = "x86_64")]
        trial("with_one_id_sessions_are_limited", limits_of_sessions),
        #[cfg(target_arch = "x86_64")]
        trial("with_one_id_a_file_changes_who_executes_it", set_user_id),
        #[cfg(target_arch = "x86_64")]
        trial("with_one_id_calls_do_what_the_kernel_does", sequences),
        #[cfg(target_arch = "x86_64")]
        trial("with_one_id_narrow_calls_do_what_the_kernel_does", narrow),
        #[cfg(target_arch = "x86_64")]
        trial("the_other_end_of_a_socket_is_who_it_seems_to_be", peers),
        trial(
            "with_one_id_scripts_print_what_they_print_with_many",
            scripts,
        ),
        trial("with_one_id_a_command_begins_as_its_user", first_user),
        trial("with_one_id_children_are_who_their_parent_is", children),
        trial("without_a_filter_one_id_is_one_user", without_filter),
        trial("with_one_id_a_limit_is_taken", limit),
    ]
}

/// How long random sequences are, and how many there are.
const LENGTH: usize = 4;
const COUNT: usize = 1200;

/// What sequences of calls are made of: numbers for amd64.
const USERS: [(u64, usize); 4] = [(105, 1), (113, 2), (117, 3), (122, 1)];
const GROUPS: [(u64, usize); 4] = [(106, 1), (114, 2), (119, 3), (123, 1)];
const SETGROUPS: u64 = 116;
const GETRESUID: u64 = 118;
const GETRESGID: u64 = 120;
const CAPGET: u64 = 125;
const CAPSET: u64 = 126;
const PRCTL: u64 = 157;
const SOCKETPAIR: u64 = 53;
const SETRLIMIT: u64 = 160;
const PRLIMIT: u64 = 302;

const GETSOCKOPT: u64 = 55;

/// A header for capabilities, two lists of groups, and sets: what is effective, permitted and inheritable of the lower
/// 32, then of the upper.
const CONSTANTS: [u32; 28] = [
    0x2008_0522,
    0, // header
    5,
    1, // groups
    0xc0,
    0xa804_25fb,
    0,
    0,
    0,
    0, // to become others alone
    0,
    0xc0,
    0,
    0,
    0,
    0, // none in force
    0xc1,
    0xa804_25fb,
    0xc1,
    0,
    0,
    0, // some to be inherited
    12,
    0, // the length of a `struct ucred`
    0xffff_ffff,
    0xffff_ffff, // no limit, soft and hard
    0xffff_ffff,
    0xffff_ffff,
];
const HEADER: usize = 0;
const UNLIMITED: usize = 24;
const SETS: [usize; 3] = [4, 10, 16];

/// Numbers that look random and are the same each time (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    fn id(&mut self) -> u64 {
        [0, 1, 2, 0xffff_ffff][self.below(4)]
    }

    fn call(&mut self) -> Call {
        let arguments = |dice: &mut Self, count| (0..count).map(|_| dice.id()).collect::<Vec<_>>();
        match self.below(16) {
            0..=8 => {
                let (number, count) = USERS[self.below(USERS.len())];
                Call::plain(number, &arguments(self, count))
            }
            9..=11 => {
                let (number, count) = GROUPS[self.below(GROUPS.len())];
                Call::plain(number, &arguments(self, count))
            }
            12 => Call::new(SETGROUPS, vec![Argument::Number(2), Argument::Constant(2)]),
            13 => Call::new(CAPSET, {
                let sets = SETS[self.below(SETS.len())];
                vec![Argument::Constant(HEADER), Argument::Constant(sets)]
            }),
            _ => {
                let options: [&[u64]; 7] = [
                    &[8, 1],
                    &[8, 0],
                    &[28, 0x10],
                    &[28, 0x5],
                    &[24, 0],
                    &[47, 2, 0],
                    &[47, 4, 0],
                ];
                Call::plain(PRCTL, options[self.below(options.len())])
            }
        }
    }
}

/// Returns the calls that put what a process is into the record, from place 4 on.
fn look() -> Vec<Call> {
    let three = |number, at| Call::new(number, (at..at + 3).map(Argument::Record).collect());
    vec![
        three(GETRESUID, 4),
        three(GETRESGID, 7),
        Call::new(
            CAPGET,
            vec![Argument::Constant(HEADER), Argument::Record(10)],
        ),
        // Out of the upper halves of the sets, which are empty.
        Call::plain(122, &[0xffff_ffff]).into(13),
        Call::plain(123, &[0xffff_ffff]).into(14),
        Call::plain(115, &[0]).into(15),
        Call::plain(PRCTL, &[27]).into(16),
        Call::plain(PRCTL, &[47, 1, 0]).into(17),
        Call::plain(PRCTL, &[23, 0]).into(18),
    ]
}

/// Puts a program into a root and returns what it prints, a line for each record.
fn records(ids: Ids, program: &[u8]) -> Result<Vec<String>, Failed> {
    let ground = Ground::new(ids)?;
    let path = ground.path().join("extra/calls");
    fs::write(&path, program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let width = RECORD * 4;
    // What nobody asked for is the last word.
    let shown = ground.output(&format!(
        "/calls > /tmp-calls && od -v -A n -t x4 -w{width} /tmp-calls"
    ))?;
    Ok(shown
        .lines()
        .map(|line| line.trim().rsplit_once(' ').map_or("", |(line, _)| line))
        .map(str::to_owned)
        .collect())
}

fn sequences() -> Result<(), Failed> {
    let mut dice = Dice(1);
    let sequences: Vec<Vec<Call>> = (0..COUNT)
        .map(|_| {
            let calls = (0..LENGTH).map(|at| dice.call().into(at));
            calls.chain(look()).collect()
        })
        .collect();
    let program = calls::program(&sequences, &CONSTANTS);
    let [many, one] = [Ids::Planned, Ids::Single].map(|ids| records(ids, &program));
    let (many, one) = (many?, one?);
    assert_eq!((many.len(), one.len()), (COUNT, COUNT));
    for ((many, one), calls) in many.iter().zip(&one).zip(&sequences) {
        assert_eq!(one, many, "{:#?}", calls.get(..LENGTH));
    }
    Ok(())
}

/// What files are to be before they are executed by root and by another one, and how.
const FILES: [&str; 9] = [
    "/c",
    "chown 5:7 /c; chmod 4755 /c; /c",
    "chown 5:7 /c; chmod 2755 /c; /c",
    "chown 5:7 /c; chmod 2745 /c; /c",
    "chown 5:7 /c; chmod 6755 /c; chown 0:7 /c; /c",
    "chown 0:7 /c; chmod 6755 /c; /c",
    "chmod 4755 /c; setpriv --nnp /c",
    "chown 5:7 /c; chmod 6755 /c; ln -s /c /link; cd /proc; ../link",
    "echo '#!/c' > /script; chown 5:7 /script; chmod 6755 /script; /script",
];

fn set_user_id() -> Result<(), Failed> {
    let program = calls::program(&[look()], &CONSTANTS);
    let shown = |ids| -> Result<Vec<String>, Failed> {
        let ground = Ground::new(ids)?;
        let path = ground.path().join("extra/calls");
        fs::write(&path, &program)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        let run = |script: &str| {
            let (before, call) = script.rsplit_once("; ").unwrap_or(("true", script));
            ground.output(&format!(
                "echo 'www:x:33:33::/:/bin/sh' > /etc-passwd; mkdir -p /etc; cp /etc-passwd /etc/passwd; cp /calls /c
                {before}; {call} > /root-calls; chmod 666 /root-calls
                su www -c '{call}' > /www-calls; cat /root-calls /www-calls | od -v -A n -t x4 -w80"
            ))
        };
        FILES.iter().map(|script| run(script)).collect()
    };
    let (many, one) = (shown(Ids::Planned)?, shown(Ids::Single)?);
    for ((many, one), script) in many.iter().zip(&one).zip(FILES) {
        assert_eq!(one, many, "{script}");
    }
    // Effective and saved, of the file's owner and of the one who executes it.
    assert!(
        one[1].contains(" 00000021 00000005 00000005 00000021 "),
        "{}",
        one[1]
    );
    Ok(())
}

/// `pam_limits` of Debian gives each session the limits that PID 1 has.
fn limits_of_sessions() -> Result<(), Failed> {
    let limits = |number, before: &[u64], after: &[Argument]| {
        let before = before.iter().copied().map(Argument::Number);
        let constant = Argument::Constant(UNLIMITED);
        Call::new(
            number,
            before
                .chain([constant])
                .chain(after.iter().copied())
                .collect(),
        )
    };
    let calls = [
        Call::plain(SETGROUPS, &[0]).into(0),
        limits(SETRLIMIT, &[15], &[]).into(1),
        limits(PRLIMIT, &[0, 15], &[Argument::Number(0)]).into(2),
        Call::plain(USERS[0].0, &[5]).into(3),
    ];
    let after = limits(SETRLIMIT, &[15], &[]).into(19);
    let sequence = calls.into_iter().chain([after]).chain(look()).collect();
    let program = calls::program(&[sequence], &CONSTANTS);
    let [many, one] = [Ids::Planned, Ids::Single].map(|ids| records(ids, &program));
    let (many, one) = (many?, one?);
    assert_eq!(one, many);
    assert!(
        one[0].starts_with("00000000 00000000 00000000 00000000 00000005 "),
        "{}",
        one[0]
    );
    Ok(())
}

fn peers() -> Result<(), Failed> {
    const PEER: u64 = 17;
    let sequence = vec![
        Call::plain(106, &[7]).into(0),
        Call::plain(105, &[5]).into(1),
        Call::new(
            SOCKETPAIR,
            [1, 1, 0]
                .map(Argument::Number)
                .into_iter()
                .chain([Argument::Record(2)])
                .collect(),
        ),
        Call::new(
            GETSOCKOPT,
            [3, 1, PEER]
                .map(Argument::Number)
                .into_iter()
                .chain([Argument::Record(4), Argument::Constant(22)])
                .collect(),
        )
        .into(7),
        // The number of the process, which is its own.
        Call::plain(39, &[]).into(8),
    ];
    let program = calls::program(&[sequence], &CONSTANTS);
    for ids in [Ids::Planned, Ids::Single] {
        let shown = records(ids, &program)?;
        let words: Vec<&str> = shown[0].split(' ').collect();
        assert_eq!(words[..4], ["00000000", "00000000", "00000003", "00000004"]);
        assert_eq!(words[4], words[8], "{ids:?}");
        assert_eq!(words[5..8], ["00000005", "00000007", "00000000"], "{ids:?}");
    }
    Ok(())
}

/// Calls of programs of 32 bits with ids of 16, and what they fail with.
const NARROW: [(u32, [u64; 3], i32); 6] = [
    (23, [33, 0, 0], 0),
    (23, [0xffff, 0, 0], 22),
    (23, [0x1_0000, 0, 0], 0),
    (70, [0xffff, 33, 0], 0),
    (164, [1, 2, 3], 0),
    (213, [0xffff_ffff, 0, 0], 22),
];

fn narrow() -> Result<(), Failed> {
    for ids in [Ids::Planned, Ids::Single] {
        let ground = Ground::new(ids)?;
        for (index, (number, arguments, _)) in NARROW.iter().enumerate() {
            let path = ground.path().join(format!("extra/n{index}"));
            let program = programs::amd64_call(Entry::Int80, *number, *arguments);
            fs::write(&path, program)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let shown = ground.output("for call in /n?; do $call; echo $?; done")?;
        let shown: Vec<&str> = shown.lines().collect();
        let expected = NARROW.map(|(_, _, error)| error.to_string());
        assert_eq!(shown, expected, "{ids:?}");
    }
    Ok(())
}

/// What root of a sandbox does with users, and what comes of it.
const SCRIPTS: [&str; 8] = [
    "id",
    "su www -s /bin/sh -c id; su www -s /bin/sh -c 'su -s /bin/sh root -c id' 2>&1; id -u",
    "setpriv -d | grep -i -e capab -e ambient -e keep",
    "su www -s /bin/sh -c 'grep -c . /proc/self/status > /dev/null; id -G; id -un'",
    "su www -s /bin/sh -c 'su www -s /bin/sh -c \"id -u\"' 2>&1",
    "start-stop-daemon -S -c www:staff -x /bin/id 2>&1",
    "chpst -u www id 2>&1 | head -n 1 | cut -c 1-20",
    "su www -s /bin/sh -c 'chroot / id' 2>&1",
];

fn scripts() -> Result<(), Failed> {
    let shown = |ids| -> Result<Vec<String>, Failed> {
        let ground = Ground::new(ids)?;
        let prepare = "mkdir -p /etc
            printf 'root:x:0:0::/:/bin/sh\\nwww:x:33:33::/:/bin/false\\n' > /etc/passwd
            printf 'root:x:0:\\nwww:x:33:\\nstaff:x:50:www\\n' > /etc/group";
        let run = |script: &str| ground.output(&format!("{prepare}\n{script}; true"));
        SCRIPTS.iter().map(|script| run(script)).collect()
    };
    let (many, one) = (shown(Ids::Planned)?, shown(Ids::Single)?);
    for ((many, one), script) in many.iter().zip(&one).zip(SCRIPTS) {
        assert_eq!(one, many, "{script}");
    }
    assert!(
        one[1].starts_with("uid=33(www) gid=33(www) groups=33(www),50(staff)\n"),
        "{}",
        one[1]
    );
    Ok(())
}

fn user(uid: u32, gid: u32, groups: &[u32]) -> SandboxUser {
    SandboxUser {
        uid,
        gid,
        groups: groups.to_vec(),
    }
}

fn first_user() -> Result<(), Failed> {
    let script =
        "id -u; id -g; id -G; setpriv -d | grep -i -e effective -e bounding; sh -c 'id -u'";
    let shown = |ids, user| {
        let ground = Ground::new(ids)?;
        expect_success(ground.run(SandboxSpec {
            user,
            ..shell(script)
        })?)
    };
    for (uid, gid, groups) in [(1000, 1000, &[27, 4][..]), (0, 7, &[]), (5, 0, &[3])] {
        let [many, one] = [Ids::Planned, Ids::Single].map(|ids| shown(ids, user(uid, gid, groups)));
        let (many, one) = (many?, one?);
        assert_eq!(one, many);
        assert!(one.starts_with(&format!("{uid}\n{gid}\n")), "{one}");
    }
    Ok(())
}

fn children() -> Result<(), Failed> {
    const LOOP: &str = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); /bin/busybox id -u; done";
    let ground = Ground::new(Ids::Single)?;
    let shown = ground.output(&format!(
        "setpriv --help > /dev/null 2>&1; echo 'www:x:33:33::/:/bin/sh' > /etc/passwd
        su www -c '{LOOP}' | sort | uniq -c; (su www -c 'sleep 0 & id -u; wait'); id -u"
    ))?;
    assert_eq!(
        shown.split_whitespace().collect::<Vec<_>>(),
        ["200", "33", "33", "0"]
    );
    Ok(())
}

fn without_filter() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Single)?;
    let unconfined = |user| SandboxSpec {
        user,
        confinement: Confinement::Namespace,
        ..shell("id -u")
    };
    assert_eq!(
        expect_success(ground.run(unconfined(user(0, 0, &[])))?)?,
        "0\n"
    );
    let text = "run a command: id 1000 is not among the 1 ids of the sandbox".to_owned();
    let report = ground.run(unconfined(user(1000, 1000, &[])))?;
    let refusal = Refusal {
        text,
        exit_code: None,
    };
    assert_eq!(report.outcome, Err(refusal));
    Ok(())
}

fn limit() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Single)?;
    let limited = |soft| SandboxSpec {
        user: user(5, 5, &[]),
        limits: vec![ResourceLimit {
            resource: LimitedResource::RealTime,
            soft: Some(soft),
            hard: Some(200_000),
        }],
        ..shell("id -u; ulimit -H -R 2> /dev/null; true")
    };
    let report = ground.run(limited(200_000))?;
    assert_eq!(report.outcome, Ok(ExitStatus::Code(0)));
    assert_eq!(report.stdout.lines().next(), Some("5"));
    let text =
        "run a command: with one id, the soft limit `rttime` has to be the hard one".to_owned();
    let refusal = Refusal {
        text,
        exit_code: None,
    };
    assert_eq!(ground.run(limited(100_000))?.outcome, Err(refusal));
    Ok(())
}
