//! Tests of the decision which ids a build has.

use super::*;

const WHOLE: IdMapping = IdMapping {
    inside: 0,
    outside: 0,
    count: u32::MAX,
};

fn range(start: u32, count: u32) -> IdRange {
    IdRange { start, count }
}

fn caller(id: u32) -> Caller {
    Caller {
        uid: id,
        gid: id,
        name: None,
    }
}

fn sources(subuids: &[IdRange], subgids: &[IdRange]) -> IdSources {
    IdSources {
        subuids: subuids.to_vec(),
        subgids: subgids.to_vec(),
        helpers: true,
        privileged: false,
        own_uids: vec![WHOLE],
        own_gids: vec![WHOLE],
    }
}

fn multi_plan(uids: &[IdRange], gids: &[IdRange], count: u32, writer: MapWriter) -> IdPlan {
    IdPlan::Multi {
        uids: uids.to_vec(),
        gids: gids.to_vec(),
        count,
        writer,
    }
}

#[test]
fn an_ordinary_user_gets_what_both_tables_give() {
    let (one, two) = (range(100_000, 65_536), range(300_000, 1_000));
    let plan = plan_ids(&caller(1000), &sources(&[one, two], &[two, one]));
    let expected = multi_plan(&[one, two], &[two, one], 66_536, MapWriter::Helpers);
    assert_eq!(plan, expected);

    let plan = plan_ids(&caller(1000), &sources(&[one, two], &[range(7, 65_600)]));
    let uids = [one, range(300_000, 64)];
    assert_eq!(
        plan,
        multi_plan(&uids, &[range(7, 65_600)], 65_600, MapWriter::Helpers)
    );
}

#[test]
fn an_ordinary_user_without_a_range_has_one_id_and_the_reason() {
    let one = [range(100_000, 65_536)];
    let without_helpers = IdSources {
        helpers: false,
        ..sources(&one, &one)
    };
    let cases = [
        (sources(&[], &one), SingleReason::NoSubuids),
        (sources(&one, &[]), SingleReason::NoSubgids),
        (without_helpers, SingleReason::NoHelpers),
    ];
    for (sources, reason) in cases {
        assert_eq!(plan_ids(&caller(1000), &sources), IdPlan::Single { reason });
    }
}

#[test]
fn root_takes_its_subordinate_ids_or_the_private_range() {
    let one = [range(100_000, 65_536)];
    let with = IdSources {
        privileged: true,
        helpers: false,
        ..sources(&one, &one)
    };
    let expected = multi_plan(&one, &one, 65_536, MapWriter::Direct);
    assert_eq!(plan_ids(&caller(0), &with), expected);
    let without = IdSources {
        privileged: true,
        ..sources(&[], &one)
    };
    let private = [PRIVATE_RANGE];
    let expected = multi_plan(&private, &private, 65_536, MapWriter::Direct);
    assert_eq!(plan_ids(&caller(0), &without), expected);
}

#[test]
fn root_of_a_container_takes_the_other_ids_that_it_has() {
    let map = vec![IdMapping {
        inside: 0,
        outside: 500_000,
        count: 65_536,
    }];
    let partial = IdSources {
        privileged: true,
        own_uids: map.clone(),
        own_gids: map,
        ..sources(&[], &[])
    };
    let others = [range(1, 65_535)];
    let expected = multi_plan(&others, &others, 65_535, MapWriter::Direct);
    assert_eq!(plan_ids(&caller(0), &partial), expected);

    let around = [range(0, 7), range(8, 65_528)];
    let expected = multi_plan(&around, &around, 65_535, MapWriter::Direct);
    assert_eq!(plan_ids(&caller(7), &partial), expected);
}

#[test]
fn root_of_a_namespace_with_one_id_has_one_id() {
    let map = vec![IdMapping {
        inside: 0,
        outside: 1000,
        count: 1,
    }];
    let single = IdSources {
        privileged: true,
        own_uids: map.clone(),
        own_gids: map,
        ..sources(&[], &[])
    };
    let expected = IdPlan::Single {
        reason: SingleReason::OneIdInNamespace,
    };
    assert_eq!(plan_ids(&caller(0), &single), expected);
}

#[test]
fn lines_put_the_caller_first_and_the_ranges_after_it() {
    let ranges = [range(100_000, 10), range(300_000, 20)];
    let plan = multi_plan(&ranges, &ranges, 30, MapWriter::Helpers);
    let line = |inside, outside, count| IdMapping {
        inside,
        outside,
        count,
    };
    let caller = Caller {
        uid: 1001,
        gid: 1002,
        name: None,
    };
    let rest = [line(1, 100_000, 10), line(11, 300_000, 20)];
    let (uids, gids) = plan.lines(&caller);
    assert_eq!(uids, [&[line(0, 1001, 1)], &rest[..]].concat());
    assert_eq!(gids, [&[line(0, 1002, 1)], &rest[..]].concat());
    let single = IdPlan::Single {
        reason: SingleReason::NoSubuids,
    };
    assert_eq!(
        single.lines(&caller),
        (vec![line(0, 1001, 1)], vec![line(0, 1002, 1)])
    );
}

#[test]
fn more_lines_than_the_kernel_takes_are_cut() {
    let ranges: Vec<_> = (0..400)
        .map(|index| range(100_000 + 10 * index, 1))
        .collect();
    let IdPlan::Multi { uids, count, .. } = plan_ids(&caller(1), &sources(&ranges, &ranges)) else {
        panic!("no range was taken");
    };
    assert_eq!((uids.len(), count), (339, 339));
}

#[test]
fn sandbox_ids_are_one_less_than_the_builders() {
    let ranges = [range(100_000, 65_536)];
    let map = multi_plan(&ranges, &ranges, 65_536, MapWriter::Helpers).id_map();
    assert_eq!(map.mode(), ExecutorMode::UsernsMulti);
    assert_eq!(map.container_root(), BuilderId(1));
    let pairs = [(0, 1), (33, 34), (65_535, 65_536)];
    for (sandbox, builder) in pairs {
        assert_eq!(map.builder_id(SandboxId(sandbox)), Some(BuilderId(builder)));
        assert_eq!(map.sandbox_id(BuilderId(builder)), Some(SandboxId(sandbox)));
    }
    assert_eq!(map.builder_id(SandboxId(65_536)), None);
    assert_eq!(map.sandbox_id(BuilderId(0)), None);
    assert_eq!(map.sandbox_id(BuilderId(65_537)), None);
}

#[test]
fn a_single_id_is_root_on_both_sides() {
    let map = IdPlan::Single {
        reason: SingleReason::NoSubuids,
    }
    .id_map();
    assert_eq!(map.mode(), ExecutorMode::UsernsSingle);
    assert_eq!(map.builder_id(SandboxId(0)), Some(BuilderId(0)));
    assert_eq!(map.builder_id(SandboxId(1)), None);
    assert_eq!(map.sandbox_id(BuilderId(1)), None);
}

#[test]
fn the_ids_of_the_own_namespace_are_counted_from_0_up_to_the_first_gap() {
    let line = |inside, count| IdMapping {
        inside,
        outside: 100_000 + inside,
        count,
    };
    for (uids, gids, expected) in [
        (vec![WHOLE], vec![WHOLE], u32::MAX),
        (vec![line(0, 65_536)], vec![WHOLE], 65_536),
        (vec![line(1, 999), line(0, 1)], vec![line(0, 1_000)], 1_000),
        (vec![line(0, 10), line(20, 10)], vec![WHOLE], 10),
        (vec![line(5, 10)], vec![WHOLE], 0),
        (vec![line(0, 1)], vec![line(0, 1)], u32::MAX),
    ] {
        let own = IdSources {
            own_uids: uids,
            own_gids: gids,
            ..sources(&[], &[])
        };
        let plan = own.own_plan();
        assert_eq!(plan, IdPlan::Own { count: expected });
        assert_eq!(plan.id_map().mode(), ExecutorMode::Chroot);
        assert_eq!(plan.id_map().container_root(), BuilderId(0));
    }
}
