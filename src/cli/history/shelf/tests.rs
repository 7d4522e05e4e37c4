use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::history::Built;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn lineage() -> Lineage {
    Lineage::of(&Built::default())
}

fn record(number: u32) -> Record {
    let id = BuildId::parse(&format!("{number:025x}")).unwrap();
    let built = Built {
        name: format!("build {number}"),
        ..Built::default()
    };
    Record::new(id, built)
}

fn keep(shelf: &Shelf, number: u32, text: &[u8], count_max: usize) {
    let created = at(i64::from(number));
    let kept = (created, &lineage(), &record(number));
    shelf.keep(kept, text.to_vec(), count_max).unwrap();
}

fn names(shelf: &Shelf) -> Vec<String> {
    let entries = shelf.entries().unwrap().into_iter();
    let records = entries.map(|entry| entry.record().unwrap().unwrap());
    records.map(|record| record.built.name).collect()
}

#[test]
fn the_newest_builds_are_kept_and_nobody_else_sees_them() {
    let store = TempDir::new().unwrap();
    let shelf = Shelf::of(store.path());
    assert_eq!(shelf.entries().unwrap(), []);
    for number in [3, 1, 2] {
        keep(&shelf, number, b"{}\n", 9);
    }
    assert_eq!(names(&shelf), ["build 3", "build 2", "build 1"]);
    keep(&shelf, 4, b"", 2);
    assert_eq!(names(&shelf), ["build 4", "build 3"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.path().join(DIRECTORY)), 0o700);
    let newest = &shelf.entries().unwrap()[0];
    assert_eq!(mode(&newest.path), 0o600);
    assert_eq!(newest.lineage, lineage());
    newest.remove().unwrap();
    newest.remove().unwrap();
    assert_eq!(newest.record().unwrap(), None);
    assert_eq!(names(&shelf), ["build 3"]);
}

#[test]
fn old_builds_go_when_all_are_too_large_and_the_newest_stays() {
    let store = TempDir::new().unwrap();
    let shelf = Shelf::of(store.path());
    let large = vec![b'\n'; usize::try_from(TOTAL_LIMIT_BYTES / 2).unwrap()];
    keep(&shelf, 1, &large, 9);
    keep(&shelf, 2, &large, 9);
    assert_eq!(names(&shelf), ["build 2"]);
    let larger = [large.as_slice(), &large].concat();
    keep(&shelf, 3, &larger, 9);
    assert_eq!(shelf.entries().unwrap().len(), 1);
}

#[test]
fn a_file_that_is_not_whole_is_no_build() {
    let store = TempDir::new().unwrap();
    let shelf = Shelf::of(store.path());
    let line = serde_json::to_string(&record(1)).unwrap();
    let later = line.replacen("\"version\":1", "\"version\":2", 1);
    for (text, expected) in [
        (format!("{{}}\n{line}\n"), Some("build 1")),
        (format!("{line}\n"), Some("build 1")),
        (format!("{}\n{line}\n", "x".repeat(40_000)), Some("build 1")),
        (line.clone(), None),
        (format!("{line}\n{{\"at\":0.1}}\n"), None),
        (format!("{later}\n"), None),
        (String::new(), None),
    ] {
        keep(&shelf, 1, b"", 9);
        let entry = shelf.entries().unwrap().remove(0);
        fs::write(&entry.path, &text).unwrap();
        let name = entry.record().unwrap().map(|record| record.built.name);
        assert_eq!(name.as_deref(), expected, "{text:.60}");
        entry.remove().unwrap();
    }
}

#[test]
fn a_long_last_line_is_read_whole() {
    let store = TempDir::new().unwrap();
    let shelf = Shelf::of(store.path());
    let built = Built {
        name: "x".repeat(3 * usize::try_from(TAIL_BYTES).unwrap()),
        ..Built::default()
    };
    let long = Record::new(record(1).id, built);
    shelf
        .keep((at(1), &lineage(), &long), b"{}\n".to_vec(), 9)
        .unwrap();
    assert_eq!(shelf.entries().unwrap()[0].record().unwrap(), Some(long));
}

#[test]
fn a_file_of_another_name_is_left_alone() {
    let store = TempDir::new().unwrap();
    let shelf = Shelf::of(store.path());
    keep(&shelf, 1, b"", 9);
    fs::write(store.path().join(DIRECTORY).join("README"), "").unwrap();
    keep(&shelf, 2, b"", 1);
    assert_eq!(names(&shelf), ["build 2"]);
    assert!(fs::exists(store.path().join(DIRECTORY).join("README")).unwrap());
}

#[test]
fn events_are_read_back_with_the_time_of_the_build() {
    let store = TempDir::new().unwrap();
    let shelf = Shelf::of(store.path());
    let text = r#"{"careen":"events","version":1,"start":"2026-01-02T03:04:05Z"}
{"at":0.5,"event":"started","step":"s","name":"[1/1] RUN x"}
{"at":1.5,"event":"output","step":"s","stream":"stdout","text":"heard\n"}
{"at":2.0,"event":"finished","step":"s","name":"[1/1] RUN x","origin":"made"}
"#;
    keep(&shelf, 1, text.as_bytes(), 9);
    let entry = shelf.entries().unwrap().remove(0);
    for (wanted, expected) in [(Wanted::All, 3), (Wanted::Steps, 2)] {
        let mut count = 0;
        let start = entry.replay(wanted, &mut |_| count += 1).unwrap();
        assert_eq!(start, Timestamp::parse("2026-01-02T03:04:05Z").ok());
        assert_eq!(count, expected, "{wanted:?}");
    }
    let account = entry.account().unwrap();
    assert_eq!(account.steps()[0].took().as_millis(), 1500);
}
