//! Tests of removing against using.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use oci::Digest;

use crate::testing::{Fixture, id, meta, names};
use crate::{BlobSource as _, ClaimName, ObjectId, Presence, Removed, Store};

#[test]
fn an_object_is_removed_when_no_live_lease_names_it() {
    let fixture = Fixture::new();
    let (one, other) = (&fixture.store, fixture.again());
    let lease = one.lease().unwrap();
    let digest = one.content().put(&lease, b"blob").unwrap();
    let blob = ObjectId::Blob(digest.clone());
    let snapshot = ObjectId::Snapshot(id("a"));
    one.snapshots()
        .prepare(&lease)
        .unwrap()
        .commit(&id("a"), meta())
        .unwrap();

    for object in [&blob, &snapshot] {
        assert_eq!(other.remove(object).unwrap(), Removed::InUse, "{object}");
    }
    assert_eq!(one.content().has(&digest).unwrap(), Some(4));
    drop(lease);
    for object in [&blob, &snapshot] {
        assert_eq!(other.remove(object).unwrap(), Removed::Yes, "{object}");
        assert_eq!(other.remove(object).unwrap(), Removed::Absent, "{object}");
    }
    assert_eq!(one.content().has(&digest).unwrap(), None);
    assert_eq!(names(&fixture.path("snapshots/multi")), [""; 0]);
    assert_eq!(names(&fixture.path("trash")), [""; 0]);
}

#[test]
fn an_object_that_somebody_looks_at_is_in_use() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let blob = ObjectId::Blob(store.content().put(&lease, b"blob").unwrap());
    drop(lease);
    let claim = store.claims().shared(ClaimName::Object(&blob)).unwrap();
    assert_eq!(store.remove(&blob).unwrap(), Removed::InUse);
    drop(claim);
    assert_eq!(store.remove(&blob).unwrap(), Removed::Yes);
}

#[test]
fn removing_does_not_wait_for_a_build() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let build = store.lease().unwrap();
    store.content().put(&build, b"in use").unwrap();
    let old = store.lease().unwrap();
    let blob = ObjectId::Blob(store.content().put(&old, b"old").unwrap());
    drop(old);
    assert_eq!(fixture.again().remove(&blob).unwrap(), Removed::Yes);
    drop(build);
}

/// Holds the blob, making it if it is not there, and reads it.
fn use_blob(store: &Store, blob: &ObjectId) {
    let lease = store.lease().unwrap();
    if lease.hold(blob).unwrap() == Presence::Absent {
        store.content().put(&lease, b"blob").unwrap();
    }
    thread::yield_now();
    assert_eq!(
        store.content().read_blob(&Digest::of(b"blob"), 4).unwrap(),
        b"blob"
    );
}

/// D4, small: what a lease holds stays, whoever removes meanwhile.
#[test]
fn what_is_held_is_never_removed() {
    const ROUNDS: u32 = 200;
    let fixture = Fixture::new();
    let blob = ObjectId::Blob(Digest::of(b"blob"));
    let (working, removed) = (AtomicBool::new(true), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let store = fixture.again();
            while working.load(Ordering::SeqCst) {
                let gone = store.remove(&blob).unwrap() == Removed::Yes;
                removed.fetch_add(u32::from(gone), Ordering::SeqCst);
            }
        });
        let work = || {
            let store = fixture.again();
            (0..ROUNDS).for_each(|_| use_blob(&store, &blob));
        };
        let users: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        let results: Vec<_> = users
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        working.store(false, Ordering::SeqCst);
        assert!(results.iter().all(Result::is_ok));
    });
    assert!(removed.into_inner() > 0, "the remover never had a chance");
}
