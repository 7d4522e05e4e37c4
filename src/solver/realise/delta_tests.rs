//! Deltas, put over what they are deltas of.

use layer::{Attributes, Content, Node};
use proptest::prelude::*;
use rootfs::{FileTime, IdStorage, Mode, OwnerTable, Owners};
use store::{IdMapName, OpenOptions, Store, SyncPolicy, Waits};
use tempfile::TempDir;

use super::*;

/// What stands at a path: a directory, or a file with a text; the number is the time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    Directory(i64),
    File(i64, String),
}

type Tree = BTreeMap<String, Thing>;

fn recipe(tree: &Tree) -> Recipe {
    let changes = tree.iter().map(|(path, thing)| change(path, thing));
    let lineage = SnapshotId::new("copied-a").unwrap();
    Recipe::of_lineage(ChangeSet::new(changes.collect()), lineage)
}

fn change(path: &str, thing: &Thing) -> Change {
    let (seconds, kind) = match thing {
        Thing::Directory(time) => (*time, NodeKind::Directory { opaque: false }),
        Thing::File(time, text) => (
            *time,
            NodeKind::File {
                size: text.len() as u64,
                content: Content::Bytes(Arc::from(text.as_bytes())),
            },
        ),
    };
    let attributes = Attributes {
        mode: Mode::new(0o700),
        mtime: FileTime { seconds, nanos: 0 },
        ..Attributes::default()
    };
    Change {
        path: RootPath::strict(path).unwrap(),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

/// A store with a whole copy of a tree in it.
struct Place {
    dir: TempDir,
    hints: Hints,
}

impl Place {
    fn new(whole: &Tree) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            id_map: IdMapName::new("multi").unwrap(),
            sync: SyncPolicy::None,
            waits: Waits::default(),
        };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        let hints = store.hints();
        let place = Self { dir, hints };
        remember(
            &place.hints,
            &SnapshotId::new("copy-a").unwrap(),
            &recipe(whole),
        );
        place
    }

    fn delta(&self, tree: &Tree) -> Option<Delta> {
        Delta::of(&self.hints, &recipe(tree)).unwrap()
    }

    /// Puts changes into a directory, and returns what an overlay takes from it.
    fn placed(&self, name: &str, changes: &ChangeSet) -> Vec<Change> {
        let path = self.dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let root = Arc::new(Root::open(&path).unwrap());
        layer::place(changes.stream(), &root, IdStorage::Recorded).unwrap();
        let owners = Owners::new(IdStorage::Recorded, OwnerTable::default());
        let diff = layer::diff_upper(root, owners).unwrap();
        diff.map(Result::unwrap).collect()
    }
}

/// Puts one directory over another as an overlay does.
fn merged(below: Vec<Change>, above: Vec<Change>) -> BTreeMap<RootPath, String> {
    let mut seen = BTreeMap::new();
    for Change { path, kind } in below.into_iter().chain(above) {
        let is_directory = matches!(
            &kind,
            ChangeKind::Put(node) if matches!(node.kind, NodeKind::Directory { .. })
        );
        if !is_directory {
            seen.retain(|other: &RootPath, _| !other.starts_with(&path));
        }
        if let ChangeKind::Put(node) = kind {
            let digest = layer::fingerprint(&path, &node).unwrap();
            seen.insert(path, digest.to_string());
        }
    }
    seen
}

/// Returns a tree of more than enough files.
fn files(count: usize) -> Tree {
    let mut tree = Tree::new();
    for directory in ["a", "b", "b/deep"] {
        tree.insert(directory.to_owned(), Thing::Directory(1));
        for number in 0..count {
            let text = format!("text {number}");
            tree.insert(format!("{directory}/{number}"), Thing::File(1, text));
        }
    }
    tree
}

fn paths(changes: &ChangeSet) -> Vec<String> {
    let sign = |change: &Change| match change.kind {
        ChangeKind::Put(_) => '+',
        ChangeKind::Delete => '-',
    };
    let changes = changes.iter();
    changes
        .map(|change| format!("{}{}", sign(&change), change.path))
        .collect()
}

#[test]
fn a_delta_has_what_differs_and_the_directories_above_it() {
    let whole = files(30);
    let place = Place::new(&whole);
    let mut tree = whole.clone();
    tree.insert("b/deep/7".to_owned(), Thing::File(1, "other".to_owned()));
    tree.insert("b/new".to_owned(), Thing::File(2, String::new()));
    tree.remove("a/3");
    let delta = place.delta(&tree).unwrap();
    assert_eq!(delta.over.as_str(), "copy-a");
    let expected = ["+a", "-a/3", "+b", "+b/deep", "+b/deep/7", "+b/new"];
    assert_eq!(paths(&delta.changes), expected);
    assert_eq!(delta.free, [RootPath::strict("a/3").unwrap()]);
}

#[test]
fn a_directory_that_is_gone_is_one_whiteout() {
    let mut whole = files(100);
    let kept = whole.clone();
    whole.insert("c".to_owned(), Thing::Directory(1));
    for name in ["c/one", "c/two"] {
        whole.insert(name.to_owned(), Thing::File(1, String::new()));
    }
    let delta = Place::new(&whole).delta(&kept).unwrap();
    assert_eq!(paths(&delta.changes), ["-c"]);
    let mut replaced = kept;
    replaced.insert("c".to_owned(), Thing::File(1, String::new()));
    let delta = Place::new(&whole).delta(&replaced).unwrap();
    assert_eq!(paths(&delta.changes), ["+c"]);
    assert_eq!(delta.free, [RootPath::strict("c").unwrap()]);
}

#[test]
fn nothing_differs_where_nothing_changed() {
    let whole = files(30);
    let delta = Place::new(&whole).delta(&whole).unwrap();
    assert_eq!(paths(&delta.changes), [""; 0]);
}

#[test]
fn no_delta_is_made_of_much_of_little_and_of_links() {
    let whole = files(30);
    let place = Place::new(&whole);
    let mut much = whole.clone();
    for number in 0..=whole.len() / PART {
        much.insert(format!("new-{number}"), Thing::Directory(1));
    }
    assert!(place.delta(&much).is_some(), "an eighth of more");
    for number in 0..20 {
        much.insert(format!("more-{number}"), Thing::Directory(1));
    }
    assert!(place.delta(&much).is_none());
    assert!(Place::new(&files(5)).delta(&files(5)).is_none());
    let mut linked = recipe(&whole).iter().collect::<Vec<_>>();
    linked.push(Change {
        path: RootPath::strict("link").unwrap(),
        kind: ChangeKind::Put(Node {
            attributes: Attributes::default(),
            kind: NodeKind::HardLink {
                target: RootPath::strict("a/1").unwrap(),
            },
        }),
    });
    let linked = Recipe::of_lineage(ChangeSet::new(linked), SnapshotId::new("copied-a").unwrap());
    assert!(Delta::of(&place.hints, &linked).unwrap().is_none());
    let other = Place::new(&Tree::new());
    remember(&other.hints, &SnapshotId::new("copy-b").unwrap(), &linked);
    assert!(other.delta(&whole).is_none());
}

#[test]
fn a_hint_that_is_cut_makes_no_delta() {
    let whole = files(30);
    let place = Place::new(&whole);
    let lineage = SnapshotId::new("copied-a").unwrap();
    let hint = place.hints.get(&lineage).unwrap();
    for length in [0, 1, 3, 8, hint.len() / 2, hint.len() - 1] {
        let mut cut = place.hints.create(&lineage).unwrap();
        cut.write(&hint[..length]).unwrap();
        cut.commit().unwrap();
        assert!(place.delta(&whole).is_none(), "{length}");
    }
}

#[test]
fn where_the_layers_below_have_something_a_delta_does_not_fit() {
    let below = tempfile::tempdir().unwrap();
    std::fs::create_dir(below.path().join("a")).unwrap();
    let root = || Ok(Some(Arc::new(Root::open(below.path())?)));
    let whole = files(30);
    let place = Place::new(&whole);
    let mut tree = whole;
    tree.remove("a/3");
    let delta = place.delta(&tree).unwrap();
    assert!(delta.fits(root).unwrap());
    assert!(delta.fits(|| Ok(None)).unwrap());
    std::os::unix::fs::symlink("nowhere", below.path().join("a/3")).unwrap();
    assert!(!delta.fits(root).unwrap());
}

fn edits() -> impl Strategy<Value = Vec<(String, Option<Thing>)>> {
    let name = prop_oneof![
        "[ab]/[0-9]",
        "b/deep/[0-9]",
        "[abcd]",
        "[abc]/x",
        "c/x/y",
        "b/deep"
    ];
    let thing = prop_oneof![
        (1..3_i64).prop_map(|time| Some(Thing::Directory(time))),
        (1..3_i64, "[xy]").prop_map(|(time, text)| Some(Thing::File(time, text))),
        Just(None),
    ];
    proptest::collection::vec((name, thing), 0..6)
}

/// Makes edits of a tree, as far as it stays one: with what is above and below each.
fn edited(tree: &Tree, edits: Vec<(String, Option<Thing>)>) -> Tree {
    let mut tree = tree.clone();
    for (path, thing) in edits {
        let above = RootPath::strict(&path).unwrap();
        for above in above.ancestors() {
            let is_directory = matches!(tree.get(&above.to_string()), Some(Thing::Directory(_)));
            if !is_directory {
                tree.insert(above.to_string(), Thing::Directory(2));
            }
        }
        if !matches!(thing, Some(Thing::Directory(_))) {
            tree.retain(|other, _| !other.starts_with(&format!("{path}/")));
        }
        match thing {
            Some(thing) => tree.insert(path, thing),
            None => tree.remove(&path),
        };
    }
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_delta_over_the_whole_is_the_copy(first in edits(), second in edits()) {
        let whole = edited(&files(25), first);
        let tree = edited(&whole, second);
        let place = Place::new(&whole);
        if let Some(delta) = place.delta(&tree) {
            let below = place.placed("whole", &recipe(&whole));
            let above = place.placed("delta", &delta.changes);
            let copied = place.placed("copied", &recipe(&tree));
            prop_assert_eq!(merged(below, above), merged(copied, Vec::new()));
        }
    }
}
