//! Tests of the choice of what goes.

use super::*;
use crate::testing::id;

/// The time of the tests: so many hours after 1970 that things may be old.
const NOW_HOURS: u64 = 10_000;

fn hours(hours: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(hours)
}

/// Returns a snapshot that was used so many hours ago.
fn item(name: &str, size_bytes: u64, hours_ago: u64) -> Item {
    let used = hours(NOW_HOURS - hours_ago);
    Item {
        id: ItemId::Snapshot(id(name)),
        kind: ItemKind::Regular,
        parent: None,
        size_bytes,
        created: used,
        used,
        is_in_use: false,
        is_shared: false,
        is_mutable: false,
        is_second_names: false,
        is_recorded: false,
        description: String::new(),
    }
}

fn room(free_bytes: u64) -> Room {
    Room {
        free_bytes,
        size_bytes: 10_000,
        used_bytes: 10_000 - free_bytes,
    }
}

fn chosen(items: &[Item], rule: &Rule, free_bytes: u64) -> Vec<String> {
    let places = choose(items, rule, (room(free_bytes), hours(NOW_HOURS)));
    let name = |place: usize| items[place].id.to_string();
    places.into_iter().map(name).collect()
}

fn space(reserved: u64, max_used: u64, min_free: u64) -> Space {
    let some = |bytes: u64| (bytes > 0).then_some(bytes);
    Space {
        reserved_bytes: some(reserved),
        max_used_bytes: some(max_used),
        min_free_bytes: some(min_free),
    }
}

fn rule(space: Space) -> Rule {
    Rule {
        space,
        ..Rule::default()
    }
}

#[test]
fn the_least_recently_used_goes_first_until_enough_is_gone() {
    let items = [item("a", 100, 1), item("b", 100, 3), item("c", 100, 2)];
    let table: [(Space, u64, &[&str]); 12] = [
        (space(0, 0, 0), 5000, &["b", "c", "a"]),
        (space(0, 300, 0), 5000, &[]),
        (space(0, 299, 0), 5000, &["b"]),
        (space(0, 200, 0), 5000, &["b"]),
        (space(0, 1, 0), 5000, &["b", "c", "a"]),
        // Older than the other two: `--keep-storage`.
        (space(200, 0, 0), 5000, &["b"]),
        (space(200, 1, 0), 5000, &["b"]),
        // Nothing is missing.
        (space(0, 0, 5000), 5000, &[]),
        (space(0, 0, 5100), 5000, &["b"]),
        (space(0, 0, 9000), 5000, &["b", "c", "a"]),
        (space(200, 0, 9000), 5000, &["b"]),
        (space(0, 200, 5150), 5000, &["b", "c"]),
    ];
    for (space, free_bytes, expected) in table {
        assert_eq!(
            chosen(&items, &rule(space), free_bytes),
            expected,
            "{space:?}"
        );
    }
}

#[test]
fn what_is_in_use_needed_or_internal_stays() {
    let in_use = Item {
        is_in_use: true,
        ..item("used", 100, 9)
    };
    let shared = Item {
        is_shared: true,
        ..item("shared", 100, 8)
    };
    let internal = Item {
        kind: ItemKind::Internal,
        ..item("internal", 100, 7)
    };
    let records = Item {
        id: ItemId::Records,
        ..item("records", 100, 6)
    };
    let items = [in_use, shared, internal, records, item("a", 100, 1)];
    assert_eq!(chosen(&items, &Rule::default(), 0), ["a"]);
    let all = Rule {
        is_all: true,
        ..Rule::default()
    };
    assert_eq!(chosen(&items, &all, 0), ["internal", "a"]);
    // What an image needs is not part of the total; what is in use is.
    assert_eq!(chosen(&items, &rule(space(0, 400, 0)), 0), [""; 0]);
    assert_eq!(chosen(&items, &rule(space(0, 399, 0)), 0), ["a"]);
}

#[test]
fn a_child_goes_before_its_parent_and_a_parent_not_without_it() {
    let child = |name: &str, parent: &str, hours_ago| Item {
        parent: Some(ItemId::Snapshot(id(parent))),
        ..item(name, 100, hours_ago)
    };
    let items = [item("a", 100, 5), child("b", "a", 5), item("c", 100, 1)];
    assert_eq!(chosen(&items, &Rule::default(), 0), ["b", "a", "c"]);
    let mut items = items;
    items[1].is_in_use = true;
    assert_eq!(chosen(&items, &Rule::default(), 0), ["c"]);
}

#[test]
fn directories_of_second_names_go_before_the_files() {
    let merged = Item {
        is_second_names: true,
        ..item("merged", 10, 1)
    };
    let items = [item("a", 100, 5), item("b", 100, 1), merged];
    assert_eq!(chosen(&items, &rule(space(0, 150, 0)), 0), ["merged", "a"]);
    assert_eq!(chosen(&items, &rule(space(0, 210, 0)), 0), [""; 0]);
}

#[test]
fn only_what_the_rule_means_goes() {
    let cache = Item {
        kind: ItemKind::CacheMount,
        is_mutable: true,
        ..item("cache", 100, 50)
    };
    let items = [item("a", 100, 60), cache, item("b", 100, 1)];
    let filtered = |texts: &[&str]| Rule {
        filters: vec![
            texts
                .iter()
                .map(|text| Filter::parse(text).unwrap())
                .collect(),
        ],
        ..Rule::default()
    };
    let table: [(&[&str], &[&str]); 9] = [
        (&["type=exec.cachemount"], &["cache"]),
        (&["type!=exec.cachemount"], &["a", "b"]),
        (&["id=a"], &["a", "cache"]),
        (&["id==b"], &["b"]),
        (&["mutable"], &["cache"]),
        (&["immutable=true", "id~=b"], &["b"]),
        (&["type=source.local"], &[]),
        (&["inuse"], &[]),
        (&["private"], &["a", "cache", "b"]),
    ];
    for (texts, expected) in table {
        assert_eq!(chosen(&items, &filtered(texts), 0), expected, "{texts:?}");
    }
    let old = Rule {
        unused_for: Duration::from_hours(50),
        ..Rule::default()
    };
    assert_eq!(chosen(&items, &old, 0), ["a", "cache"]);
    // Of several filters one has to fit.
    let either = Rule {
        filters: [filtered(&["id=a"]).filters, filtered(&["id=b"]).filters].concat(),
        ..Rule::default()
    };
    assert_eq!(chosen(&items, &either, 0), ["a", "cache", "b"]);
}

#[test]
fn a_rule_removes_nothing_where_the_file_system_holds_no_more_than_may_be_kept() {
    for (space, expected) in [
        (space(0, 0, 0), true),
        (space(0, 4000, 0), false),
        (space(0, 3999, 0), true),
        (space(4000, 1, 0), false),
        (space(0, 4000, 6000), false),
        (space(0, 4000, 6001), true),
        (space(4000, 4000, 6001), false),
    ] {
        assert_eq!(rule(space).may_remove(room(6000)), expected, "{space:?}");
    }
}

#[test]
fn what_is_no_filter_is_refused_by_name() {
    let table = [
        (
            "size=1",
            "there is no filter `size` here; there are `id`, `parents`, `description`, `type`, `inuse`, `mutable`, \
             `immutable`, `shared`, `private`, `until`, `unused-for`",
        ),
        ("id", "the filter `id` needs a value"),
        (
            "type=layer",
            "there is no type `layer`; there are `regular`, `internal`, `frontend`, `source.local`, \
             `source.git.checkout`, `exec.cachemount`",
        ),
        (
            "shared=maybe",
            "the filter `shared` is `true` or `false`, not `maybe`",
        ),
        (
            "description~=a.*b",
            "`a.*b` is a pattern: `~=` looks for a text that is contained, and knows no patterns",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(Filter::parse(text).unwrap_err().to_string(), expected);
    }
    let shown = ["type=regular", "id=x", "shared", "mutable!=true"];
    let shown = shown.map(|text| Filter::parse(text).unwrap().to_string());
    assert_eq!(
        shown,
        ["type==regular", "id~=x", "shared==true", "mutable!=true"]
    );
}
