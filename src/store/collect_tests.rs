//! Tests of removing what the rules say.

use std::fs::{File, FileTimes};

use oci::Reference;
use oci::descriptor::descriptor;
use oci::media_type::OCI_MANIFEST;

use super::*;
use crate::testing::{Fixture, id, meta, names};
use crate::{CacheMeta, Filter, Lease, Store};

const HOUR: Duration = Duration::from_hours(1);

/// Makes a snapshot of a step, the blob that it was packed to, and the records of both, used so long ago.
fn step(store: &Store, name: &str, ago: Duration) -> Digest {
    let lease = store.lease().unwrap();
    let snapshots = store.snapshots();
    snapshots
        .prepare(&lease)
        .unwrap()
        .commit(&id(name), meta())
        .unwrap();
    let blob = store.content().put(&lease, name.as_bytes()).unwrap();
    let layer = format!("layer of {name}");
    put(
        store,
        layer.as_bytes(),
        &serde_json::json!({"layer": name}),
        ago,
    );
    put(
        store,
        name.as_bytes(),
        &serde_json::json!({"digest": blob}),
        ago,
    );
    let mark = store.layout().snapshot(&id(name)).join("snapshot.json");
    age(&mark, ago);
    age(&store.layout().blob(&blob), ago);
    blob
}

fn put(store: &Store, key: &[u8], value: &serde_json::Value, ago: Duration) {
    let key = Digest::of(key);
    store.records().put(&key, value).unwrap();
    age(&records_of(store, &key), ago);
}

fn records_of(store: &Store, key: &Digest) -> PathBuf {
    let group = store
        .layout()
        .records()
        .join(key.encoded().get(..2).unwrap());
    group.join(key.encoded())
}

fn age(path: &std::path::Path, by: Duration) {
    let file = File::open(path).unwrap();
    let then = file.metadata().unwrap().modified().unwrap() - by;
    file.set_times(FileTimes::new().set_modified(then)).unwrap();
}

fn removed(collected: &Collected) -> Vec<String> {
    collected
        .removed
        .iter()
        .map(|item| item.id.to_string())
        .collect()
}

fn records(fixture: &Fixture) -> usize {
    let groups = names(&fixture.path("records/multi"));
    let count = |group: String| names(&fixture.path("records/multi").join(group)).len();
    groups.into_iter().map(count).sum()
}

fn all() -> Rule {
    Rule {
        is_all: true,
        ..Rule::default()
    }
}

/// Returns what keeps at most so many bytes less than there are.
fn less_by(store: &Store, bytes: u64) -> Rule {
    let max_used_bytes = Some(store.usage().unwrap().cache_bytes() - bytes);
    Rule {
        space: Space {
            max_used_bytes,
            ..Space::default()
        },
        ..Rule::default()
    }
}

#[test]
fn everything_goes_that_no_image_needs() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let blobs = ["run-a", "run-b"].map(|name| step(store, name, HOUR));
    let caches = store.caches();
    let cache = CacheId::new(Digest::of(b"cache"), 0);
    let made = CacheMeta {
        namespace: String::new(),
        id: "a".to_owned(),
        seed: "nothing".to_owned(),
    };
    caches.prepare().unwrap().commit(&cache, &made).unwrap();
    drop(store.repository(&Digest::of(b"remote"), &|| false).unwrap());
    store.hints().create(&id("hint")).unwrap().commit().unwrap();
    put(store, b"of nothing", &serde_json::json!(1), Duration::ZERO);
    let name = Reference::parse("demo:1").unwrap();
    store
        .content()
        .tag(&name, &descriptor(OCI_MANIFEST, &blobs[1], 5))
        .unwrap();
    let before = store.usage().unwrap();
    let collected = fixture.again().collect(&[all()]).unwrap();
    assert_eq!(collected.bytes(), before.cache_bytes());
    for empty in [
        "snapshots/multi",
        "caches/multi",
        "repositories",
        "hints",
        "trash",
    ] {
        assert_eq!(names(&fixture.path(empty)), [""; 0], "{empty}");
    }
    assert_eq!(records(&fixture), 0);
    assert_eq!(
        names(&fixture.path("content/blobs/sha256")),
        [blobs[1].encoded()]
    );
    assert_eq!(store.usage().unwrap().cache_bytes(), 0);
}

#[test]
fn the_oldest_goes_with_its_records_and_the_rest_is_found() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let old = step(store, "run-old", 9 * HOUR);
    let new = step(store, "run-new", 3 * HOUR);
    let collected = store.collect(&[less_by(store, 1)]).unwrap();
    // One of the two is enough, whichever is the first by its name.
    assert_eq!(collected.removed.len(), 1);
    let collected = store.collect(&[less_by(store, 1)]).unwrap();
    assert_eq!(collected.removed.len(), 1);
    assert_eq!(names(&fixture.path("snapshots/multi")), ["run-new"]);
    assert_eq!(
        names(&fixture.path("content/blobs/sha256")),
        [new.encoded()]
    );
    assert_ne!(old, new);
    assert_eq!(records(&fixture), 2);
    let kept = store
        .records()
        .get::<serde_json::Value>(&Digest::of(b"run-new"));
    assert!(kept.unwrap().is_some());
}

#[test]
fn what_a_lease_names_stays_and_so_do_its_records() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let blob = step(store, "run-a", 9 * HOUR);
    step(store, "run-b", 9 * HOUR);
    let lease: Lease = store.lease().unwrap();
    store
        .snapshots()
        .open(&lease, &id("run-a"))
        .unwrap()
        .unwrap();
    lease.add(&ObjectId::Blob(blob.clone())).unwrap();
    let collected = fixture.again().collect(&[all()]).unwrap();
    assert!(removed(&collected).contains(&"run-b".to_owned()));
    assert_eq!(names(&fixture.path("snapshots/multi")), ["run-a"]);
    assert_eq!(
        names(&fixture.path("content/blobs/sha256")),
        [blob.encoded()]
    );
    assert_eq!(records(&fixture), 2);
    // A claim is enough.
    drop(lease);
    let object = ObjectId::Snapshot(id("run-a"));
    let claim = store.claims().shared(ClaimName::Object(&object)).unwrap();
    fixture.again().collect(&[all()]).unwrap();
    assert_eq!(names(&fixture.path("snapshots/multi")), ["run-a"]);
    drop(claim);
    fixture.again().collect(&[all()]).unwrap();
    assert_eq!(names(&fixture.path("snapshots/multi")), [""; 0]);
}

#[test]
fn a_cache_and_a_repository_that_somebody_has_stay() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let remote = Digest::of(b"remote");
    let repository = store.repository(&remote, &|| false).unwrap();
    let cache = CacheId::new(Digest::of(b"cache"), 0);
    let made = CacheMeta {
        namespace: String::new(),
        id: "a".to_owned(),
        seed: "nothing".to_owned(),
    };
    store
        .caches()
        .prepare()
        .unwrap()
        .commit(&cache, &made)
        .unwrap();
    let claim = store.claims().shared(ClaimName::Cache(&cache)).unwrap();
    assert_eq!(
        removed(&fixture.again().collect(&[all()]).unwrap()),
        [""; 0]
    );
    drop((repository, claim));
    let collected = fixture.again().collect(&[all()]).unwrap();
    assert_eq!(collected.removed.len(), 3);
}

#[test]
fn a_record_that_was_used_since_it_was_looked_at_is_put_back() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let blob = step(store, "run-a", 9 * HOUR);
    let usage = store.usage().unwrap();
    // Reading notes the use, since the last one is more than an hour ago.
    let key = Digest::of(b"run-a");
    store
        .records()
        .get::<serde_json::Value>(&key)
        .unwrap()
        .unwrap();
    let layout = store.layout();
    let collected = collect((&layout, store.content()), usage, &[all()]).unwrap();
    assert_eq!(removed(&collected), ["run-a", "hints"]);
    assert!(
        store
            .records()
            .get::<serde_json::Value>(&key)
            .unwrap()
            .is_some()
    );
    assert_eq!(
        names(&fixture.path("content/blobs/sha256")),
        [blob.encoded()]
    );
    assert_eq!(names(&fixture.path("trash")), [""; 0]);
}

#[test]
fn filters_leave_records_of_other_things() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    step(store, "run-a", 9 * HOUR);
    step(store, "run-b", 9 * HOUR);
    put(store, b"of nothing", &serde_json::json!(1), 20 * HOUR);
    let rule = Rule {
        filters: vec![vec![Filter::parse("id=run-a").unwrap()]],
        ..all()
    };
    assert_eq!(removed(&store.collect(&[rule]).unwrap()), ["run-a"]);
    assert_eq!(records(&fixture), 5);
    // Without filters what is as old goes with it.
    let rule = Rule {
        unused_for: 8 * HOUR,
        ..Rule::default()
    };
    assert_eq!(store.collect(&[rule]).unwrap().removed.len(), 3);
    assert_eq!(records(&fixture), 0);
}

#[test]
fn after_a_build_the_store_is_looked_at_only_where_something_may_have_to_go() {
    let fixture = Fixture::new();
    step(&fixture.store, "run-a", 100 * HOUR);
    let stamp = fixture.path("collected");
    let by_age = Rule {
        unused_for: 48 * HOUR,
        ..Rule::default()
    };
    let by_space = |max_used_bytes| Rule {
        space: Space {
            max_used_bytes: Some(max_used_bytes),
            ..Space::default()
        },
        ..Rule::default()
    };
    let after = |store: &Store, rule: &Rule| {
        let rules = std::slice::from_ref(rule);
        removed(&store.collect_after(rules).unwrap())
    };
    // Whoever has put nothing there leaves it.
    assert_eq!(after(&fixture.again(), &by_space(1)), [""; 0]);
    assert!(!fs::exists(&stamp).unwrap());
    // The first day begins with the first build.
    assert_eq!(after(&fixture.store, &by_age), [""; 0]);
    assert_eq!(after(&fixture.store, &by_space(u64::MAX)), [""; 0]);
    age(&stamp, 25 * HOUR);
    assert_eq!(after(&fixture.store, &by_age).len(), 2);
    step(&fixture.store, "run-b", 100 * HOUR);
    assert_eq!(after(&fixture.store, &by_age), [""; 0]);
    // One is enough.
    let key = Digest::of(b"collect");
    let claim = fixture
        .again()
        .claims()
        .exclusive(ClaimName::Key(&key))
        .unwrap();
    assert_eq!(after(&fixture.store, &by_space(1)), [""; 0]);
    drop(claim);
    assert_eq!(after(&fixture.store, &by_space(1)).len(), 2);
}

#[test]
fn what_belongs_to_a_snapshot_that_is_being_made_stays() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    lease.add(&ObjectId::Snapshot(id("run-a"))).unwrap();
    let key = Digest::of(b"owners");
    store.records().put_of(&key, &id("run-a"), &"root").unwrap();
    let path = records_of(store, &key);
    age(&path, HOUR);
    store.collect(&[all()]).unwrap();
    assert_eq!(records(&fixture), 1);
    let snapshots = store.snapshots();
    snapshots
        .prepare(&lease)
        .unwrap()
        .commit(&id("run-a"), meta())
        .unwrap();
    drop(lease);
    // As long as it is there, whatever else is as old goes.
    put(store, b"of nothing", &serde_json::json!(1), 2 * HOUR);
    step(store, "run-b", HOUR);
    let rule = Rule {
        filters: Vec::new(),
        unused_for: HOUR / 2,
        ..Rule::default()
    };
    store.collect(&[rule]).unwrap();
    assert_eq!(names(&fixture.path("snapshots/multi")), ["run-a"]);
    assert_eq!(records(&fixture), 1);
    assert_eq!(store.records().get(&key).unwrap(), Some("root".to_owned()));
    store.collect(&[all()]).unwrap();
    assert_eq!(records(&fixture), 0);
}
