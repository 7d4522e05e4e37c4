use std::collections::BTreeMap;

use super::*;
use crate::change::{Change, ChangeKind, Content, Node, NodeKind};

fn path(text: &str) -> RootPath {
    RootPath::strict(text).unwrap()
}

fn put(at: &str, uid: u32, kind: NodeKind) -> Change {
    let attributes = Attributes {
        uid,
        ..Attributes::default()
    };
    Change {
        path: path(at),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

fn directory(at: &str, uid: u32, opaque: bool) -> Change {
    put(at, uid, NodeKind::Directory { opaque })
}

fn file(at: &str) -> Change {
    let content = Content::Bytes(Arc::from(*b""));
    put(at, 0, NodeKind::File { size: 0, content })
}

fn layer(changes: Vec<Change>) -> LookedInto {
    LookedInto::Changes(Arc::new(ChangeSet::new(changes)))
}

/// What is there when layers are carried out one after the other: of a directory its owner, of anything else none.
#[derive(Default)]
struct Tree(BTreeMap<RootPath, Option<u32>>);

impl Tree {
    fn apply(&mut self, change: &Change) {
        let below = |path: &RootPath| *path != change.path && path.starts_with(&change.path);
        let is_directory = self.0.get(&change.path).is_some_and(Option::is_some);
        match &change.kind {
            ChangeKind::Put(Node { attributes, kind }) => {
                let keeps = matches!(kind, NodeKind::Directory { opaque: false }) && is_directory;
                self.0.retain(|path, _| keeps || !below(path));
                let owner = matches!(kind, NodeKind::Directory { .. }).then_some(attributes.uid);
                self.0.insert(change.path.clone(), owner);
            }
            ChangeKind::Delete => self.0.retain(|path, _| !path.starts_with(&change.path)),
        }
    }
}

fn check(lookups: &Lookups, tree: &Tree, at: &RootPath) {
    let found = lookups.kind(at).unwrap();
    let expected = tree.0.get(at).map(|owner| match owner {
        Some(_) => FileKind::Directory,
        None => FileKind::File,
    });
    assert_eq!(found, expected, "{at}");
    let owner = lookups.directory(at).unwrap().map(|found| found.uid);
    assert_eq!(owner, tree.0.get(at).copied().flatten(), "{at}");
}

#[test]
fn many_layers_are_few_parts_and_say_what_they_say_one_after_the_other() {
    let (mut lookups, mut tree) = (Lookups::default(), Tree::default());
    let names = ["a", "a/b", "a/b/c", "a/x", "a/b/y", "d"].map(path);
    for number in 0..500_u32 {
        let own = format!("a/f{number}");
        let mut changes = vec![directory("a", number, number % 97 == 50), file(&own)];
        match number % 7 {
            0 => changes.push(directory("a/b", number, number % 3 == 0)),
            1 => changes.push(Change {
                path: path("a/b"),
                kind: ChangeKind::Delete,
            }),
            2 => changes.extend([directory("a/b", number, false), file("a/b/y")]),
            3 => changes.extend([file("a/x"), file("d")]),
            4 => changes.push(directory("d", number, false)),
            5 => changes.extend([
                directory("a/b", 1, false),
                directory("a/b/c", number, false),
            ]),
            _ => {}
        }
        let set = ChangeSet::new(changes);
        set.iter().for_each(|change| tree.apply(&change));
        let below = lookups.clone();
        lookups = lookups.with(LookedInto::Changes(Arc::new(set))).unwrap();
        assert_eq!(below.kind(&path(&own)).unwrap(), None);
        assert!(lookups.parts.len() <= 12, "{}", lookups.parts.len());
        for at in &names {
            if tree.0.contains_key(&at.parent().unwrap_or_default())
                || !at.as_bytes().contains(&b'/')
            {
                check(&lookups, &tree, at);
            }
        }
        let earlier = path(&format!("a/f{}", number / 2));
        check(&lookups, &tree, &earlier);
    }
}

#[test]
fn stacks_on_the_same_layers_do_not_see_each_other() {
    let below = Lookups::new(vec![layer(vec![directory("a", 1, false)])]).unwrap();
    let one = below.with(layer(vec![file("a/one")])).unwrap();
    let other = below.with(layer(vec![file("a/other")])).unwrap();
    let kinds = |lookups: &Lookups| {
        ["a/one", "a/other"].map(|at| lookups.kind(&path(at)).unwrap().is_some())
    };
    assert_eq!(kinds(&below), [false, false]);
    assert_eq!(kinds(&one), [true, false]);
    assert_eq!(kinds(&other), [false, true]);
}

#[test]
fn a_directory_that_only_what_is_in_it_tells_of_is_there() {
    let lookups = Lookups::new(vec![layer(vec![file("a/b/c")]), layer(vec![file("d")])]).unwrap();
    for (at, expected) in [
        ("a", Some(FileKind::Directory)),
        ("a/b", Some(FileKind::Directory)),
        ("a/b/c", Some(FileKind::File)),
        ("a/c", None),
    ] {
        assert_eq!(lookups.kind(&path(at)).unwrap(), expected, "{at}");
    }
}
