//! What entries say of their objects is kept, as far as an image may say it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::support::{Place, Says, Tar, assert_archive_error, at, ids, is_root, says, xattrs};
use crate::{ApplyError, ApplyOptions, Limits};

#[test]
fn attributes_of_an_image_are_kept_and_others_left_out() {
    const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let place = Place::new();
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", &CAPABILITY),
            ("SCHILY.xattr.security.selinux", b"label"),
            ("SCHILY.xattr.trusted.x", b"x"),
            ("SCHILY.xattr.user.note", b"a\nb\0"),
        ])
        .entry(Says {
            mode: 0o4755,
            owner: 0,
            ..says(b'0', b"ping")
        })
        .pax(&[("SCHILY.xattr.user.note", b"x")])
        .symlink("l", "ping");
    let applied = place.apply(&tar).unwrap();
    assert_eq!(
        place.tree(&applied),
        ["l0777 0:0 l -> ping", "f4755 0:0 ping = "]
    );
    let found = xattrs(&place.root, "ping");
    assert_eq!(found["user.note"], b"a\nb\0");
    let recorded = found
        .get("security.capability")
        .or(found.get("user.careen.capability"));
    assert_eq!(recorded.unwrap(), &CAPABILITY);
    assert!(!found.contains_key("security.selinux") && !found.contains_key("trusted.x"));
}

#[test]
fn devices_are_recorded_and_owners_kept() {
    let place = Place::new();
    let tar = Tar::new()
        .entry(Says {
            mode: 0o666,
            device: (1, 3),
            ..says(b'3', b"dev/null")
        })
        .entry(Says {
            mode: 0o660,
            device: (8, 0),
            ..says(b'4', b"dev/sda")
        })
        .entry(Says {
            mode: 0o600,
            owner: 42,
            ..says(b'6', b"run/fifo")
        })
        .entry(Says {
            mode: 0o2755,
            owner: 33,
            ..says(b'5', b"var/www/")
        })
        .entry(Says {
            link: b"x",
            owner: 33,
            ..says(b'2', b"var/l")
        });
    let applied = place.apply(&tar).unwrap();
    let kept: Vec<_> = place.tree(&applied);
    assert_eq!(
        kept,
        [
            "d0755 0:0 dev",
            "c0666 0:0 dev/null 1,3",
            "b0660 0:0 dev/sda 8,0",
            "d0755 0:0 run",
            "p0600 42:42 run/fifo",
            "d0755 0:0 var",
            "l0777 33:33 var/l -> x",
            "d2755 33:33 var/www",
        ]
    );
    for path in ["dev/null", "dev/sda"] {
        let found = fs::symlink_metadata(place.inside(path)).unwrap();
        assert!(found.is_file() && found.len() == 0, "{path}");
    }
}

#[test]
fn t_a19_ids_that_cannot_be_are_refused() {
    let place = Place::new();
    let binary = |field: [u8; 8]| {
        Tar::new()
            .file("f", "")
            .patch(|block| block[108..116].copy_from_slice(&field))
    };
    for field in [
        [0x80, 0, 0, 1, 0, 0, 0, 0],
        [0xff; 8],
        [0x80, 0, 1, 0, 0, 0, 0, 0],
    ] {
        let error = place.apply(&binary(field)).unwrap_err();
        assert_archive_error(
            &error,
            "the field `uid` of a header is no number that it can be",
        );
    }
    let error = place
        .apply(&Tar::new().pax(&[("uid", b"4294967296")]).file("f", ""))
        .unwrap_err();
    assert_archive_error(&error, "the PAX record `uid` has a wrong value");
    if is_root() {
        let error = place
            .apply(&binary([0x80, 0, 0, 0, 0, 1, 0, 0]))
            .unwrap_err();
        let ApplyError::Write { path, source } = error else {
            panic!("{error}")
        };
        assert_eq!(
            (path, source.to_string()),
            (at("f"), "the owner of `f`".to_owned())
        );
    }
}

#[test]
fn setuid_bits_survive_the_change_of_owner() {
    let place = Place::new();
    let tar = Tar::new().entry(Says {
        mode: 0o6755,
        owner: 5,
        ..says(b'0', b"su")
    });
    let applied = place.apply(&tar).unwrap();
    assert_eq!(place.tree(&applied), ["f6755 5:5 su = "]);
}

#[test]
fn entries_replace_each_other_whatever_they_are() {
    let place = Place::new();
    let tar = Tar::new()
        .dir("d")
        .file("d/child", "")
        .file("d", "now a file")
        .file("f", "")
        .dir("f")
        .file("same", "1")
        .file("same", "2")
        .file("self", "s")
        .link("self", "self");
    let applied = place.apply(&tar).unwrap();
    assert_eq!(
        place.tree(&applied),
        [
            "f0644 0:0 d = now a file",
            "d0755 0:0 f",
            "f0644 0:0 same = 2",
            "f0644 0:0 self = s"
        ]
    );
    let error = Place::new()
        .apply(&Tar::new().file("f", "").file("f/x", ""))
        .unwrap_err();
    assert!(matches!(error, ApplyError::Write { .. }), "{error}");
}

#[test]
fn times_of_directories_are_set_at_the_end() {
    let place = Place::new();
    place
        .apply(&Tar::new().dir("d").file("d/a", "").file("d/b", ""))
        .unwrap();
    let time = |path| {
        place
            .root
            .metadata(&at(path))
            .unwrap()
            .unwrap()
            .mtime
            .seconds
    };
    assert_eq!((time("d"), time("d/a")), (1_700_000_000, 1_700_000_000));
}

#[test]
fn modes_of_a_layer_do_not_depend_on_the_umask() {
    let place = Place::new();
    let tar = Tar::new().file("made/f", "").entry(Says {
        mode: 0o777,
        ..says(b'5', b"open")
    });
    place.apply(&tar).unwrap();
    let mode = |path| {
        fs::metadata(place.inside(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (mode("made"), mode("open"), mode("made/f")),
        (0o755, 0o777, 0o644)
    );
}

#[test]
fn small_files_that_are_replaced_or_linked_while_they_are_written_are_the_last_ones() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut put = |path: &str, text: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o640);
        header.set_mtime(7);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    };
    for number in 0..200 {
        put("dir/same", &format!("{number}"));
        put(&format!("dir/{number}"), &"x".repeat(number * 7));
    }
    for number in 0..200 {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        let target = format!("dir/{number}");
        tar.append_link(&mut header, format!("link/{number}"), target)
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let place = Place::new();
    let options = ApplyOptions {
        ids: ids(),
        limits: Limits::default(),
    };
    let (applied, diff_id) = crate::unpack(
        tar.as_slice(),
        &crate::DecoderRoom::default(),
        &place.root,
        &options,
    )
    .unwrap();
    assert_eq!(applied.entries, 600);
    assert_eq!(diff_id, oci::DiffId::new(oci::Digest::of(&tar)));
    let read = |path: &str| {
        place
            .root
            .read_to_end_limited(&at(path), 1 << 20)
            .unwrap()
            .unwrap()
    };
    assert_eq!(read("dir/same"), b"199");
    for number in 0..200 {
        let metadata = place
            .root
            .metadata(&at(&format!("link/{number}")))
            .unwrap()
            .unwrap();
        assert_eq!((metadata.mtime.seconds, metadata.nlink), (7, 2), "{number}");
        assert_eq!(read(&format!("dir/{number}")).len(), number * 7);
    }
}
