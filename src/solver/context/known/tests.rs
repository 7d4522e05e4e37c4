use std::path::Path;

use super::*;
use store::{IdMapName, OpenOptions, SyncPolicy, Waits};

struct Place {
    dir: tempfile::TempDir,
    store: Store,
    trust: DigestTrust,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        let options = OpenOptions {
            id_map: IdMapName::new("multi").unwrap(),
            sync: SyncPolicy::None,
            waits: Waits::default(),
        };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        let trust = DigestTrust::default();
        Self { dir, store, trust }
    }

    fn context(&self) -> std::path::PathBuf {
        self.dir.path().join("context")
    }

    fn known(&self) -> KnownDigests {
        let root = Root::open(&self.context()).unwrap();
        KnownDigests::of(&self.store, &self.trust, &root).unwrap()
    }

    /// As it is in a build that begins when everything is old.
    fn later(&self) -> KnownDigests {
        let mut known = self.known();
        known.opened.seconds += 10;
        known
    }

    fn metadata(&self, name: &str) -> Metadata {
        let root = Root::open(&self.context()).unwrap();
        let path = RootPath::strict(name).unwrap();
        root.metadata(&path).unwrap().unwrap()
    }

    fn write(&self, name: &str, text: &str) -> Metadata {
        std::fs::write(self.context().join(name), text).unwrap();
        self.metadata(name)
    }
}

fn set_mtime(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let times = std::fs::FileTimes::new().set_modified(time);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_times(times).unwrap();
}

#[test]
fn what_a_build_learnt_another_one_knows() {
    let place = Place::new();
    let files: Vec<_> = (0..200)
        .map(|number| place.write(&number.to_string(), &"x".repeat(number)))
        .collect();
    let digest =
        |file: &Metadata| Digest::of("x".repeat(usize::try_from(file.size).unwrap()).as_bytes());
    let first = place.later();
    for file in &files {
        first.learn(file, &digest(file));
    }
    first.keep();
    let second = place.known();
    for file in &files {
        assert_eq!(second.digest_of(file), Some(digest(file)), "{}", file.size);
    }
}

#[test]
fn of_a_directory_in_which_a_change_leaves_no_trace_nothing_is_known() {
    let place = Place::new();
    let proc = Root::open(Path::new("/proc/sys")).unwrap();
    assert!(KnownDigests::of(&place.store, &place.trust, &proc).is_none());
}

#[test]
fn what_changed_lately_is_not_learnt() {
    let place = Place::new();
    let file = place.write("f", "text");
    let now = place.known();
    now.learn(&file, &Digest::of(b"text"));
    now.keep();
    assert_eq!(place.known().digest_of(&file), None);
}

#[test]
fn an_edit_that_puts_the_time_back_shows() {
    let place = Place::new();
    place.write("f", "one");
    set_mtime(&place.context().join("f"), 1000);
    let before = place.metadata("f");
    let first = place.later();
    first.learn(&before, &Digest::of(b"one"));
    first.keep();
    place.write("f", "two");
    set_mtime(&place.context().join("f"), 1000);
    let after = place.metadata("f");
    assert_eq!(
        (after.ino, after.size, after.mtime),
        (before.ino, before.size, before.mtime)
    );
    assert_eq!(place.known().digest_of(&after), None);
    assert_eq!(place.known().digest_of(&before), Some(Digest::of(b"one")));
}

#[test]
fn what_is_learnt_later_takes_the_place_of_what_was_known_of_the_file() {
    let place = Place::new();
    let [one, two, three] = ["a", "b", "c"].map(|name| place.write(name, "old"));
    let first = place.later();
    for file in [&one, &three] {
        first.learn(file, &Digest::of(b"old"));
    }
    first.keep();
    let changed = Metadata { size: 9, ..three };
    let second = place.later();
    assert_eq!(second.digest_of(&changed), None);
    for file in [&two, &changed] {
        second.learn(file, &Digest::of(b"new"));
    }
    second.keep();
    let third = place.known();
    assert_eq!(third.digest_of(&one), Some(Digest::of(b"old")));
    assert_eq!(third.digest_of(&two), Some(Digest::of(b"new")));
    assert_eq!(third.digest_of(&three), None);
    assert_eq!(third.digest_of(&changed), Some(Digest::of(b"new")));
}

#[test]
fn one_digest_that_was_believed_and_is_wrong_ends_the_trust() {
    let place = Place::new();
    let file = place.write("f", "text");
    let first = place.later();
    first.learn(&file, &Digest::of(b"text"));
    first.keep();
    let changed = layer::PlaceError::Content {
        path: RootPath::root(),
        source: ContentError::NotAFile,
    };
    place.trust.hear(&changed, &place.store);
    assert!(!place.trust.is_lost(), "nothing was believed");
    assert!(place.known().digest_of(&file).is_some());
    place.trust.hear(&fmt::Error, &place.store);
    assert!(!place.trust.is_lost(), "it is about something else");
    place.trust.hear(&changed, &place.store);
    assert!(place.trust.is_lost());
    assert_eq!(place.known().digest_of(&file), None);
    let other_build = Place {
        trust: DigestTrust::default(),
        ..place
    };
    assert_eq!(other_build.known().digest_of(&file), None);
}

#[test]
fn what_a_build_believed_that_lost_its_trust_is_not_kept_for_the_next() {
    let place = Place::new();
    let [wrong, other] = ["f", "g"].map(|name| place.write(name, "text"));
    let first = place.later();
    first.learn(&wrong, &Digest::of(b"something else"));
    first.keep();
    let second = place.later();
    assert!(second.digest_of(&wrong).is_some());
    second.learn(&other, &Digest::of(b"text"));
    let changed = ContentError::NotAFile;
    place.trust.hear(&changed, &place.store);
    second.keep();
    let other_build = Place {
        trust: DigestTrust::default(),
        ..place
    };
    assert_eq!(other_build.known().digest_of(&wrong), None);
    let text = Some(Digest::of(b"text"));
    assert_eq!(other_build.known().digest_of(&other), text);
}

#[test]
fn a_hint_that_is_none_of_records_says_nothing() {
    let place = Place::new();
    let file = place.write("f", "text");
    let known = place.later();
    let mut hint = place.store.hints().create(&known.name).unwrap();
    hint.write(&[0; RECORD_BYTES + 1]).unwrap();
    hint.commit().unwrap();
    assert_eq!(known.digest_of(&file), None);
}

#[test]
fn of_many_records_those_that_were_of_no_use_go() {
    let mut records = Vec::new();
    let record = |inode: u64| {
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&inode.to_le_bytes());
        record
    };
    let count = SPARE_RECORDS as u64 + 100;
    (0..count).for_each(|inode| records.extend(record(inode)));
    let known = Known::new(records);
    for inode in [0, 70, count - 1] {
        let stat = record(inode).first_chunk::<STAT_BYTES>().copied().unwrap();
        assert!(known.find(&stat).is_some(), "{inode}");
    }
    let kept: Vec<_> = known.kept().map(inode_of).collect();
    assert_eq!(kept, [0, 70, count - 1]);
}
