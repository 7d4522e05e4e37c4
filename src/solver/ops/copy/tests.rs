use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use graph::{Archives, CopyAction, CopySource};
use layer::{ChangeKind, ChangeSet, Node, NodeKind};
use oci::{Clock, Timestamp};
use rootfs::{IdStorage, OwnerTable, Owners, Root};
use runtime::{CancelReason, CancelToken};

use super::collect::{self, Collected};
use super::error::CopyError;
use super::plan::plan;
use super::source::SourceTree;
use crate::context::LocalDirectory;
use crate::realise::{Lookup, View};

mod parents;

fn write(dir: &Path, files: &[&str]) {
    for path in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "text").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

fn context(dir: &Path, ignore: &[&str]) -> SourceTree {
    let patterns: Vec<_> = ignore.iter().map(ToString::to_string).collect();
    SourceTree::Local(Arc::new(LocalDirectory::open(dir, &patterns).unwrap()))
}

fn copy(sources: &[&str], destination: &str) -> CopyAction {
    CopyAction {
        sources: sources
            .iter()
            .map(|path| CopySource::Path((*path).to_owned()))
            .collect(),
        destination: destination.to_owned(),
        owner: None,
        mode: None,
        exclude: Vec::new(),
        archives: Archives::Keep,
        link: false,
    }
}

fn clock() -> Clock {
    Clock::Fixed(Timestamp::from_unix_seconds(1).unwrap())
}

fn collect(tree: &SourceTree, action: &CopyAction) -> Result<Collected, CopyError> {
    let fetched = super::remote::Fetched::new();
    collect::collect(
        (tree, &fetched),
        action,
        &clock(),
        &CancelToken::create().unwrap(),
    )
}

/// Lists what was collected: the name of each source, then what is below it.
fn found(collected: &Collected) -> Vec<String> {
    let mut lines = Vec::new();
    for source in &collected.sources {
        lines.push(format!("[{}]", String::from_utf8_lossy(&source.name)));
        let tails = source.entries.iter().map(|entry| entry.change.path);
        let below = tails.filter(|tail| !tail.is_root());
        lines.extend(below.map(|tail| tail.to_string()));
    }
    lines
}

/// Lists a change set: kind, mode, owner, path.
fn listed(changes: &ChangeSet) -> Vec<String> {
    let line = |change: Result<layer::Change, layer::DiffError>| {
        let change = change.unwrap();
        let ChangeKind::Put(Node { attributes, kind }) = change.kind else {
            return format!("gone {}", change.path);
        };
        let kind = match kind {
            NodeKind::Directory { .. } => "dir".to_owned(),
            NodeKind::File { .. } => "file".to_owned(),
            NodeKind::Symlink { .. } => "link".to_owned(),
            NodeKind::HardLink { target } => format!("name of {target}:"),
            other => format!("{other:?}"),
        };
        let (uid, gid, mode) = (attributes.uid, attributes.gid, attributes.mode.bits());
        format!("{kind} {mode:04o} {uid}:{gid} {}", change.path)
    };
    changes.stream().map(line).collect()
}

fn scratch() -> Lookup<'static> {
    Lookup::of_view(View::new(None, owners()))
}

fn owners() -> Owners {
    Owners::new(IdStorage::Recorded, OwnerTable::default())
}

fn planned(
    view: &Lookup<'_>,
    tree: &SourceTree,
    action: &CopyAction,
) -> Result<ChangeSet, CopyError> {
    plan(view, action, collect(tree, action)?, &clock())
}

#[test]
fn ignored_files_are_left_out_and_exceptions_bring_their_directories_back() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &["a", "logs/one", "logs/kept/two", "src/x.log", "src/y"],
    );
    let tree = context(dir.path(), &["logs", "!logs/kept", "**/*.log"]);
    let collected = collect(&tree, &copy(&["."], "/")).unwrap();
    let expected = [
        "[]",
        "a",
        "logs",
        "logs/kept",
        "logs/kept/two",
        "src",
        "src/y",
    ];
    assert_eq!(found(&collected), expected);
}

#[test]
fn a_source_that_is_named_and_ignored_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["secret", "hidden/file"]);
    let tree = context(dir.path(), &["secret", "hidden"]);
    for path in ["secret", "hidden", "/hidden/file"] {
        let error = collect(&tree, &copy(&[path], "/")).unwrap_err();
        assert!(
            matches!(&error, CopyError::Ignored { path: shown, .. } if shown == path),
            "{path}: {error:?}"
        );
    }
}

#[test]
fn excluded_patterns_count_from_the_source() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["src/a.md", "src/sub/a.md", "src/b"]);
    let tree = context(dir.path(), &[]);
    let mut action = copy(&["src"], "/");
    action.exclude = vec!["*.md".to_owned()];
    let collected = collect(&tree, &action).unwrap();
    assert_eq!(found(&collected), ["[src]", "b", "sub", "sub/a.md"]);
}

#[test]
fn a_wildcard_gives_every_match_in_order_and_may_give_none() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &["b.txt", "a.txt", "sub/c.txt", "d.txt/inner", "[x]"],
    );
    let tree = context(dir.path(), &["b.txt"]);
    for (path, expected) in [
        ("*.txt", &["[a.txt]", "[d.txt]", "inner"][..]),
        ("s?b/*", &["[c.txt]"]),
        ("none*", &[]),
        (r"\[x\]", &["[[x]]"]),
    ] {
        let collected = collect(&tree, &copy(&[path], "/")).unwrap();
        assert_eq!(found(&collected), expected, "{path}");
    }
}

#[test]
fn links_on_the_way_are_followed_inside_the_root_and_links_in_a_source_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["real/file"]);
    symlink("/real", dir.path().join("way")).unwrap();
    symlink("../../../etc/passwd", dir.path().join("real/out")).unwrap();
    let tree = context(dir.path(), &[]);
    let collected = collect(&tree, &copy(&["way"], "/")).unwrap();
    assert_eq!(found(&collected), ["[way]", "file", "out"]);
    let out = collected.sources[0].entries.iter().nth(2).unwrap();
    let is_link = |node: &Node| matches!(node.kind, NodeKind::Symlink { .. });
    assert!(matches!(&out.change.kind, ChangeKind::Put(node) if is_link(node)));
    // What the link leads to is looked for below the context's root, where it is not.
    let error = collect(&tree, &copy(&["real/out"], "/")).unwrap_err();
    assert!(matches!(error, CopyError::NotFound { .. }), "{error:?}");
}

#[test]
fn a_missing_source_names_a_similar_one() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["app/requirements.txt"]);
    let tree = context(dir.path(), &[]);
    for (path, expected) in [
        ("app/requirments.txt", Some("app/requirements.txt")),
        ("app/nothing-like-it-at-all", None),
    ] {
        let error = collect(&tree, &copy(&[path], "/")).unwrap_err();
        let CopyError::NotFound { similar, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(similar.as_deref(), expected, "{path}");
    }
}

#[test]
fn the_content_key_sees_bytes_names_and_modes_and_no_times() {
    let dir = tempfile::tempdir().unwrap();
    let key = || {
        collect(&context(dir.path(), &[]), &copy(&["a"], "/x"))
            .unwrap()
            .digest
    };
    write(dir.path(), &["a"]);
    let first = key();
    let path = dir.path().join("a");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(key(), first);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(key(), first);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "TEXT").unwrap();
    assert_ne!(key(), first);
}

#[test]
fn a_cancelled_job_collects_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["a"]);
    let cancel = CancelToken::create().unwrap();
    cancel.cancel(CancelReason::Abandoned);
    let tree = context(dir.path(), &[]);
    let collected = collect::collect(
        (&tree, &super::remote::Fetched::new()),
        &copy(&["."], "/"),
        &clock(),
        &cancel,
    );
    assert!(matches!(collected, Err(CopyError::Cancelled)));
}

#[test]
fn missing_directories_are_made_and_contents_of_a_directory_are_copied() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["src/sub/file"]);
    let tree = context(dir.path(), &[]);
    fs::set_permissions(
        dir.path().join("src/sub"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let mut action = copy(&["src"], "/opt/app");
    action.owner = Some("7:8".to_owned());
    let changes = planned(&scratch(), &tree, &action).unwrap();
    assert_eq!(
        listed(&changes),
        [
            "dir 0755 7:8 opt",
            "dir 0755 7:8 opt/app",
            "dir 0700 7:8 opt/app/sub",
            "file 0644 7:8 opt/app/sub/file",
        ]
    );
}

#[test]
fn a_file_goes_onto_a_name_or_into_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["file"]);
    let tree = context(dir.path(), &[]);
    for (destination, expected) in [
        ("/new", &["file 0644 0:0 new"][..]),
        ("/new/", &["dir 0755 0:0 new", "file 0644 0:0 new/file"]),
        ("/", &["file 0644 0:0 file"]),
        ("/new/.", &["dir 0755 0:0 new", "file 0644 0:0 new/file"]),
    ] {
        let changes = planned(&scratch(), &tree, &copy(&["file"], destination)).unwrap();
        assert_eq!(listed(&changes), expected, "{destination}");
    }
}

#[test]
fn hard_links_within_one_source_stay_links() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["src/a", "src/c"]);
    fs::hard_link(dir.path().join("src/a"), dir.path().join("src/b")).unwrap();
    let tree = context(dir.path(), &[]);
    let changes = planned(&scratch(), &tree, &copy(&["src"], "/d/")).unwrap();
    assert_eq!(
        listed(&changes),
        [
            "dir 0755 0:0 d",
            "file 0644 0:0 d/a",
            "name of d/a: 0644 0:0 d/b",
            "file 0644 0:0 d/c",
        ]
    );
}

#[test]
fn a_file_and_a_directory_do_not_replace_each_other() {
    let context_dir = tempfile::tempdir().unwrap();
    write(context_dir.path(), &["file", "tree/name/inner"]);
    let image = tempfile::tempdir().unwrap();
    write(image.path(), &["name", "full/file/inner"]);
    let tree = context(context_dir.path(), &[]);
    let root = Arc::new(Root::open(image.path()).unwrap());
    let view = Lookup::of_view(View::of_directory(root, owners()));
    let onto_file = planned(&view, &tree, &copy(&["tree"], "/")).unwrap_err();
    assert_eq!(
        onto_file.to_string(),
        "cannot copy a directory onto `/name`, which is not a directory"
    );
    let onto_directory = planned(&view, &tree, &copy(&["file"], "/full/")).unwrap_err();
    assert_eq!(
        onto_directory.to_string(),
        "cannot copy a file onto `/full/file`, which is a directory"
    );
}

#[test]
fn text_of_the_dockerfile_is_a_file_of_root() {
    let mut action = copy(&[], "/etc/motd");
    action.sources = vec![CopySource::Inline {
        name: "EOF".to_owned(),
        content: "hello\n".to_owned(),
    }];
    action.mode = Some("600".to_owned());
    let changes = planned(&scratch(), &SourceTree::Empty, &action).unwrap();
    assert_eq!(
        listed(&changes),
        ["dir 0600 0:0 etc", "file 0600 0:0 etc/motd"]
    );
}
