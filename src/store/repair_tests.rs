//! Tests of what an opening removes and what it leaves.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci::Digest;

use crate::testing::{Fixture, id, names, open};
use crate::{ClaimName, ObjectId, Removed};

const SWEPT: [&str; 3] = ["ingest", "leases", "trash"];

#[test]
fn what_nobody_has_locked_is_removed() {
    let fixture = Fixture::new();
    let outside = fixture.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    for directory in SWEPT {
        let directory = fixture.path(directory);
        fs::write(directory.join("file"), "half").unwrap();
        fs::create_dir_all(directory.join("snapshot/fs/a/b")).unwrap();
        fs::write(directory.join("snapshot/fs/a/file"), "").unwrap();
        symlink(&outside, directory.join("link")).unwrap();
        symlink("nothing", directory.join("dangling")).unwrap();
    }
    fixture.again();
    for directory in SWEPT {
        assert_eq!(names(&fixture.path(directory)), [""; 0], "{directory}");
    }
    assert_eq!(
        fs::read_to_string(outside.join("file")).unwrap(),
        "untouched"
    );
}

#[test]
fn the_directory_of_a_probe_that_was_killed_is_removed_a_minute_later() {
    let fixture = Fixture::new();
    let [old, young] = [".careen-probe-1", ".careen-probe-2"].map(|name| fixture.path(name));
    for probe in [&old, &young] {
        fs::create_dir_all(probe.join("work/work")).unwrap();
    }
    let file = File::open(&old).unwrap();
    let then = file.metadata().unwrap().modified().unwrap() - Duration::from_mins(2);
    file.set_modified(then).unwrap();
    fixture.again();
    assert!(!old.try_exists().unwrap());
    assert!(young.try_exists().unwrap());
}

#[test]
fn what_somebody_works_on_is_left() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let mut ingest = store.content().ingest(&lease).unwrap();
    ingest.write_all(b"blob").unwrap();
    let active = store.snapshots().prepare(&lease).unwrap();
    let claim = store
        .claims()
        .shared(ClaimName::Key(&Digest::of(b"key")))
        .unwrap();
    let before: Vec<_> = SWEPT
        .iter()
        .map(|name| names(&fixture.path(name)))
        .collect();
    fixture.again();
    let after: Vec<_> = SWEPT
        .iter()
        .map(|name| names(&fixture.path(name)))
        .collect();
    assert_eq!(after, before);
    assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 0]);

    assert_eq!(ingest.commit(None).unwrap().0, Digest::of(b"blob"));
    active.commit(&id("a"), crate::testing::meta()).unwrap();
    drop(claim);
}

#[test]
fn what_is_complete_is_left() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let digest = store.content().put(&lease, b"blob").unwrap();
    store.records().put(&digest, &1).unwrap();
    store
        .snapshots()
        .prepare(&lease)
        .unwrap()
        .commit(&id("a"), crate::testing::meta())
        .unwrap();
    drop(lease);
    let again = fixture.again();
    let lease = again.lease().unwrap();
    assert_eq!(again.content().has(&digest).unwrap(), Some(4));
    assert_eq!(again.records().get(&digest).unwrap(), Some(1));
    assert!(again.snapshots().open(&lease, &id("a")).unwrap().is_some());
}

/// The part of a process that is killed: it works on the store that its standard input names, says so,
/// and waits for its end. Started without one, it has nothing to do.
#[test]
#[ignore = "the child of `a_killed_process_leaves_nothing_behind`"]
fn the_process_that_is_killed() {
    let mut stdin = BufReader::new(std::io::stdin());
    let mut path = String::new();
    if stdin.read_line(&mut path).unwrap() == 0 {
        return;
    }
    let store = open(path.trim_end().as_ref()).unwrap();
    let lease = store.lease().unwrap();
    store.content().put(&lease, b"kept").unwrap();
    let mut ingest = store.content().ingest(&lease).unwrap();
    ingest.write_all(b"half").unwrap();
    let active = store.snapshots().prepare(&lease).unwrap();
    let claim = store
        .claims()
        .exclusive(ClaimName::Key(&Digest::of(b"key")))
        .unwrap();
    println!("ready");
    stdin.read_to_end(&mut Vec::new()).unwrap();
    drop((ingest, active, claim));
}

#[expect(clippy::disallowed_methods, reason = "the program is this test itself")]
fn start_child(fixture: &Fixture) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "repair::tests::the_process_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(
        child.stdin.as_mut().unwrap(),
        "{}",
        fixture.store.path().display()
    )
    .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("ready")));
    child
}

#[test]
fn a_killed_process_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let mut child = start_child(&fixture);
    let (key, kept) = (Digest::of(b"key"), Digest::of(b"kept"));
    let blob = ObjectId::Blob(kept.clone());
    assert!(
        store
            .claims()
            .try_exclusive(ClaimName::Key(&key))
            .unwrap()
            .is_none()
    );
    assert_eq!(store.remove(&blob).unwrap(), Removed::InUse);
    fixture.again();
    let left = || SWEPT.map(|directory| names(&fixture.path(directory)).len());
    assert_eq!(left(), [2, 1, 0]);

    child.kill().unwrap();
    child.wait().unwrap();
    // Free at once, before anybody repaired anything.
    let claim = store
        .claims()
        .exclusive_or(ClaimName::Key(&key), &|| true)
        .unwrap();
    assert!(claim.is_some());
    drop(claim);
    assert_eq!(store.content().has(&kept).unwrap(), Some(4));
    assert_eq!(store.remove(&blob).unwrap(), Removed::Yes);
    fixture.again();
    assert_eq!(left(), [0, 0, 0]);
}
