//! Tests of files that are compared with their layers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::{Checked, CompareFiles, Compared, Mending, Part};
use super::{Full, lines};
use crate::mark::{SnapshotKind, SnapshotMeta};
use crate::name::SnapshotId;
use crate::testing::{id, meta, tree};

/// Says the same of the files of one snapshot, and nothing of others'.
struct Says(&'static str, Compared);

impl CompareFiles for Says {
    fn compare(&self, snapshot: &SnapshotId) -> Compared {
        if snapshot.as_str() == self.0 {
            self.1.clone()
        } else {
            Compared::Unknown
        }
    }
}

impl Full {
    fn check_files(&self, mending: Mending, files: &Says) -> Checked {
        let store = self.fixture.again();
        store.check(mending, Some(files), &|| false).unwrap()
    }

    fn commit(&self, name: &str, meta: SnapshotMeta) {
        let store = &self.fixture.store;
        let active = store.snapshots().prepare(&store.lease().unwrap()).unwrap();
        active.commit(&id(name), meta).unwrap();
    }
}

#[test]
fn files_are_damage_where_they_are_compared_and_are_others() {
    let different = |others| Compared::Different {
        first: "/etc/passwd".to_owned(),
        others,
    };
    for (compared, count, said) in [
        (Compared::Unknown, 0, None),
        (Compared::Same, 1, None),
        (
            different(0),
            1,
            Some("its file `/etc/passwd` is not as its layer says"),
        ),
        (
            different(2),
            1,
            Some("its file `/etc/passwd` is not as its layer says, and 2 more are not"),
        ),
        (
            Compared::Unreadable("EIO".to_owned()),
            1,
            Some("it cannot be read: EIO"),
        ),
    ] {
        let full = Full::new();
        let files = Says("alone", compared);
        full.commit("alone", meta());
        let found = full.check_files(Mending::No, &files);
        assert_eq!(found.compared, count, "{said:?}");
        let expected: Vec<_> = said
            .map(|said| format!("snapshot alone: {said}"))
            .into_iter()
            .collect();
        assert_eq!(lines(&found), expected);
        assert_eq!(lines(&full.check(Mending::No)), Vec::<String>::new());
        let mended = full.check_files(Mending::Yes, &files);
        assert!(mended.is_whole());
        let is_there = fs::exists(full.fixture.path("snapshots/multi/alone")).unwrap();
        assert_eq!(is_there, said.is_none());
    }
}

#[test]
fn with_damaged_files_goes_what_may_have_them_under_second_names() {
    let full = Full::new();
    full.commit("merged", SnapshotMeta::of(SnapshotKind::Merged));
    full.commit("other", SnapshotMeta::of(SnapshotKind::Upper));
    let different = Compared::Different {
        first: "/a".to_owned(),
        others: 0,
    };
    let mended = full.check_files(Mending::Yes, &Says("base", different));
    assert_eq!(
        lines(&mended),
        [
            "snapshot base: its file `/a` is not as its layer says",
            "snapshot delta: the snapshot `base` below it is gone",
            "snapshot merged: it may have files of `base`, which is damaged",
        ]
    );
    assert!(mended.is_whole());
    let left: Vec<_> = tree(&full.fixture.path("snapshots/multi"))
        .into_iter()
        .filter(|path| path.ends_with("/fs/"))
        .collect();
    assert_eq!(left, ["other/fs/"]);
}

#[test]
fn with_a_delta_whose_files_are_damaged_goes_what_it_stands_on() {
    let full = Full::new();
    let mut other = meta();
    other.parent = Some(id("base"));
    full.commit("other-delta", other);
    full.commit("own", meta());
    let different = Compared::Different {
        first: "/a".to_owned(),
        others: 0,
    };
    let mended = full.check_files(Mending::Yes, &Says("delta", different));
    assert_eq!(
        lines(&mended),
        [
            "snapshot delta: its file `/a` is not as its layer says",
            "snapshot base: it may have files of `delta`, which is damaged",
            "snapshot other-delta: the snapshot `base` below it is gone",
        ]
    );
    assert!(mended.is_whole());
    let left = full.check(Mending::No);
    assert_eq!(left.extents[&Part::Snapshot].count, 1);
}

#[test]
fn files_of_another_id_map_are_not_compared() {
    let full = Full::new();
    let other = full.fixture.path("snapshots/other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(
        full.fixture.path("snapshots/multi/base"),
        other.join("base"),
    )
    .unwrap();
    let found = full.check_files(Mending::No, &Says("base", Compared::Same));
    assert_eq!(found.compared, 0);
}
