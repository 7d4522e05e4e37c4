//! A tree that is packed and applied is the same tree.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use rootfs::{FileTime, IdStorage, Mode, Owners};

use super::support::{Place, at, ids, is_root, line};
use crate::change::{Attributes, Change, ChangeKind, ChangeSet, Content, Node, NodeKind};
use crate::{
    ApplyOptions, DiffError, Limits, TarOptions, TimePrecision, Times, apply, diff_upper, place,
    write_tar,
};

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-c]".prop_map(String::into_bytes),
        1 => prop::collection::vec(1..=255_u8, 1..6),
        1 => "[x]{200}".prop_map(String::into_bytes),
    ]
    .prop_filter("no name", |name| {
        !name.contains(&b'/') && !name.starts_with(b".wh.") && name != b"." && name != b".."
    })
}

fn kind() -> impl Strategy<Value = NodeKind> {
    let device = (0..4096_u32, 0..4096_u32);
    prop_oneof![
        4 => any::<bool>().prop_map(|opaque| NodeKind::Directory { opaque }),
        4 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(|bytes| NodeKind::File {
            size: bytes.len() as u64,
            content: Content::Bytes(Arc::from(bytes)),
        }),
        2 => prop::collection::vec(1..=255_u8, 1..200).prop_map(|target| NodeKind::Symlink { target }),
        1 => Just(NodeKind::Fifo),
        1 => device.clone().prop_map(|(major, minor)| NodeKind::CharDevice { major, minor }),
        1 => device.prop_map(|(major, minor)| NodeKind::BlockDevice { major, minor }),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let owner = || prop_oneof![Just(0_u32), 0..65536_u32];
    let time = (-100_000..5_000_000_000_i64, 0..1_000_000_000_u32);
    let value = prop::collection::vec(any::<u8>(), 0..30);
    let xattrs =
        prop::collection::btree_map("user\\.[a-c]".prop_map(String::into_bytes), value, 0..3);
    (owner(), owner(), 0..0o10000_u32, time, xattrs).prop_map(|(uid, gid, mode, time, xattrs)| {
        let mtime = FileTime {
            seconds: time.0,
            nanos: time.1,
        };
        Attributes {
            uid,
            gid,
            mode: Mode::new(mode),
            mtime,
            xattrs,
        }
    })
}

fn node() -> impl Strategy<Value = Option<Node>> {
    let put = (attributes(), kind()).prop_map(|(attributes, kind)| Some(Node { attributes, kind }));
    prop_oneof![9 => put, 1 => Just(None)]
}

/// A tree: objects at paths whose parents are directories, and some second names.
fn tree() -> impl Strategy<Value = ChangeSet> {
    let object = (prop::collection::vec(name(), 1..4), node());
    let links = prop::collection::vec((name(), any::<prop::sample::Index>()), 0..3);
    (prop::collection::vec(object, 0..25), links).prop_map(|(objects, links)| {
        let mut tree = BTreeMap::new();
        for (components, node) in objects {
            insert(&mut tree, &components, node);
        }
        add_links(&mut tree, links);
        ChangeSet::new(
            tree.into_iter()
                .map(|(path, kind)| Change { path, kind })
                .collect(),
        )
    })
}

type Tree = BTreeMap<rootfs::RootPath, ChangeKind>;

fn is_directory(kind: &ChangeKind) -> bool {
    matches!(
        kind,
        ChangeKind::Put(Node {
            kind: NodeKind::Directory { .. },
            ..
        })
    )
}

fn insert(tree: &mut Tree, components: &[Vec<u8>], node: Option<Node>) {
    let mut path = rootfs::RootPath::root();
    for (depth, component) in components.iter().enumerate() {
        path = path.child(component).unwrap();
        if depth + 1 < components.len() {
            let directory = Node {
                attributes: Attributes {
                    mode: Mode::new(0o750),
                    ..Attributes::default()
                },
                kind: NodeKind::Directory { opaque: false },
            };
            let found = tree
                .entry(path.clone())
                .or_insert(ChangeKind::Put(directory));
            if !is_directory(found) {
                return;
            }
        }
    }
    let kind = node.map_or(ChangeKind::Delete, ChangeKind::Put);
    tree.entry(path).or_insert(kind);
}

fn add_links(tree: &mut Tree, links: Vec<(Vec<u8>, prop::sample::Index)>) {
    for (name, index) in links {
        let candidates: Vec<_> = tree
            .iter()
            .filter(|(_, kind)| matches!(kind, ChangeKind::Put(_)) && !is_directory(kind))
            .map(|(path, kind)| (path.clone(), kind.clone()))
            .collect();
        if candidates.is_empty() {
            return;
        }
        let (target, kind) = index.get(&candidates);
        // The first name in order is the object's: a link sorts behind everything.
        let path = at("zz").child(&name).unwrap();
        let ChangeKind::Put(node) = kind else {
            continue;
        };
        if matches!(node.kind, NodeKind::HardLink { .. }) || tree.contains_key(&path) {
            continue;
        }
        insert(
            tree,
            &[b"zz".to_vec()],
            Some(Node {
                attributes: Attributes {
                    mode: Mode::new(0o755),
                    ..Attributes::default()
                },
                kind: NodeKind::Directory { opaque: false },
            }),
        );
        if !tree.get(&at("zz")).is_some_and(is_directory) || *target > path {
            continue;
        }
        let link = NodeKind::HardLink {
            target: target.clone(),
        };
        tree.insert(
            path,
            ChangeKind::Put(Node {
                attributes: node.attributes.clone(),
                kind: link,
            }),
        );
    }
}

/// Returns everything that a tree says, as text: the changes, times and attributes.
fn facts(changes: impl Iterator<Item = Result<Change, DiffError>>) -> Vec<String> {
    changes.map(|change| fact(&change.unwrap())).collect()
}

fn fact(change: &Change) -> String {
    let text = line(change);
    let ChangeKind::Put(node) = &change.kind else {
        return text;
    };
    let FileTime { seconds, nanos } = node.attributes.mtime;
    match node.kind {
        NodeKind::Symlink { .. } | NodeKind::Fifo => format!("{text} @{seconds}.{nanos:09}"),
        _ => format!("{text} @{seconds}.{nanos:09} {:?}", node.attributes.xattrs),
    }
}

/// Leaves the attributes out that a kind cannot hold: a second name of a symlink or a fifo has none.
fn holdable(set: &ChangeSet) -> ChangeSet {
    let mut changes = set.iter().collect::<Vec<_>>();
    let without: Vec<_> = changes
        .iter()
        .filter(|change| matches!(&change.kind, ChangeKind::Put(node) if matches!(node.kind, NodeKind::Symlink { .. } | NodeKind::Fifo)))
        .map(|change| change.path.clone())
        .collect();
    for change in &mut changes {
        if let ChangeKind::Put(node) = &mut change.kind
            && let NodeKind::HardLink { target } = &node.kind
            && without.contains(target)
        {
            node.attributes.xattrs.clear();
        }
    }
    ChangeSet::new(changes)
}

fn exact() -> TarOptions {
    TarOptions {
        precision: TimePrecision::Nanoseconds,
        times: Times::Kept,
    }
}

fn check(set: &ChangeSet, ids: IdStorage) {
    let first = Place::new();
    let owners = place(set.stream(), &first.root, ids).unwrap();
    let diff = || diff_upper(Arc::clone(&first.root), Owners::new(ids, owners.clone())).unwrap();
    let said = facts(holdable(set).stream());
    let read = facts(diff());
    assert_eq!(
        modes_of_links_left_out(&read),
        modes_of_links_left_out(&said)
    );

    let mut tar = Vec::new();
    write_tar(diff(), &exact(), &mut tar).unwrap();
    let second = Place::new();
    let options = ApplyOptions {
        ids,
        limits: Limits::default(),
    };
    let applied = apply(&mut tar.as_slice(), &second.root, &options).unwrap();
    assert!(applied.unsettled.is_empty());
    let owners = Owners::new(ids, applied.owners);
    let again = facts(diff_upper(Arc::clone(&second.root), owners).unwrap());
    assert_eq!(again, read);

    let mut repeated = Vec::new();
    write_tar(diff(), &exact(), &mut repeated).unwrap();
    assert!(
        repeated == tar,
        "the tar of a tree is not a function of the tree"
    );
}

/// A second name of a symlink shows the mode of the link on disk, which says nothing.
fn modes_of_links_left_out(facts: &[String]) -> Vec<String> {
    facts
        .iter()
        .map(|fact| match fact.strip_prefix('h') {
            Some(rest) => format!("h{}", rest.get(4..).unwrap_or_default()),
            None => fact.clone(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_is_what_comes_out_with_recorded_owners(set in tree()) {
        check(&set, IdStorage::Recorded);
    }

    #[test]
    fn what_is_packed_is_what_comes_out_with_real_owners(set in tree()) {
        if is_root() {
            check(&set, ids());
        }
    }
}

#[test]
fn sockets_are_left_out() {
    let place = Place::new();
    let _socket = std::os::unix::net::UnixListener::bind(place.inside("s")).unwrap();
    fs::write(place.inside("f"), "x").unwrap();
    let owners = Owners::new(IdStorage::Recorded, rootfs::OwnerTable::default());
    let lines = place.lines(owners);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(" f = x"), "{}", lines[0]);
}
