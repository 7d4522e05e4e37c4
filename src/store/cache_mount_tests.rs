//! Tests of caches of commands: whole or absent, and there for every handle.

use std::fs;

use oci::Digest;

use crate::testing::{Fixture, chain, names, options};
use crate::{CacheId, CacheMeta, Store};

fn cache(number: u32) -> CacheId {
    CacheId::new(Digest::of(b"a cache"), number)
}

fn meta() -> CacheMeta {
    CacheMeta {
        namespace: "team".to_owned(),
        id: "/root/.cache".to_owned(),
        seed: "nothing".to_owned(),
    }
}

#[test]
fn a_cache_is_there_for_every_handle_when_it_is_committed() {
    let fixture = Fixture::new();
    let caches = fixture.store.caches();
    assert!(caches.open(&cache(0)).unwrap().is_none());
    let new = caches.prepare().unwrap();
    fs::write(new.fs().shown().join("file"), "seed").unwrap();
    assert!(caches.open(&cache(0)).unwrap().is_none());
    let made = new.commit(&cache(0), &meta()).unwrap();
    let other = fixture.again();
    let found = other.caches().open(&cache(0)).unwrap().unwrap();
    assert_eq!(found.fs.shown(), made.fs.shown());
    assert_eq!(names(found.fs.shown()), ["file"]);
    assert!(caches.open(&cache(1)).unwrap().is_none());
}

#[test]
fn of_two_that_make_the_same_the_first_one_wins_and_nothing_is_left_of_the_other() {
    let fixture = Fixture::new();
    let caches = fixture.store.caches();
    let [one, two] = [(); 2].map(|()| caches.prepare().unwrap());
    fs::write(one.fs().shown().join("one"), "").unwrap();
    fs::write(two.fs().shown().join("two"), "").unwrap();
    one.commit(&cache(0), &meta()).unwrap();
    let second = two.commit(&cache(0), &meta()).unwrap();
    assert_eq!(names(second.fs.shown()), ["one"]);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn a_cache_that_was_not_finished_is_removed() {
    let fixture = Fixture::new();
    drop(fixture.store.caches().prepare().unwrap());
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn opening_a_store_leaves_caches_as_they_are() {
    let fixture = Fixture::new();
    let new = fixture.store.caches().prepare().unwrap();
    let made = new.commit(&cache(0), &meta()).unwrap();
    fs::write(made.fs.shown().join("kept"), "").unwrap();
    drop(fixture.again());
    assert_eq!(names(made.fs.shown()), ["kept"]);
}

#[test]
fn the_caches_of_one_id_map_are_not_those_of_another() {
    let fixture = Fixture::new();
    let new = fixture.store.caches().prepare().unwrap();
    drop(new.commit(&cache(0), &meta()).unwrap());
    let single = Store::open(fixture.store.path(), options("single")).unwrap();
    assert!(single.caches().open(&cache(0)).unwrap().is_none());
}

#[test]
fn what_is_no_directory_is_said_to_be_none() {
    let fixture = Fixture::new();
    let place = fixture.path("caches/multi").join(cache(0).to_string());
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("fs"), "").unwrap();
    let error = fixture.store.caches().open(&cache(0)).unwrap_err();
    let shown = place.join("fs").display().to_string();
    assert!(chain(&error).starts_with(&format!("open the cache in `{shown}`: ")));
}

#[test]
fn what_people_may_want_to_know_stands_beside_the_files() {
    let fixture = Fixture::new();
    let new = fixture.store.caches().prepare().unwrap();
    drop(new.commit(&cache(3), &meta()).unwrap());
    let place = fixture.path("caches/multi").join(cache(3).to_string());
    assert_eq!(
        fs::read_to_string(place.join("cache.json")).unwrap(),
        r#"{"namespace":"team","id":"/root/.cache","seed":"nothing"}"#,
    );
}
