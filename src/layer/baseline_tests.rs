//! Tests of what a command changed in place, and of layers put onto a tree.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use rootfs::{Mode, OWNER_XATTR};

use crate::lay;

/// A tree, what it was made of, and where changes go.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["below", "tree", "upper", "clock", "again"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self, name: &str) -> Root {
        Root::open(&self.path(name)).unwrap()
    }

    /// Fills what is below and lays it, changes the tree, and returns what the changes are.
    fn changes(&self, fill: impl Fn(&Path), change: impl Fn(&Path)) -> Vec<String> {
        fill(&self.path("below"));
        let below = self.root("below");
        lay(&below, &self.root("tree"), TreeForm::Real).unwrap();
        let (tree, clock) = (self.root("tree"), self.root("clock"));
        let before = Baseline::record(&tree, &clock).unwrap();
        change(&self.path("tree"));
        let upper = self.root("upper");
        before
            .extract(
                (&tree, TreeForm::Real),
                &BTreeSet::new(),
                (&[Arc::new(below)], &upper),
            )
            .unwrap();
        listing(&upper)
    }
}

/// Returns a line for each object: its kind, its path, and what it says.
fn listing(root: &Root) -> Vec<String> {
    let lines = root.walk().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path.absolute();
        if entry.metadata.is_whiteout() {
            return format!("gone {path}");
        }
        let rest = match entry.metadata.kind {
            FileKind::Directory => {
                let is_opaque = xattr::has_opaque(&entry.xattrs().unwrap());
                (if is_opaque { "opaque" } else { "directory" }).to_owned()
            }
            FileKind::File => {
                let bytes = fs::read(root.shown_below(&entry.path)).unwrap();
                format!("file {}", String::from_utf8(bytes).unwrap())
            }
            FileKind::Symlink => {
                let target = entry.read_link().unwrap();
                format!("link {}", String::from_utf8(target).unwrap())
            }
            FileKind::Fifo => "fifo".to_owned(),
            other => format!("{other:?}"),
        };
        format!("{path} {:o} {rest}", entry.metadata.mode.bits() & 0o7777)
    });
    lines.collect()
}

fn fill(path: &Path) {
    fs::create_dir_all(path.join("etc/conf")).unwrap();
    fs::set_permissions(path.join("etc"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(path.join("etc/conf"), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, text) in [("etc/a", "one"), ("etc/b", "two"), ("etc/conf/c", "three")] {
        fs::write(path.join(name), text).unwrap();
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::hard_link(path.join("etc/a"), path.join("etc/same")).unwrap();
    symlink("a", path.join("etc/link")).unwrap();
}

type Change = fn(&Path);

/// What is done to the tree, and what its changes are then.
const CASES: &[(&str, Change, &[&str])] = &[
    ("nothing", |_| {}, &[]),
    (
        "a file is read",
        |tree| assert_eq!(fs::read(tree.join("etc/b")).unwrap(), b"two"),
        &[],
    ),
    (
        "a file is written in place, with its time set back",
        |tree| {
            let file = fs::File::options().write(true).open(tree.join("etc/b"));
            let file = file.unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            io::Write::write_all(&mut &file, b"TWO").unwrap();
            file.set_modified(before).unwrap();
        },
        &["/etc 755 directory", "/etc/b 644 file TWO"],
    ),
    (
        "a file is new, and one is gone",
        |tree| {
            symlink("x", tree.join("etc/conf/new")).unwrap();
            fs::remove_file(tree.join("etc/conf/c")).unwrap();
        },
        &[
            "/etc 755 directory",
            "/etc/conf 755 directory",
            "gone /etc/conf/c",
            "/etc/conf/new 777 link x",
        ],
    ),
    (
        "one of two names is gone",
        |tree| fs::remove_file(tree.join("etc/same")).unwrap(),
        &["/etc 755 directory", "gone /etc/same"],
    ),
    (
        "one of two names is gone and the other one is written, with its time set back",
        |tree| {
            fs::remove_file(tree.join("etc/same")).unwrap();
            let file = fs::File::options().write(true).open(tree.join("etc/a"));
            let file = file.unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            io::Write::write_all(&mut &file, b"ONE").unwrap();
            file.set_modified(before).unwrap();
        },
        &[
            "/etc 755 directory",
            "/etc/a 644 file ONE",
            "gone /etc/same",
        ],
    ),
    (
        "a directory is another one",
        |tree| {
            // Made while the other one is there, or it might get its number.
            fs::create_dir(tree.join("new")).unwrap();
            fs::set_permissions(tree.join("new"), fs::Permissions::from_mode(0o700)).unwrap();
            fs::remove_dir_all(tree.join("etc/conf")).unwrap();
            fs::rename(tree.join("new"), tree.join("etc/conf")).unwrap();
        },
        &["/etc 755 directory", "/etc/conf 700 opaque"],
    ),
    (
        "a directory is gone",
        |tree| fs::remove_dir_all(tree.join("etc")).unwrap(),
        &["gone /etc"],
    ),
    (
        "a directory is renamed",
        |tree| fs::rename(tree.join("etc/conf"), tree.join("etc/moved")).unwrap(),
        &[
            "/etc 755 directory",
            "gone /etc/conf",
            "/etc/moved 755 directory",
            "/etc/moved/c 644 file three",
        ],
    ),
    (
        "a directory is put into a new one of its name",
        |tree| {
            fs::rename(tree.join("etc"), tree.join("old")).unwrap();
            fs::create_dir(tree.join("etc")).unwrap();
            fs::set_permissions(tree.join("etc"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(tree.join("old/conf"), tree.join("etc/conf")).unwrap();
            fs::remove_dir_all(tree.join("old")).unwrap();
        },
        &[
            "/etc 755 opaque",
            "/etc/conf 755 directory",
            "/etc/conf/c 644 file three",
        ],
    ),
    (
        "a file is where a directory was, and a directory where a file was",
        |tree| {
            fs::remove_dir_all(tree.join("etc/conf")).unwrap();
            fs::rename(tree.join("etc/b"), tree.join("etc/conf")).unwrap();
            fs::create_dir(tree.join("etc/b")).unwrap();
            fs::set_permissions(tree.join("etc/b"), fs::Permissions::from_mode(0o755)).unwrap();
        },
        &[
            "/etc 755 directory",
            "/etc/b 755 opaque",
            "/etc/conf 644 file two",
        ],
    ),
];

#[test]
fn what_was_changed_in_place_is_what_an_overlay_would_have() {
    for (what, change, expected) in CASES {
        let place = Place::new();
        assert_eq!(place.changes(fill, change), *expected, "{what}");
        // Put onto what was there, they make what is there.
        let again = place.root("again");
        lay(&place.root("below"), &again, TreeForm::Real).unwrap();
        lay(&place.root("upper"), &again, TreeForm::Real).unwrap();
        assert_eq!(listing(&again), listing(&place.root("tree")), "{what}");
    }
}

#[test]
fn names_of_one_inode_stay_names_of_one() {
    let place = Place::new();
    let found = place.changes(fill, |tree| {
        fs::hard_link(tree.join("etc/b"), tree.join("etc/z")).unwrap();
    });
    let expected = [
        "/etc 755 directory",
        "/etc/b 644 file two",
        "/etc/z 644 file two",
    ];
    assert_eq!(found, expected);
    for (one, other) in [
        ("tree/etc/a", "tree/etc/same"),
        ("upper/etc/b", "upper/etc/z"),
    ] {
        let inode = |path| fs::metadata(place.path(path)).unwrap().ino();
        assert_eq!(inode(one), inode(other));
    }
}

#[test]
fn what_is_apart_is_no_change_and_what_is_renewed_is_none() {
    let place = Place::new();
    fill(&place.path("below"));
    let below = place.root("below");
    let (tree, clock) = (place.root("tree"), place.root("clock"));
    lay(&below, &tree, TreeForm::Real).unwrap();
    let path = |text: &str| RootPath::strict(text).unwrap();
    let apart = BTreeSet::from([path("etc/conf"), path("run")]);
    fs::create_dir(place.path("tree/run")).unwrap();
    let mut before = Baseline::record(&tree, &clock).unwrap();
    fs::remove_dir_all(place.path("tree/etc/conf")).unwrap();
    fs::write(place.path("tree/run/x"), "").unwrap();
    let now = tree.metadata(&path("etc")).unwrap().unwrap();
    assert!(!before.is_unchanged(&path("etc"), &now));
    before.renew(&path("etc"), now);
    assert!(before.is_unchanged(&path("etc"), &now));
    let upper = place.root("upper");
    before
        .extract(
            (&tree, TreeForm::Real),
            &apart,
            (&[Arc::new(below)], &upper),
        )
        .unwrap();
    assert_eq!(listing(&upper), [""; 0]);
}

#[test]
fn attributes_in_our_name_are_not_believed() {
    let place = Place::new();
    let found = place.changes(fill, |tree| {
        let root = Root::open(tree).unwrap();
        let inode = root.inode(&RootPath::strict("etc/b").unwrap()).unwrap();
        inode.set_xattr(OWNER_XATTR, b"0:0:600:c1,1").unwrap();
        inode.set_xattr(b"user.kept", b"yes").unwrap();
    });
    assert_eq!(found, ["/etc 755 directory", "/etc/b 644 file two"]);
    let upper = place.root("upper");
    let inode = upper.inode(&RootPath::strict("etc/b").unwrap()).unwrap();
    let names: Vec<Vec<u8>> = inode.xattrs().unwrap().into_keys().collect();
    assert_eq!(names, [b"user.kept".to_vec()]);
}

#[test]
fn a_device_node_that_a_sandbox_around_has_recorded_is_refused() {
    let place = Place::new();
    fill(&place.path("below"));
    let tree = place.root("tree");
    lay(&place.root("below"), &tree, TreeForm::Real).unwrap();
    let before = Baseline::record(&tree, &place.root("clock")).unwrap();
    fs::write(place.path("tree/null"), "").unwrap();
    let null = tree.inode(&RootPath::strict("null").unwrap()).unwrap();
    null.set_xattr(OWNER_XATTR, b"0:0:0666:c1,3").unwrap();
    let (below, upper) = (Arc::new(place.root("below")), place.root("upper"));
    let extracted = before.extract(
        (&tree, TreeForm::Real),
        &BTreeSet::default(),
        (&[below], &upper),
    );
    assert_eq!(
        extracted.unwrap_err().to_string(),
        "keep the device node `/null` of the image: this build runs in a step of another one, which has it recorded as \
         its own"
    );
}

#[test]
fn a_layer_hides_and_replaces_what_is_below() {
    let place = Place::new();
    fill(&place.path("below"));
    let tree = place.root("tree");
    lay(&place.root("below"), &tree, TreeForm::Real).unwrap();
    let upper = place.root("upper");
    let path = |text: &str| RootPath::strict(text).unwrap();
    for name in ["etc", "etc/conf", "etc/a"] {
        upper.mkdir(&path(name)).unwrap();
        upper.set_mode(&path(name), Mode::new(0o755)).unwrap();
    }
    let conf = upper.inode(&path("etc/conf")).unwrap();
    xattr::mark_opaque(&conf).unwrap();
    upper.whiteout(&path("etc/same")).unwrap();
    upper.whiteout(&path("etc/link")).unwrap();
    lay(&upper, &tree, TreeForm::Real).unwrap();
    let expected = [
        "/etc 755 directory",
        "/etc/a 755 directory",
        "/etc/b 644 file two",
        "/etc/conf 755 directory",
    ];
    assert_eq!(listing(&tree), expected);
}

/// In the form of the store, records of owners are as much of a file as its bytes, and sockets are there.
#[test]
fn records_and_sockets_are_kept_in_the_form_of_the_store() {
    let place = Place::new();
    let path = |path: &str| RootPath::lexical(path).unwrap();
    let record = |root: &Root, at: &str, text: &[u8]| {
        let inode = root.inode(&path(at)).unwrap();
        inode.set_xattr(OWNER_XATTR, text).unwrap();
    };
    let below = place.root("below");
    for name in ["one", "two", "other"] {
        fs::write(place.path("below").join(name), name).unwrap();
        record(&below, name, b"1:2:100644");
    }
    fs::hard_link(place.path("below/two"), place.path("below/second")).unwrap();
    below.mksocket(&path("socket")).unwrap();
    below.set_mode(&path("socket"), Mode::new(0o600)).unwrap();
    let tree = place.root("tree");
    lay(&below, &tree, TreeForm::Stored).unwrap();
    let owner = |root: &Root, at: &str| root.inode(&path(at)).unwrap().xattr(OWNER_XATTR).unwrap();
    assert_eq!(owner(&tree, "one").as_deref(), Some(&b"1:2:100644"[..]));
    let before = Baseline::record(&tree, &place.root("clock")).unwrap();
    record(&tree, "one", b"3:4:100644");
    record(&tree, "two", b"3:4:100644");
    fs::remove_file(place.path("tree/second")).unwrap();
    let upper = place.root("upper");
    before
        .extract(
            (&tree, TreeForm::Stored),
            &BTreeSet::new(),
            (&[Arc::new(below)], &upper),
        )
        .unwrap();
    let names = upper.walk().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let gone = if entry.metadata.is_whiteout() {
            " gone"
        } else {
            ""
        };
        format!("{}{gone}", entry.path.absolute())
    });
    assert_eq!(names.collect::<Vec<_>>(), ["/one", "/second gone", "/two"]);
    for name in ["one", "two"] {
        assert_eq!(
            owner(&upper, name).as_deref(),
            Some(&b"3:4:100644"[..]),
            "{name}"
        );
    }
    let kind = tree.metadata(&path("socket")).unwrap().unwrap().kind;
    assert_eq!(kind, FileKind::Socket);
}

#[test]
fn a_directory_keeps_no_attribute_that_the_next_layer_has_not() {
    let place = Place::new();
    let path = RootPath::strict("d").unwrap();
    for (name, attributes) in [
        ("below", &["user.gone", "user.kept"][..]),
        ("upper", &["user.kept", "user.new"]),
    ] {
        let root = place.root(name);
        root.mkdir(&path).unwrap();
        let inode = root.inode(&path).unwrap();
        for attribute in attributes {
            inode
                .set_xattr(attribute.as_bytes(), name.as_bytes())
                .unwrap();
        }
        lay(&root, &place.root("tree"), TreeForm::Stored).unwrap();
    }
    let found = place.root("tree").inode(&path).unwrap().xattrs().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let upper = |name: &str| (name.to_owned(), "upper".to_owned());
    assert_eq!(found, [upper("user.kept"), upper("user.new")]);
}
