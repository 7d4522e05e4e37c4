//! Tests of what is said of the things in a store.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use oci::Reference;
use oci::descriptor::descriptor;
use oci::media_type::OCI_MANIFEST;
use rootfs::RootPath;

use super::*;
use crate::testing::{Fixture, id, meta};
use crate::{CacheMeta, ClaimName, Lease, SnapshotKind, SnapshotMeta, Store};

/// Adds up what `stat` says of everything below a path, each inode once.
fn on_disk(path: &Path) -> u64 {
    let mut seen = std::collections::BTreeSet::new();
    let mut left = vec![path.to_owned()];
    let mut bytes = 0;
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        if seen.insert(found.ino()) {
            bytes += found.blocks() * 512;
        }
        if found.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    bytes
}

pub(crate) fn snapshot(store: &Store, lease: &Lease, name: &str, meta: SnapshotMeta) {
    let active = store.snapshots().prepare(lease).unwrap();
    let file = RootPath::strict("file").unwrap();
    rootfs::write_atomic(
        active.fs(),
        &file,
        &vec![1; 20_000],
        rootfs::Mode::new(0o644),
    )
    .unwrap();
    active
        .fs()
        .hard_link(&file, &RootPath::strict("link").unwrap())
        .unwrap();
    active.commit(&id(name), meta).unwrap();
}

fn cache(store: &Store) -> CacheId {
    let cache = CacheId::new(Digest::of(b"cache"), 0);
    let meta = CacheMeta {
        namespace: String::new(),
        id: "/root/.cache".to_owned(),
        seed: "nothing".to_owned(),
    };
    store
        .caches()
        .prepare()
        .unwrap()
        .commit(&cache, &meta)
        .unwrap();
    cache
}

fn find<'a>(usage: &'a Usage, id: &str) -> &'a Item {
    let found = usage.items.iter().find(|item| item.id.to_string() == id);
    found.unwrap_or_else(|| panic!("`{id}` is not in {:?}", usage.items))
}

fn age(path: &Path, by: Duration) {
    let file = File::open(path).unwrap();
    let then = file.metadata().unwrap().modified().unwrap() - by;
    file.set_times(FileTimes::new().set_modified(then)).unwrap();
}

#[test]
fn sizes_are_what_the_file_system_counts_and_links_count_once() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    snapshot(store, &lease, "run-a", meta());
    let cache = cache(store);
    let directory = fixture.path("caches/multi").join(cache.to_string());
    fs::write(directory.join("fs/big"), vec![1; 100_000]).unwrap();
    let blob = store.content().put(&lease, &vec![7; 50_000]).unwrap();
    drop(store.repository(&Digest::of(b"remote"), &|| false).unwrap());
    store.records().put(&blob, &"a value").unwrap();
    let usage = fixture.again().usage().unwrap();
    let size = |id: &str| find(&usage, id).size_bytes;
    assert_eq!(
        size("run-a"),
        on_disk(&fixture.path("snapshots/multi/run-a"))
    );
    assert!(
        (20_000..40_000).contains(&size("run-a")),
        "{}",
        size("run-a")
    );
    assert_eq!(size(&format!("cache-{cache}")), on_disk(&directory));
    assert_eq!(size(blob.as_str()), on_disk(&fixture.blob_path(&blob)));
    let group = fixture
        .path("records/multi")
        .join(blob.encoded().get(..2).unwrap());
    assert_eq!(size("records"), on_disk(&group.join(blob.encoded())));
    let total: u64 = usage.items.iter().map(|item| item.size_bytes).sum();
    assert_eq!(usage.cache_bytes(), total);
}

#[test]
fn a_tree_is_measured_once_and_a_cache_again_when_it_was_opened() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    snapshot(store, &lease, "run-a", meta());
    let cache = cache(store);
    let name = format!("cache-{cache}");
    let directory = fixture.path("caches/multi").join(cache.to_string());
    let size = |id: &str| find(&store.usage().unwrap(), id).size_bytes;
    let (first, small) = (size("run-a"), size(&name));
    // Nobody does this: it shows that nobody looks.
    fs::write(
        fixture.path("snapshots/multi/run-a/fs/more"),
        vec![1; 100_000],
    )
    .unwrap();
    fs::write(directory.join("fs/more"), vec![1; 100_000]).unwrap();
    assert_eq!((size("run-a"), size(&name)), (first, small));
    age(&directory.join("cache.json"), Duration::from_mins(1));
    assert_eq!(size(&name), on_disk(&directory));
    assert!(size(&name) > small);
    // As long as somebody has it, it is measured each time.
    let claim = store.claims().shared(ClaimName::Cache(&cache)).unwrap();
    fs::write(directory.join("fs/again"), vec![1; 100_000]).unwrap();
    assert_eq!(size(&name), on_disk(&directory));
    assert!(find(&store.usage().unwrap(), &name).is_in_use);
    drop(claim);
    assert!(!find(&store.usage().unwrap(), &name).is_in_use);
    // Another snapshot of the name is another one.
    let place = fixture.path("snapshots/multi/run-a");
    fs::rename(&place, fixture.path("trash/old")).unwrap();
    snapshot(store, &lease, "run-a", meta());
    assert_eq!(size("run-a"), on_disk(&place));
}

#[test]
fn what_is_used_is_told_by_records_leases_and_children() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    snapshot(store, &lease, "copy-whole", meta());
    let delta = SnapshotMeta {
        parent: Some(id("copy-whole")),
        ..SnapshotMeta::of(SnapshotKind::Files)
    };
    snapshot(store, &lease, "copy-delta", delta);
    let blob = store.content().put(&lease, b"blob").unwrap();
    let hour = Duration::from_hours(1);
    for name in ["copy-whole", "copy-delta"] {
        age(
            &fixture
                .path("snapshots/multi")
                .join(name)
                .join("snapshot.json"),
            50 * hour,
        );
    }
    age(&fixture.blob_path(&blob), 50 * hour);
    let key = Digest::of(b"key");
    let named = serde_json::json!({"layer": "copy-delta", "blob": blob, "gone": "run-gone"});
    store.records().put(&key, &named).unwrap();
    let usage = store.usage().unwrap();
    let delta = find(&usage, "copy-delta");
    assert!(usage.now().duration_since(delta.used).unwrap_or_default() < hour);
    assert_eq!(delta.parent, Some(ItemId::Snapshot(id("copy-whole"))));
    for id in ["copy-whole", blob.as_str()] {
        assert_eq!(find(&usage, id).used, delta.used, "{id}");
    }
    assert!(
        usage
            .items
            .iter()
            .filter(|item| item.kind == ItemKind::Regular)
            .all(|item| item.is_in_use)
    );
    assert_eq!(usage.notes.all.len(), 1);
    assert!(usage.notes.all[0].is_in_use);
    drop(lease);
    let usage = fixture.again().usage().unwrap();
    assert!(usage.items.iter().all(|item| !item.is_in_use));
    // Opening is use.
    let lease = store.lease().unwrap();
    fs::remove_dir_all(fixture.path("records/multi")).unwrap();
    store
        .snapshots()
        .open(&lease, &id("copy-whole"))
        .unwrap()
        .unwrap();
    let usage = store.usage().unwrap();
    let recently = |id| {
        usage
            .now()
            .duration_since(find(&usage, id).used)
            .unwrap_or_default()
            < hour
    };
    assert!(recently("copy-whole"));
    assert!(!recently("copy-delta"));
}

#[test]
fn what_images_need_is_shared_and_what_others_have_is_counted() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let [needed, other] =
        [&b"needed"[..], b"other"].map(|bytes| store.content().put(&lease, bytes).unwrap());
    let image = descriptor(OCI_MANIFEST, &needed, 6);
    let name = Reference::parse("demo:1").unwrap();
    store.content().tag(&name, &image).unwrap();
    fs::create_dir_all(fixture.path("snapshots/single/run-x/fs")).unwrap();
    drop(lease);
    let usage = store.usage().unwrap();
    assert!(find(&usage, needed.as_str()).is_shared);
    assert!(!find(&usage, needed.as_str()).is_reclaimable());
    assert!(find(&usage, other.as_str()).is_reclaimable());
    let rest = find(&usage, "single-snapshots");
    assert_eq!(rest.size_bytes, on_disk(&fixture.path("snapshots/single")));
    assert!(!rest.is_reclaimable());
    assert_eq!(
        usage.cache_bytes(),
        usage.items.iter().map(|item| item.size_bytes).sum::<u64>()
            - find(&usage, needed.as_str()).size_bytes
    );
}
