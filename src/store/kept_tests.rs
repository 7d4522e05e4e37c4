//! Tests of kept steps.

use super::*;
use crate::testing::{Fixture, id, meta, names};
use crate::{Lease, Store};

fn kept(text: &str) -> KeptId {
    text.parse().unwrap()
}

fn files(store: &Store, lease: &Lease, id: &KeptId, number: usize) {
    let active = store.snapshots().prepare(lease).unwrap();
    active
        .commit(&id.snapshot(number).unwrap(), meta())
        .unwrap();
}

const ONE: &str = "0123456789ab";
const OTHER: &str = "ffffffffffff";

#[test]
fn an_id_is_twelve_digits_and_names_its_snapshots() {
    let step = kept(ONE);
    assert_eq!(step.snapshot(3).unwrap().as_str(), "kept-0123456789ab-3");
    for (name, expected) in [
        ("kept-0123456789ab-3", Some(ONE)),
        ("kept-0123456789ab", Some(ONE)),
        ("run-0123456789ab-3", None),
        ("kept-0123-3", None),
    ] {
        let found = KeptId::of_snapshot(&id(name));
        assert_eq!(found.as_ref().map(KeptId::as_str), expected, "{name}");
    }
    for text in [
        "",
        "0123456789a",
        "0123456789abc",
        "0123456789aB",
        "../456789ab",
    ] {
        assert!(text.parse::<KeptId>().is_err(), "{text}");
    }
    assert_ne!(KeptId::random(), KeptId::random());
}

#[test]
fn a_step_is_kept_until_it_is_removed_with_its_files_alone() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    for step in [ONE, OTHER].map(kept) {
        files(store, &lease, &step, 0);
        files(store, &lease, &step, 1);
        store.kept().put(&step, &step.to_string()).unwrap();
    }
    drop(lease);
    let again = fixture.again().kept();
    assert_eq!(again.ids().unwrap(), [ONE, OTHER].map(kept));
    assert_eq!(again.get(&kept(ONE)).unwrap(), Some(ONE.to_owned()));
    assert_eq!(again.remove(&kept(ONE)).unwrap(), Removed::Yes);
    assert_eq!(again.remove(&kept(ONE)).unwrap(), Removed::Absent);
    assert_eq!(again.get::<String>(&kept(ONE)).unwrap(), None);
    assert_eq!(
        names(&fixture.path("snapshots/multi")),
        ["kept-ffffffffffff-0", "kept-ffffffffffff-1"]
    );
    assert_eq!(names(&fixture.path("kept/multi")), [OTHER]);
}

#[test]
fn a_step_that_somebody_looks_into_is_not_removed() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    files(store, &lease, &kept(ONE), 0);
    store.kept().put(&kept(ONE), &1).unwrap();
    drop(lease);
    let user = fixture.again().lease().unwrap();
    let snapshot = kept(ONE).snapshot(0).unwrap();
    assert!(store.snapshots().open(&user, &snapshot).unwrap().is_some());
    assert_eq!(store.kept().remove(&kept(ONE)).unwrap(), Removed::InUse);
    assert_eq!(store.kept().get(&kept(ONE)).unwrap(), Some(1));
    drop(user);
    assert_eq!(store.kept().remove(&kept(ONE)).unwrap(), Removed::Yes);
}

#[test]
fn files_without_a_document_go_unless_somebody_is_about_to_write_it() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let keeping = store.kept().begin().unwrap();
    files(store, &store.lease().unwrap(), &kept(ONE), 0);
    files(store, &store.lease().unwrap(), &kept(OTHER), 0);
    store.kept().put(&kept(OTHER), &1).unwrap();
    let other = fixture.again().kept();
    other.sweep().unwrap();
    assert_eq!(names(&fixture.path("snapshots/multi")).len(), 2);
    drop(keeping);
    other.sweep().unwrap();
    assert_eq!(
        names(&fixture.path("snapshots/multi")),
        ["kept-ffffffffffff-0"]
    );
}

#[test]
fn a_damaged_document_is_none() {
    let fixture = Fixture::new();
    let steps = fixture.store.kept();
    steps.put(&kept(ONE), &1).unwrap();
    fs::write(fixture.path("kept/multi").join(ONE), "{}").unwrap();
    assert_eq!(steps.get::<u32>(&kept(ONE)).unwrap(), None);
    assert_eq!(steps.ids().unwrap(), [kept(ONE)]);
    assert_eq!(steps.remove(&kept(ONE)).unwrap(), Removed::Yes);
}
