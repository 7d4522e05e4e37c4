//! Tests of cache records.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::testing::{Fixture, names};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Value {
    blobs: Vec<Digest>,
    size_bytes: u64,
}

fn value(size_bytes: u64) -> Value {
    Value {
        blobs: vec![Digest::of(b"blob")],
        size_bytes,
    }
}

fn path(fixture: &Fixture, key: &Digest) -> std::path::PathBuf {
    let digits = key.encoded();
    fixture
        .path("records/multi")
        .join(digits.get(..2).unwrap())
        .join(digits)
}

#[test]
fn a_key_leads_to_what_was_written_last() {
    let fixture = Fixture::new();
    let records = fixture.store.records();
    let key = Digest::of(b"key");
    assert_eq!(records.get::<Value>(&key).unwrap(), None);
    records.put(&key, &value(1)).unwrap();
    records.put(&key, &value(2)).unwrap();
    assert_eq!(fixture.again().records().get(&key).unwrap(), Some(value(2)));
    assert_eq!(records.get::<Value>(&Digest::of(b"other")).unwrap(), None);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn t_f02_a_damaged_record_is_a_miss_and_is_written_anew() {
    let fixture = Fixture::new();
    let records = fixture.store.records();
    let key = Digest::of(b"key");
    let path = path(&fixture, &key);
    records.put(&key, &value(1)).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    let damage: [(&str, &dyn Fn()); 6] = [
        ("empty", &|| fs::write(&path, "").unwrap()),
        ("cut", &|| {
            fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        }),
        ("flipped", &|| fs::write(&path, &flipped).unwrap()),
        ("too large", &|| {
            File::create(&path).unwrap().set_len(9 << 20).unwrap();
        }),
        ("symlink", &|| {
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        }),
        ("directory", &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }),
    ];
    for (name, damage) in damage {
        damage();
        assert_eq!(records.get::<Value>(&key).unwrap(), None, "{name}");
        records.put(&key, &value(2)).unwrap();
        assert_eq!(records.get(&key).unwrap(), Some(value(2)), "{name}");
    }
}

#[test]
fn a_record_of_another_key_or_type_is_a_miss() {
    let fixture = Fixture::new();
    let records = fixture.store.records();
    let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
    for key in [&key, &other] {
        records.put(key, &value(1)).unwrap();
    }
    fs::copy(path(&fixture, &key), path(&fixture, &other)).unwrap();
    assert_eq!(records.get::<Value>(&other).unwrap(), None);
    assert_eq!(records.get::<Vec<u8>>(&key).unwrap(), None);
    assert_eq!(records.get(&key).unwrap(), Some(value(1)));
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let fixture = Fixture::new();
    let records = fixture.store.records();
    let key = Digest::of(b"key");
    let error = records.put(&key, &"x".repeat(8 << 20)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the record of `{key}` would have 8388792 bytes, more than 8388608")
    );
    assert_eq!(records.get::<String>(&key).unwrap(), None);
}

#[test]
fn the_last_use_is_noted_once_an_hour() {
    const MINUTE: Duration = Duration::from_mins(1);
    let fixture = Fixture::new();
    let records = fixture.store.records();
    let key = Digest::of(b"key");
    records.put(&key, &1).unwrap();
    let file = File::open(path(&fixture, &key)).unwrap();
    let now = records.layout.opened_at;
    let use_after = |time: SystemTime| {
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        assert_eq!(records.get(&key).unwrap(), Some(1));
        file.metadata().unwrap().modified().unwrap()
    };
    for fresh in [now, now - 59 * MINUTE, now + 59 * MINUTE] {
        assert_eq!(use_after(fresh), fresh);
    }
    // The last two are clocks that were wrong once.
    let ages = [now - 60 * MINUTE, now - 60 * 24 * 365 * MINUTE];
    for stale in ages
        .into_iter()
        .chain([now + 60 * MINUTE, SystemTime::UNIX_EPOCH])
    {
        assert_eq!(use_after(stale), now);
    }
}

#[test]
fn the_time_of_opening_is_that_of_the_file_system() {
    let fixture = Fixture::new();
    let opened = fixture.store.records().layout.opened_at;
    assert_eq!(
        fs::metadata(fixture.path("lock"))
            .unwrap()
            .modified()
            .unwrap(),
        opened
    );
    fs::write(fixture.path("ingest/now"), "").unwrap();
    let now = fs::metadata(fixture.path("ingest/now"))
        .unwrap()
        .modified()
        .unwrap();
    let age = now.duration_since(opened).unwrap();
    assert!(age < Duration::from_mins(1), "{age:?}");
}
