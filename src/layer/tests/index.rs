//! Look-ups through indexes against the directories that the same layers are unpacked and settled to.

use std::sync::Arc;

use proptest::prelude::*;
use rootfs::{FileKind, OwnerTable, Owners, Root, RootPath};
use tar::EntryType;
use tempfile::TempDir;

use super::support::{Tar, at, ids};
use crate::look::{LookedInto, Lookups, Undecided};
use crate::{
    ApplyOptions, ChangeKind, DecoderRoom, LayerIndex, Limits, NodeKind, apply, diff_upper,
    directory_attributes, index, settle,
};

/// One entry of a random layer.
#[derive(Debug, Clone)]
enum Made {
    Directory { path: String, mode: u32 },
    File { path: String },
    Symlink { path: String, target: String },
    HardLink { path: String, target: String },
    Whiteout { path: String },
    Opaque { path: String },
}

/// A path of few names, so that layers meet.
fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "etc"]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn made() -> impl Strategy<Value = Made> {
    let targets = prop_oneof![
        path(),
        path().prop_map(|path| format!("/{path}")),
        Just("..".to_owned()),
        Just("../b".to_owned())
    ];
    prop_oneof![
        4 => (path(), 0o700_u32..0o777).prop_map(|(path, mode)| Made::Directory { path, mode }),
        4 => path().prop_map(|path| Made::File { path }),
        2 => (path(), targets).prop_map(|(path, target)| Made::Symlink { path, target }),
        1 => (path(), path()).prop_map(|(path, target)| Made::HardLink { path, target }),
        1 => path().prop_map(|path| Made::Whiteout { path }),
        1 => path().prop_map(|path| Made::Opaque { path }),
    ]
}

/// Writes the tar of a layer.
fn tar_of(entries: &[Made]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut put = |kind, path: &str, link: &str, mode: u32| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::from(mode));
        header.set_path(path).unwrap();
        if !link.is_empty() {
            header.set_link_name_literal(link).unwrap();
        }
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    };
    for entry in entries {
        match entry {
            Made::Directory { path, mode } => put(EntryType::Directory, path, "", *mode),
            Made::File { path } => put(EntryType::Regular, path, "", 0o644),
            Made::Symlink { path, target } => put(EntryType::Symlink, path, target, 0o777),
            Made::HardLink { path, target } => put(EntryType::Link, path, target, 0o644),
            Made::Whiteout { path } => {
                let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
                put(
                    EntryType::Regular,
                    &format!("{parent}/.wh.{name}"),
                    "",
                    0o644,
                );
            }
            Made::Opaque { path } => put(
                EntryType::Regular,
                &format!("{path}/.wh..wh..opq"),
                "",
                0o644,
            ),
        }
    }
    tar.into_inner().unwrap()
}

/// A layer in both forms.
struct Layer {
    _dir: TempDir,
    root: Arc<Root>,
    owners: OwnerTable,
    index: LayerIndex,
}

/// A stack in both forms: layers, and what they are together.
#[derive(Default)]
struct Stack {
    layers: Vec<Layer>,
}

fn opened() -> (TempDir, Arc<Root>) {
    let dir = tempfile::tempdir().unwrap();
    let root = Arc::new(Root::open(dir.path()).unwrap());
    (dir, root)
}

impl Stack {
    /// Puts a layer on top; `false` where it cannot be unpacked there, or has no index.
    fn push(&mut self, tar: &[u8]) -> bool {
        let (merged_dir, merged) = opened();
        self.merge_into(&merged);
        let (dir, root) = opened();
        let options = ApplyOptions {
            ids: ids(),
            limits: Limits::default(),
        };
        let applied = apply(&mut &tar[..], &root, &options);
        let indexed = index(tar, &DecoderRoom::default(), Limits::default());
        let (Ok(applied), Ok((Some(index), _))) = (applied, &indexed) else {
            return false;
        };
        let mut owners = applied.owners;
        let settled = settle(&root, &merged, &applied.unsettled, &mut owners);
        drop(merged_dir);
        if settled.is_err() {
            return false;
        }
        let text = index.to_string();
        assert_eq!(LayerIndex::parse(&text).as_ref(), Some(index), "{text}");
        let index = index.clone();
        self.layers.push(Layer {
            _dir: dir,
            root,
            owners,
            index,
        });
        true
    }

    /// Carries out, one layer after the other, what each says of those below.
    fn merge_into(&self, merged: &Arc<Root>) {
        for layer in &self.layers {
            let owners = Owners::new(ids(), layer.owners.clone());
            for change in diff_upper(Arc::clone(&layer.root), owners.clone()).unwrap() {
                let change = change.unwrap();
                put(merged, &change.path, &change.kind, &layer.root);
            }
        }
    }

    fn lookups(&self, as_index: impl Fn(usize) -> bool) -> Option<Lookups> {
        let layers = self.layers.iter().enumerate().map(|(place, layer)| {
            if as_index(place) {
                LookedInto::Index(Arc::new(layer.index.clone()))
            } else {
                let owners = Owners::new(ids(), layer.owners.clone());
                LookedInto::Directory(Arc::clone(&layer.root), owners)
            }
        });
        Lookups::new(layers.collect()).ok()
    }
}

/// Carries out one change in a tree without layers.
fn put(merged: &Root, path: &RootPath, kind: &ChangeKind, layer: &Root) {
    let found = merged.metadata(path).unwrap().map(|found| found.kind);
    let ChangeKind::Put(node) = kind else {
        return merged.remove_all(path).unwrap();
    };
    let NodeKind::Directory { opaque } = node.kind else {
        merged.remove_all(path).unwrap();
        return match &node.kind {
            NodeKind::Symlink { target } => merged.symlink(target, path).unwrap(),
            NodeKind::HardLink { target } => merged.hard_link(target, path).unwrap(),
            _ => drop(merged.create_file(path).unwrap()),
        };
    };
    if opaque || found != Some(FileKind::Directory) {
        merged.remove_all(path).unwrap();
        merged.mkdir(path).unwrap();
    }
    let (from, to) = (layer.inode(path).unwrap(), merged.inode(path).unwrap());
    to.set_mode(from.metadata().unwrap().mode).unwrap();
    for (name, value) in from.xattrs().unwrap() {
        if name.starts_with(b"user.careen") {
            to.set_xattr(&name, &value).unwrap();
        }
    }
}

/// Compares the answers for all short paths.
fn compare(lookups: &Lookups, merged: &Root) -> Result<(), TestCaseError> {
    let names = ["a", "b", "c", "etc", "absent"];
    let mut paths: Vec<String> = names.map(str::to_owned).to_vec();
    for depth in 0..2 {
        let longer: Vec<_> = paths
            .iter()
            .filter(|path| path.matches('/').count() == depth)
            .flat_map(|path| names.map(|name| format!("{path}/{name}")))
            .collect();
        paths.extend(longer);
    }
    let owners = Owners::new(ids(), OwnerTable::default());
    for path in paths {
        let path = at(&path);
        let (kind, expected) = (lookups.kind(&path), merged.metadata(&path));
        match (kind, expected) {
            (Ok(kind), Ok(expected)) => {
                prop_assert_eq!(kind, expected.map(|found| found.kind), "{}", path);
            }
            // Nothing can be below what is no directory, and that is left to the directories to say.
            (Err(_), Err(_) | Ok(None)) => {}
            (kind, expected) => prop_assert!(false, "{path}: {kind:?}, {expected:?}"),
        }
        let (real, expected) = (lookups.resolve(&path), merged.resolve(&path));
        prop_assert_eq!(real.is_ok(), expected.is_ok(), "{}", path);
        if let (Ok(real), Ok(expected)) = (real, expected) {
            prop_assert_eq!(&real, &expected, "{}", path);
            let attributes = |found: Option<crate::Attributes>| {
                found.map(|found| (found.uid, found.gid, found.mode))
            };
            if !real.is_root() {
                let found = lookups.directory(&real).unwrap();
                let expected = directory_attributes(merged, &real, &owners).unwrap();
                prop_assert_eq!(attributes(found), attributes(expected), "{}", real);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn names_are_found_as_in_the_directories(
        layers in prop::collection::vec(prop::collection::vec(made(), 0..8), 1..4),
        directories in 0_usize..8,
    ) {
        let mut stack = Stack::default();
        for layer in &layers {
            stack.push(&tar_of(layer));
        }
        let (_dir, merged) = opened();
        stack.merge_into(&merged);
        // What has to be settled is not decided, and then nothing is said.
        if let Some(lookups) = stack.lookups(|place| directories >> place & 1 == 0) {
            compare(&lookups, &merged)?;
        }
    }
}

#[test]
fn directories_that_a_tar_leaves_out_are_what_they_are_below() {
    let mut stack = Stack::default();
    let directory = |path: &str, mode| Made::Directory {
        path: path.to_owned(),
        mode,
    };
    let file = |path: &str| Made::File {
        path: path.to_owned(),
    };
    assert!(stack.push(&tar_of(&[directory("a", 0o711)])));
    assert!(stack.push(&tar_of(&[file("a/b/c")])));
    let lookups = stack.lookups(|_| true).unwrap();
    let mode = |path: &str| {
        lookups
            .directory(&at(path))
            .unwrap()
            .map(|found| found.mode.bits())
    };
    assert_eq!(
        (mode("a"), mode("a/b"), mode("a/b/c")),
        (Some(0o711), Some(0o755), None)
    );
}

#[test]
fn what_has_to_be_settled_is_not_decided() {
    let link = Made::Symlink {
        path: "a".to_owned(),
        target: "b".to_owned(),
    };
    let below = index(
        tar_of(&[link]).as_slice(),
        &DecoderRoom::default(),
        Limits::default(),
    )
    .unwrap()
    .0
    .unwrap();
    let above = Made::File {
        path: "a/x".to_owned(),
    };
    let above = index(
        tar_of(&[above]).as_slice(),
        &DecoderRoom::default(),
        Limits::default(),
    )
    .unwrap()
    .0
    .unwrap();
    let layers = [below, above].map(|index| LookedInto::Index(Arc::new(index)));
    assert_eq!(Lookups::new(layers.to_vec()).unwrap_err(), Undecided);
    let link = Made::HardLink {
        path: "x".to_owned(),
        target: "y".to_owned(),
    };
    assert_eq!(
        index(
            tar_of(&[link]).as_slice(),
            &DecoderRoom::default(),
            Limits::default()
        )
        .unwrap()
        .0,
        None
    );
}

#[test]
fn an_index_has_the_tables_of_users_and_no_other_bytes() {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in [("etc/passwd", "root:x:0:0\n=% "), ("etc/other", "x")] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes.as_bytes())
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let (index, diff_id) =
        index(tar.as_slice(), &DecoderRoom::default(), Limits::default()).unwrap();
    assert_eq!(diff_id, oci::DiffId::new(oci::Digest::of(&tar)));
    let index = LayerIndex::parse(&index.unwrap().to_string()).unwrap();
    let lookups = Lookups::new(vec![LookedInto::Index(Arc::new(index))]).unwrap();
    assert_eq!(
        lookups.read(&at("etc/passwd")).unwrap().unwrap(),
        b"root:x:0:0\n=% "
    );
    assert_eq!(lookups.read(&at("etc/absent")).unwrap(), None);
    assert_eq!(lookups.read(&at("etc/other")), Err(Undecided));
}

#[test]
fn a_text_that_is_no_index_is_none() {
    for text in [
        "x /a",
        "d /a - 0:0:0755",
        "d /a - 0:0:0755 x.0",
        "f /a b",
        "l /a",
        "f %4",
        "- /../a",
    ] {
        assert_eq!(LayerIndex::parse(text), None, "{text}");
    }
}

#[test]
fn what_would_take_more_memory_than_an_index_may_is_not_indexed() {
    let long = vec!["t".repeat(200); 20].join("/");
    let value = vec![b'v'; 60_000];
    let symlink = |tar: Tar, number: usize| tar.long(b'K', &long).symlink(&number.to_string(), "x");
    let link = |tar: Tar, number: usize| tar.long(b'K', &long).link(&number.to_string(), "x");
    let directory = |tar: Tar, number: usize| {
        tar.pax(&[("SCHILY.xattr.user.a", &value)])
            .dir(&number.to_string())
    };
    // One directory that is said anew again and again keeps all that was said of it.
    let again = |tar: Tar, number: usize| {
        let name = format!("SCHILY.xattr.user.{number}");
        tar.pax(&[(&name, &value)]).dir("a")
    };
    let adds: [&dyn Fn(Tar, usize) -> Tar; 4] = [&symlink, &link, &directory, &again];
    for (add, much) in adds.into_iter().zip([9_000, 9_000, 600, 60]) {
        let indexed = |count| {
            let tar = (0..count).fold(Tar::new(), add);
            index(
                tar.bytes().as_slice(),
                &DecoderRoom::default(),
                Limits::default(),
            )
        };
        drop(indexed(much / 10).unwrap());
        let refused = indexed(much).map(drop).unwrap_err();
        assert!(refused.to_string().starts_with("write `"), "{refused}");
    }
}

#[test]
fn a_link_whose_target_no_file_system_takes_is_refused_by_directory_and_index() {
    for (length, is_taken) in [(4095, true), (4096, false)] {
        let target = "t".repeat(length);
        let tar = Tar::new().long(b'K', &target).symlink("l", "x");
        let indexed = index(
            tar.bytes().as_slice(),
            &DecoderRoom::default(),
            Limits::default(),
        );
        let (_dir, root) = opened();
        let options = ApplyOptions {
            ids: ids(),
            limits: Limits::default(),
        };
        let applied = apply(&mut tar.bytes().as_slice(), &root, &options);
        assert_eq!((indexed.is_ok(), applied.is_ok()), (is_taken, is_taken));
    }
}
