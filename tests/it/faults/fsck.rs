//! `careen fsck`, and what a build does with a store that is damaged.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use support::{Bench, Feature, damage, needs, scan};

use crate::bench;

/// Makes a bench with an image of three layers that the store has, called `app`.
fn bench_with_image() -> Bench {
    let bench = bench();
    for name in ["one", "two", "three"] {
        bench.file(name, format!("{name}\n").repeat(1000));
    }
    bench.dockerfile("FROM scratch\nCOPY one /\nCOPY two /\nCOPY three /\n");
    bench.careen_build(&["-t", "app"]).run().success();
    bench
}

fn store(bench: &Bench) -> PathBuf {
    bench.path("home/.local/share/careen")
}

/// Returns the files in a directory of the store, and in those below it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn blobs(bench: &Bench) -> Vec<PathBuf> {
    files(&store(bench).join("content/blobs"))
}

/// The last line that `fsck` says.
fn summary(bench: &Bench, arguments: &[&str], code: i32) -> String {
    let run = bench.careen(&["fsck"]).args(arguments).run();
    assert_eq!(run.code(), code, "{}{}", run.text(), run.stderr);
    let lines: Vec<_> = run.text().lines().collect();
    let verdict = lines.iter().find_map(|line| line.split_once("looked at; "));
    verdict.unwrap().1.to_owned()
}

/// A way to damage a file, and what it is.
type Damage = (&'static str, fn(&Path));

/// Ways to damage a blob.
const DAMAGES: [Damage; 6] = [
    ("a byte is another", |path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[5] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
    ("its end is cut off", |path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(10).unwrap();
    }),
    ("it is empty", |path| fs::write(path, "").unwrap()),
    ("it is gone", |path| fs::remove_file(path).unwrap()),
    ("it is a directory", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("it is a link", |path| {
        fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    }),
];

fn damage_blobs(bench: &Bench, damage: fn(&Path)) {
    for blob in blobs(bench) {
        fs::set_permissions(&blob, Permissions::from_mode(0o600)).unwrap();
        damage(&blob);
    }
}

#[test]
fn t_f02_an_image_whose_blobs_are_damaged_is_built_again_with_a_warning() {
    // What has its size is not read for a name; who reads it finds it.
    for (how, damage) in &DAMAGES[1..] {
        let bench = bench_with_image();
        let before = fs::read(store(&bench).join("content/index.json")).unwrap();
        damage_blobs(&bench, *damage);
        let log = bench.careen_build(&["-t", "app"]).run().success();
        let warnings = log.stderr.matches("in the store is damaged").count();
        // One for each layer, and none where there is nothing to be damaged.
        assert!(warnings <= 3, "{how}: {}", log.stderr);
        assert_eq!(warnings == 0, *how == "it is gone", "{how}: {}", log.stderr);
        let after = fs::read(store(&bench).join("content/index.json")).unwrap();
        assert!(before == after, "{how}");
        assert_eq!(summary(&bench, &[], 0), "everything is whole.", "{how}");
    }
}

#[test]
fn what_is_damaged_is_told_mended_and_built_again() {
    for (how, damage) in DAMAGES {
        let bench = bench_with_image();
        assert_eq!(summary(&bench, &[], 0), "everything is whole.");
        damage_blobs(&bench, damage);
        let found = bench.careen(&["fsck"]).run();
        assert_eq!(found.code(), 1, "{how}");
        assert!(found.text().contains("image"), "{how}: {}", found.text());
        assert!(
            found.text().contains("app:latest"),
            "{how}: {}",
            found.text()
        );
        let help = "`careen fsck --repair` mends what can be mended.";
        assert!(found.text().ends_with(&format!("{help}\n")), "{how}");
        assert!(
            summary(&bench, &["--repair"], 0).ends_with(" mended."),
            "{how}"
        );
        assert_eq!(summary(&bench, &[], 0), "everything is whole.", "{how}");
        bench.careen_build(&["-t", "app"]).run().success();
        assert_eq!(summary(&bench, &[], 0), "everything is whole.", "{how}");
    }
}

#[test]
fn what_is_no_blob_is_found_too() {
    let bench = bench_with_image();
    let store = store(&bench);
    for record in files(&store.join("records")) {
        fs::write(record, "{}").unwrap();
    }
    fs::write(store.join("content/index.json"), "{").unwrap();
    fs::write(store.join("content/oci-layout"), "").unwrap();
    let said = bench.careen(&["fsck"]).run().error(3).to_owned();
    assert!(said.contains("`careen fsck --repair`"), "{said}");
    let mended = bench
        .careen(&["fsck", "--repair", "--json"])
        .run()
        .success();
    let found: serde_json::Value = serde_json::from_str(mended.text()).unwrap();
    assert_eq!(found["whole"], true);
    let parts: std::collections::BTreeSet<_> = found["damage"]
        .as_array()
        .unwrap()
        .iter()
        .map(|damage| damage["part"].as_str().unwrap())
        .collect();
    assert_eq!(parts.into_iter().collect::<Vec<_>>(), ["index", "record"]);
    assert_eq!(summary(&bench, &[], 0), "everything is whole.");
    // The image is there, without its name.
    let images = bench
        .careen(&["images", "--all", "--quiet"])
        .run()
        .success();
    assert_eq!(images.text().lines().count(), 1);
    assert_eq!(
        scan::files_with(&store.join("content"), "app:latest"),
        [""; 0]
    );
}

#[test]
fn t_f02_files_of_layers_that_are_not_as_their_blobs_say_are_found_and_made_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("copied", "copied\n");
    let text = "FROM base\nCOPY copied /\nRUN cat /copied > /made\n";
    bench.dockerfile(text);
    bench.careen_build(&["-t", "app"]).run().success();
    let group = bench.path("group");
    for file in ["etc/group", "copied", "made"] {
        let whole = summary(&bench, &[], 0);
        assert_eq!(whole, "everything is whole.", "{file}");
        let mut paths = files(&store(&bench).join("snapshots"));
        paths.retain(|path| path.ends_with(format!("fs/{file}")));
        let [path] = paths.as_slice() else {
            panic!("{file}: {paths:?}");
        };
        if file == "etc/group" {
            fs::copy(path, &group).unwrap();
        }
        damage::change_first_byte(path);
        let quick = summary(&bench, &["--quick"], 0);
        assert_eq!(quick, "everything is whole.", "{file}");
        let found = bench.careen(&["fsck"]).run();
        assert_eq!(found.code(), 1, "{file}: {}", found.text());
        let said = format!("its file `/{file}` is not as its layer says");
        assert!(found.text().contains(&said), "{}", found.text());
        let mended = summary(&bench, &["--repair"], 0);
        assert_eq!(mended, "1 damaged, 1 of them mended.", "{file}");
        assert!(!fs::exists(path).unwrap(), "{file}");
    }
    bench.dockerfile(&format!("{text}RUN cat /etc/group /copied /made > /all\n"));
    let expected = format!("{}copied\ncopied\n", fs::read_to_string(group).unwrap());
    assert_eq!(bench.build(&[]).image().text("all"), expected);
}

#[test]
fn names_that_cannot_be_read_have_a_way_out() {
    let bench = bench_with_image();
    fs::write(store(&bench).join("content/index.json"), "{").unwrap();
    let help = "help: `careen fsck --repair` lists the images anew, without names";
    for said in [
        bench.refusal(&["-t", "app"]),
        bench.careen(&["images"]).run().error(1).to_owned(),
    ] {
        assert!(said.contains(help), "{said}");
    }
    assert_eq!(
        summary(&bench, &["--repair"], 0),
        "1 damaged, 1 of them mended."
    );
    bench.careen_build(&["-t", "app"]).run().success();
}
