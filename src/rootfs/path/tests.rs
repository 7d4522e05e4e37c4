//! Paths that are normalised, escaped, ordered and refused.

use super::*;

fn path(text: &str) -> RootPath {
    RootPath::strict(text).unwrap()
}

#[test]
fn a_path_is_normalised_and_clamped_at_the_root() {
    for (from, to) in [
        ("", ""),
        ("/", ""),
        (".//", ""),
        ("/etc/passwd", "etc/passwd"),
        ("a//b/./c/", "a/b/c"),
        ("../x", "x"),
        ("a/../../x", "x"),
        ("a/./../..//x", "x"),
        ("a/b/..", "a"),
        ("..a/...", "..a/..."),
        ("a\\b", "a\\b"),
    ] {
        assert_eq!(
            RootPath::lexical(from).unwrap().as_bytes(),
            to.as_bytes(),
            "{from}"
        );
    }
}

#[test]
fn a_strict_path_refuses_to_climb() {
    for from in ["..", "../x", "a/../b", "a/.."] {
        let found = RootPath::strict(from).unwrap_err();
        assert_eq!(found, PathError::Climbs { path: from.into() }, "{from}");
    }
    assert_eq!(
        RootPath::strict("../x").unwrap_err().to_string(),
        "the path `../x` has a `..`"
    );
}

#[test]
fn a_nul_byte_is_refused() {
    assert_eq!(
        RootPath::lexical(b"a\0b").unwrap_err(),
        PathError::Nul {
            path: b"a\0b".to_vec()
        }
    );
}

#[test]
fn limits_hold_and_one_more_is_refused() {
    let component = vec![b'c'; COMPONENT_LIMIT_BYTES];
    assert_eq!(RootPath::strict(&component).unwrap().as_bytes(), component);
    let long = vec![b'c'; COMPONENT_LIMIT_BYTES + 1];
    assert_eq!(
        RootPath::strict(&long).unwrap_err(),
        PathError::LongComponent {
            start: vec![b'c'; 64],
            length_bytes: 256
        }
    );

    let most = [b"a/".repeat(PATH_LIMIT_BYTES / 2), b"b".to_vec()].concat();
    assert_eq!(RootPath::strict(&most).unwrap().as_bytes(), most);
    let more = [most, b"b".to_vec()].concat();
    assert_eq!(
        RootPath::strict(&more).unwrap_err(),
        PathError::LongPath {
            start: b"a/".repeat(32),
            length_bytes: PATH_LIMIT_BYTES + 1
        }
    );
}

#[test]
fn bytes_that_are_not_text_come_back() {
    for bytes in [
        &b"a\xffb/\xc3\xa9/c\n\\x41"[..],
        b"\x7f\x80",
        b"plain/name",
        b"",
    ] {
        let path = RootPath::strict(bytes).unwrap();
        assert_eq!(path.as_bytes(), bytes);
        assert_eq!(RootPath::from_escaped(&path.to_string()).unwrap(), path);
    }
    assert_eq!(
        RootPath::strict(b"a\xff\n\\").unwrap().to_string(),
        "a\\xff\\x0a\\x5c"
    );
    assert_eq!(RootPath::root().to_string(), ".");
    assert_eq!(path("etc").absolute(), "/etc");
}

#[test]
fn a_wrong_escape_is_refused() {
    for text in ["\\", "\\x4", "\\xAG", "\\n", "a//b", "/a", "a/"] {
        let found = RootPath::from_escaped(text).unwrap_err();
        assert_eq!(
            found,
            PathError::Escape {
                text: text.to_owned()
            },
            "{text}"
        );
    }
}

#[test]
fn the_order_is_that_of_a_walk() {
    let mut paths = ["a-b", "a/x", "b", "a", "", "a/x/y"].map(path);
    paths.sort();
    assert_eq!(paths, ["", "a", "a/x", "a/x/y", "a-b", "b"].map(path));
}

#[test]
fn the_order_of_paths_is_that_of_their_components() {
    let names = ["a", "a-", "a!", "a\u{1}", "aa", "b", "\u{1}", "~", "ä", "0"];
    let below = |top: &String| names.map(|name| format!("{top}/{name}"));
    let tops: Vec<_> = names.map(str::to_owned).to_vec();
    let deep: Vec<_> = tops.iter().flat_map(below).collect();
    let deeper: Vec<_> = deep.iter().step_by(7).flat_map(below).collect();
    let texts = [tops, deep, deeper, vec![String::new()]].concat();
    let paths: Vec<_> = texts.iter().map(|text| path(text)).collect();
    for (one, other) in paths
        .iter()
        .flat_map(|one| paths.iter().map(move |other| (one, other)))
    {
        assert_eq!(
            one.cmp(other),
            one.components().cmp(other.components()),
            "{one} {other}"
        );
    }
}

#[test]
fn parts_of_a_path() {
    let deep = path("a/b/c");
    assert_eq!(deep.parent(), Some(path("a/b")));
    assert_eq!(deep.file_name(), Some(&b"c"[..]));
    assert_eq!(path("a").parent(), Some(RootPath::root()));
    assert_eq!(RootPath::root().parent(), None);
    assert_eq!(RootPath::root().file_name(), None);
    assert_eq!(deep.components().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!(RootPath::root().components().count(), 0);
    assert_eq!(
        deep.ancestors().collect::<Vec<_>>(),
        [path("a"), path("a/b")]
    );
    assert_eq!(deep.strip_prefix(&path("a")), Some(path("b/c")));
    assert_eq!(deep.strip_prefix(&deep), Some(RootPath::root()));
    assert_eq!(path("ab").strip_prefix(&path("a")), None);
    assert!(deep.starts_with(&RootPath::root()));
    assert_eq!(path("a").join(&path("b/c")).unwrap(), deep);
    assert_eq!(path("a/b").child(b"c").unwrap(), deep);
}

#[test]
fn a_child_is_one_component() {
    for name in [&b""[..], b".", b"..", b"a/b"] {
        let found = path("d").child(name).unwrap_err();
        assert_eq!(
            found,
            PathError::Climbs {
                path: name.to_vec()
            }
        );
    }
}
