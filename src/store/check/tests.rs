//! Tests of looking at a store and mending it.

mod files;

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use oci::descriptor::{self, descriptor, to_canonical_json};
use oci::media_type::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use oci::{Descriptor, Digest, Reference};

use super::{Checked, Mended, Mending, Part};
use crate::cache_mount::{CacheId, CacheMeta};
use crate::mark::SnapshotMeta;
use crate::testing::{Fixture, id, meta, open, tree};

/// A store with one object of each kind.
struct Full {
    fixture: Fixture,
    image: Descriptor,
    layer: Digest,
}

fn name(text: &str) -> Reference {
    Reference::parse_docker_ref(text).unwrap()
}

impl Full {
    fn new() -> Self {
        let fixture = Fixture::new();
        let store = &fixture.store;
        let lease = store.lease().unwrap();
        let put = |media_type: &str, bytes: &[u8]| {
            let digest = store.content().put(&lease, bytes).unwrap();
            descriptor(media_type, &digest, bytes.len() as u64)
        };
        let layer = put(OCI_LAYER, b"a layer");
        let config = put(OCI_CONFIG, b"{}");
        let manifest = descriptor::new_manifest(config, vec![layer.clone()]);
        let image = put(OCI_MANIFEST, &to_canonical_json(&manifest));
        store.content().tag(&name("app"), &image).unwrap();
        for (snapshot, meta) in [
            ("base", meta()),
            (
                "delta",
                SnapshotMeta {
                    parent: Some(id("base")),
                    ..meta()
                },
            ),
        ] {
            let active = store.snapshots().prepare(&lease).unwrap();
            active.commit(&id(snapshot), meta).unwrap();
        }
        store.records().put(&Digest::of(b"key"), &"value").unwrap();
        store
            .lists()
            .change(&name("list"), |_: Option<u8>| Ok::<_, crate::ListError>(1))
            .unwrap();
        let mut hint = store.hints().create(&id("hint")).unwrap();
        hint.write(b"hint").unwrap();
        hint.commit().unwrap();
        let cache = CacheId::new(Digest::of(b"cache"), 0);
        let meta = CacheMeta {
            namespace: String::new(),
            id: "cache".to_owned(),
            seed: "nothing".to_owned(),
        };
        store
            .caches()
            .prepare()
            .unwrap()
            .commit(&cache, &meta)
            .unwrap();
        store.caches().put_note(&cache, "note").unwrap();
        let layer = descriptor::digest_of(&layer).unwrap();
        drop(lease);
        Self {
            fixture,
            image,
            layer,
        }
    }

    fn check(&self, mending: Mending) -> Checked {
        self.fixture
            .again()
            .check(mending, None, &|| false)
            .unwrap()
    }

    /// Returns the one file or directory below `content`, `records` … whose path ends so.
    fn path(&self, part: &str) -> PathBuf {
        let root = self.fixture.store.path();
        let paths = tree(root);
        let mut found = paths.iter().filter(|path| path.ends_with(part));
        let path = found.next().unwrap();
        root.join(path.trim_end_matches('/'))
    }
}

/// What was found, a line for each.
fn lines(checked: &Checked) -> Vec<String> {
    checked
        .damage
        .iter()
        .map(|damage| {
            let place = damage.place.rsplit('/').next().unwrap();
            let place: String = place.chars().take(12).collect();
            format!("{} {place}: {}", damage.part, damage.wrong)
        })
        .collect()
}

#[test]
fn what_is_removed_meanwhile_is_no_damage() {
    for moment in 0.. {
        let full = Full::new();
        let cache = full.path("cache.json").parent().unwrap().to_owned();
        let calls = Cell::new(0);
        let interrupted = || {
            if calls.replace(calls.get() + 1) == moment {
                fs::remove_dir_all(&cache).unwrap();
            }
            false
        };
        let store = full.fixture.again();
        let checked = store.check(Mending::No, None, &interrupted).unwrap();
        assert_eq!(lines(&checked), Vec::<String>::new(), "at {moment}");
        if calls.get() <= moment {
            break;
        }
    }
}

#[test]
fn a_store_in_which_everything_is_whole_is_clean() {
    let full = Full::new();
    let checked = full.check(Mending::No);
    assert_eq!(lines(&checked), Vec::<String>::new());
    assert!(checked.is_whole());
    let counts: Vec<_> = checked
        .extents
        .iter()
        .map(|(part, extent)| (part.as_str(), extent.count))
        .collect();
    assert_eq!(
        counts,
        [
            ("blob", 3),
            ("snapshot", 2),
            ("record", 1),
            ("cache", 1),
            ("list", 1),
            ("hint", 1),
            ("image", 1)
        ]
    );
    let blobs = checked.extents[&Part::Blob];
    assert_eq!(blobs.bytes, 7 + 2 + full.image.size());
}

/// A way to damage a file, and what it is.
type Spoil = (&'static str, fn(&Path));

/// Ways to damage a file.
const DAMAGES: [Spoil; 5] = [
    ("a byte is another", |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
    ("its end is cut off", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("it is empty", |path| fs::write(path, b"").unwrap()),
    ("it is a directory", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("x"), "x").unwrap();
    }),
    ("it is a link", |path| {
        fs::remove_file(path).unwrap();
        symlink("/etc/passwd", path).unwrap();
    }),
];

/// Which files there are: how the path of one ends, and which parts are damaged with it.
fn files(full: &Full) -> Vec<(String, Vec<Part>)> {
    let record = Digest::of(b"key");
    let blob = |digest: &Digest| format!("sha256/{}", digest.encoded());
    let image = descriptor::digest_of(&full.image).unwrap();
    vec![
        (blob(&full.layer), vec![Part::Blob, Part::Image]),
        (blob(&image), vec![Part::Blob, Part::Image]),
        ("content/index.json".to_owned(), vec![Part::Index]),
        ("delta/snapshot.json".to_owned(), vec![Part::Snapshot]),
        (
            "base/snapshot.json".to_owned(),
            vec![Part::Snapshot, Part::Snapshot],
        ),
        (record.encoded().to_owned(), vec![Part::Record]),
        ("note.json".to_owned(), vec![Part::Cache]),
        ("hints/hint".to_owned(), vec![Part::Hint]),
    ]
}

#[test]
fn t_f02_every_damage_of_every_kind_of_file_is_found_and_mended() {
    for (how, damage) in DAMAGES {
        for (file, parts) in files(&Full::new()) {
            let full = Full::new();
            let path = full.path(&file);
            // The middle of the list is the digest of the image: what has that name now is not there.
            let parts = match file.as_str() {
                "content/index.json" if how == DAMAGES[0].0 => vec![Part::Image],
                _ => parts,
            };
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&path, mode).unwrap();
            damage(&path);
            let found = full.check(Mending::No);
            let found_parts: Vec<_> = found.damage.iter().map(|damage| damage.part).collect();
            assert_eq!(found_parts, parts, "{file}: {how}: {:?}", lines(&found));
            assert!(!found.is_whole(), "{file}: {how}");
            let mended = full.check(Mending::Yes);
            assert!(mended.is_whole(), "{file}: {how}: {:?}", mended.damage);
            let after = full.check(Mending::No);
            assert_eq!(lines(&after), Vec::<String>::new(), "{file}: {how}");
        }
    }
}

#[test]
fn what_is_missing_is_told_of_by_what_needs_it() {
    let full = Full::new();
    fs::remove_file(full.fixture.blob_path(&full.layer)).unwrap();
    let found = full.check(Mending::No);
    assert_eq!(
        lines(&found),
        [format!(
            "image app:latest: it needs `{}`, which is not there",
            full.layer
        )]
    );
    let mended = full.check(Mending::Yes);
    assert_eq!(mended.damage[0].mended, Some(Mended::Untagged));
    assert_eq!(full.fixture.store.content().tags().unwrap(), []);
    let full = Full::new();
    fs::remove_dir_all(full.path("base/fs/")).unwrap();
    fs::remove_file(full.path("cache.json")).unwrap();
    let found = full.check(Mending::No);
    assert_eq!(
        lines(&found),
        [
            "snapshot base: its files are gone",
            "snapshot delta: the snapshot `base` below it is gone",
        ]
    );
}

#[test]
fn a_mode_that_is_too_wide_or_too_narrow_is_set() {
    for (path, mode) in [
        ("sha256", 0o755),
        ("content/index.json", 0o644),
        ("base/snapshot.json", 0o666),
        ("hints/hint", 0o777),
        ("records", 0o750),
    ] {
        let full = Full::new();
        let path = match path {
            "records" | "sha256" => full.path(&format!("{path}/")),
            _ => full.path(path),
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = full.check(Mending::Yes);
        let shown: Vec<_> = found
            .damage
            .iter()
            .map(|damage| (damage.wrong.to_string(), damage.mended))
            .collect();
        let expected = format!("its mode is {mode:04o}");
        assert_eq!(
            shown,
            [(expected, Some(Mended::ModeSet))],
            "{}",
            path.display()
        );
        assert_eq!(lines(&full.check(Mending::No)), Vec::<String>::new());
    }
    let full = Full::new();
    let blob = full.fixture.blob_path(&full.layer);
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(full.check(Mending::Yes).is_whole());
    let mode = fs::metadata(&blob).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o444);
}

#[test]
fn what_a_build_uses_is_not_removed_though_it_is_damaged() {
    let full = Full::new();
    let lease = full.fixture.store.lease().unwrap();
    lease.hold(&crate::ObjectId::Snapshot(id("delta"))).unwrap();
    fs::write(full.path("delta/snapshot.json"), "").unwrap();
    let found = full.check(Mending::Yes);
    assert!(!found.is_whole());
    assert_eq!(found.damage[0].why_not.as_deref(), Some("a build uses it"));
    drop(lease);
    assert!(full.check(Mending::Yes).is_whole());
}

#[test]
fn names_that_nothing_has_are_strange_and_what_is_nobodys_is_left_over() {
    let full = Full::new();
    let root = full.fixture.store.path();
    for path in [
        "content/blobs/sha256/short",
        "content/blobs/other",
        "snapshots/multi/UPPER",
        "records/multi/file",
        "caches/multi/other",
    ] {
        fs::write(root.join(path), "x").unwrap();
    }
    let found = full.check(Mending::No);
    assert_eq!(
        lines(&found),
        [
            "blob other: its name is none of careen's",
            "blob short: its name is none of careen's",
            "snapshot UPPER: its name is none of careen's",
            "record file: its name is none of careen's",
            "cache other: its name is none of careen's",
        ]
    );
    assert!(full.check(Mending::Yes).is_whole());
    assert_eq!(lines(&full.check(Mending::No)), Vec::<String>::new());
}

#[test]
fn what_somebody_leaves_who_dies_while_the_store_is_open_is_found() {
    let full = Full::new();
    let abandoned = full.fixture.path("ingest/dead");
    let dying = fs::File::create(&abandoned).unwrap();
    dying.lock().unwrap();
    // Times of files are those of the last tick of the kernel's clock.
    thread::park_timeout(Duration::from_millis(50));
    let store = full.fixture.again();
    drop(dying);
    let found = store.check(Mending::Yes, None, &|| false).unwrap();
    assert_eq!(lines(&found), ["leftover dead: nobody has it any more"]);
    assert!(!abandoned.try_exists().unwrap());
}

#[test]
fn what_is_made_while_the_store_is_looked_at_is_nobodys_leftover() {
    let full = Full::new();
    let (made, removed) = (
        full.fixture.path("ingest/made"),
        full.fixture.path("trash/removed"),
    );
    let place = full.fixture.path("removed");
    fs::create_dir(&place).unwrap();
    thread::park_timeout(Duration::from_millis(50));
    let store = full.fixture.again();
    // As `Scratch` and `trash::take` do, before they have the lock.
    fs::write(&made, "x").unwrap();
    fs::rename(place, &removed).unwrap();
    let found = store.check(Mending::Yes, None, &|| false).unwrap();
    assert_eq!(lines(&found), Vec::<String>::new());
    assert!(made.try_exists().unwrap() && removed.try_exists().unwrap());
}

#[test]
fn a_list_of_images_that_is_damaged_is_made_of_those_that_are_there() {
    let full = Full::new();
    fs::write(full.path("content/index.json"), "{").unwrap();
    let mended = full.check(Mending::Yes);
    assert_eq!(mended.damage[0].mended, Some(Mended::Listed));
    let images = full.fixture.store.content().images().unwrap();
    let digests: Vec<_> = images
        .iter()
        .map(|image| image.digest.to_string())
        .collect();
    assert_eq!(digests, [full.image.digest().to_string()]);
    assert_eq!(images[0].names, []);
}

#[test]
fn a_store_that_lost_its_version_keeps_its_images() {
    let full = Full::new();
    let path = full.fixture.store.path().to_owned();
    fs::remove_file(path.join("VERSION")).unwrap();
    let Full { fixture, .. } = full;
    let Fixture { dir, store } = fixture;
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(store.content().tags().unwrap().len(), 1);
    assert!(
        store
            .check(Mending::No, None, &|| false)
            .unwrap()
            .is_whole()
    );
    drop(dir);
}

#[test]
fn the_frame_of_the_image_layout_is_made_anew() {
    for (how, damage) in DAMAGES {
        let full = Full::new();
        let path = full.fixture.store.path();
        let version = path.join("content/oci-layout");
        let before = fs::read(&version).unwrap();
        damage(&version);
        open(path).unwrap_err();
        crate::Store::mend_content(path, crate::SyncPolicy::None).unwrap();
        assert!(full.check(Mending::No).is_whole(), "{how}");
        assert_eq!(fs::read(&version).unwrap(), before, "{how}");
    }
}

#[test]
fn a_look_ends_when_somebody_wishes_it() {
    let full = Full::new();
    let ended = full.fixture.store.check(Mending::No, None, &|| true);
    assert_eq!(
        ended.unwrap_err().to_string(),
        "the store was not looked at to its end"
    );
}
