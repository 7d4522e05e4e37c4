//! What is written into a directory, and what is in its way.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::sync::Arc;

use layer::Content;
use tempfile::TempDir;

use super::*;

const TIME: FileTime = FileTime {
    seconds: 1_000,
    nanos: 0,
};

fn at(path: &str) -> RootPath {
    RootPath::strict(path).unwrap()
}

fn put(path: &str, mode: u32, kind: NodeKind) -> Change {
    let attributes = Attributes {
        uid: 7,
        gid: 8,
        mode: Mode::new(mode),
        mtime: TIME,
        xattrs: BTreeMap::new(),
    };
    Change {
        path: at(path),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

fn directory(path: &str, mode: u32) -> Change {
    put(path, mode, NodeKind::Directory { opaque: false })
}

fn file(path: &str, mode: u32, text: &str) -> Change {
    let kind = NodeKind::File {
        size: text.len() as u64,
        content: Content::Bytes(Arc::from(text.as_bytes())),
    };
    put(path, mode, kind)
}

fn link(path: &str, target: &str) -> Change {
    put(path, 0o777, NodeKind::HardLink { target: at(target) })
}

fn soft(path: &str, target: &str) -> Change {
    let target = target.as_bytes().to_vec();
    put(path, 0o777, NodeKind::Symlink { target })
}

/// A directory with something beside it that nobody may touch.
struct Place {
    dir: TempDir,
    root: Root,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("out")).unwrap();
        fs::write(dir.path().join("victim"), "untouched").unwrap();
        let root = Root::open(&dir.path().join("out")).unwrap();
        Self { dir, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("out").join(name)
    }

    fn write(&self, mode: LocalMode, changes: &[Change]) -> Result<u64, ExportError> {
        let shown = Path::new("out");
        let mut writer = Writer::new(&self.root, shown, mode, Times::Kept);
        for change in changes {
            writer.put(change)?;
        }
        writer.finish()?;
        Ok(writer.written().0)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        let metadata = fs::symlink_metadata(self.path(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    }

    fn names(&self) -> Vec<String> {
        let walk = self.root.walk().unwrap();
        walk.map(|entry| entry.unwrap().path.to_string()).collect()
    }
}

#[test]
fn objects_are_what_they_are_in_the_image_but_for_their_owner() {
    let place = Place::new();
    let changes = [
        directory("d", 0o555),
        file("d/f", 0o640, "text"),
        link("d/g", "d/f"),
        soft("d/s", "/etc/passwd"),
        put("p", 0o600, NodeKind::Fifo),
        directory("sticky", 0o1777),
        file("suid", 0o6755, "program"),
    ];
    assert_eq!(place.write(LocalMode::Copy, &changes).unwrap(), 0);
    assert_eq!((place.mode("d"), place.mode("d/f")), (0o555, 0o640));
    assert_eq!((place.mode("sticky"), place.mode("suid")), (0o1777, 0o755));
    assert_eq!(
        fs::read_link(place.path("d/s")).unwrap(),
        Path::new("/etc/passwd")
    );
    let metadata = |name| fs::symlink_metadata(place.path(name)).unwrap();
    assert_eq!(metadata("d/f").ino(), metadata("d/g").ino());
    assert_eq!(metadata("d/f").uid(), metadata("").uid());
    for name in ["d", "d/f", "d/s", "p"] {
        assert_eq!(metadata(name).mtime(), TIME.seconds, "{name}");
    }
    // What may be removed depends on the mode of its directory.
    fs::set_permissions(place.path("d"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn all_times_are_that_of_the_build_if_it_has_one() {
    let place = Place::new();
    let time = oci::Timestamp::from_unix_seconds(7).unwrap();
    let shown = Path::new("out");
    let mut writer = Writer::new(&place.root, shown, LocalMode::Copy, Times::All(time));
    for change in [directory("d", 0o755), file("d/f", 0o644, "")] {
        writer.put(&change).unwrap();
    }
    writer.finish().unwrap();
    for name in ["d", "d/f"] {
        assert_eq!(fs::metadata(place.path(name)).unwrap().mtime(), 7, "{name}");
    }
}

#[test]
fn what_is_there_is_replaced_or_stays() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    for name in ["d/kept", "d/f", "was_file", "was_link_target"] {
        fs::write(place.path(name), "old").unwrap();
    }
    symlink("was_link_target", place.path("l")).unwrap();
    let changes = [
        directory("d", 0o700),
        file("d/f", 0o644, "new"),
        file("l", 0o644, "no link"),
        directory("was_file", 0o755),
        file("was_file/x", 0o644, "x"),
    ];
    place.write(LocalMode::Copy, &changes).unwrap();
    let expected = [
        "d",
        "d/f",
        "d/kept",
        "l",
        "was_file",
        "was_file/x",
        "was_link_target",
    ];
    assert_eq!(place.names(), expected);
    let texts = ["d/kept", "d/f", "l", "was_link_target"].map(|name| place.text(name));
    assert_eq!(texts, ["old", "new", "no link", "old"]);
}

#[test]
fn no_link_that_is_there_leads_out() {
    let place = Place::new();
    symlink("..", place.path("d")).unwrap();
    symlink("../victim", place.path("f")).unwrap();
    let changes = [
        directory("d", 0o755),
        file("d/victim", 0o644, "inside"),
        file("f", 0o644, "inside"),
    ];
    place.write(LocalMode::Copy, &changes).unwrap();
    assert_eq!(place.names(), ["d", "d/victim", "f"]);
    let victim = fs::read_to_string(place.dir.path().join("victim")).unwrap();
    assert_eq!(victim, "untouched");
}

#[test]
fn a_directory_in_the_way_is_not_removed_unless_it_is_asked_for() {
    let place = Place::new();
    fs::create_dir_all(place.path("d/mine")).unwrap();
    let change = [file("d", 0o644, "file")];
    let error = place.write(LocalMode::Copy, &change).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write `out/d`: a directory is in the way"
    );
    assert_eq!(place.names(), ["d", "d/mine"]);
    place.write(LocalMode::Delete, &change).unwrap();
    assert_eq!(place.text("d"), "file");
}

#[test]
fn device_nodes_and_their_second_names_are_left_out() {
    let place = Place::new();
    let changes = [
        put("null", 0o666, NodeKind::CharDevice { major: 1, minor: 3 }),
        link("zero", "null"),
        put("sda", 0o660, NodeKind::BlockDevice { major: 8, minor: 0 }),
    ];
    assert_eq!(place.write(LocalMode::Copy, &changes).unwrap(), 3);
    assert!(place.names().is_empty());
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let place = Place::new();
    fs::write(place.path("f"), "old").unwrap();
    let mut change = file("f", 0o644, "new");
    if let ChangeKind::Put(Node {
        kind: NodeKind::File { size, .. },
        ..
    }) = &mut change.kind
    {
        *size = 99;
    }
    let error = place.write(LocalMode::Copy, &[change.clone()]).unwrap_err();
    assert_eq!(error.to_string(), "cannot write `out/f`");
    assert_eq!(
        (place.names(), place.text("f")),
        (vec!["f".to_owned()], "old".to_owned())
    );
    fs::remove_file(place.path("f")).unwrap();
    place.write(LocalMode::Copy, &[change]).unwrap_err();
    assert!(place.names().is_empty());
}

#[test]
fn a_name_like_a_temporary_one_is_a_name_like_any_other() {
    let place = Place::new();
    let name = format!("{}export-0", rootfs::TEMPORARY_PREFIX);
    fs::write(place.path("f"), "old").unwrap();
    let changes = [file(&name, 0o644, "mine"), file("f", 0o644, "new")];
    place.write(LocalMode::Copy, &changes).unwrap();
    assert_eq!(
        (place.text(&name), place.text("f")),
        ("mine".to_owned(), "new".to_owned())
    );
}
