//! Archives that want out. The names of the tests are those of the table of published faults.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::support::{Place, Says, Tar, assert_archive_error, at, says};
use crate::{ApplyError, DecoderRoom, Limits, UnpackError, index};

#[test]
fn t_a01_a_file_is_not_written_through_a_link() {
    let place = Place::new();
    let victim = place.host("victim");
    let out = victim.to_str().unwrap();
    for tar in [
        Tar::new().symlink("l", out).file("l", "evil"),
        Tar::new().symlink("l", "../host/victim").file("l", "evil"),
        Tar::new()
            .file("f", "good")
            .link("l", "f")
            .file("l", "evil"),
    ] {
        let place = Place::new();
        let applied = place.apply(&tar).unwrap();
        let tree = place.tree(&applied);
        assert!(tree.contains(&"f0644 0:0 l = evil".to_owned()), "{tree:?}");
        place.assert_victim_untouched();
    }
    place.assert_victim_untouched();
}

#[test]
fn t_a02_parents_are_made_inside_the_root() {
    let place = Place::new();
    let tar = Tar::new().symlink("s", "..").file("s/x/y/z", "in");
    let applied = place.apply(&tar).unwrap();
    let expected = [
        "l0777 0:0 s -> ..",
        "d0755 0:0 x",
        "d0755 0:0 x/y",
        "f0644 0:0 x/y/z = in",
    ];
    assert_eq!(place.tree(&applied), expected);
    place.assert_victim_untouched();
}

#[test]
fn t_a03_a_directory_takes_the_place_of_a_link() {
    let place = Place::new();
    let before = fs::metadata(place.host("")).unwrap().mode();
    let tar = Tar::new()
        .symlink("d", place.host("").to_str().unwrap())
        .entry(Says {
            mode: 0o777,
            ..says(b'5', b"d")
        });
    let applied = place.apply(&tar).unwrap();
    assert_eq!(place.tree(&applied), ["d0777 0:0 d"]);
    assert_eq!(fs::metadata(place.host("")).unwrap().mode(), before);
}

#[test]
fn t_a04_attributes_go_to_the_object_and_not_to_where_it_leads() {
    let place = Place::new();
    let before = fs::metadata(place.host("victim")).unwrap();
    let victim = place.host("victim");
    let tar = Tar::new()
        .symlink("l", victim.to_str().unwrap())
        .entry(Says {
            link: b"l",
            mode: 0o6777,
            owner: 7,
            ..says(b'1', b"h")
        });
    let applied = place.apply(&tar).unwrap();
    let target = victim.to_str().unwrap();
    assert_eq!(
        place.tree(&applied),
        [
            format!("l0777 0:0 h -> {target}"),
            "h0777 0:0 l => h".into()
        ]
    );
    let after = fs::metadata(place.host("victim")).unwrap();
    let facts = |found: &fs::Metadata| (found.mode(), found.uid(), found.mtime());
    assert_eq!(facts(&after), facts(&before));
}

#[test]
fn t_a04_a_swapper_beside_the_apply_gets_nothing_out() {
    let place = Place::new();
    fs::create_dir(place.inside("d")).unwrap();
    fs::create_dir(place.inside("aside")).unwrap();
    std::os::unix::fs::symlink(place.host(""), place.inside("aside/l")).unwrap();
    let mut tar = Tar::new();
    for number in 0..200 {
        tar = tar
            .file(&format!("d/f{number}"), "x")
            .dir(&format!("d/d{number}"));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Whichever of these fails, the next round sets right.
                drop(fs::rename(place.inside("d"), place.inside("aside/d")));
                drop(fs::rename(place.inside("aside/l"), place.inside("d")));
                drop(fs::rename(place.inside("d"), place.inside("aside/l")));
                drop(fs::rename(place.inside("aside/d"), place.inside("d")));
            }
        });
        for _ in 0..20 {
            // It may fail or not: what counts is where the files are.
            drop(place.apply(&tar));
        }
        stop.store(true, Ordering::Relaxed);
    });
    place.assert_victim_untouched();
}

#[test]
fn t_a05_no_link_and_no_kind_of_entry_leads_out() {
    let victim_dir = |place: &Place| place.host("").to_str().unwrap().to_owned();
    for kind in *b"05637" {
        for target in ["abs", "../host", "chain", "../../../../../../../../../tmp"] {
            let place = Place::new();
            let out = if target == "abs" {
                victim_dir(&place)
            } else {
                target.to_owned()
            };
            let base = Tar::new()
                .dir("a/b")
                .symlink("a/b/up", "../..")
                .symlink("chain", "a/b/up/../host")
                .symlink("link", &out);
            let tar = base
                .entry(Says {
                    mode: 0o777,
                    ..says(kind, b"link/new")
                })
                .entry(says(b'0', b"link/.wh.victim"))
                .entry(says(b'0', b"link/.wh..wh..opq"));
            place.apply(&tar).unwrap();
            place.assert_victim_untouched();

            let place = Place::new();
            let hard = Tar::new()
                .symlink("link", &victim_dir(&place))
                .link("h", "link/victim");
            let applied = place.apply(&hard).unwrap();
            assert_eq!(applied.unsettled.links.len(), 1);
            place.assert_victim_untouched();
        }
    }
}

/// Returns a layer whose `link` is a link of some kind out of the root, and then an entry of some kind at or below it.
fn escape(link: &str, target: &str, entry: &str) -> Tar {
    let tar = Tar::new().dir("a/b").symlink("a/b/up", "../..");
    let tar = tar.symlink("via", "a/b/up/../host");
    let (tar, place) = match link {
        "symbolic" => (tar.symlink("link", target), "link/victim"),
        _ => (tar.link("link", &format!("{target}/victim")), "link"),
    };
    match entry {
        "file" => tar.file(place, "evil"),
        "directory" => tar.dir(place),
        "fifo" => tar.entry(says(b'6', place.as_bytes())),
        "whiteout" => {
            let (parent, name) = place.rsplit_once('/').unwrap_or((".", place));
            tar.entry(says(b'0', format!("{parent}/.wh.{name}").as_bytes()))
        }
        _ => tar.entry(says(b'0', b"link/.wh..wh..opq")),
    }
}

// The matrix of "CopyEscape" (CVE-2026-17106): links of both kinds, that lead out in each way, with each kind of entry.
#[test]
fn t_a05_copy_escape_matrix() {
    for link in ["symbolic", "hard"] {
        for target in ["absolute", "../host", "via", "a/b/up/a/b/up/../host"] {
            for entry in ["file", "directory", "fifo", "whiteout", "opaque"] {
                let place = Place::new();
                let host = place.host("").to_str().unwrap().to_owned();
                let target = if target == "absolute" { &host } else { target };
                // It may be refused or not: what counts is where the files are.
                drop(place.apply(&escape(link, target, entry)));
                place.assert_victim_untouched();
            }
        }
    }
}

#[test]
fn t_a06_images_of_the_world_still_unpack() {
    let place = Place::new();
    let tar = Tar::new()
        .dir("run")
        .dir("var")
        .symlink("var/run", "/run")
        .file("var/run/pid", "1")
        .file("usr/bin/busybox", "box")
        .link("usr/bin/sh", "/usr/bin/busybox")
        .link("/usr/bin/ls", "./usr/bin/busybox");
    let applied = place.apply(&tar).unwrap();
    assert_eq!(
        place.tree(&applied),
        [
            "d0755 0:0 run",
            "f0644 0:0 run/pid = 1",
            "d0755 0:0 usr",
            "d0755 0:0 usr/bin",
            "f0644 0:0 usr/bin/busybox = box",
            "h0644 0:0 usr/bin/ls => usr/bin/busybox",
            "h0644 0:0 usr/bin/sh => usr/bin/busybox",
            "d0755 0:0 var",
            "l0777 0:0 var/run -> /run",
        ]
    );
    assert_eq!(applied.unsettled.implied, ["usr", "usr/bin"].map(at).into());
}

#[test]
fn t_a07_a_hard_link_is_not_relative_to_this_process() {
    let place = Place::new();
    // The working directory of the tests has a file of this name.
    assert!(fs::exists("Cargo.toml").unwrap());
    let applied = place
        .apply(&Tar::new().link("stolen", "Cargo.toml"))
        .unwrap();
    assert_eq!(applied.unsettled.links[0].target, at("Cargo.toml"));
    assert_eq!(place.root.names().unwrap(), [[0; 0]; 0]);

    let chain = Tar::new()
        .symlink("a", "..")
        .symlink("b", "a/..")
        .symlink("c", "b/../../..")
        .file("c/made", "in");
    let applied = place.apply(&chain).unwrap();
    assert!(
        place
            .tree(&applied)
            .contains(&"f0644 0:0 made = in".to_owned())
    );
    place.assert_victim_untouched();
}

#[test]
fn t_a08_a_directory_may_become_a_link_on_the_way() {
    let place = Place::new();
    let out = place.host("");
    let tar = Tar::new()
        .dir("d")
        .file("d/one", "1")
        .symlink("d", out.to_str().unwrap())
        .file("d/two", "2");
    let applied = place.apply(&tar).unwrap();
    let inside = out.to_str().unwrap().trim_matches('/');
    let tree = place.tree(&applied);
    assert!(
        tree.contains(&format!("f0644 0:0 {inside}/two = 2")),
        "{tree:?}"
    );
    assert!(!tree.iter().any(|line| line.contains("one")), "{tree:?}");
    place.assert_victim_untouched();
}

#[test]
fn t_a09_the_root_stays_a_directory() {
    for name in ["./", "/", "", ".//", "."] {
        for kind in *b"0123467" {
            let place = Place::new();
            let entry = Says {
                link: b"x",
                ..says(kind, name.as_bytes())
            };
            let error = place.apply(&Tar::new().entry(entry)).unwrap_err();
            let is_root_entry = matches!(error, ApplyError::RootEntry { .. });
            // A file with a slash is refused before anybody looks where it goes.
            let is_slash = name.ends_with('/') && matches!(kind, b'0' | b'7');
            assert_eq!(is_root_entry, !is_slash, "{name} {kind}: {error}");
        }
    }
}

#[test]
fn t_a09_an_entry_of_the_root_sets_its_attributes() {
    let place = Place::new();
    let applied = place
        .apply(&Tar::new().entry(Says {
            mode: 0o711,
            ..says(b'5', b"./")
        }))
        .unwrap();
    assert!(applied.root_is_set);
    let found = place.root.metadata(&at("")).unwrap().unwrap();
    assert_eq!(
        (found.mode.bits(), found.mtime.seconds),
        (0o711, 1_700_000_000)
    );
    assert!(!place.apply(&Tar::new().file("f", "")).unwrap().root_is_set);
}

#[test]
fn t_a10_names_are_paths_inside_or_refused() {
    for (name, expected) in [
        (&b"/abs"[..], "f0644 0:0 abs = "),
        (b"a/./b//c", "f0644 0:0 a/b/c = "),
        (b"back\\slash", "f0644 0:0 back\\x5cslash = "),
        (b"latin\xe9", "f0644 0:0 latin\\xe9 = "),
    ] {
        let place = Place::new();
        let applied = place.apply(&Tar::new().entry(says(b'0', name))).unwrap();
        assert_eq!(
            place.tree(&applied).last().map(String::as_str),
            Some(expected)
        );
    }
    for name in [&b"../x"[..], b"a/../../x", b"a/./../..//x", b".."] {
        let error = Place::new()
            .apply(&Tar::new().entry(says(b'0', name)))
            .unwrap_err();
        assert!(matches!(error, ApplyError::Name { name: found, .. } if found == name));
    }
    for tar in [
        Tar::new().long(b'L', &"/d".repeat(2560)).file("x", ""),
        Tar::new().long(b'L', &"c".repeat(256)).file("x", ""),
        Tar::new().link("x", "../y"),
    ] {
        let error = Place::new().apply(&tar).unwrap_err();
        assert!(matches!(error, ApplyError::Name { .. }), "{error}");
    }
    let nul = Tar::new().pax(&[("path", b"a\0b")]).file("x", "");
    assert_archive_error(
        &Place::new().apply(&nul).unwrap_err(),
        "a name has a NUL byte",
    );
}

#[test]
fn t_a16_whiteouts_mean_what_the_specification_says() {
    let place = Place::new();
    let tar = Tar::new()
        .dir("dir")
        .file("dir/child", "stays")
        .file("dir/.wh..wh..opq", "")
        .file(".wh.gone", "")
        .file("new/.wh.old", "")
        .file("both", "stays")
        .file(".wh.both", "")
        .dir("kept")
        .file(".wh.kept", "")
        .file(".wh.again", "")
        .file("again/below", "x")
        .file(".wh.made", "")
        .dir("made")
        .file(".wh..wh.plnk/123", "left out");
    let applied = place.apply(&tar).unwrap();
    assert_eq!(
        place.tree(&applied),
        [
            "D0755 0:0 again",
            "f0644 0:0 again/below = x",
            "f0644 0:0 both = stays",
            "D0755 0:0 dir",
            "f0644 0:0 dir/child = stays",
            "x gone",
            "D0755 0:0 kept",
            "D0755 0:0 made",
            "d0755 0:0 new",
            "x new/old",
        ]
    );
    assert_eq!(applied.unsettled.implied, [at("new")].into());
    assert!(!applied.root_is_opaque);
}

#[test]
fn t_a16_malformed_whiteouts_are_refused() {
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", ".wh.a/b", "a/.wh.b/c"] {
        let error = Place::new().apply(&Tar::new().file(name, "")).unwrap_err();
        assert!(
            matches!(error, ApplyError::Whiteout { .. }),
            "{name}: {error}"
        );
    }
    for kind in *b"1256" {
        let entry = Says {
            link: b"x",
            ..says(kind, b".wh.a")
        };
        let error = Place::new().apply(&Tar::new().entry(entry)).unwrap_err();
        assert!(matches!(error, ApplyError::Whiteout { .. }), "{error}");
    }
}

#[test]
fn t_a16_a_whiteout_through_a_link_stays_inside() {
    let place = Place::new();
    let out = place.host("");
    let tar = Tar::new()
        .dir("d")
        .symlink("l", "d")
        .file("l/.wh.x", "")
        .symlink("o", out.to_str().unwrap());
    let applied = place.apply(&tar.file("o/.wh.victim", "")).unwrap();
    assert!(place.tree(&applied).contains(&"x d/x".to_owned()));
    place.assert_victim_untouched();
}

#[test]
fn t_a16_overlay_marks_do_not_come_from_a_layer() {
    for name in [
        "user.overlay.opaque",
        "user.overlay.redirect",
        "user.overlay.metacopy",
        "trusted.overlay.opaque",
        "user.careen.owner",
        "user.careen.capability",
    ] {
        let key = format!("SCHILY.xattr.{name}");
        let tar = Tar::new().pax(&[(&key, b"y")]).dir("d");
        let error = Place::new().apply(&tar).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`/d` in the layer has the extended attribute `{name}`, which no layer may have"
            )
        );
    }
    let place = Place::new();
    let tar = Tar::new().entry(Says {
        mode: 0,
        ..says(b'3', b"whiteout")
    });
    let applied = place.apply(&tar).unwrap();
    assert_eq!(place.tree(&applied), ["c0000 0:0 whiteout 0,0"]);
    assert!(
        !place
            .root
            .metadata(&at("whiteout"))
            .unwrap()
            .unwrap()
            .is_whiteout()
    );
}

#[test]
fn an_opaque_root_is_reported() {
    let place = Place::new();
    let applied = place
        .apply(&Tar::new().file(".wh..wh..opq", "").file("a/b", ""))
        .unwrap();
    assert!(applied.root_is_opaque);
    assert!(applied.unsettled.is_empty());
}

#[test]
fn a_size_that_no_archive_has_is_refused_whoever_passes_it_over() {
    let size = u64::MAX.to_string();
    let says_it = |name: &str| Tar::new().pax(&[("size", size.as_bytes())]).file(name, "");
    for name in ["file", ".wh.file", ".wh..wh.plnk"] {
        let tar = says_it(name);
        let place = Place::new();
        assert_archive_error(
            &place.apply(&tar).unwrap_err(),
            "the archive unpacks to more than 1125899906842624 bytes",
        );
        let indexed = index(
            tar.bytes().as_slice(),
            &DecoderRoom::default(),
            Limits::default(),
        );
        let Err(UnpackError::Apply(error)) = indexed else {
            panic!("{name}: indexed");
        };
        assert_archive_error(
            &error,
            "the archive unpacks to more than 1125899906842624 bytes",
        );
    }
}
