use std::path::Path;

use oci::Hasher;
use rootfs::Mode;

use super::*;

fn path(text: &str) -> RootPath {
    RootPath::strict(text).unwrap()
}

fn put(at: &str, kind: NodeKind) -> Listed {
    let number = u32::try_from(at.len()).unwrap();
    let attributes = Attributes {
        uid: number % 3,
        gid: 7,
        mode: Mode::new(0o4755),
        mtime: FileTime {
            seconds: i64::from(number) * 1_000_003 - 20_000_000,
            nanos: 999_999_999 - number,
        },
        xattrs: [(b"user.a".to_vec(), vec![0; at.len() % 2])].into(),
    };
    Change {
        path: path(at),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
    .into()
}

fn file(at: &str, content: Content) -> Listed {
    let size = u64::MAX >> (at.len() % 60);
    put(at, NodeKind::File { size, content })
}

/// One entry of each kind and with each content, in the order of paths.
fn all_kinds(root: &Arc<Root>) -> Vec<Listed> {
    let on_disk = |place: &str, expected| Content::File {
        root: Arc::clone(root),
        path: path(place),
        expected,
    };
    let other = || {
        let mut hasher = Hasher::with_algorithm(oci::digest::Algorithm::Sha512);
        hasher.update(b"x");
        hasher.finish()
    };
    let named = |listed: Listed, inode| Listed {
        inode: Some(inode),
        ..listed
    };
    let delete = Change {
        path: path("a/gone"),
        kind: ChangeKind::Delete,
    };
    vec![
        put("a", NodeKind::Directory { opaque: false }),
        file("a/b", on_disk("src/a/b", None)),
        file("a/bytes", Content::Bytes(Arc::from(*b"bytes"))),
        file("a/c", on_disk("src/a/c", Some(Digest::of(b"c")))),
        file("a/cc", on_disk("elsewhere", Some(other()))),
        named(
            file("a/d", on_disk("d", Some(Digest::of(b"d")))),
            (1, u64::MAX),
        ),
        delete.into(),
        put("b", NodeKind::Directory { opaque: true }),
        put("b/char", NodeKind::CharDevice { major: 1, minor: 3 }),
        put(
            "b/disk",
            NodeKind::BlockDevice {
                major: u32::MAX,
                minor: 0,
            },
        ),
        put("b/fifo", NodeKind::Fifo),
        put(
            "b/hard",
            NodeKind::HardLink {
                target: path("a/d"),
            },
        ),
        put(
            "b/link",
            NodeKind::Symlink {
                target: b"../\xff".to_vec(),
            },
        ),
    ]
}

fn many(root: &Arc<Root>) -> Vec<Listed> {
    let copies = (0..20).flat_map(|number| {
        all_kinds(root).into_iter().map(move |mut listed| {
            let top = path(&format!("{number:02}"));
            listed.change.path = top.join(&listed.change.path).unwrap();
            listed
        })
    });
    copies.collect()
}

fn shown(listed: &Listed) -> String {
    format!("{listed:?}")
}

#[test]
fn what_is_listed_is_read_back_as_it_was() {
    let root = Arc::new(Root::open(Path::new(".")).unwrap());
    let entries = many(&root);
    let list: ChangeList = entries.iter().cloned().collect();
    assert_eq!((list.len(), list.unread()), (entries.len(), 20));
    let expected: Vec<_> = entries.iter().map(shown).collect();
    let found: Vec<_> = list.iter().map(|listed| shown(&listed)).collect();
    assert_eq!(found, expected);
    let last = list.last_path().cloned();
    assert_eq!(last, entries.last().map(|entry| entry.change.path.clone()));
    let drained: Vec<_> = list.drain().map(|listed| shown(&listed)).collect();
    assert_eq!(drained, expected);
}

#[test]
fn an_entry_is_found_by_its_path() {
    let root = Arc::new(Root::open(Path::new(".")).unwrap());
    let entries = many(&root);
    for count in [0, 1, BLOCK_ENTRIES, BLOCK_ENTRIES + 1, entries.len()] {
        let entries = &entries[..count];
        let list: ChangeList = entries.iter().cloned().collect();
        for entry in entries {
            let found = list.get(&entry.change.path);
            assert_eq!(found.as_ref().map(shown), Some(shown(entry)));
        }
        for at in ["", "00/a/bx", "05/a/0", "07", "19/b/link/x", "99"] {
            let at = path(at);
            let expected = entries.iter().find(|entry| entry.change.path >= at);
            let found = list.at_or_after(&at);
            assert_eq!(found.as_ref().map(shown), expected.map(shown), "{at}");
            assert_eq!(
                list.get(&at).is_some(),
                expected.is_some_and(|found| found.change.path == at)
            );
        }
    }
}

#[test]
fn names_are_read_without_the_rest() {
    let root = Arc::new(Root::open(Path::new(".")).unwrap());
    let entries = many(&root);
    let list: ChangeList = entries.iter().cloned().collect();
    let mut found = Vec::new();
    list.for_each_name(|path, is_directory| found.push((path.to_vec(), is_directory)));
    let expected = entries.iter().map(|entry| {
        let is_directory = tag_of(&entry.change.kind) == Kind::Directory;
        (entry.change.path.as_bytes().to_vec(), is_directory)
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn attributes_are_read_without_the_rest() {
    let root = Arc::new(Root::open(Path::new(".")).unwrap());
    let entries = many(&root);
    let list: ChangeList = entries.iter().cloned().collect();
    let mut found = Vec::new();
    list.for_each_attributes(|path, attributes| {
        found.push((path.to_vec(), attributes.cloned()));
    });
    let expected = entries.iter().map(|entry| {
        let attributes = match &entry.change.kind {
            ChangeKind::Delete => None,
            ChangeKind::Put(node) => Some(Attributes {
                mtime: FileTime::default(),
                ..node.attributes.clone()
            }),
        };
        (entry.change.path.as_bytes().to_vec(), attributes)
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn a_file_of_a_tree_takes_few_bytes() {
    let root = Arc::new(Root::open(Path::new(".")).unwrap());
    let entry = |number: usize| {
        let at = format!("app/files/d{}/f{number}", number / 1000);
        let content = Content::File {
            root: Arc::clone(&root),
            path: path(&format!("context/files/d{}/f{number}", number / 1000)),
            expected: Some(Digest::of(at.as_bytes())),
        };
        let attributes = Attributes {
            mtime: FileTime {
                seconds: 1_700_000_000,
                nanos: 123_456_789,
            },
            ..Attributes::default()
        };
        let kind = NodeKind::File { size: 7, content };
        let kind = ChangeKind::Put(Node { attributes, kind });
        Listed::from(Change {
            path: path(&at),
            kind,
        })
    };
    let list: ChangeList = (0..10_000).map(entry).collect();
    let bytes: usize = list.blocks().map(<[u8]>::len).sum();
    assert!(bytes < 64 * list.len(), "{}", bytes / list.len());
}
