use super::*;

const CHOWN: u64 = 1;
const BIND: u64 = 1 << 10;
const SETPCAP: u64 = 1 << 8;
/// What a sandbox has, as `/proc/PID/status` shows it.
const ALL: u64 = 0xa804_25fb;

fn ids(real: u32, effective: u32, saved: u32) -> Quartet {
    Quartet {
        real,
        effective,
        saved,
        file: effective,
    }
}

fn root() -> Capabilities {
    Capabilities::of_user(0)
}

#[test]
fn root_begins_with_all_of_a_sandbox_and_others_with_none() {
    assert_eq!((root().effective, root().permitted), (ALL, ALL));
    let other = Capabilities::of_user(7);
    assert_eq!(
        (other.effective, other.permitted, other.bounding),
        (0, 0, ALL)
    );
}

#[test]
fn they_follow_the_user() {
    // From, to, and then: effective and permitted.
    for (from, to, effective, permitted) in [
        (ids(0, 0, 0), ids(7, 7, 7), 0, 0),
        (ids(0, 0, 0), ids(0, 7, 0), 0, ALL),
        (ids(0, 0, 0), ids(7, 7, 0), 0, ALL),
        (ids(0, 0, 0), ids(7, 0, 0), ALL, ALL),
    ] {
        let mut held = root();
        held.follow(from, to);
        assert_eq!(
            (held.effective, held.permitted),
            (effective, permitted),
            "{to:?}"
        );
    }
    let mut held = root();
    held.follow(ids(0, 0, 0), ids(0, 7, 0));
    held.follow(ids(0, 7, 0), ids(0, 0, 0));
    assert_eq!(held, root());
}

#[test]
fn what_is_kept_is_permitted_and_not_in_force() {
    let mut held = root();
    held.keep(1).unwrap();
    assert!(held.keeps());
    held.follow(ids(0, 0, 0), ids(7, 7, 7));
    assert_eq!((held.effective, held.permitted), (0, ALL));
    // A program that is executed has it no more, and does not keep.
    let after = held.executing(ids(7, 7, 7), None, false).unwrap();
    assert_eq!(
        (after.effective, after.permitted, after.keeps()),
        (0, 0, false)
    );
}

#[test]
fn a_switch_is_locked_by_the_next_one() {
    let mut held = root();
    assert_eq!(held.set_switches(0x20), Ok(()));
    assert_eq!(held.keep(1), Err(Errno::EPERM));
    assert_eq!(held.set_switches(0x30), Err(Errno::EPERM));
    assert_eq!(held.set_switches(0), Err(Errno::EPERM));
    assert_eq!(held.set_switches(0x120), Err(Errno::EPERM));
    assert_eq!(held.set_switches(0x21), Ok(()));
    assert_eq!(held.switches(), 0x21);
    assert_eq!(held.keep(2), Err(Errno::EINVAL));
    assert_eq!(Capabilities::of_user(7).set_switches(0), Err(Errno::EPERM));
}

#[test]
fn the_id_for_files_takes_their_capabilities_with_it() {
    let mut held = root();
    held.follow_file(
        Quartet::of(0),
        Quartet {
            file: 7,
            ..Quartet::of(0)
        },
    );
    assert_eq!(held.effective, ALL & !0x0800_001b);
    held.follow_file(
        Quartet {
            file: 7,
            ..Quartet::of(0)
        },
        Quartet::of(0),
    );
    assert_eq!(held, root());
}

#[test]
fn sets_only_shrink() {
    let mut held = root();
    assert_eq!(held.set(CHOWN, CHOWN | BIND, BIND), Ok(()));
    assert_eq!(
        (held.effective, held.permitted, held.inheritable),
        (CHOWN, CHOWN | BIND, BIND)
    );
    for (effective, permitted, inheritable) in [
        (BIND, CHOWN, BIND),
        (CHOWN, ALL, BIND),
        (0, 0, SETPCAP),
        (0, 0, 1 << 21),
    ] {
        assert_eq!(
            held.set(effective, permitted, inheritable),
            Err(Errno::EPERM)
        );
    }
    // Whoever may change sets may hand down what is bounding and not permitted.
    let mut held = root();
    assert_eq!(held.set(SETPCAP, SETPCAP, 0), Ok(()));
    assert_eq!(held.set(SETPCAP, SETPCAP, CHOWN), Ok(()));
}

#[test]
fn ambient_ones_are_permitted_and_inheritable() {
    let mut held = root();
    assert_eq!(held.raise_ambient(10), Err(Errno::EPERM));
    held.set(ALL, ALL, BIND).unwrap();
    assert_eq!(held.raise_ambient(10), Ok(()));
    assert_eq!(held.is_ambient(10), Ok(true));
    assert_eq!(held.raise_ambient(41), Err(Errno::EINVAL));
    // Kept over the change of user they would be in force for a program that he executes; here they go.
    let mut gone = held;
    gone.follow(ids(0, 0, 0), ids(7, 7, 7));
    assert_eq!(gone.ambient, 0);
    held.keep(1).unwrap();
    held.follow(ids(0, 0, 0), ids(7, 7, 7));
    held.set(0, BIND, BIND).unwrap();
    held.raise_ambient(10).unwrap();
    let after = held.executing(ids(7, 7, 7), None, false).unwrap();
    assert_eq!(
        (after.effective, after.permitted, after.ambient),
        (BIND, BIND, BIND)
    );
    let after = held.executing(ids(7, 9, 9), None, true).unwrap();
    assert_eq!((after.effective, after.permitted, after.ambient), (0, 0, 0));
    assert_eq!(held.lower_ambient(10), Ok(()));
    assert_eq!(held.ambient, 0);
}

#[test]
fn what_is_taken_out_of_the_bounding_set_does_not_come_back() {
    let mut held = root();
    assert_eq!(held.is_bounding(0), Ok(true));
    assert_eq!(held.drop_bounding(0), Ok(()));
    assert_eq!(held.is_bounding(0), Ok(false));
    assert_eq!(
        (held.is_bounding(21), held.is_bounding(41)),
        (Ok(false), Err(Errno::EINVAL))
    );
    let after = held.executing(Quartet::of(0), None, false).unwrap();
    assert_eq!(after.permitted, ALL & !CHOWN);
    assert_eq!(
        Capabilities::of_user(7).drop_bounding(99),
        Err(Errno::EPERM)
    );
}

#[test]
fn programs_get_what_root_has_by_who_they_are() {
    let none = Capabilities::of_user(7);
    for (user, effective, permitted) in [
        (Quartet::of(0), ALL, ALL),
        (ids(7, 0, 0), ALL, ALL),
        (ids(0, 7, 7), 0, ALL),
        (Quartet::of(7), 0, 0),
    ] {
        let after = none
            .executing(user, None, user.real != user.effective)
            .unwrap();
        assert_eq!(
            (after.effective, after.permitted),
            (effective, permitted),
            "{user:?}"
        );
    }
    let mut held = root();
    held.set_switches(1).unwrap();
    let after = held.executing(Quartet::of(0), None, false).unwrap();
    assert_eq!((after.effective, after.permitted), (0, 0));
}

#[test]
fn the_attribute_of_a_file_is_read_in_its_versions() {
    let text =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let file = |permitted, inheritable, is_effective| {
        Some(FileCapabilities {
            permitted,
            inheritable,
            is_effective,
        })
    };
    for (words, expected) in [
        (&[0x0200_0001, 0x2000, 0, 0, 0][..], file(0x2000, 0, true)),
        (
            &[0x0200_0000, 1, 2, 4, 8],
            file(0x4_0000_0001, 0x8_0000_0002, false),
        ),
        (&[0x0300_0001, 1, 2, 0, 0, 1000], file(1, 2, true)),
        (&[0x0100_0001, 1, 2], file(1, 2, true)),
        (&[0x0500_0001, 1, 2, 0, 0], None),
        (&[0x0200_0001, 1], None),
    ] {
        assert_eq!(
            FileCapabilities::parse(&text(words)),
            expected,
            "{words:x?}"
        );
    }
}

#[test]
fn programs_get_what_their_file_has() {
    let file = FileCapabilities {
        permitted: BIND,
        inheritable: 0,
        is_effective: true,
    };
    let user = Capabilities::of_user(7);
    let after = user.executing(Quartet::of(7), Some(file), false).unwrap();
    assert_eq!((after.effective, after.permitted), (BIND, BIND));
    let later = FileCapabilities {
        is_effective: false,
        ..file
    };
    let after = user.executing(Quartet::of(7), Some(later), false).unwrap();
    assert_eq!((after.effective, after.permitted), (0, BIND));
    // One that belongs to root and makes its users root has what it says and no more.
    let after = user.executing(ids(7, 0, 0), Some(file), true).unwrap();
    assert_eq!((after.effective, after.permitted), (BIND, BIND));
    let too_much = FileCapabilities {
        permitted: BIND | 1 << 21,
        ..file
    };
    assert_eq!(
        user.executing(Quartet::of(7), Some(too_much), false),
        Err(Errno::EPERM)
    );
}
