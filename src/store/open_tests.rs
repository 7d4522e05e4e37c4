//! Tests of opening and making a store.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::stat::{Mode, umask};
use nix::unistd::Uid;
use tempfile::TempDir;

use super::{check_medium, create, open_lock};
use crate::lock::{Sharing, try_lock};
use crate::medium::Medium;
use crate::testing::{Fixture, chain, id, meta, open, options, tree};
use crate::wait::Waits;
use crate::{OpenError, OpenOptions, Store, SyncPolicy};

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn private_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    dir
}

#[test]
fn t_a21_a_store_is_closed_to_others_whatever_the_umask() {
    // The umask belongs to the whole process. Every mode of the store is asked for explicitly, so
    // that no other test depends on it.
    let before = umask(Mode::empty());
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let digest = store.content().put(&lease, b"blob").unwrap();
    store.records().put(&digest, &1).unwrap();
    let active = store.snapshots().prepare(&lease).unwrap();
    let committed = store
        .snapshots()
        .prepare(&lease)
        .unwrap()
        .commit(&id("a"), meta())
        .unwrap();
    umask(before);

    assert_eq!(mode_of(store.path()), 0o700);
    for entry in tree(store.path()) {
        let expected = match entry.trim_end_matches('/').rsplit('/').next().unwrap() {
            name if name == digest.encoded() && entry.contains("blobs") => 0o444,
            "fs" => 0o755,
            _ if entry.ends_with('/') => 0o700,
            _ => 0o600,
        };
        assert_eq!(mode_of(&store.path().join(&entry)), expected, "{entry}");
    }
    drop((active, committed));
}

#[test]
fn t_a21_a_store_that_others_may_enter_is_refused() {
    let fixture = Fixture::new();
    let path = fixture.store.path();
    for mode in [0o755, 0o770, 0o701, 0o710, 0o704] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let error = open(path).unwrap_err();
        assert!(
            matches!(error, OpenError::Mode { mode: found, .. } if found == mode),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "the store `{}` has mode {mode:04o}, and nobody but its owner may enter it: mode 0700",
                path.display()
            )
        );
    }
    fs::set_permissions(path, Permissions::from_mode(0o2700)).unwrap();
    open(path).unwrap();
}

#[test]
fn an_empty_directory_becomes_a_store_that_is_closed_to_others() {
    for mode in [0o755, 0o777, 0o710] {
        let dir = private_dir();
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let store = open(dir.path()).unwrap();
        assert_eq!(mode_of(store.path()), 0o700, "{mode:o}");
    }
}

#[test]
fn a_store_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let user = Uid::effective().as_raw();
    let (path, owner) = if user == 0 {
        chown(dir.path(), Some(12_345), None).unwrap();
        (dir.path(), 12_345)
    } else {
        (Path::new("/"), 0)
    };
    let error = open(path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the store `{}` belongs to user {owner}, not to user {user}",
            path.display()
        )
    );
}

/// D10.
#[test]
fn a_store_of_a_newer_format_is_refused_and_not_touched() {
    let fixture = Fixture::new();
    fs::write(fixture.path("VERSION"), "2\n").unwrap();
    fs::write(fixture.path("ingest/left"), "").unwrap();
    fs::write(fixture.path("future"), "").unwrap();
    let before = tree(fixture.store.path());
    let error = open(fixture.store.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "the store `{}` has format 2, and this careen knows formats up to 1",
            fixture.store.path().display()
        )
    );
    assert_eq!(tree(fixture.store.path()), before);
}

#[test]
fn a_format_that_is_no_number_is_refused() {
    let fixture = Fixture::new();
    for text in [
        "",
        "0\n",
        "one\n",
        "-1",
        "1 2",
        "\u{1b}[2J",
        "99999999999999999999",
    ] {
        fs::write(fixture.path("VERSION"), text).unwrap();
        let error = open(fixture.store.path()).unwrap_err();
        assert!(
            matches!(&error, OpenError::Version { found, .. } if found == text),
            "{error}"
        );
        assert!(!error.to_string().contains('\u{1b}'));
    }
    fs::write(fixture.path("VERSION"), "1".repeat(65)).unwrap();
    let error = open(fixture.store.path()).unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "open the store `{0}`: read `{0}/VERSION`: it has more than 64 bytes",
            fixture.store.path().display()
        )
    );
}

#[test]
fn a_directory_in_which_a_probe_was_killed_becomes_a_store() {
    let dir = private_dir();
    fs::create_dir_all(dir.path().join(".careen-probe-7/work")).unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn a_directory_with_something_else_in_it_is_no_store() {
    let dir = private_dir();
    for name in ["thesis.tex", "lock"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(&error, OpenError::NotAStore { found, .. } if found == "thesis.tex"));
    assert_eq!(tree(dir.path()), ["lock", "thesis.tex"]);
}

#[test]
fn emulators_that_were_put_there_before_are_in_nobodys_way() {
    let dir = private_dir();
    fs::create_dir(dir.path().join("emulators")).unwrap();
    open(dir.path()).unwrap();
    assert!(tree(dir.path()).contains(&"emulators/".to_owned()));
}

#[test]
fn a_store_that_was_half_made_is_finished() {
    let dir = private_dir();
    for name in ["content", "content/blobs", "ingest"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("ingest/VERSION"), "").unwrap();
    fs::write(dir.path().join("content/index.json"), "").unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.content().tags().unwrap(), []);
    assert_eq!(
        fs::read_to_string(dir.path().join("VERSION")).unwrap(),
        "1\n"
    );
    assert_eq!(tree(&dir.path().join("ingest")), [""; 0]);
}

#[test]
fn a_directory_that_somebody_removed_is_made_again() {
    for name in [
        "snapshots",
        "records",
        "caches",
        "repositories",
        "lists",
        "leases",
        "ingest",
        "trash",
    ] {
        let dir = private_dir();
        drop(open(dir.path()).unwrap());
        fs::remove_dir_all(dir.path().join(name)).unwrap();
        drop(open(dir.path()).unwrap());
        assert_eq!(mode_of(&dir.path().join(name)), 0o700, "{name}");
    }
}

#[test]
fn missing_directories_above_are_made_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("share/careen")).unwrap();
    assert_eq!(mode_of(&dir.path().join("share")), 0o700);
    assert_eq!(mode_of(store.path()), 0o700);
}

#[test]
fn many_make_one_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let digests: Vec<_> = thread::scope(|scope| {
        let work = || {
            let store = open(&path).unwrap();
            let lease = store.lease().unwrap();
            store.content().put(&lease, b"blob").unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let store = open(&path).unwrap();
    assert_eq!(store.content().has(&digests[0]).unwrap(), Some(4));
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert_eq!(tree(&path.join("ingest")), [""; 0]);
}

#[test]
fn a_store_that_another_makes_meanwhile_is_a_store() {
    for _ in 0..20 {
        let dir = private_dir();
        thread::scope(|scope| {
            let maker = scope.spawn(|| open(dir.path()).unwrap());
            while !maker.is_finished() {
                super::check_names(dir.path()).unwrap();
            }
        });
    }
}

#[test]
fn who_waits_to_make_a_store_goes_on_when_another_has_made_it() {
    let dir = private_dir();
    let other = open_lock(dir.path()).unwrap();
    assert!(try_lock(&other, Sharing::Shared).unwrap());
    let (sender, told) = mpsc::channel();
    let waits = Waits::told_to(move |wait| sender.send(wait.is_over).unwrap_or_default());
    let path = dir.path().to_owned();
    let opened = thread::spawn(move || {
        let options = OpenOptions {
            waits,
            ..options("multi")
        };
        Store::open(&path, options).map(drop)
    });
    // It waits, and goes on while the other one still shares the lock.
    assert!(!told.recv().unwrap());
    create(dir.path()).unwrap();
    assert!(told.recv_timeout(Duration::from_mins(1)).unwrap());
    drop(other);
    opened.join().unwrap().unwrap();
}

#[test]
fn id_maps_share_blobs_and_nothing_else() {
    let fixture = Fixture::new();
    let single = Store::open(fixture.store.path(), options("single")).unwrap();
    let lease = fixture.store.lease().unwrap();
    let digest = fixture.store.content().put(&lease, b"blob").unwrap();
    fixture.store.records().put(&digest, &1).unwrap();
    let active = fixture.store.snapshots().prepare(&lease).unwrap();
    active.commit(&id("a"), meta()).unwrap();

    let lease = single.lease().unwrap();
    assert_eq!(single.content().has(&digest).unwrap(), Some(4));
    assert_eq!(single.records().get::<i32>(&digest).unwrap(), None);
    assert!(single.snapshots().open(&lease, &id("a")).unwrap().is_none());
    assert_eq!(single.id_map().as_str(), "single");
}

#[test]
fn a_store_that_syncs_is_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = options("multi");
    options.sync = SyncPolicy::Full;
    let store = Store::open(&path, options).unwrap();
    let lease = store.lease().unwrap();
    let digest = store.content().put(&lease, b"blob").unwrap();
    let snapshot = store
        .snapshots()
        .prepare(&lease)
        .unwrap()
        .commit(&id("a"), meta())
        .unwrap();
    let again = open(&path).unwrap();
    assert_eq!(again.content().has(&digest).unwrap(), Some(4));
    assert_eq!(
        again
            .snapshots()
            .open(&lease, &id("a"))
            .unwrap()
            .unwrap()
            .meta,
        snapshot.meta
    );
}

#[test]
fn a_store_on_a_file_system_of_a_network_is_refused() {
    let medium = |is_network| Medium {
        name: "NFS",
        is_network,
        free_bytes: 1,
        takes_files: true,
    };
    let path = Path::new("/home/ana/store");
    check_medium(&medium(false), path).unwrap();
    let error = check_medium(&medium(true), path).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store `/home/ana/store` would be on NFS, a file system of a network"
    );
}
