//! `--parents`: what it takes, and what becomes of the directories on the way.

use super::*;

/// Splits a source as the frontend does.
fn parents(sources: &[&str], destination: &str) -> CopyAction {
    let mut action = copy(&[], destination);
    let source = |path: &&str| {
        let (base, pattern) = path.split_once("/./").unwrap_or(("/", path));
        CopySource::Parents {
            base: base.to_owned(),
            pattern: pattern.replace("/./", "/").trim_matches('/').to_owned(),
        }
    };
    action.sources = sources.iter().map(source).collect();
    action
}

const FILES: [&str; 7] = [
    "a/b/c/d/foo",
    "a/b/c/d/e/bay",
    "a/b/c2/d/e/baz",
    "a/b/c2/d/e2/baz",
    "a/b2/c/d/e/bar",
    "top.txt",
    "x[1]/file",
];

/// Returns the files that a copy makes.
fn files(changes: &ChangeSet) -> Vec<String> {
    let lines = listed(changes).into_iter();
    let files = lines.filter_map(|line| line.strip_prefix("file 0644 0:0 ").map(str::to_owned));
    files.collect()
}

#[test]
fn parents_keeps_the_directories_right_of_the_pivot() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &FILES);
    let tree = context(dir.path(), &[]);
    let cases: [(&[&str], &[&str]); 12] = [
        (&["top.txt"], &["o/top.txt"]),
        (&["a/b/c"], &["o/a/b/c/d/e/bay", "o/a/b/c/d/foo"]),
        (&["/a/b/./c/d"], &["o/c/d/e/bay", "o/c/d/foo"]),
        (&["a/./b/./c/d/foo"], &["o/b/c/d/foo"]),
        (
            &["/a/./*/c"],
            &["o/b/c/d/e/bay", "o/b/c/d/foo", "o/b2/c/d/e/bar"],
        ),
        (&["/a/b*/./c/**/e"], &["o/c/d/e/bar", "o/c/d/e/bay"]),
        (
            &["/a/b/c*/./d/**/baz", "/a/b*/./c/**/bar"],
            &["o/c/d/e/bar", "o/d/e/baz", "o/d/e2/baz"],
        ),
        (
            &["**/ba?"],
            &[
                "o/a/b/c/d/e/bay",
                "o/a/b/c2/d/e/baz",
                "o/a/b/c2/d/e2/baz",
                "o/a/b2/c/d/e/bar",
            ],
        ),
        (&["*.txt"], &["o/top.txt"]),
        (&["a/b3*/c"], &[]),
        (&["/a/b/./c3*"], &[]),
        (&[r"x\[1\]/file"], &["o/x[1]/file"]),
    ];
    for (sources, expected) in cases {
        let changes = planned(&scratch(), &tree, &parents(sources, "/o/")).unwrap();
        assert_eq!(files(&changes), expected, "{sources:?}");
        assert_eq!(listed(&changes)[0], "dir 0755 0:0 o", "{sources:?}");
    }
}

#[test]
fn parents_of_everything_is_a_plain_copy() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &FILES);
    let tree = context(dir.path(), &[]);
    let all = planned(&scratch(), &tree, &parents(&["/"], "/o/")).unwrap();
    let plain = planned(&scratch(), &tree, &copy(&["/"], "/o/")).unwrap();
    assert_eq!(listed(&all), listed(&plain));
}

#[test]
fn a_directory_on_the_way_has_the_attributes_of_the_source_unless_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["there/new/file"]);
    for (path, mode) in [("there", 0o700), ("there/new", 0o750)] {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let image = tempfile::tempdir().unwrap();
    fs::create_dir(image.path().join("there")).unwrap();
    fs::set_permissions(
        image.path().join("there"),
        fs::Permissions::from_mode(0o711),
    )
    .unwrap();
    let root = Arc::new(Root::open(image.path()).unwrap());
    let view = Lookup::of_view(View::of_directory(root, owners()));
    let mut action = parents(&["there/new/file"], "/");
    action.owner = Some("7:8".to_owned());
    let changes = planned(&view, &context(dir.path(), &[]), &action).unwrap();
    let lines = listed(&changes);
    assert!(lines[0].starts_with("dir 0711 "), "{lines:?}");
    assert_eq!(
        lines[1..],
        ["dir 0750 7:8 there/new", "file 0644 7:8 there/new/file"]
    );
}

#[test]
fn patterns_of_exclude_count_from_the_pivot() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["p/a/keep.c", "p/a/drop.o", "p/a/sub/drop.o"]);
    let tree = context(dir.path(), &[]);
    let mut action = parents(&["/p/./a"], "/");
    action.exclude = vec!["a/**/*.o".to_owned()];
    let changes = planned(&scratch(), &tree, &action).unwrap();
    assert_eq!(files(&changes), ["a/keep.c"]);
}

#[test]
fn a_path_without_wildcards_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["a/b/file", "hidden/file"]);
    let tree = context(dir.path(), &["hidden"]);
    for (source, expected) in [
        ("a/b/fil", "COPY source not found: `/a/b/fil`"),
        ("/a/./c/file", "COPY source not found: `/a/c/file`"),
        ("/gone/./file", "COPY source not found: `/gone`"),
        (
            "hidden/file",
            "COPY source is left out by the ignore file: `/hidden/file`",
        ),
    ] {
        let error = collect(&tree, &parents(&[source], "/")).unwrap_err();
        assert_eq!(error.to_string(), expected, "{source}");
    }
    // What is there and excluded is no mistake.
    let mut action = parents(&["a/b/file"], "/");
    action.exclude = vec!["a/b/*".to_owned()];
    let changes = planned(&scratch(), &tree, &action).unwrap();
    assert_eq!(files(&changes), [""; 0]);
}
