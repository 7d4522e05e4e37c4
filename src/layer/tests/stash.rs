//! Stashes: a directory becomes an index and packs, these a directory again, and nothing is packed twice.

use std::fs::{self, FileTimes};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, UNIX_EPOCH};

use rootfs::{FileTime, Mode, OwnerTable, Owners, RootPath};

use super::support::{Place, Tar, at, ids};
use crate::{
    Compression, PACKS_MAX, PackOptions, StashFillError, StashFiller, StashIndex, StashIndexError,
    StashNote, StashPackError, StashPlan, StashScan, plan_stash, scan_stash,
};

/// A time that every file of a test is older than.
const LATER: FileTime = FileTime {
    seconds: i64::MAX,
    nanos: 0,
};

/// A time before which nothing can have settled.
const AT_ONCE: FileTime = FileTime {
    seconds: 0,
    nanos: 0,
};

fn owners() -> Owners {
    Owners::new(ids(), OwnerTable::default())
}

fn scanned(place: &Place) -> StashScan {
    scan_stash(&place.root, &owners(), &StashNote::default(), LATER).unwrap()
}

/// An index and its packs, as they lie where caches are exported to.
#[derive(Default, Clone)]
struct Stash {
    index: String,
    packs: Vec<Vec<u8>>,
    bytes: Vec<u64>,
}

impl Stash {
    fn read(&self) -> StashIndex {
        match self.index.as_str() {
            "" => StashIndex::default(),
            text => StashIndex::read(text.as_bytes()).unwrap(),
        }
    }

    /// Exports a directory on top of what is there; tells how many bytes of files were packed.
    fn export(&mut self, place: &Place) -> u64 {
        let plan = plan_stash(scanned(place).index, &self.read(), &self.bytes);
        let kept = |kept: &usize| (self.packs[*kept].clone(), self.bytes[*kept]);
        let (mut packs, mut bytes): (Vec<_>, Vec<_>) = plan.kept.iter().map(kept).unzip();
        if plan.needs_pack() {
            packs.push(written(&plan, place).unwrap());
            bytes.push(plan.pack_bytes());
        }
        let index = plan.index.to_text().unwrap();
        *self = Self {
            index,
            packs,
            bytes,
        };
        plan.pack_bytes()
    }

    fn fill(&self, place: &Place) -> Result<(), StashFillError> {
        let index = self.read();
        let mut filler = StashFiller::start(&index, &place.root, ids())?;
        for pack in &self.packs {
            filler.pack(&mut pack.as_slice())?;
        }
        filler.finish().map(drop)
    }

    fn filled(&self) -> Place {
        let place = Place::new();
        self.fill(&place).unwrap();
        place
    }
}

fn written(plan: &StashPlan, place: &Place) -> Result<Vec<u8>, StashPackError> {
    let options = PackOptions {
        compression: Compression::Uncompressed,
        ..PackOptions::default()
    };
    let mut out = Vec::new();
    plan.write_pack(&place.root, &options, &mut out)?;
    Ok(out)
}

/// A tree with everything that a stash can hold.
fn everything() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.inside("registry/src")).unwrap();
    fs::write(place.inside("registry/src/lib.rs"), "fn main() {}").unwrap();
    fs::write(place.inside("registry/copy.rs"), "fn main() {}").unwrap();
    fs::write(place.inside("registry/.wh.odd\tname\\"), "marker").unwrap();
    fs::write(place.inside("empty"), "").unwrap();
    fs::hard_link(place.inside("registry/src/lib.rs"), place.inside("second")).unwrap();
    symlink("/etc/passwd", place.inside("link")).unwrap();
    place.root.mkfifo(&at("pipe")).unwrap();
    let lib = place.root.inode(&at("registry/src/lib.rs")).unwrap();
    lib.set_xattr(b"user.note", b"kept\n").unwrap();
    place
        .root
        .set_mode(&at("registry/copy.rs"), Mode::new(0o751))
        .unwrap();
    for (path, seconds, nanos) in [
        ("registry/src/lib.rs", 1_600_000_000, 123_456_789),
        ("registry/src", 7, 1),
        ("registry", -5, 999),
    ] {
        let time = FileTime { seconds, nanos };
        place.root.set_times(&at(path), time).unwrap();
    }
    place
}

#[test]
fn a_directory_comes_back_with_all_its_attributes() {
    let place = everything();
    let mut stash = Stash::default();
    assert_eq!(stash.export(&place), 18, "one of two equal files is packed");
    let filled = stash.filled();
    assert_eq!(scanned(&filled).index, scanned(&place).index);
    assert_eq!(filled.lines(owners()), place.lines(owners()));
    assert_eq!(
        fs::read(filled.inside("registry/copy.rs")).unwrap(),
        b"fn main() {}"
    );
    let time = filled
        .root
        .metadata(&at("registry/src/lib.rs"))
        .unwrap()
        .unwrap()
        .mtime;
    assert_eq!(
        time,
        FileTime {
            seconds: 1_600_000_000,
            nanos: 123_456_789
        }
    );
}

#[test]
fn what_did_not_change_is_not_packed_again() {
    let place = everything();
    let mut stash = Stash::default();
    stash.export(&place);
    let before = stash.clone();
    assert_eq!(stash.export(&place), 0);
    assert_eq!((&stash.index, &stash.packs), (&before.index, &before.packs));
    let filled = before.filled();
    assert_eq!(
        stash.export(&filled),
        0,
        "another machine's copy is the same"
    );
    assert_eq!(stash.index, before.index);
}

#[test]
fn a_file_that_is_touched_or_moved_is_not_packed_again() {
    let place = everything();
    let mut stash = Stash::default();
    stash.export(&place);
    place
        .root
        .set_times(
            &at("registry/copy.rs"),
            FileTime {
                seconds: 9,
                nanos: 9,
            },
        )
        .unwrap();
    fs::rename(place.inside("registry"), place.inside("moved")).unwrap();
    assert_eq!(stash.export(&place), 0);
    assert_eq!(scanned(&stash.filled()).index, scanned(&place).index);
}

#[test]
fn a_later_export_has_what_is_new_and_lacks_what_is_gone() {
    let place = Place::new();
    let large = "x".repeat(1000);
    fs::write(place.inside("stays"), &large).unwrap();
    fs::write(place.inside("goes"), "gone").unwrap();
    fs::write(place.inside("changes"), "old").unwrap();
    let mut stash = Stash::default();
    assert_eq!(stash.export(&place), 1007);
    fs::remove_file(place.inside("goes")).unwrap();
    fs::write(place.inside("changes"), "newer").unwrap();
    fs::write(place.inside("comes"), "come").unwrap();
    assert_eq!(stash.export(&place), 9);
    assert_eq!(stash.packs.len(), 2);
    let filled = stash.filled();
    assert!(!fs::exists(filled.inside("goes")).unwrap());
    assert_eq!(fs::read(filled.inside("changes")).unwrap(), b"newer");
    assert_eq!(fs::read(filled.inside("comes")).unwrap(), b"come");
    assert_eq!(scanned(&filled).index, scanned(&place).index);
}

#[test]
fn a_pack_of_which_more_than_half_is_dead_is_packed_anew() {
    let place = Place::new();
    fs::write(place.inside("large"), "x".repeat(1000)).unwrap();
    fs::write(place.inside("small"), "y".repeat(999)).unwrap();
    let mut stash = Stash::default();
    stash.export(&place);
    fs::remove_file(place.inside("large")).unwrap();
    assert_eq!(stash.export(&place), 999);
    assert_eq!(stash.packs.len(), 1);
    assert_eq!(stash.bytes, [999]);
}

#[test]
fn there_are_never_more_than_a_few_packs_and_large_ones_stay() {
    let place = Place::new();
    fs::write(place.inside("large"), "x".repeat(100_000)).unwrap();
    let mut stash = Stash::default();
    stash.export(&place);
    let first = stash.packs[0].clone();
    for number in 0..40 {
        fs::write(
            place.inside(&format!("file{number}")),
            format!("{number:08}"),
        )
        .unwrap();
        let packed = stash.export(&place);
        assert!(
            stash.packs.len() <= PACKS_MAX,
            "{} packs",
            stash.packs.len()
        );
        assert!(
            packed <= 8 * (number + 1),
            "{packed} bytes for the file {number}"
        );
        assert_eq!(stash.packs[0], first);
    }
    assert_eq!(scanned(&stash.filled()).index, scanned(&place).index);
}

#[test]
fn files_that_a_note_knows_are_not_read_again() {
    let place = Place::new();
    fs::write(place.inside("a"), "one").unwrap();
    let note = scanned(&place).note;
    let text = note.to_string();
    assert_eq!(StashNote::parse(&text), note);
    let changed = text.replace(
        oci::Digest::of(b"one").encoded(),
        oci::Digest::of(b"other").encoded(),
    );
    let says = |content: &str| {
        let note = StashNote::parse(&changed);
        let found = scan_stash(&place.root, &owners(), &note, LATER).unwrap();
        let text = found.index.to_text().unwrap();
        text.contains(oci::Digest::of(content.as_bytes()).encoded())
    };
    assert!(says("other"));
    fs::write(place.inside("a"), "two").unwrap();
    assert!(says("two"));
}

#[test]
fn a_file_that_has_just_changed_is_not_remembered() {
    let place = Place::new();
    fs::write(place.inside("a"), "one").unwrap();
    let found = scan_stash(&place.root, &owners(), &StashNote::default(), AT_ONCE).unwrap();
    assert_eq!(found.note, StashNote::default());
    let changed = place.root.metadata(&at("a")).unwrap().unwrap().ctime;
    let later = FileTime {
        seconds: changed.seconds + 4,
        nanos: 0,
    };
    let found = scan_stash(&place.root, &owners(), &StashNote::default(), later).unwrap();
    assert_ne!(found.note, StashNote::default());
}

#[test]
fn a_file_that_changes_before_it_is_packed_is_found_out() {
    let place = Place::new();
    fs::write(place.inside("a"), "one").unwrap();
    fs::write(place.inside("b"), "two").unwrap();
    let plan = plan_stash(scanned(&place).index, &StashIndex::default(), &[]);
    fs::write(place.inside("b"), "six").unwrap();
    match written(&plan, &place) {
        Err(StashPackError::Changed { path, .. }) => assert_eq!(path, at("b")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sockets_are_in_no_stash() {
    let place = Place::new();
    let _socket = std::os::unix::net::UnixListener::bind(place.inside("socket")).unwrap();
    let found = scanned(&place);
    assert_eq!(found.left_out, [at("socket")]);
    assert_eq!(found.index.iter().count(), 1);
}

/// What is said of an index, an empty text where it is taken.
fn refusal(lines: &str) -> String {
    let read = StashIndex::read(format!("careen stash 1\n{lines}").as_bytes());
    read.err().map_or(String::new(), |error| error.to_string())
}

#[test]
fn an_object_that_has_no_place_is_refused() {
    let top = ".\t0:0:0755\t0.0\t\td\n";
    let digest = oci::Digest::of(b"x");
    let file = |path: &str| format!("{path}\t0:0:0644\t0.0\t\tf\t1\t0\t{digest}\n");
    let name = |target: &str| format!("{top}a\t0:0:0644\t0.0\t\th\t{target}\n");
    let link = format!("{top}a\t0:0:0777\t0.0\t\tl\t2f\n");
    assert_eq!(refusal(&format!("{top}{}", file("a"))), "");
    for (lines, line, path) in [
        (file("a"), 2, "/a"),
        (format!("{top}{}", file("a/b")), 3, "/a/b"),
        (format!("{link}{}", file("a/b")), 4, "/a/b"),
        (format!("{top}{}{}", file("b"), file("a")), 4, "/a"),
        (format!("{top}{}{}", file("a"), file("a")), 4, "/a"),
        (name("b"), 3, "/a"),
        (name("."), 3, "/a"),
    ] {
        let expected =
            format!("line {line} of the index of a cache mount: `{path}` cannot be there");
        assert_eq!(refusal(&lines), expected, "{lines}");
    }
}

#[test]
fn a_hostile_line_of_an_index_is_refused() {
    let digest = oci::Digest::of(b"x");
    for line in [
        format!("../a\t0:0:0644\t0.0\t\tf\t1\t0\t{digest}\n"),
        format!("/a\t0:0:0644\t0.0\t\tf\t1\t0\t{digest}\n"),
        format!("a\t0:0:0644\t0.0\t\tf\t1\t0\t{digest}"),
        format!("a\t0:0:0644\t0.0\t\tf\t-1\t0\t{digest}\n"),
        "a\t0:0:0644\t0.0\t757365722e63617265656e2e6f776e6572=30\tp\n".to_owned(),
        "a\t0:0:0644\t0.0\t\tc\t1\t3\n".to_owned(),
        "a\t0:0:70644\t0.0\t\tp\n".to_owned(),
        "a\t0:0:0644\t0.1000000000\t\tp\n".to_owned(),
    ] {
        let found = refusal(&format!(".\t0:0:0755\t0.0\t\td\n{line}"));
        assert_eq!(
            found, "line 3 of the index of a cache mount is malformed",
            "{line}"
        );
    }
}

#[test]
fn an_index_of_too_much_or_of_another_format_is_refused() {
    let digest = oci::Digest::of(b"x");
    let top = ".\t0:0:0755\t0.0\t\td\n";
    let large = format!("{top}a\t0:0:0644\t0.0\t\tf\t99999999999999\t0\t{digest}\n");
    assert_eq!(
        refusal(&large),
        "a cache mount has more than 68719476736 bytes"
    );
    let other = StashIndex::read(b"careen stash 2\n".as_slice());
    assert!(matches!(other, Err(StashIndexError::Format)));
}

#[test]
fn a_hostile_pack_is_refused() {
    let place = Place::new();
    fs::write(place.inside("a"), "one").unwrap();
    let mut stash = Stash::default();
    stash.export(&place);
    let digest = oci::Digest::of(b"one");
    let name = format!("00000000.{digest}");
    for (tar, expected) in [
        (
            Tar::new().file(&name, "two"),
            format!("a pack of a cache mount has a file that is not `{digest}`"),
        ),
        (
            Tar::new().file(&name, "one and more"),
            format!("a pack of a cache mount has a file that is not `{digest}`"),
        ),
        (
            Tar::new().file("../../host/victim", "one"),
            "a pack of a cache mount has the entry `../../host/victim`".to_owned(),
        ),
        (
            Tar::new().symlink(&name, "/etc"),
            format!("a pack of a cache mount has the entry `{name}`"),
        ),
        (
            Tar::new(),
            "no pack of a cache mount has the file `/a`".to_owned(),
        ),
    ] {
        let target = Place::new();
        let hostile = Stash {
            packs: vec![tar.bytes()],
            ..stash.clone()
        };
        assert_eq!(hostile.fill(&target).unwrap_err().to_string(), expected);
        target.assert_victim_untouched();
    }
}

#[test]
fn a_missing_pack_is_noticed() {
    let mut stash = Stash::default();
    stash.export(&everything());
    stash.packs.clear();
    let error = stash.fill(&Place::new()).unwrap_err();
    assert!(matches!(error, StashFillError::Missing { .. }), "{error}");
}

#[test]
fn the_top_directory_keeps_its_attributes() {
    let place = Place::new();
    fs::set_permissions(place.inside(""), fs::Permissions::from_mode(0o700)).unwrap();
    let directory = fs::File::open(place.inside("")).unwrap();
    let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_millis(1500));
    directory.set_times(times).unwrap();
    let mut stash = Stash::default();
    stash.export(&place);
    let found = stash
        .filled()
        .root
        .metadata(&RootPath::root())
        .unwrap()
        .unwrap();
    assert_eq!(found.mode, Mode::new(0o700));
    assert_eq!(
        found.mtime,
        FileTime {
            seconds: 1,
            nanos: 500_000_000
        }
    );
}
