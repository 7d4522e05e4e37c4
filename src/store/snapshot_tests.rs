//! Tests of snapshots.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use oci::Digest;
use rootfs::RootPath;

use crate::testing::{Fixture, id, meta, names, tree};
use crate::{ActiveSnapshot, Snapshot, SnapshotKind, SnapshotMeta, Store};

fn file(name: &str) -> RootPath {
    RootPath::strict(name).unwrap()
}

fn write(active: &ActiveSnapshot, text: &str) {
    active
        .fs()
        .create_file(&file("file"))
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn read(snapshot: &Snapshot) -> String {
    let bytes = snapshot
        .fs
        .read_to_end_limited(&file("file"), 100)
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

fn commit(store: &Store, name: &str, text: &str) -> Snapshot {
    let active = store.snapshots().prepare(&store.lease().unwrap()).unwrap();
    write(&active, text);
    active.commit(&id(name), meta()).unwrap()
}

#[test]
fn a_committed_snapshot_is_there_for_everybody() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let below = store.snapshots().prepare(&lease).unwrap();
    below.commit(&id("below"), meta()).unwrap();
    let active = store.snapshots().prepare(&lease).unwrap();
    write(&active, "text");
    active.work().create_file(&file("left")).unwrap();
    let other = fixture.again();
    assert!(other.snapshots().open(&lease, &id("a")).unwrap().is_none());
    let meta = SnapshotMeta {
        kind: SnapshotKind::Layer,
        parent: Some(id("below")),
        owner: Some(Digest::of(b"key")),
        blob: Some(Digest::of(b"blob")),
        size_bytes: Some(u64::MAX),
        entries: Some(1),
        description: None,
    };
    let committed = active.commit(&id("a"), meta.clone()).unwrap();
    let found = other.snapshots().open(&lease, &id("a")).unwrap().unwrap();
    for snapshot in [&committed, &found] {
        assert_eq!(snapshot.id, id("a"));
        assert_eq!(snapshot.meta, meta);
        assert_eq!(read(snapshot), "text");
        assert_eq!(snapshot.fs.shown(), fixture.path("snapshots/multi/a/fs"));
    }
    assert_eq!(
        tree(&fixture.path("snapshots/multi/a")),
        ["fs/", "fs/file", "snapshot.json"]
    );
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn the_root_of_a_new_file_system_is_that_of_an_image() {
    let fixture = Fixture::new();
    let active = fixture
        .store
        .snapshots()
        .prepare(&fixture.store.lease().unwrap())
        .unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(active.fs().shown()), 0o755);
    assert_eq!(mode(active.work().shown()), 0o700);
    assert_eq!(active.fs().names().unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn an_active_snapshot_that_is_dropped_leaves_nothing() {
    let fixture = Fixture::new();
    let active = fixture
        .store
        .snapshots()
        .prepare(&fixture.store.lease().unwrap())
        .unwrap();
    write(&active, "text");
    assert_eq!(names(&fixture.path("ingest")).len(), 1);
    drop(active);
    for directory in ["ingest", "trash", "leases", "snapshots/multi"] {
        assert_eq!(names(&fixture.path(directory)), [""; 0], "{directory}");
    }
}

#[test]
fn the_first_commit_of_an_id_wins() {
    let fixture = Fixture::new();
    let other = fixture.again();
    assert_eq!(read(&commit(&fixture.store, "a", "first")), "first");
    let lost = commit(&other, "a", "second");
    assert_eq!(read(&lost), "first");
    assert_eq!(lost.fs.shown(), fixture.path("snapshots/multi/a/fs"));
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
    assert_eq!(names(&fixture.path("trash")), [""; 0]);
}

#[test]
fn commits_of_one_id_at_once_all_get_one_snapshot() {
    let fixture = Fixture::new();
    let texts: Vec<_> = thread::scope(|scope| {
        let threads = (0..6).map(|number| {
            let store = fixture.again();
            scope.spawn(move || read(&commit(&store, "a", &number.to_string())))
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

/// D7.
#[test]
fn a_damaged_snapshot_is_none_and_is_made_anew() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let directory = fixture.path("snapshots/multi/a");
    let mark = directory.join("snapshot.json");
    commit(store, "b", "other");
    let damage: [(&str, &dyn Fn()); 8] = [
        ("empty mark", &|| fs::write(&mark, "").unwrap()),
        ("cut mark", &|| {
            let bytes = fs::read(&mark).unwrap();
            fs::write(&mark, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("changed mark", &|| {
            let text = fs::read_to_string(&mark).unwrap();
            fs::write(
                &mark,
                text.replace(r#""size_bytes":4"#, r#""size_bytes":5"#),
            )
            .unwrap();
        }),
        ("mark of another", &|| {
            fs::copy(fixture.path("snapshots/multi/b/snapshot.json"), &mark)
                .map(drop)
                .unwrap();
        }),
        ("no mark", &|| fs::remove_file(&mark).unwrap()),
        ("symlink for a mark", &|| {
            fs::remove_file(&mark).unwrap();
            std::os::unix::fs::symlink("../b/snapshot.json", &mark).unwrap();
        }),
        ("no files", &|| {
            fs::remove_dir_all(directory.join("fs")).unwrap();
        }),
        ("a file", &|| {
            fs::remove_dir_all(&directory).unwrap();
            fs::write(&directory, "").unwrap();
        }),
    ];
    let lease = store.lease().unwrap();
    for (name, damage) in damage {
        commit(store, "a", "text");
        damage();
        assert!(
            store.snapshots().open(&lease, &id("a")).unwrap().is_none(),
            "{name}"
        );
        assert_eq!(read(&commit(store, "a", "again")), "again", "{name}");
        fs::remove_dir_all(&directory).unwrap();
    }
    assert_eq!(names(&fixture.path("trash")), [""; 0]);
}

#[test]
fn an_empty_directory_in_the_place_of_a_snapshot_is_no_obstacle() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("snapshots/multi/a")).unwrap();
    assert_eq!(read(&commit(&fixture.store, "a", "text")), "text");
}

#[test]
fn what_an_overlay_left_behind_is_removed() {
    let fixture = Fixture::new();
    let active = fixture
        .store
        .snapshots()
        .prepare(&fixture.store.lease().unwrap())
        .unwrap();
    let left = active.work().shown().join("work");
    fs::create_dir(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o000)).unwrap();
    active.commit(&id("a"), meta()).unwrap();
    assert_eq!(
        names(&fixture.path("snapshots/multi/a")),
        ["fs", "snapshot.json"]
    );
}

#[test]
fn the_mark_is_json_that_says_what_it_is() {
    let fixture = Fixture::new();
    commit(&fixture.store, "a", "text");
    let text = fs::read_to_string(fixture.path("snapshots/multi/a/snapshot.json")).unwrap();
    let body = concat!(
        r#"{"id":"a","meta":{"kind":"upper","parent":null,"owner":null,"#,
        r#""size_bytes":4,"entries":1}}"#
    );
    assert_eq!(
        text,
        format!(
            r#"{{"digest":"{}","body":{body}}}"#,
            Digest::of(body.as_bytes())
        )
    );
}

#[test]
fn what_was_opened_through_a_lease_is_not_read_again() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let snapshots = fixture.store.snapshots();
    let active = snapshots.prepare(&lease).unwrap();
    drop(active.commit(&id("kept"), meta()).unwrap());
    assert!(snapshots.open(&lease, &id("kept")).unwrap().is_some());
    fs::remove_file(fixture.path("snapshots/multi/kept/snapshot.json")).unwrap();
    assert!(snapshots.open(&lease, &id("kept")).unwrap().is_some());
    let other = fixture.store.lease().unwrap();
    assert!(snapshots.open(&other, &id("kept")).unwrap().is_none());
}

#[test]
fn to_look_at_a_snapshot_and_at_a_record_is_no_use() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let active = store.snapshots().prepare(&lease).unwrap();
    active.commit(&id("a"), meta()).unwrap();
    let key = Digest::of(b"key");
    store.records().put(&key, &"value").unwrap();
    drop(lease);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(24);
    let files: Vec<_> = tree(store.path())
        .into_iter()
        .filter(|path| {
            path.ends_with("snapshot.json") || path.contains("records/") && !path.ends_with('/')
        })
        .map(|path| fixture.path(&path))
        .collect();
    assert_eq!(files.len(), 2);
    for file in &files {
        fs::File::open(file).unwrap().set_modified(old).unwrap();
    }
    let times = || -> Vec<_> {
        files
            .iter()
            .map(|file| fs::metadata(file).unwrap().modified().unwrap() == old)
            .collect()
    };
    let other = fixture.again();
    let lease = other.lease().unwrap();
    assert!(
        other
            .snapshots()
            .look_at(&lease, &id("a"))
            .unwrap()
            .is_some()
    );
    let value: Option<String> = other.records().look_up(&key).unwrap();
    assert_eq!(value.as_deref(), Some("value"));
    assert_eq!(times(), [true, true]);
    drop(lease);
    let other = fixture.again();
    let lease = other.lease().unwrap();
    assert!(other.snapshots().open(&lease, &id("a")).unwrap().is_some());
    let value: Option<String> = other.records().get(&key).unwrap();
    assert_eq!(value.as_deref(), Some("value"));
    assert_eq!(times(), [false, false]);
}
