//! `USER` is looked up as BuildKit does, in hostile tables too.

use std::fs;

use super::Place;
use crate::{ResolvedUser, UserError, highest_id, resolve_user};

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
  ana:x:1000:1000:Ana,,,:/home/ana:/bin/sh
1000:x:5:5::/five:
broken:x:zero:0::/:
short:x:7
nohome:x:8:8

ana:x:1:1:second:/second:
";

const GROUP: &str = "\
root:x:0:
ana:x:1000:
docker:x:999:bob,ana
bad:x:-1:ana
video:x:44:ana,ana
again:x:999:ana
seven:x:777:1000
";

fn place() -> Place {
    let place = Place::new();
    place.mkdir("etc");
    place.write("etc/passwd", PASSWD);
    place.write("etc/group", GROUP);
    place
}

fn user(uid: u32, gid: u32, groups: &[u32], home: Option<&str>) -> ResolvedUser {
    let home = home.map(|home| home.as_bytes().to_vec());
    ResolvedUser {
        uid,
        gid,
        groups: groups.to_vec(),
        home,
    }
}

#[test]
fn users_are_found_as_buildkit_finds_them() {
    let place = place();
    for (text, expected) in [
        ("", user(0, 0, &[0], Some("/root"))),
        ("root", user(0, 0, &[0], Some("/root"))),
        ("ana", user(1000, 1000, &[1000, 999, 44], Some("/home/ana"))),
        (
            "1000",
            user(1000, 1000, &[1000, 999, 44], Some("/home/ana")),
        ),
        (
            "01000",
            user(1000, 1000, &[1000, 999, 44], Some("/home/ana")),
        ),
        ("00", user(0, 0, &[0], Some("/root"))),
        ("4711", user(4711, 0, &[0], None)),
        ("4711:ana", user(4711, 1000, &[1000], None)),
        ("ana:docker", user(1000, 999, &[999], Some("/home/ana"))),
        ("ana:5000", user(1000, 5000, &[5000], Some("/home/ana"))),
        ("1:2", user(1, 2, &[2], Some("/second"))),
        (":docker", user(0, 999, &[999], Some("/root"))),
        (
            "ana:",
            user(1000, 1000, &[1000, 999, 44], Some("/home/ana")),
        ),
        ("nohome", user(8, 8, &[8], None)),
        ("2147483647", user(2_147_483_647, 0, &[0], None)),
    ] {
        assert_eq!(resolve_user(&place.root, text).unwrap(), expected, "{text}");
    }
}

#[test]
fn t_a19_names_and_numbers_that_are_nobody_are_refused() {
    let place = place();
    for text in [
        "nobody", "0x0", "root\n", " ana", "broken", "short", "a-1", "-",
    ] {
        let error = resolve_user(&place.root, text).unwrap_err();
        assert!(
            matches!(&error, UserError::UnknownUser { name } if name == text),
            "{text}"
        );
    }
    for text in [
        "4294967296",
        "-1",
        "2147483648",
        "+-1",
        "99999999999999999999",
    ] {
        let error = resolve_user(&place.root, text).unwrap_err();
        let expected = text != "+-1";
        assert_eq!(matches!(error, UserError::Range { .. }), expected, "{text}");
    }
    for text in ["ana:nogroup", "1:bad", "1:x"] {
        let error = resolve_user(&place.root, text).unwrap_err();
        assert!(matches!(error, UserError::UnknownGroup { .. }), "{text}");
    }
    let error = resolve_user(&place.root, "root\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no user `root\\n` in /etc/passwd of the image"
    );
    let error = resolve_user(&place.root, "ana:4294967295").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`4294967295` is no id: ids are 0 to 2147483647"
    );
}

#[test]
fn an_image_without_tables_has_numbers_and_root() {
    let place = Place::new();
    assert_eq!(
        resolve_user(&place.root, "12:13").unwrap(),
        user(12, 13, &[13], None)
    );
    assert_eq!(
        resolve_user(&place.root, "").unwrap(),
        user(0, 0, &[0], None)
    );
    for text in ["root", "root:root", "0:root"] {
        let found = resolve_user(&place.root, text).unwrap();
        assert_eq!(found, user(0, 0, &[0], None), "{text}");
    }
    let error = resolve_user(&place.root, "ana").unwrap_err();
    assert!(matches!(error, UserError::UnknownUser { .. }));
    let error = resolve_user(&place.root, "root:wheel").unwrap_err();
    assert!(matches!(error, UserError::UnknownGroup { .. }));
}

#[test]
fn t_a20_hostile_tables_are_refused_at_once() {
    let place = Place::new();
    place.mkdir("etc");
    place.root.mkfifo(&super::at("etc/passwd")).unwrap();
    let refused = |text: &str| {
        let error = resolve_user(&place.root, text).unwrap_err();
        let UserError::Table { path, source } = error else {
            panic!("{error}");
        };
        (path, source.to_string())
    };
    assert_eq!(
        refused("ana"),
        ("etc/passwd", "`etc/passwd` is no regular file".to_owned())
    );

    fs::remove_file(place.inside("etc/passwd")).unwrap();
    place.write("etc/passwd", "ana:x:5:5::/:\n");
    let group = fs::File::create(place.inside("etc/group")).unwrap();
    group.set_len(5 << 30).unwrap();
    let too_large = "`etc/group` has more than 10485760 bytes".to_owned();
    assert_eq!(refused("ana"), ("etc/group", too_large));
}

#[test]
fn t_a20_a_table_that_is_a_link_out_is_not_the_hosts() {
    let place = Place::new();
    place.mkdir("etc");
    fs::write(place.host("passwd"), "ana:x:1234:1234::/:\n").unwrap();
    place.symlink(place.host("passwd").to_str().unwrap(), "etc/passwd");
    let error = resolve_user(&place.root, "ana").unwrap_err();
    assert!(matches!(error, UserError::UnknownUser { .. }));
    place.symlink("/etc/real", "etc/group");
    place.write("etc/real", "staff:x:50:\n");
    assert_eq!(resolve_user(&place.root, "1:staff").unwrap().gid, 50);
}

#[test]
fn the_highest_id_is_that_of_any_user_or_group() {
    assert_eq!(highest_id(&Place::new().root).unwrap(), 0);
    assert_eq!(highest_id(&place().root).unwrap(), 1000);
    for (table, line, expected) in [
        ("etc/passwd", "nobody:x:65534:7::/:\n", 65_534),
        ("etc/passwd", "odd:x:7:70000::/:\n", 70_000),
        ("etc/group", "nogroup:x:65534:\n", 65_534),
        ("etc/group", "none:x:4294967295:\n", 1000),
    ] {
        let place = place();
        place.write(table, line);
        assert_eq!(highest_id(&place.root).unwrap(), expected, "{line}");
    }
}
