//! Tests of claims, between threads and handles as between processes: a lock belongs to an open
//! file.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use oci::Digest;

use crate::testing::{Fixture, options, tree};
use crate::{CacheId, Claim, ClaimName, ObjectId, Store};

fn try_key(store: &Store, key: &Digest) -> Option<Claim> {
    store.claims().try_exclusive(ClaimName::Key(key)).unwrap()
}

#[test]
fn an_exclusive_claim_excludes_every_other_handle() {
    let fixture = Fixture::new();
    let (one, other, key) = (&fixture.store, fixture.again(), Digest::of(b"key"));
    let claim = try_key(one, &key).unwrap();
    assert!(try_key(one, &key).is_none());
    assert!(try_key(&other, &key).is_none());
    drop(claim);
    assert!(try_key(&other, &key).is_some());
}

#[test]
fn shared_claims_exclude_exclusive_ones_only() {
    let fixture = Fixture::new();
    let key = Digest::of(b"key");
    let shared = || fixture.store.claims().shared(ClaimName::Key(&key)).unwrap();
    let (one, other) = (shared(), shared());
    assert!(try_key(&fixture.store, &key).is_none());
    drop(one);
    assert!(try_key(&fixture.store, &key).is_none());
    drop(other);
    assert!(try_key(&fixture.store, &key).is_some());
}

#[test]
fn names_of_different_things_are_different_claims() {
    let fixture = Fixture::new();
    let claims = fixture.store.claims();
    let digest = Digest::of(b"same");
    let object = ObjectId::Blob(digest.clone());
    let single = Store::open(fixture.store.path(), options("single")).unwrap();
    let held = [
        claims.try_exclusive(ClaimName::Key(&digest)).unwrap(),
        claims.try_exclusive(ClaimName::Object(&object)).unwrap(),
        claims
            .try_exclusive(ClaimName::Cache(&CacheId::new(digest.clone(), 0)))
            .unwrap(),
        claims.try_exclusive(ClaimName::Tags).unwrap(),
        single
            .claims()
            .try_exclusive(ClaimName::Key(&digest))
            .unwrap(),
    ];
    assert!(held.iter().all(Option::is_some));
    // What all id maps share is one claim in all of them.
    assert!(
        single
            .claims()
            .try_exclusive(ClaimName::Object(&object))
            .unwrap()
            .is_none()
    );
}

#[test]
fn claims_make_no_files() {
    let fixture = Fixture::new();
    let before = tree(fixture.store.path());
    let keys: Vec<_> = (0..100_u8).map(|key| Digest::of(&[key])).collect();
    let claims: Vec<_> = keys
        .iter()
        .map(|key| try_key(&fixture.store, key).unwrap())
        .collect();
    assert_eq!(tree(fixture.store.path()), before);
    assert_eq!(std::fs::metadata(fixture.path("claims")).unwrap().len(), 0);
    drop(claims);
}

#[test]
fn giving_back_one_claim_keeps_the_others() {
    let fixture = Fixture::new();
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    let kept = try_key(&fixture.store, &one).unwrap();
    drop(try_key(&fixture.store, &other));
    drop(fixture.again());
    assert!(try_key(&fixture.again(), &one).is_none());
    drop(kept);
}

#[test]
fn who_waits_takes_over() {
    let fixture = Fixture::new();
    let key = Digest::of(b"key");
    let other = fixture.again();
    let claim = try_key(&fixture.store, &key).unwrap();
    let order = AtomicU32::new(0);
    let (asked, waiting) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let is_cancelled = || {
                asked.send(()).unwrap();
                false
            };
            let claim = other
                .claims()
                .exclusive_or(ClaimName::Key(&key), &is_cancelled)
                .unwrap();
            assert!(claim.is_some());
            assert_eq!(order.load(Ordering::SeqCst), 1);
        });
        waiting.recv().unwrap();
        order.store(1, Ordering::SeqCst);
        drop(claim);
    });
}

#[test]
fn a_wait_can_be_cancelled() {
    let fixture = Fixture::new();
    let key = Digest::of(b"key");
    let claim = try_key(&fixture.store, &key).unwrap();
    let cancelled = AtomicBool::new(false);
    let (asked, waiting) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let is_cancelled = || {
                asked.send(()).unwrap();
                cancelled.load(Ordering::SeqCst)
            };
            fixture
                .store
                .claims()
                .exclusive_or(ClaimName::Key(&key), &is_cancelled)
                .unwrap()
        });
        waiting.recv().unwrap();
        cancelled.store(true, Ordering::SeqCst);
        waiter.thread().unpark();
        assert!(waiter.join().unwrap().is_none());
    });
    assert!(try_key(&fixture.store, &key).is_none());
    drop(claim);
}

#[test]
fn a_wait_to_share_can_be_cancelled() {
    let fixture = Fixture::new();
    let key = Digest::of(b"key");
    let claims = fixture.store.claims();
    let claim = try_key(&fixture.store, &key).unwrap();
    assert!(
        claims
            .shared_or(ClaimName::Key(&key), &|| true)
            .unwrap()
            .is_none()
    );
    drop(claim);
    let (one, other) = (
        claims.shared_or(ClaimName::Key(&key), &|| true).unwrap(),
        claims.shared_or(ClaimName::Key(&key), &|| true).unwrap(),
    );
    assert!(one.is_some() && other.is_some());
    assert!(try_key(&fixture.store, &key).is_none());
}

#[test]
fn nobody_is_ever_inside_with_somebody_else() {
    const ROUNDS: u32 = 300;
    let fixture = Fixture::new();
    let key = Digest::of(b"key");
    let (inside, done) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = fixture.again();
                for _ in 0..ROUNDS {
                    let claim = store.claims().exclusive(ClaimName::Key(&key)).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    drop(claim);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 4 * ROUNDS);
}

#[test]
fn a_claim_that_cannot_be_made_says_what_for() {
    let fixture = Fixture::new();
    let key = Digest::of(b"key");
    std::fs::remove_file(fixture.path("claims")).unwrap();
    std::fs::create_dir(fixture.path("claims")).unwrap();
    let asked = Cell::new(false);
    let error = fixture
        .store
        .claims()
        .exclusive_or(ClaimName::Key(&key), &|| asked.replace(true));
    let text = crate::testing::chain(&error.unwrap_err());
    assert!(
        text.starts_with(&format!("claim key multi/{key} in the store: lock `")),
        "{text}"
    );
    assert!(text.ends_with("Is a directory (os error 21)"), "{text}");
    assert!(!asked.get());
}
