//! Recipes are placed, packed and hashed, and files that change meanwhile are noticed.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use oci::Digest;
use rootfs::{FileTime, Mode, Owners};

use super::support::{Place, at, ids};
use crate::change::{Attributes, Change, ChangeKind, ChangeSet, Content, Node, NodeKind};
use crate::content::ContentError;
use crate::{
    ChecksumError, PlaceError, TarOptions, WriteError, digest_changes, hash_files, place, write_tar,
};

fn put(path: &str, kind: NodeKind) -> Change {
    let attributes = Attributes {
        mode: Mode::new(0o644),
        ..Attributes::default()
    };
    Change {
        path: at(path),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

fn bytes(text: &str) -> NodeKind {
    NodeKind::File {
        size: text.len() as u64,
        content: Content::Bytes(Arc::from(text.as_bytes())),
    }
}

fn from(context: &Place, path: &str, size: u64, expected: Option<&str>) -> NodeKind {
    let expected = expected.map(|text| Digest::of(text.as_bytes()));
    let content = Content::File {
        root: Arc::clone(&context.root),
        path: at(path),
        expected,
    };
    NodeKind::File { size, content }
}

#[test]
fn a_recipe_becomes_a_directory() {
    let (context, target) = (Place::new(), Place::new());
    fs::write(context.inside("src"), "source").unwrap();
    let set = ChangeSet::new(vec![
        put("app", NodeKind::Directory { opaque: true }),
        put("app/copied", from(&context, "src", 6, None)),
        put("app/checked", from(&context, "src", 6, Some("source"))),
        put("app/held", bytes("held")),
        put(
            "app/link",
            NodeKind::Symlink {
                target: b"held".to_vec(),
            },
        ),
        put(
            "app/twice",
            NodeKind::HardLink {
                target: at("app/held"),
            },
        ),
        put("dev/null", NodeKind::CharDevice { major: 1, minor: 3 }),
        put("dev/pipe", NodeKind::Fifo),
        put("dev/sda", NodeKind::BlockDevice { major: 8, minor: 0 }),
        Change {
            path: at("gone"),
            kind: ChangeKind::Delete,
        },
    ]);
    let owners = place(set.stream(), &target.root, ids()).unwrap();
    assert_eq!(
        target.lines(Owners::new(ids(), owners)),
        [
            "D0644 0:0 app",
            "f0644 0:0 app/checked = source",
            "f0644 0:0 app/copied = source",
            "f0644 0:0 app/held = held",
            "l0777 0:0 app/link -> held",
            "h0644 0:0 app/twice => app/held",
            "d0755 0:0 dev",
            "c0644 0:0 dev/null 1,3",
            "p0644 0:0 dev/pipe",
            "b0644 0:0 dev/sda 8,0",
            "x gone",
        ]
    );
}

#[test]
fn t_b11_a_file_that_changed_is_neither_placed_nor_packed() {
    let context = Place::new();
    fs::write(context.inside("f"), "12345").unwrap();
    std::os::unix::fs::symlink("f", context.inside("l")).unwrap();
    fs::create_dir(context.inside("d")).unwrap();
    let shorter = "the file changed while it was used: it had 9 bytes and has 5 or more";
    let longer = "the file changed while it was used: it had 3 bytes and has 4 or more";
    let longer_copy = "the file changed while it was used: it had 3 bytes and has 5 or more";
    let digest = |text: &str| Digest::of(text.as_bytes());
    let other = format!(
        "the file changed while it was used: it hashed to `{}` and does to `{}`",
        digest("54321"),
        digest("12345")
    );
    for (kind, packed, placed) in [
        (from(&context, "f", 9, None), shorter, shorter),
        (from(&context, "f", 3, None), longer, longer_copy),
        (from(&context, "f", 3, Some("123")), longer, longer),
        (from(&context, "f", 5, Some("54321")), &other, &other),
        (
            from(&context, "l", 5, None),
            "open the file",
            "open the file",
        ),
        (
            from(&context, "none", 5, None),
            "open the file",
            "open the file",
        ),
        (
            from(&context, "d", 5, None),
            "the file is a regular file no more",
            "the file is a regular file no more",
        ),
    ] {
        let set = ChangeSet::new(vec![put("x", kind)]);
        let error = write_tar(set.stream(), &TarOptions::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "pack `/x`");
        let WriteError::Content { source, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(source.to_string(), packed);
        let target = Place::new();
        let error = place(set.stream(), &target.root, ids()).unwrap_err();
        assert_eq!(error.to_string(), "copy to `/x` in the image");
        let PlaceError::Content { source, .. } = error else {
            panic!("{error}")
        };
        // Where the file system shares blocks, the copy has the size of now.
        let found = source.to_string();
        assert!(found == placed || found == packed, "{found}");
    }
}

#[test]
fn a_link_to_what_was_not_placed_is_an_error() {
    let target = Place::new();
    let set = ChangeSet::new(vec![put("l", NodeKind::HardLink { target: at("no") })]);
    let error = place(set.stream(), &target.root, ids()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/l` is a link to `/no`, which the changes do not have before it"
    );
}

#[test]
fn names_that_a_layer_cannot_hold_are_refused() {
    for path in [".wh.x", "a/.wh..wh..opq", ".wh.d/x"] {
        let set = ChangeSet::new(vec![put(path, bytes(""))]);
        let error = write_tar(set.stream(), &TarOptions::default(), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, WriteError::MarkerName { path: found } if found == at(path)));
    }
    let mut change = put("f", bytes(""));
    if let ChangeKind::Put(node) = &mut change.kind {
        node.attributes
            .xattrs
            .insert(b"user.a=b".to_vec(), Vec::new());
    }
    let set = ChangeSet::new(vec![change]);
    let error = write_tar(set.stream(), &TarOptions::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the extended attribute `user.a=b` of `/f` cannot be in a tar"
    );
}

/// Changes one thing of a change.
fn changed(mut change: Change, with: impl FnOnce(&mut RenamedNode<'_>)) -> Change {
    let Change { path, kind } = &mut change;
    if let ChangeKind::Put(node) = kind {
        with(&mut RenamedNode { path, node });
    }
    change
}

struct RenamedNode<'a> {
    path: &'a mut rootfs::RootPath,
    node: &'a mut Node,
}

#[test]
fn everything_but_the_time_enters_the_key() {
    let base = || put("f", bytes("x"));
    let xattr = |name: &'static [u8], value: &'static [u8]| {
        move |at: &mut RenamedNode<'_>| {
            at.node
                .attributes
                .xattrs
                .insert(name.to_vec(), value.to_vec());
        }
    };
    let kind = |kind| changed(base(), |at| at.node.kind = kind);
    let variants = vec![
        base(),
        changed(base(), |named| *named.path = at("g")),
        changed(base(), |at| at.node.attributes.uid = 1),
        changed(base(), |at| at.node.attributes.gid = 1),
        changed(base(), |at| at.node.attributes.mode = Mode::new(0o600)),
        changed(base(), xattr(b"user.a", b"bc")),
        changed(base(), xattr(b"user.ab", b"c")),
        kind(bytes("y")),
        kind(NodeKind::Directory { opaque: false }),
        kind(NodeKind::Directory { opaque: true }),
        kind(NodeKind::Symlink {
            target: b"x".to_vec(),
        }),
        kind(NodeKind::HardLink { target: at("x") }),
        kind(NodeKind::Fifo),
        kind(NodeKind::CharDevice { major: 1, minor: 2 }),
        kind(NodeKind::BlockDevice { major: 1, minor: 2 }),
        kind(NodeKind::CharDevice { major: 2, minor: 1 }),
        Change {
            path: at("f"),
            kind: ChangeKind::Delete,
        },
    ];
    let key = |change: &Change| digest_changes(ChangeSet::new(vec![change.clone()]).stream());
    let keys: BTreeSet<_> = variants
        .iter()
        .map(|change| key(change).unwrap().to_string())
        .collect();
    assert_eq!(keys.len(), variants.len());
    let later = changed(base(), |at| {
        at.node.attributes.mtime = FileTime {
            seconds: 9,
            nanos: 9,
        }
    });
    assert_eq!(key(&later).unwrap(), key(&base()).unwrap());
}

#[test]
fn a_key_does_not_depend_on_where_bytes_are() {
    let context = Place::new();
    fs::write(context.inside("f"), "x").unwrap();
    let key = |kind| digest_changes(ChangeSet::new(vec![put("f", kind)]).stream()).unwrap();
    let expected = key(bytes("x"));
    assert_eq!(key(from(&context, "f", 1, None)), expected);
    assert_eq!(key(from(&context, "f", 1, Some("x"))), expected);
}

#[test]
fn files_are_hashed_side_by_side() {
    let context = Place::new();
    let texts: Vec<_> = (0..50).map(|number| "x".repeat(number * 10_000)).collect();
    for (number, text) in texts.iter().enumerate() {
        fs::write(context.inside(&number.to_string()), text).unwrap();
    }
    let file = |number: usize| (Arc::clone(&context.root), at(&number.to_string()));
    let files: Vec<_> = (0..texts.len()).map(file).collect();
    let expected: Vec<_> = texts
        .iter()
        .map(|text| Digest::of(text.as_bytes()))
        .collect();
    let found = hash_files(&files).unwrap();
    let metadata = |number: usize| context.root.metadata(&at(&number.to_string())).unwrap();
    for (number, file) in found.iter().enumerate() {
        assert_eq!(file.metadata, metadata(number), "{number}");
    }
    let digests: Vec<_> = found.into_iter().map(|file| file.digest).collect();
    assert_eq!(digests, expected);
    let error = hash_files(&[file(0), file(50)]).unwrap_err();
    let ChecksumError::Content {
        path,
        source: ContentError::Open(_),
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(path, at("50"));
}
