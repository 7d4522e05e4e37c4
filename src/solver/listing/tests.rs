use std::sync::Arc;

use graph::Archives;
use layer::Change;
use rootfs::{Mode, RootPath};

use super::*;

fn node(kind: NodeKind, mode: u32) -> Node {
    let attributes = Attributes {
        mode: Mode::new(mode),
        ..Attributes::default()
    };
    Node { attributes, kind }
}

fn file(text: &str) -> NodeKind {
    NodeKind::File {
        size: text.len() as u64,
        content: Content::Bytes(Arc::from(text.as_bytes())),
    }
}

fn link(target: &str) -> NodeKind {
    let target = target.as_bytes().to_vec();
    NodeKind::Symlink { target }
}

/// A source of a name with what is in it; a name at the empty path is the source itself.
fn found(name: &str, nodes: Vec<(&str, Node)>) -> Found {
    let entries = nodes.into_iter().map(|(path, node)| {
        let path = RootPath::from_normal(path.into());
        let kind = ChangeKind::Put(node);
        Listed::from(Change { path, kind })
    });
    Found {
        name: name.into(),
        entries: entries.collect(),
        archives: Archives::Keep,
        keeps_directories: false,
    }
}

fn changed(before: &[Found], now: &[Found]) -> Vec<(String, FileChange)> {
    let changed = Listing::of(now).since(&Listing::of(before)).unwrap();
    let changed = changed.into_iter();
    changed.map(|file| (file.path, file.change)).collect()
}

#[test]
fn each_file_that_changed_is_told_with_what_became_of_it() {
    let plain = |text| node(file(text), 0o644);
    let before = [
        found("a.txt", vec![("", plain("a"))]),
        found(
            "src",
            vec![
                ("gone", plain("g")),
                ("kept", plain("k")),
                ("mode", plain("m")),
                ("said", plain("s")),
                ("kind", plain("x")),
            ],
        ),
    ];
    let now = [
        found("a.txt", vec![("", plain("b"))]),
        found(
            "src",
            vec![
                ("new", plain("n")),
                ("kept", plain("k")),
                ("mode", node(file("m"), 0o755)),
                ("said", node(file("t"), 0o755)),
                ("kind", node(link("x"), 0o644)),
            ],
        ),
    ];
    let expected = [
        ("a.txt", FileChange::Content),
        ("src/gone", FileChange::Removed),
        ("src/kind", FileChange::Content),
        ("src/mode", FileChange::Attributes),
        ("src/new", FileChange::Added),
        ("src/said", FileChange::Content),
    ];
    let expected = expected.map(|(path, change)| (path.to_owned(), change));
    assert_eq!(changed(&before, &now), expected);
    assert_eq!(changed(&now, &now), []);
}

#[test]
fn of_very_many_files_the_directory_is_told() {
    let names: Vec<_> = (0..PATHS_MAX)
        .map(|index| format!("a/b/c/{index:05}"))
        .collect();
    let tree = |last: &str| {
        let mut nodes: Vec<_> = names
            .iter()
            .map(|name| (&**name, node(file("x"), 0o644)))
            .collect();
        nodes.push(("a/z/c/0", node(file(last), 0o644)));
        [found("", nodes)]
    };
    let (before, now) = (tree("1"), tree("2"));
    let expected = [("a/z/c/".to_owned(), FileChange::Content)];
    assert_eq!(changed(&before, &now), expected);
    assert_eq!(Listing::of(&now).lines.len(), 2);
    let few = [found("", vec![("a", node(file("x"), 0o644))])];
    assert_eq!(Listing::of(&now).since(&Listing::of(&few)), None);
}
