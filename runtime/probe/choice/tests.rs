//! Tests of the choice.

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::*;
use crate::probe::Trial;

const IN_NAMESPACE: [Primitive; 10] = [
    Primitive::UserNamespace,
    Primitive::Ids,
    Primitive::PrivateMounts,
    Primitive::MemoryDirectory,
    Primitive::Overlay,
    Primitive::Upper,
    Primitive::NestedNamespace,
    Primitive::StepNamespaces,
    Primitive::FreshProc,
    Primitive::OuterProc,
];
const AS_IT_IS: [Primitive; 4] = [
    Primitive::ChangeRoot,
    Primitive::ChangeUser,
    Primitive::ChangeOwner,
    Primitive::DeviceNodes,
];

fn plans(range: Option<IdPlan>) -> Plans {
    let reason = match range {
        Some(_) => SingleReason::NotUsed,
        None => SingleReason::NoSubuids,
    };
    Plans {
        range,
        one: IdPlan::Single { reason },
        own: IdPlan::Own { count: 65_536 },
    }
}

fn range() -> IdPlan {
    IdPlan::Multi {
        uids: Vec::new(),
        gids: Vec::new(),
        count: 65_536,
        writer: crate::userns::MapWriter::Helpers,
    }
}

fn refused() -> Finding {
    Finding::Refused {
        call: "a call".to_owned(),
        errno: Some(Errno::EPERM as i32),
    }
}

/// A trial in which everything works but these.
fn trial(tried: &[Primitive], refusals: &[Primitive]) -> Trial {
    let finding = |primitive: &Primitive| {
        if refusals.contains(primitive) {
            refused()
        } else {
            Finding::Works
        }
    };
    let findings = tried.iter().map(|one| (*one, finding(one))).collect();
    Trial { findings }
}

fn report(range: &[Primitive], one: &[Primitive], own: &[Primitive]) -> HostReport {
    let trials = BTreeMap::from([
        (TrialKind::IdRange, trial(&IN_NAMESPACE, range)),
        (TrialKind::OneId, trial(&IN_NAMESPACE, one)),
        (TrialKind::OwnIds, trial(&AS_IT_IS, own)),
    ]);
    HostReport { trials }
}

fn mode(choice: &Choice) -> ExecutorMode {
    choice.plan.id_map().mode()
}

#[test]
fn the_first_mode_that_has_all_it_needs_is_taken() {
    let no = [Primitive::UserNamespace];
    let cases = [
        (report(&[], &[], &[]), ExecutorMode::UsernsMulti, 0),
        (
            report(&[Primitive::Ids], &[], &[]),
            ExecutorMode::UsernsSingle,
            1,
        ),
        // With one id there is no namespace below.
        (
            report(
                &[Primitive::NestedNamespace],
                &[Primitive::NestedNamespace],
                &[],
            ),
            ExecutorMode::UsernsSingle,
            1,
        ),
        (report(&no, &no, &[]), ExecutorMode::Chroot, 2),
        (
            report(&no, &no, &[Primitive::ChangeRoot]),
            ExecutorMode::Nothing,
            3,
        ),
    ];
    for (report, expected, passed_over) in cases {
        let choice = choose(&report, &plans(Some(range())), Wish::Best);
        assert_eq!(
            (mode(&choice), choice.passed_over.len()),
            (expected, passed_over)
        );
    }
}

#[test]
fn what_is_in_the_way_of_a_mode_is_the_first_thing_that_it_lacks() {
    let refusals = [Primitive::MemoryDirectory, Primitive::StepNamespaces];
    let choice = choose(
        &report(&refusals, &[], &[]),
        &plans(Some(range())),
        Wish::Best,
    );
    let (mode, obstacle) = &choice.passed_over[0];
    assert_eq!(*mode, ExecutorMode::UsernsMulti);
    assert_eq!(
        obstacle.to_string(),
        "directories in memory: a call: Operation not permitted"
    );
}

#[test]
fn a_kernel_without_overlays_runs_commands_on_copies() {
    let refusals = [Primitive::Overlay, Primitive::Upper];
    let choice = choose(
        &report(&refusals, &refusals, &[]),
        &plans(Some(range())),
        Wish::Best,
    );
    assert_eq!(mode(&choice), ExecutorMode::UsernsMulti);
    assert_eq!(choice.passed_over, []);
}

#[test]
fn a_host_that_gives_no_range_says_why() {
    let choice = choose(&report(&[], &[], &[]), &plans(None), Wish::Best);
    assert_eq!(mode(&choice), ExecutorMode::UsernsSingle);
    let expected = (
        ExecutorMode::UsernsMulti,
        Obstacle::Ids(SingleReason::NoSubuids),
    );
    assert_eq!(choice.passed_over, [expected]);
}

#[test]
fn a_wish_is_fulfilled_or_nothing_is_run() {
    let whole = report(&[], &[], &[Primitive::ChangeUser]);
    let cases = [
        (ExecutorMode::UsernsSingle, ExecutorMode::UsernsSingle),
        (ExecutorMode::Chroot, ExecutorMode::Nothing),
        (ExecutorMode::Nothing, ExecutorMode::Nothing),
    ];
    for (wish, expected) in cases {
        let choice = choose(&whole, &plans(Some(range())), Wish::Mode(wish));
        assert_eq!(mode(&choice), expected, "{wish}");
    }
}

#[test]
fn the_outer_proc_is_taken_where_there_is_no_other() {
    let hidden = [Primitive::FreshProc];
    let choice = choose(
        &report(&hidden, &[], &[]),
        &plans(Some(range())),
        Wish::Best,
    );
    assert_eq!(
        (mode(&choice), choice.proc),
        (ExecutorMode::UsernsMulti, ProcSource::Outer)
    );
    let none = [Primitive::FreshProc, Primitive::OuterProc];
    let choice = choose(&report(&none, &[], &[]), &plans(Some(range())), Wish::Best);
    assert_eq!(
        (mode(&choice), choice.proc),
        (ExecutorMode::UsernsSingle, ProcSource::Fresh)
    );
}

#[test]
fn wishes_are_read_as_modes_are_written() {
    for mode in ["userns-multi", "userns-single", "chroot", "none"] {
        let Ok(Wish::Mode(read)) = mode.parse::<Wish>() else {
            panic!("{mode}");
        };
        assert_eq!(read.to_string(), mode);
    }
    assert_eq!("auto".parse::<Wish>().unwrap(), Wish::Best);
    assert_eq!(
        "docker".parse::<Wish>().unwrap_err().to_string(),
        "`docker` is no executor: there are `auto`, `userns-multi`, `userns-single`, `chroot` and `none`"
    );
}

#[test]
fn a_range_that_does_not_reach_an_id_is_not_taken() {
    let mut report = HostReport::default();
    for kind in [TrialKind::IdRange, TrialKind::OneId] {
        report.trials.insert(kind, trial(&IN_NAMESPACE, &[]));
    }
    let plans = plans(Some(range()));
    assert_eq!(choose(&report, &plans, Wish::Best).plan, range());
    let choice = choose(&report, &plans.without(SandboxId(70_000)), Wish::Best);
    let reason = SingleReason::TooFew {
        count: 65_536,
        id: 70_000,
    };
    assert_eq!(choice.plan, IdPlan::Single { reason });
    let passed_over = [(ExecutorMode::UsernsMulti, Obstacle::Ids(reason))];
    assert_eq!(choice.passed_over, passed_over);
    assert_eq!(
        choice.passed_over[0].1.to_string(),
        "the range has 65536 ids, 0 to 65535, and the image has the id 70000"
    );
}
