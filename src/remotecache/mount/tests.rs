//! Tests of cache mounts in documents: written, kept, and refused.

use oci::{DiffId, Digest, Platform, Timestamp};
use serde_json::json;
use solver::LayerBlob;
use solver::stash::{Stash, StashPack};

use super::MountName;
use crate::config::CacheConfig;
use crate::merge::keep_earlier;

const DAY: i64 = 24 * 60 * 60;

fn at(day: i64) -> Timestamp {
    Timestamp::from_unix_seconds(day * DAY).unwrap()
}

fn blob(text: &str) -> LayerBlob {
    LayerBlob {
        diff_id: DiffId::new(Digest::of(format!("tar of {text}").as_bytes())),
        digest: Digest::of(text.as_bytes()),
        size_bytes: text.len() as u64,
        media_type: "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
    }
}

fn stash(index: &str, packs: &[&str]) -> Stash {
    let pack = |text: &&str| StashPack {
        blob: blob(text),
        file_bytes: 7,
    };
    Stash {
        index: blob(index),
        packs: packs.iter().map(pack).collect(),
    }
}

fn name(id: &str) -> MountName {
    MountName {
        name: Digest::of(id.as_bytes()),
        namespace: String::new(),
        id: id.to_owned(),
    }
}

fn config() -> CacheConfig {
    CacheConfig::new(&Platform::new("linux", "amd64"))
}

fn ids(config: &CacheConfig) -> Vec<&str> {
    let mut ids: Vec<_> = config
        .mounts
        .iter()
        .map(|mount| mount.id.as_str())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_mount_comes_back_with_its_blobs() {
    let mut config = config();
    let go = stash("index", &["one", "two"]);
    config.add_mount(name("go"), &go, at(1));
    config.add_mount(name("npm"), &stash("other", &["two"]), at(1));
    let read = CacheConfig::parse(&config.to_bytes()).unwrap();
    assert_eq!(read, config);
    assert_eq!(read.stash(&name("go").name), Some(go));
    assert_eq!(read.stash(&name("cargo").name), None);
    assert_eq!(read.blobs().len(), 4, "two mounts have one pack in common");
}

#[test]
fn a_mount_takes_the_place_of_the_earlier_one() {
    let mut config = config();
    config.add_mount(name("go"), &stash("old", &["one"]), at(1));
    config.add_mount(name("go"), &stash("new", &["one"]), at(2));
    assert_eq!(config.stash(&name("go").name), Some(stash("new", &["one"])));
    assert_eq!(config.mounts.len(), 1);
}

#[test]
fn mounts_of_earlier_builds_stay_as_long_as_they_are_young() {
    let mut earlier = config();
    earlier.add_mount(name("go"), &stash("old", &["one"]), at(100));
    earlier.add_mount(name("npm"), &stash("npm", &["three"]), at(100));
    earlier.add_mount(name("apt"), &stash("apt", &["four"]), at(60));
    let mut later = config();
    later.add_mount(name("go"), &stash("new", &["one", "two"]), at(101));
    keep_earlier(&mut later, &earlier, at(101));
    assert_eq!(ids(&later), ["go", "npm"]);
    let go = later.stash(&name("go").name).unwrap();
    assert_eq!(go, stash("new", &["one", "two"]));
    let npm = later.stash(&name("npm").name).unwrap();
    assert_eq!(npm, stash("npm", &["three"]));
    assert_eq!(later.blobs().len(), 5);
}

#[test]
fn hostile_mounts_are_refused() {
    let mut config = config();
    config.add_mount(name("go"), &stash("index", &["one"]), at(1));
    let document: serde_json::Value = serde_json::from_slice(&config.to_bytes()).unwrap();
    let pack = |layer: u64| json!({"layer": layer, "fileBytes": 1});
    for (place, value, expected) in [
        (
            "/mounts/0/index",
            json!(2),
            "the cache mount `go` of the cache names the layer 2, and there are 2",
        ),
        (
            "/mounts/0/packs/0",
            pack(9),
            "the cache mount `go` of the cache names the layer 9, and there are 2",
        ),
        (
            "/mounts/0/packs",
            json!(vec![pack(1); 65]),
            "the cache has 65 packs of a cache mount, more than 64",
        ),
        (
            "/mounts",
            json!(vec![document["mounts"][0].clone(); 1001]),
            "the cache has 1001 cache mounts, more than 1000",
        ),
    ] {
        let mut hostile = document.clone();
        *hostile.pointer_mut(place).unwrap() = value;
        let bytes = serde_json::to_vec(&hostile).unwrap();
        let error = CacheConfig::parse(&bytes).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
