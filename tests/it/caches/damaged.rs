//! Caches that are damaged, or that lie: the build makes what they do not give.

use std::fs;
use std::path::Path;

use oci::Digest;
use serde_json::{Value, json};
use support::{Bench, Feature, Finished, Outcome, needs};

use super::{bench_with_stages, outcome};

/// Makes a bench with a cache in the directory `cache`, and an empty store.
fn bench_with_cache() -> Bench {
    let bench = bench_with_stages();
    bench.build(&["--cache-to", "type=local,dest=cache,mode=max"]);
    bench.forget();
    bench
}

fn blob(layout: &Path, digest: &str) -> std::path::PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn document(layout: &Path, digest: &Value) -> Value {
    let bytes = fs::read(blob(layout, digest.as_str().unwrap())).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Writes a document, and says of it what a descriptor has to.
fn put(layout: &Path, document: &Value, descriptor: &mut Value) {
    let bytes = serde_json::to_vec(document).unwrap();
    let digest = Digest::of(&bytes).to_string();
    fs::write(blob(layout, &digest), &bytes).unwrap();
    descriptor["digest"] = json!(digest);
    descriptor["size"] = json!(bytes.len());
}

/// Changes the manifest and the document of a cache, whose digests are right afterwards.
fn rewrite(layout: &Path, change: impl FnOnce(&mut Value, &mut Value)) {
    let names = layout.join("index.json");
    let mut top: Value = serde_json::from_slice(&fs::read(&names).unwrap()).unwrap();
    let mut index = document(layout, &top["manifests"][0]["digest"]);
    let mut manifest = document(layout, &index["manifests"][0]["digest"]);
    let mut config = document(layout, &manifest["config"]["digest"]);
    change(&mut manifest, &mut config);
    if manifest["config"]["size"].as_u64() < Some(1 << 40) {
        put(layout, &config, &mut manifest["config"]);
    }
    put(layout, &manifest, &mut index["manifests"][0]);
    put(layout, &index, &mut top["manifests"][0]);
    fs::write(names, serde_json::to_vec(&top).unwrap()).unwrap();
}

/// Builds with the cache; a command that needs the layers follows.
fn build(bench: &Bench) -> Finished {
    let text = fs::read_to_string(bench.path("context/Dockerfile")).unwrap();
    bench.dockerfile(&format!("{text}RUN test -s /made && test -s /out\n"));
    bench.build(&["--cache-from", "type=local,src=cache"]).log
}

#[test]
fn t_f01_a_layer_that_is_not_what_it_says_is_made_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_cache();
    rewrite(&bench.path("cache"), |_, config| {
        for layer in config["layers"].as_array_mut().unwrap() {
            layer["diffId"] = json!(Digest::of(b"something else"));
        }
    });
    let log = build(&bench);
    assert_eq!(outcome(&log, "RUN head"), Outcome::Done);
    assert!(
        log.stderr.contains("cannot use the layer"),
        "{}",
        log.stderr
    );
    assert!(
        log.stderr.contains("is damaged: it unpacks to"),
        "{}",
        log.stderr
    );
}

#[test]
fn a_blob_that_was_cut_off_or_lost_is_made_again() {
    needs!(Feature::Busybox);
    for is_lost in [true, false] {
        let bench = bench_with_cache();
        let cache = bench.path("cache");
        let mut layers = Vec::new();
        rewrite(&cache, |_, config| {
            layers.clone_from(config["layers"].as_array().unwrap());
        });
        for layer in layers {
            let path = blob(&cache, layer["digest"].as_str().unwrap());
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            if !is_lost {
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        // An output needs the bytes, where no command does.
        let log = bench.build(&["--cache-from", "type=local,src=cache"]).log;
        assert_eq!(outcome(&log, "RUN head"), Outcome::Done);
        assert!(log.stderr.contains("it is made again"), "{}", log.stderr);
    }
}

/// Damages a manifest and its configuration.
type Change = fn(&mut Value, &mut Value);

#[test]
fn t_f01_a_document_that_is_damaged_or_hostile_is_not_used() {
    needs!(Feature::Busybox);
    let changes: [(Change, &str); 5] = [
        (
            |_, config| config["records"] = json!("none"),
            "cannot read the configuration of the cache",
        ),
        (
            |_, config| config["format"] = json!(7),
            "the cache has the format 7",
        ),
        (
            |_, config| config["records"][0]["layer"] = json!(1_000_000),
            "names the layer 1000000",
        ),
        (
            |manifest, _| manifest["layers"] = json!([]),
            "which its manifest does not have",
        ),
        (
            |manifest, _| manifest["config"]["size"] = json!(1_u64 << 50),
            "more than 16777216",
        ),
    ];
    for (change, expected) in changes {
        let bench = bench_with_cache();
        rewrite(&bench.path("cache"), change);
        let log = build(&bench);
        assert_eq!(outcome(&log, "RUN head"), Outcome::Done, "{expected}");
        assert!(log.stderr.contains("it is damaged"), "{}", log.stderr);
        assert!(log.stderr.contains(expected), "{}", log.stderr);
    }
}

#[test]
fn a_document_whose_bytes_were_changed_is_not_used() {
    needs!(Feature::Busybox);
    let bench = bench_with_cache();
    let cache = bench.path("cache");
    let mut digest = String::new();
    rewrite(&cache, |manifest, _| {
        digest = manifest["config"]["digest"].as_str().unwrap().to_owned();
    });
    let path = blob(&cache, &digest);
    let bytes = fs::read_to_string(&path)
        .unwrap()
        .replace("careen", "CAREEN");
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let log = build(&bench);
    assert_eq!(outcome(&log, "RUN head"), Outcome::Done);
    assert!(log.stderr.contains("nothing is imported"), "{}", log.stderr);
}

#[test]
fn a_cache_whose_index_is_damaged_is_written_anew() {
    needs!(Feature::Busybox);
    for left in [None, Some("{")] {
        let bench = bench_with_cache();
        let cache = bench.path("cache");
        let names = fs::read(cache.join("index.json")).unwrap();
        let names: Value = serde_json::from_slice(&names).unwrap();
        let index = blob(&cache, names["manifests"][0]["digest"].as_str().unwrap());
        fs::remove_file(&index).unwrap();
        left.inspect(|left| fs::write(&index, left).unwrap());
        let log = bench
            .build(&["--cache-to", "type=local,dest=cache,mode=max"])
            .log;
        let expected = "what is in the cache `$BENCH/cache` is not kept: blob";
        assert!(log.stderr.contains(expected), "{}", log.stderr);
        bench.forget();
        assert_eq!(outcome(&build(&bench), "RUN head"), Outcome::Cached);
    }
}
