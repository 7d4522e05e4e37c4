use std::fs;

use oci::Digest;
use rootfs::RootPath;

use super::*;
use crate::testing::{Fixture, chain, id, meta, names};
use crate::{ClaimName, Lease, RecordStore, Snapshotter};

/// A store whose thread that waits for the disk does not run before it is told to.
struct Stopped {
    fixture: Fixture,
    lease: Lease,
    later: Later,
    snapshots: Snapshotter,
    records: RecordStore,
}

impl Stopped {
    fn new() -> Self {
        let fixture = Fixture::new();
        let later = Later::new(fixture.layout());
        later.state().is_busy = true;
        Self {
            lease: fixture.store.lease().unwrap(),
            snapshots: Snapshotter::new(fixture.layout(), later.clone()),
            records: RecordStore::new(fixture.layout(), later.clone()),
            later,
            fixture,
        }
    }

    fn commit(&self, name: &str) {
        let active = self.snapshots.prepare(&self.lease).unwrap();
        let file = RootPath::strict(name).unwrap();
        drop(active.fs().create_file(&file).unwrap());
        let committed = active.commit_later(&id(name), meta()).unwrap();
        assert_eq!(committed.id, id(name));
    }

    /// Returns whether another process finds a snapshot.
    fn others_find(&self, name: &str) -> bool {
        let store = self.fixture.again();
        let lease = store.lease().unwrap();
        let found = store.snapshots().open(&lease, &id(name)).unwrap();
        found.is_some()
    }
}

#[test]
fn a_snapshot_is_of_use_here_at_once_and_to_others_when_the_disk_has_it() {
    let stopped = Stopped::new();
    stopped.commit("one");
    stopped.commit("two");
    let here = stopped.snapshots.open(&stopped.lease, &id("one")).unwrap();
    assert_eq!(here.unwrap().fs.names().unwrap(), [b"one"]);
    assert!(!stopped.others_find("one"));
    assert_eq!(names(&stopped.fixture.path("ingest")).len(), 2);

    stopped.later.keep_all();
    stopped.later.finish().unwrap();
    assert!(stopped.others_find("one") && stopped.others_find("two"));
    assert_eq!(names(&stopped.fixture.path("ingest")), [""; 0]);
    let here = stopped.snapshots.open(&stopped.lease, &id("one")).unwrap();
    assert_eq!(here.unwrap().fs.names().unwrap(), [b"one"]);
}

#[test]
fn a_record_is_found_here_at_once_and_by_others_after_what_it_may_name() {
    let stopped = Stopped::new();
    let key = Digest::of(b"key");
    stopped.commit("one");
    stopped.records.put(&key, &"one").unwrap();
    let others = || stopped.fixture.again().records().get::<String>(&key);
    assert_eq!(stopped.records.get(&key).unwrap(), Some("one".to_owned()));
    assert_eq!(others().unwrap(), None);
    stopped.later.keep_all();
    assert_eq!(others().unwrap(), Some("one".to_owned()));
    // Nothing waits now.
    stopped.records.put(&key, &"two").unwrap();
    assert_eq!(others().unwrap(), Some("two".to_owned()));
}

#[test]
fn a_claim_is_free_when_what_was_made_under_it_can_be_found() {
    let stopped = Stopped::new();
    let key = Digest::of(b"key");
    let name = ClaimName::Key(&key);
    let claims = stopped.fixture.store.claims();
    let claim = claims.exclusive(name).unwrap();
    stopped.commit("one");
    stopped.later.give_back(claim);
    assert!(claims.try_exclusive(name).unwrap().is_none());
    stopped.later.keep_all();
    assert!(claims.try_exclusive(name).unwrap().is_some());
    let claim = claims.exclusive(name).unwrap();
    stopped.later.give_back(claim);
    assert!(claims.try_exclusive(name).unwrap().is_some());
}

#[test]
fn what_cannot_be_kept_is_told_and_nothing_names_it() {
    let stopped = Stopped::new();
    let key = Digest::of(b"key");
    stopped.commit("one");
    stopped.records.put(&key, &"one").unwrap();
    for entry in fs::read_dir(stopped.fixture.path("ingest")).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    stopped.later.keep_all();
    let error = stopped.later.finish().unwrap_err();
    assert!(chain(&error).starts_with("commit snapshot `one`: "));
    assert_eq!(stopped.records.get::<String>(&key).unwrap(), None);
    stopped.later.finish().unwrap();
}

#[test]
fn what_cannot_be_kept_stays_for_those_who_use_it_and_who_commits_next_is_told() {
    let stopped = Stopped::new();
    stopped.commit("one");
    stopped.commit("two");
    let is_of_one = |path: &PathBuf| fs::exists(path.join("fs/one")).unwrap();
    let entries = fs::read_dir(stopped.fixture.path("ingest")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    fs::remove_dir_all(paths.find(is_of_one).unwrap()).unwrap();
    stopped.later.keep_all();

    let in_use = stopped.snapshots.open(&stopped.lease, &id("two")).unwrap();
    assert_eq!(in_use.unwrap().fs.names().unwrap(), [b"two"]);
    let commit = |name: &str| {
        let active = stopped.snapshots.prepare(&stopped.lease).unwrap();
        active.commit_later(&id(name), meta()).map(drop)
    };
    let told = [commit("three"), commit("four")].map(|refused| chain(&refused.unwrap_err()));
    assert!(told[0].starts_with("commit snapshot `one`: "), "{told:?}");
    assert_eq!(told[1], "what an earlier step made cannot be kept");
    let key = Digest::of(b"key");
    stopped.records.put(&key, &"two").unwrap();
    assert_eq!(stopped.records.get::<String>(&key).unwrap(), None);

    stopped.later.finish().unwrap();
    assert_eq!(names(&stopped.fixture.path("ingest")), [""; 0]);
    assert!(!stopped.others_find("two"));
    stopped.commit("five");
    stopped.later.finish().unwrap();
    assert!(stopped.others_find("five"));
}

#[test]
fn the_thread_keeps_what_comes_while_it_works() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let name = |number: usize| id(&format!("step-{number}"));
    for number in 0..200 {
        let active = fixture.store.snapshots().prepare(&lease).unwrap();
        active.commit_later(&name(number), meta()).unwrap();
        let key = Digest::of(&number.to_le_bytes());
        fixture.store.records().put(&key, &number).unwrap();
    }
    fixture.store.finish().unwrap();
    let other = fixture.again();
    let lease = other.lease().unwrap();
    for number in 0..200 {
        let found = other.snapshots().open(&lease, &name(number)).unwrap();
        assert!(found.is_some(), "{number}");
        let key = Digest::of(&number.to_le_bytes());
        assert_eq!(other.records().get(&key).unwrap(), Some(number));
    }
}
