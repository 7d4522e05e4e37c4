use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A bundle's files, and what is known of them.
struct Bundle {
    directory: tempfile::TempDir,
    recorded: Recorded,
}

impl Bundle {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("dir/below")).unwrap();
        for name in ["dir/one", "dir/below/two", "kept", "tool"] {
            fs::write(at(name), name).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::hard_link(at("kept"), at("other")).unwrap();
        symlink("kept", at("link")).unwrap();
        let found = read(directory.path()).unwrap();
        let mut recorded: Recorded = found
            .into_iter()
            .map(|(path, file)| (path, file.entry.record))
            .collect();
        // What the image has and a bundle cannot have.
        let tool = recorded.get_mut(&path("tool")).unwrap();
        (tool.uid, tool.gid) = (7, 8);
        tool.mode = "6644".to_owned();
        tool.xattrs
            .insert("security.capability".to_owned(), "0x01".to_owned());
        let other = recorded.get_mut(&path("other")).unwrap();
        other.kind = Kind::Hardlink;
        other.target = Some("kept".to_owned());
        let mut device = other.clone();
        device.kind = Kind::Char;
        device.device = Some((1, 3));
        recorded.insert(path("null"), device);
        Self {
            directory,
            recorded,
        }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Returns what is said of each path: `-` for what is gone, or kind, mode and owner.
    fn changes(&self) -> Vec<String> {
        let changes = of(self.directory.path(), &self.recorded).unwrap();
        let line = |change: Change| match &change.kind {
            ChangeKind::Delete => format!("{} -", change.path),
            ChangeKind::Put(node) => {
                let entry = FileEntry::new(change.path.clone(), node.clone());
                let FileRecord {
                    kind,
                    mode,
                    uid,
                    gid,
                    xattrs,
                    ..
                } = entry.record;
                let xattrs: Vec<_> = xattrs.into_keys().collect();
                let line = format!(
                    "{} {kind:?} {mode} {uid}:{gid} {}",
                    change.path,
                    xattrs.join(" ")
                );
                line.trim_end().to_owned()
            }
        };
        changes.iter().map(line).collect()
    }
}

fn path(text: &str) -> RootPath {
    RootPath::strict(text).unwrap()
}

/// Gives a directory a time of its own again: it changes with what is in it.
fn settle(bundle: &mut Bundle, name: &str) {
    let found = read(bundle.directory.path()).unwrap();
    let record = found[&path(name)].entry.record.clone();
    bundle.recorded.insert(path(name), record);
}

#[test]
fn nothing_that_was_left_alone_is_changed() {
    assert_eq!(Bundle::new().changes(), Vec::<String>::new());
}

#[test]
fn a_file_that_was_written_keeps_its_owner_and_mode_and_loses_capabilities() {
    let bundle = Bundle::new();
    fs::write(bundle.at("tool"), "changed").unwrap();
    assert_eq!(bundle.changes(), ["tool File 6644 7:8"]);
}

#[test]
fn a_file_that_was_touched_keeps_its_capabilities_too() {
    let bundle = Bundle::new();
    let file = fs::File::options()
        .write(true)
        .open(bundle.at("tool"))
        .unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(bundle.changes(), ["tool File 6644 7:8 security.capability"]);
}

#[test]
fn a_mode_that_was_set_counts() {
    let bundle = Bundle::new();
    fs::set_permissions(bundle.at("tool"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(bundle.changes(), ["tool File 0700 7:8 security.capability"]);
}

#[test]
fn of_a_directory_that_is_gone_nothing_else_is_said() {
    let bundle = Bundle::new();
    fs::remove_dir_all(bundle.at("dir")).unwrap();
    assert_eq!(bundle.changes(), ["dir -"]);
    fs::write(bundle.at("dir"), "a file").unwrap();
    fs::set_permissions(bundle.at("dir"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(bundle.changes(), ["dir File 0600 0:0"]);
}

#[test]
fn what_is_gone_from_a_directory_is_said_beside_it() {
    let mut bundle = Bundle::new();
    fs::remove_dir_all(bundle.at("dir/below")).unwrap();
    settle(&mut bundle, "dir");
    assert_eq!(bundle.changes(), ["dir/below -"]);
}

#[test]
fn new_files_are_roots_and_several_names_stay_one_file() {
    let bundle = Bundle::new();
    fs::write(bundle.at("new"), "new").unwrap();
    fs::set_permissions(bundle.at("new"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(bundle.at("new"), bundle.at("new-too")).unwrap();
    assert_eq!(
        bundle.changes(),
        ["new File 0640 0:0", "new-too Hardlink 0640 0:0"]
    );
}

#[test]
fn a_name_that_was_made_a_file_of_its_own_is_changed_alone() {
    let bundle = Bundle::new();
    fs::remove_file(bundle.at("other")).unwrap();
    fs::write(bundle.at("other"), "something else").unwrap();
    fs::set_permissions(bundle.at("other"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(bundle.changes(), ["other File 0644 0:0"]);
}

#[test]
fn a_link_that_leads_elsewhere_is_changed() {
    let bundle = Bundle::new();
    fs::remove_file(bundle.at("link")).unwrap();
    symlink("tool", bundle.at("link")).unwrap();
    assert_eq!(bundle.changes(), ["link Symlink 0777 0:0"]);
}
