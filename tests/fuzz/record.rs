//! F12: what is read of caches: records of a store, what a registry says that keys led to, and the index and the notes of
//! a stash.
//!
//! A record that was changed is none; what was read and is written reads as the same.

use layer::{StashIndex, StashNote};
use oci::Digest;
use remotecache::CacheConfig;
use serde_json::Value;
use serde_json::value::RawValue;
use store::read_record;

use crate::taken;

/// Reads the bytes as each of them, and as the body of a record that is whole.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let key = Digest::of(b"key");
    taken(read_record::<Value>(&key, data));
    sealed(&key, data);
    if let Ok(config) = CacheConfig::parse(data) {
        let again = CacheConfig::parse(&config.to_bytes()).expect("what was written can be read");
        assert_eq!(config, again);
        taken(config.blobs());
    }
    if let Ok(index) = StashIndex::read(data) {
        let written = index.to_text().expect("as much as was read");
        let again = StashIndex::read(written.as_bytes()).expect("what was written can be read");
        assert_eq!(index, again);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        taken(StashNote::parse(text));
    }
}

/// Takes the bytes for what a key led to.
fn sealed(key: &Digest, data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Box<RawValue>>(data) else {
        return;
    };
    let body = format!(r#"{{"key":"{key}","value":{}}}"#, value.get());
    let digest = Digest::of(body.as_bytes());
    let document = format!(r#"{{"digest":"{digest}","body":{body}}}"#);
    let found: Option<Box<RawValue>> = read_record(key, document.as_bytes());
    let found = found.expect("a whole record is one");
    assert_eq!(found.get(), value.get());
    let other = Digest::of(b"another key");
    assert!(read_record::<Value>(&other, document.as_bytes()).is_none());
    let torn = &document.as_bytes()[..document.len() - 1];
    assert!(read_record::<Value>(key, torn).is_none());
}
