//! F13: calls that a command of a sandbox with one id makes, as its supervisor decides about them.
//!
//! A process that is not root and executes nothing that changes ids stays who it is and without capabilities; for all, the
//! sets of capabilities keep the order that the kernel gives them, and what may be had at all only shrinks.

use runtime::{Rehearsal, SandboxUser};

use crate::bytes::Bytes;
use crate::taken;

/// `AUDIT_ARCH_*` of amd64, 386, arm64 and arm, and of nothing.
const KINDS: [u32; 5] = [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028, 7];
/// What ids are tempting.
const IDS: [u64; 8] = [
    0,
    1000,
    1001,
    0xffff,
    0x1_0000,
    u32::MAX as u64,
    u64::MAX,
    5,
];
const USER: u32 = 1000;

/// Makes the calls that the bytes say, one after the other.
///
/// # Panics
///
/// Panics where a process becomes more than it may.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let is_root = bytes.byte() % 2 == 1;
    let uid = if is_root { 0 } else { USER };
    let user = SandboxUser {
        uid,
        gid: uid,
        groups: vec![7],
    };
    let mut process = Rehearsal::open(&user).expect("/dev/null is there");
    let mut may_change = is_root;
    while !bytes.is_empty() {
        let before = process.capabilities();
        step(&mut process, &mut bytes, &mut may_change);
        ordered(before, process.capabilities());
        if !may_change {
            assert_eq!((process.users(), process.groups()), ([USER; 4], [USER; 4]));
            let [effective, permitted, inheritable, _, ambient] = process.capabilities();
            assert_eq!((effective, permitted, ambient, inheritable), (0, 0, 0, 0));
        }
    }
}

fn step(process: &mut Rehearsal, bytes: &mut Bytes<'_>, may_change: &mut bool) {
    // What a call returns is for the command: here it counts what became of the process.
    match bytes.byte() % 8 {
        0 => taken(process.set_capabilities(bytes.take(24))),
        1 => {
            let owner = bytes.one_of(&[None, None, Some(0), Some(1001)]);
            let group = bytes.one_of(&[None, None, Some(0), Some(1001)]);
            let attribute = bytes.byte();
            let attribute = bytes.take(usize::from(attribute % 32));
            *may_change |= owner.is_some() || group.is_some() || !attribute.is_empty();
            taken(process.execute((owner, group), attribute));
        }
        2 => {
            let mode = u32::try_from(bytes.number::<2>()).unwrap_or_default();
            let list = bytes.byte();
            let list = bytes.take(usize::from(list));
            let (list, inherited) = Rehearsal::inherited_list(list, mode);
            assert_eq!(inherited & !mode, 0, "more than was asked for");
            let again = Rehearsal::inherited_list(&list, inherited);
            assert_eq!((list, inherited), again);
        }
        _ => {
            let kind = bytes.one_of(&KINDS);
            let number = u32::try_from(bytes.number::<2>() % 512).unwrap_or_default();
            let mut arguments = [0; 6];
            let shape = bytes.byte();
            for (at, argument) in arguments.iter_mut().enumerate().take(5) {
                *argument = match shape >> at & 1 {
                    0 => bytes.one_of(&IDS),
                    _ => bytes.number::<1>(),
                };
            }
            taken(process.call(kind, number, arguments));
        }
    }
}

/// Effective ones are permitted, ambient ones are permitted and inheritable, and none comes back that was given up.
fn ordered(before: [u64; 5], after: [u64; 5]) {
    let [effective, permitted, inheritable, bounding, ambient] = after;
    assert_eq!(effective & !permitted, 0, "effective");
    assert_eq!(ambient & !(permitted & inheritable), 0, "ambient");
    assert_eq!(bounding & !before[3], 0, "bounding");
}
