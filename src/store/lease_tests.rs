//! Tests of leases.

use std::fs;

use oci::Digest;

use crate::testing::{Fixture, id, meta, names, options};
use crate::{ObjectId, Presence, Store};

use super::is_leased;

#[test]
fn a_lease_names_objects_until_its_last_clone_is_dropped() {
    let fixture = Fixture::new();
    let layout = &fixture.store.content().layout;
    let blob = ObjectId::Blob(Digest::of(b"blob"));
    let lease = fixture.store.lease().unwrap();
    assert!(!is_leased(layout, &blob).unwrap());
    lease.add(&blob).unwrap();
    assert!(is_leased(layout, &blob).unwrap());
    assert!(!is_leased(layout, &ObjectId::Blob(Digest::of(b"other"))).unwrap());
    let clone = lease.clone();
    drop(lease);
    assert!(is_leased(layout, &blob).unwrap());
    drop(clone);
    assert!(!is_leased(layout, &blob).unwrap());
    assert_eq!(names(&fixture.path("leases")), [""; 0]);
}

#[test]
fn a_name_is_written_once() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let digest = Digest::of(b"blob");
    for _ in 0..3 {
        lease.add(&ObjectId::Blob(digest.clone())).unwrap();
        lease.add(&ObjectId::Snapshot(id("a"))).unwrap();
    }
    let name = &names(&fixture.path("leases"))[0];
    let text = fs::read_to_string(fixture.path("leases").join(name)).unwrap();
    assert_eq!(text, format!("blob {digest}\nsnapshot multi/a\n"));
}

#[test]
fn a_snapshot_of_another_id_map_is_another_object() {
    let fixture = Fixture::new();
    let single = Store::open(fixture.store.path(), options("single")).unwrap();
    let lease = single.lease().unwrap();
    let object = ObjectId::Snapshot(id("a"));
    lease.add(&object).unwrap();
    assert!(!is_leased(&fixture.store.content().layout, &object).unwrap());
    assert!(is_leased(&single.content().layout, &object).unwrap());
}

#[test]
fn a_name_is_not_found_in_a_longer_one() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    lease.add(&ObjectId::Snapshot(id("layer-1"))).unwrap();
    assert!(
        !is_leased(
            &fixture.store.content().layout,
            &ObjectId::Snapshot(id("layer"))
        )
        .unwrap()
    );
}

#[test]
fn the_lease_of_a_dead_process_names_nothing() {
    let fixture = Fixture::new();
    let object = ObjectId::Snapshot(id("a"));
    fs::write(fixture.path("leases/dead"), "snapshot multi/a\n").unwrap();
    assert!(!is_leased(&fixture.store.content().layout, &object).unwrap());
}

#[test]
fn holding_tells_what_is_there() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let blob = ObjectId::Blob(Digest::of(b"blob"));
    let snapshot = ObjectId::Snapshot(id("a"));
    for object in [&blob, &snapshot] {
        assert_eq!(lease.hold(object).unwrap(), Presence::Absent, "{object}");
    }
    store.content().put(&lease, b"blob").unwrap();
    store
        .snapshots()
        .prepare(&lease)
        .unwrap()
        .commit(&id("a"), meta())
        .unwrap();
    for object in [&blob, &snapshot] {
        assert_eq!(lease.hold(object).unwrap(), Presence::Present, "{object}");
    }
}
