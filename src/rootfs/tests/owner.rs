//! Owners, modes and devices are held and read back in both ways.

use nix::unistd::{getegid, geteuid};

use super::{Place, at};
use crate::{
    Device, FileKind, FsError, IdError, IdStorage, Mode, OWNER_XATTR, OwnerRecord, OwnerTable,
    Owners, RecordError, RootPath,
};

fn record(uid: u32, gid: u32, mode: u32) -> OwnerRecord {
    OwnerRecord {
        uid,
        gid,
        mode: Mode::new(mode),
        device: None,
    }
}

/// A storage that an ordinary user can use too: one id, the caller's, if both are the same.
fn shifted() -> Option<IdStorage> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if uid != gid {
        println!("skipped: needs one number to be both the caller's user and group");
        return None;
    }
    Some(IdStorage::Shifted { by: uid, count: 1 })
}

fn owners(ids: IdStorage) -> Owners {
    Owners::new(ids, OwnerTable::default())
}

fn read(place: &Place, owners: &Owners, path: &RootPath) -> Result<OwnerRecord, FsError> {
    let inode = place.root.inode(path)?;
    let xattr = inode.xattr(OWNER_XATTR).unwrap_or(None);
    owners.read(path, &inode.metadata()?, xattr.as_deref())
}

fn set(
    place: &Place,
    owners: &mut Owners,
    path: &RootPath,
    record: &OwnerRecord,
) -> Result<(), FsError> {
    let inode = place.root.inode(path)?;
    let kind = inode.metadata()?.kind;
    owners.set(&inode, path, kind, record)
}

fn make_one_of_each(place: &Place) -> [RootPath; 4] {
    place.write("file", "x");
    place.mkdir("dir");
    place.symlink("nowhere", "link");
    place.root.mkfifo(&at("fifo")).unwrap();
    ["file", "dir", "fifo", "link"].map(at)
}

#[test]
fn ids_are_shifted_and_checked() {
    let ids = IdStorage::Shifted {
        by: 1,
        count: 65536,
    };
    assert_eq!((ids.to_disk(0), ids.to_disk(65535)), (Ok(1), Ok(65536)));
    assert_eq!((ids.to_image(1), ids.to_image(65536)), (Ok(0), Ok(65535)));
    let too_high = ids.to_disk(65536).unwrap_err();
    assert_eq!(
        too_high,
        IdError::TooHigh {
            id: 65536,
            count: 65536
        }
    );
    assert_eq!(
        too_high.to_string(),
        "the image has the id 65536, and ids 0 to 65535 can be held here"
    );
    for id in [0, 65537] {
        let foreign = ids.to_image(id).unwrap_err();
        assert_eq!(
            foreign,
            IdError::Foreign {
                id,
                by: 1,
                count: 65536
            }
        );
    }
    assert_eq!(
        ids.to_image(0).unwrap_err().to_string(),
        "the id 0 on disk is none of the image's, which are 1 to 65536"
    );
    let edge = IdStorage::Shifted {
        by: u32::MAX,
        count: u32::MAX,
    };
    assert_eq!(
        edge.to_disk(1),
        Err(IdError::TooHigh {
            id: 1,
            count: u32::MAX
        })
    );
}

#[test]
fn a_shifted_tree_needs_no_record() {
    let Some(ids) = shifted() else { return };
    let place = Place::new();
    let mut owners = owners(ids);
    for path in make_one_of_each(&place) {
        set(&place, &mut owners, &path, &record(0, 0, 0o4751)).unwrap();
        let mode = if path == at("link") { 0o777 } else { 0o4751 };
        assert_eq!(
            read(&place, &owners, &path).unwrap(),
            record(0, 0, mode),
            "{path}"
        );
        assert_eq!(
            place.root.inode(&path).unwrap().xattr(OWNER_XATTR).unwrap(),
            None
        );
    }
    assert!(owners.table().is_empty());
    let error = set(&place, &mut owners, &at("file"), &record(1, 0, 0o644)).unwrap_err();
    assert!(matches!(
        error,
        FsError::Id {
            source: IdError::TooHigh { id: 1, count: 1 },
            ..
        }
    ));
}

#[test]
fn a_recorded_tree_gives_owners_and_modes_back() {
    let place = Place::new();
    let mut owners = owners(IdStorage::Recorded);
    for path in make_one_of_each(&place) {
        for wanted in [
            record(33, 65534, 0o4000),
            record(0, 42, 0o640),
            record(0, 0, 0o7777),
        ] {
            set(&place, &mut owners, &path, &wanted).unwrap();
            assert_eq!(read(&place, &owners, &path).unwrap(), wanted, "{path}");
            let disk = place.root.metadata(&path).unwrap().unwrap();
            assert_eq!(
                disk.mode.bits() & 0o600,
                0o600,
                "{path} is closed to its owner"
            );
            assert_eq!(
                disk.mode.bits() & 0o7000,
                0,
                "{path} has a bit that gives rights"
            );
        }
    }
    let paths: Vec<_> = owners
        .table()
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(paths, ["fifo", "link"].map(at));
}

#[test]
fn an_object_of_root_with_its_mode_has_no_record() {
    let place = Place::new();
    let mut owners = owners(IdStorage::Recorded);
    for (path, mode) in make_one_of_each(&place)
        .iter()
        .zip([0o644, 0o755, 0o644, 0o777])
    {
        set(&place, &mut owners, path, &record(7, 7, 0o600)).unwrap();
        set(&place, &mut owners, path, &record(0, 0, mode)).unwrap();
        assert_eq!(
            read(&place, &owners, path).unwrap(),
            record(0, 0, mode),
            "{path}"
        );
        assert_eq!(
            place.root.inode(path).unwrap().xattr(OWNER_XATTR).unwrap(),
            None
        );
    }
    assert!(owners.table().is_empty());
}

#[test]
fn a_device_is_recorded_and_not_made() {
    // Who may not read a file of mode 000 has no shifted tree: the builder is root of its namespace.
    let shifted = shifted().filter(|_| geteuid().is_root());
    for ids in shifted.into_iter().chain([IdStorage::Recorded]) {
        let place = Place::new();
        let mut owners = owners(ids);
        place.write("null", "");
        let null = Device::Char { major: 1, minor: 3 };
        let wanted = OwnerRecord {
            device: Some(null),
            ..record(0, 0, 0o666)
        };
        set(&place, &mut owners, &at("null"), &wanted).unwrap();
        assert_eq!(read(&place, &owners, &at("null")).unwrap(), wanted);
        let disk = place.root.metadata(&at("null")).unwrap().unwrap();
        assert_eq!((disk.kind, disk.size), (FileKind::File, 0));
    }
}

#[test]
fn the_placeholder_of_a_device_keeps_the_mode_that_a_command_gives_it() {
    let null = Device::Char { major: 1, minor: 3 };
    let made = OwnerRecord {
        device: Some(null),
        ..record(0, 0, 0o600)
    };
    for ids in shifted().into_iter().chain([IdStorage::Recorded]) {
        let place = Place::new();
        let mut owners = owners(ids);
        place.write("null", "");
        set(&place, &mut owners, &at("null"), &made).unwrap();
        place.root.set_mode(&at("null"), Mode::new(0o666)).unwrap();
        place.write("null", "what goes to a device is in no file");
        let changed = OwnerRecord {
            mode: Mode::new(0o666),
            ..made
        };
        assert_eq!(read(&place, &owners, &at("null")).unwrap(), changed);
    }
}

#[test]
fn an_earlier_placeholder_without_a_mode_has_that_of_its_record() {
    let Some(ids) = shifted().filter(|_| geteuid().is_root()) else {
        return;
    };
    let place = Place::new();
    place.write("null", "");
    let inode = place.root.inode(&at("null")).unwrap();
    inode.set_xattr(OWNER_XATTR, b"0:0:0666:c1,3").unwrap();
    inode.set_mode(Mode::new(0)).unwrap();
    let found = read(&place, &owners(ids), &at("null")).unwrap();
    assert_eq!(found.to_string(), "0:0:0666:c1,3");
}

#[test]
fn in_a_shifted_tree_a_record_without_a_device_says_nothing() {
    let Some(ids) = shifted() else { return };
    let place = Place::new();
    for (name, text) in [("owner", &b"5:5:4755"[..]), ("rubbish", b"c1,3")] {
        place.write(name, "");
        let inode = place.root.inode(&at(name)).unwrap();
        inode.set_xattr(OWNER_XATTR, text).unwrap();
        inode.set_mode(Mode::new(0o600)).unwrap();
        let found = read(&place, &owners(ids), &at(name)).unwrap();
        assert_eq!(found, record(0, 0, 0o600), "{name}");
    }
}

#[test]
fn a_mode_that_a_command_changes_counts_in_a_recorded_tree() {
    let place = Place::new();
    let mut owners = owners(IdStorage::Recorded);
    for path in make_one_of_each(&place).iter().take(3) {
        set(&place, &mut owners, path, &record(33, 33, 0o4640)).unwrap();
        assert_eq!(
            read(&place, &owners, path).unwrap(),
            record(33, 33, 0o4640),
            "{path}"
        );
        place.root.set_mode(path, Mode::new(0o755)).unwrap();
        assert_eq!(
            read(&place, &owners, path).unwrap(),
            record(33, 33, 0o755),
            "{path}"
        );
    }
}

#[test]
fn records_have_one_form() {
    let char = OwnerRecord {
        device: Some(Device::Char { major: 1, minor: 3 }),
        ..record(0, 0, 0o666)
    };
    let block = OwnerRecord {
        device: Some(Device::Block { major: 8, minor: 0 }),
        ..record(0, 6, 0o660)
    };
    for (record, text) in [
        (record(4_294_967_295, 33, 0o4755), "4294967295:33:4755"),
        (record(0, 0, 0), "0:0:0000"),
        (char, "0:0:0666:c1,3"),
        (block, "0:6:0660:b8,0"),
    ] {
        assert_eq!(record.to_string(), text);
        assert_eq!(OwnerRecord::parse(text.as_bytes()).unwrap(), record);
    }
    for text in [
        "",
        "0:0",
        "0:0:644",
        "00:0:0644",
        "+1:0:0644",
        "-1:0:0644",
        "4294967296:0:0644",
        "0:0:00644",
        "0:0:0648",
        "0:0:0644:",
        "0:0:0644:x1,3",
        "0:0:0644:c1",
        "0:0:0644:c1,3:",
        "0:0:10644",
        "0:0:0644\n",
    ] {
        let found = OwnerRecord::parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            found,
            RecordError::Malformed { text: text.into() },
            "{text}"
        );
    }
}

#[test]
fn a_table_is_text_and_comes_back() {
    let mut table = OwnerTable::default();
    let odd = RootPath::strict(b"run/new\nline \xff").unwrap();
    table.insert(odd, record(1, 2, 0o777));
    table.insert(at("a"), record(3, 4, 0o600));
    let text = table.to_string();
    assert_eq!(text, "3:4:0600 a\n1:2:0777 run/new\\x0aline \\xff\n");
    assert_eq!(OwnerTable::parse(&text).unwrap(), table);
    assert_eq!(OwnerTable::parse("").unwrap(), OwnerTable::default());
    let wrong = OwnerTable::parse("3:4:0600 a\nx\n").unwrap_err();
    assert_eq!(wrong, RecordError::Line { line: 2 });
    let path = OwnerTable::parse("3:4:0600 ../a\n").unwrap_err();
    assert!(matches!(path, RecordError::Path { line: 1, .. }));
}

#[test]
fn a_table_follows_what_is_renamed_and_removed() {
    let mut table = OwnerTable::default();
    for path in ["a", "a/b", "a/c/d", "a-b", "b"] {
        table.insert(at(path), record(1, 1, 0o777));
    }
    table.rename(&at("a"), &at("x/y")).unwrap();
    let paths: Vec<_> = table.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, ["a-b", "b", "x/y", "x/y/b", "x/y/c/d"].map(at));
    table.remove_below(&at("x/y/c"));
    table.remove_below(&at("b"));
    let paths: Vec<_> = table.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, ["a-b", "x/y", "x/y/b"].map(at));
}
