//! What depends on lower layers is settled.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rootfs::{OwnerTable, Owners};

use super::support::{Place, Says, Tar, at, ids, says};
use crate::{Applied, SettleError, settle};

/// Applies two layers and settles the upper one over the lower one.
fn settled(lower: &Tar, upper: &Tar) -> (Place, Result<OwnerTable, SettleError>, Applied) {
    let (below, place) = (Place::new(), Place::new());
    below.apply(lower).unwrap();
    let applied = place.apply(upper).unwrap();
    let mut owners = applied.owners.clone();
    let result = settle(&place.root, &below.root, &applied.unsettled, &mut owners);
    (place, result.map(|()| owners), applied)
}

fn tree(lower: &Tar, upper: &Tar) -> Vec<String> {
    let (place, result, _) = settled(lower, upper);
    place.lines(Owners::new(ids(), result.unwrap()))
}

#[test]
fn a_layer_that_says_everything_is_settled() {
    let applied = Place::new()
        .apply(&Tar::new().dir("a").file("a/f", "").link("h", "a/f"))
        .unwrap();
    assert!(applied.unsettled.is_empty());
}

#[test]
fn implied_directories_are_like_those_below() {
    let lower = Tar::new()
        .entry(Says {
            mode: 0o1777,
            ..says(b'5', b"tmp")
        })
        .pax(&[("SCHILY.xattr.user.note", b"x")])
        .entry(Says {
            mode: 0o2750,
            owner: 33,
            ..says(b'5', b"var/www")
        });
    let upper = Tar::new().file("tmp/f", "").file("var/www/site/page", "p");
    let (place, result, applied) = settled(&lower, &upper);
    assert_eq!(
        applied.unsettled.implied,
        ["tmp", "var", "var/www", "var/www/site"].map(at).into()
    );
    assert_eq!(
        place.lines(Owners::new(ids(), result.unwrap())),
        [
            "d1777 0:0 tmp",
            "f0644 0:0 tmp/f = ",
            "d0755 0:0 var",
            "d2750 33:33 var/www",
            "d0755 0:0 var/www/site",
            "f0644 0:0 var/www/site/page = p",
        ]
    );
    let note = place
        .root
        .inode(&at("var/www"))
        .unwrap()
        .xattr(b"user.note")
        .unwrap();
    assert_eq!(note, Some(b"x".to_vec()));
    assert_eq!(
        fs::metadata(place.inside("tmp")).unwrap().mtime(),
        1_700_000_000
    );
}

#[test]
fn entries_move_to_where_a_link_below_leads() {
    let lower = Tar::new()
        .entry(Says {
            mode: 0o700,
            ..says(b'5', b"run")
        })
        .entry(Says {
            mode: 0o710,
            ..says(b'5', b"run/app")
        })
        .dir("var")
        .symlink("var/run", "../run");
    let upper = Tar::new()
        .file("var/run/app/pid", "1")
        .file("var/run/new/f", "2")
        .file("run/app/here", "3")
        .file("var/run/.wh.gone", "")
        .file("var/run/app/.wh..wh..opq", "");
    assert_eq!(
        tree(&lower, &upper),
        [
            "d0700 0:0 run",
            "D0710 0:0 run/app",
            "f0644 0:0 run/app/here = 3",
            "f0644 0:0 run/app/pid = 1",
            "x run/gone",
            "d0755 0:0 run/new",
            "f0644 0:0 run/new/f = 2",
            "d0755 0:0 var",
        ]
    );
}

#[test]
fn links_below_may_lead_over_further_links() {
    let lower = Tar::new()
        .symlink("a", "b")
        .dir("b")
        .symlink("b/c", "/x/y")
        .entry(Says {
            mode: 0o711,
            ..says(b'5', b"x/y")
        });
    let upper = Tar::new().file("a/c/f", "moved").file("a/g", "too");
    assert_eq!(
        tree(&lower, &upper),
        [
            "d0755 0:0 b",
            "f0644 0:0 b/g = too",
            "d0755 0:0 x",
            "d0711 0:0 x/y",
            "f0644 0:0 x/y/f = moved"
        ]
    );
}

#[test]
fn a_link_below_cannot_lead_out() {
    let outside = Place::new();
    let lower = Tar::new().symlink("d", outside.host("").to_str().unwrap());
    let (place, result, _) = settled(&lower, &Tar::new().file("d/victim", "evil"));
    result.unwrap();
    place.assert_victim_untouched();
    outside.assert_victim_untouched();
}

#[test]
fn a_directory_of_the_layer_hides_a_link_below() {
    let lower = Tar::new().symlink("d", "e").entry(Says {
        mode: 0o700,
        ..says(b'5', b"e/sub")
    });
    let upper = Tar::new().dir("d").file("d/sub/f", "");
    assert_eq!(
        tree(&lower, &upper),
        ["d0755 0:0 d", "d0755 0:0 d/sub", "f0644 0:0 d/sub/f = "]
    );
}

#[test]
fn what_the_layer_hides_says_nothing() {
    let lower = Tar::new().entry(Says {
        mode: 0o700,
        ..says(b'5', b"d/sub")
    });
    let upper = Tar::new()
        .file("d/sub/f", "")
        .file("d/.wh..wh..opq", "")
        .dir("d");
    let (_, _, applied) = settled(&lower, &upper);
    assert!(applied.unsettled.is_empty());
}

#[test]
fn a_file_below_is_in_the_way() {
    let (_, result, _) = settled(&Tar::new().file("a", ""), &Tar::new().file("a/b", ""));
    let error = result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the layer has files below `/a`, which is no directory in the layers below"
    );
}

#[test]
fn a_hard_link_to_a_lower_file_copies_it_up() {
    let lower = Tar::new()
        .entry(Says {
            mode: 0o711,
            ..says(b'5', b"bin")
        })
        .entry(Says {
            mode: 0o4755,
            owner: 5,
            data: b"box",
            ..says(b'0', b"bin/box")
        })
        .symlink("sbin", "bin");
    let upper = Tar::new()
        .link("usr/sh", "sbin/box")
        .link("usr/ls", "usr/sh")
        .link("usr/l", "sbin");
    let (place, result, applied) = settled(&lower, &upper);
    assert_eq!(applied.unsettled.links.len(), 3);
    assert_eq!(
        place.lines(Owners::new(ids(), result.unwrap())),
        [
            "d0711 0:0 bin",
            "f4755 5:5 bin/box = box",
            "l0777 0:0 sbin -> bin",
            "d0755 0:0 usr",
            "h0777 0:0 usr/l => sbin",
            "h4755 5:5 usr/ls => bin/box",
            "h4755 5:5 usr/sh => bin/box",
        ]
    );
    assert_eq!(
        fs::metadata(place.inside("bin/box")).unwrap().mtime(),
        1_700_000_000
    );
}

#[test]
fn a_hard_link_to_nothing_is_an_error() {
    for (lower, target) in [(Tar::new(), "no/where"), (Tar::new().dir("d"), "d")] {
        let (_, result, _) = settled(&lower, &Tar::new().link("l", target));
        let error = result.unwrap_err();
        let expected = format!("`/l` in the layer is a link to `/{target}`, which does not exist");
        assert_eq!(error.to_string(), expected);
    }
    let removed = Tar::new().file(".wh.f", "").link("l", "f");
    let error = Place::new().apply(&removed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/l` in the layer is a link to `/f`, which the layer removes"
    );
}

#[test]
fn a_link_that_another_entry_replaces_is_forgotten() {
    let upper = Tar::new()
        .link("a", "x")
        .file("a", "1")
        .link("d/b", "x")
        .file("d", "2");
    let applied = Place::new().apply(&upper).unwrap();
    assert!(applied.unsettled.is_empty());
}

#[test]
fn links_of_moved_directories_move_along() {
    let lower = Tar::new()
        .dir("run")
        .symlink("var", "run")
        .file("bin/x", "x");
    let upper = Tar::new().link("var/l", "bin/x");
    assert_eq!(
        tree(&lower, &upper),
        [
            "d0755 0:0 bin",
            "f0644 0:0 bin/x = x",
            "d0755 0:0 run",
            "h0644 0:0 run/l => bin/x"
        ]
    );
}
