//! `careen diff`: how two images differ.

use support::layout::{self, host_platform};
use support::{Entry, Finished};

use super::{two_layers, with_two_layers};

fn diff(words: &[&str]) -> Finished {
    let bench = with_two_layers();
    let mut other = two_layers();
    let [_, upper] = other.layers.as_mut_slice() else {
        panic!("it has two layers")
    };
    upper[2] = Entry::file("tool", "TOOL\n")
        .mode(0o755)
        .owner(7, 8)
        .mtime(1);
    upper.push(Entry::file("new", "new\n"));
    upper.push(Entry::file(".wh.second", ""));
    other.config.cmd = vec!["/new".to_owned()];
    layout::write(&bench.path("other"), &[other]);
    bench.careen(&["diff"]).args(words).run()
}

#[test]
fn an_image_does_not_differ_from_itself() {
    let same = diff(&["oci:base", "oci:base:latest"]);
    assert_eq!((same.code(), same.text()), (0, ""));
}

#[test]
fn configuration_layers_and_files_are_compared() {
    let differ = diff(&["oci:base", "oci:other"]);
    assert_eq!(differ.code(), 1);
    let host = host_platform();
    let is_digest = |word: &str| word.starts_with("sha256:");
    let lines: Vec<String> = differ
        .text()
        .lines()
        .map(|line| {
            let words = line
                .split(' ')
                .map(|word| if is_digest(word) { "$DIGEST" } else { word });
            words.collect::<Vec<_>>().join(" ").replace(&host, "$HOST")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "--- oci:base $HOST $DIGEST",
            "+++ oci:other $HOST $DIGEST",
            "config:",
            "  config.Cmd: [\"/tool\"] -> [\"/new\"]",
            "layers: 1 shared",
            "  - $DIGEST",
            "  + $DIGEST",
            "files:",
            "  + /new (file 0644 0:0 4 bytes)",
            "  - /second (hardlink 0600 0:0 to first)",
            "  ~ /tool: mode 4755 -> 0755, content, time 0.000000000 -> 1.000000000",
        ]
    );
}

#[test]
fn differences_are_told_as_json_too() {
    let differ = diff(&[
        "--format",
        "json",
        "--ignore-times",
        "oci:base",
        "oci:other",
    ]);
    assert_eq!(differ.code(), 1);
    let told: serde_json::Value = serde_json::from_str(differ.text()).unwrap();
    assert_eq!(told["equal"], false);
    assert_eq!(told["layers"]["shared"], 1);
    assert_eq!(told["config"][0]["field"], "config.Cmd");
    let tool = &told["files"][2];
    assert_eq!(tool["path"], "/tool");
    assert_eq!(tool["change"], "changed");
    assert_eq!(tool["differs"], serde_json::json!(["mode", "content"]));
    assert_eq!(tool["one"]["digest"], support_digest("tool\n"));
}

fn support_digest(text: &str) -> String {
    oci::Digest::of(text.as_bytes()).to_string()
}

#[test]
fn an_image_that_cannot_be_read_is_no_difference() {
    let refused = diff(&["oci:base", "oci:other:absent"]);
    let first = refused.error(2).lines().next();
    assert_eq!(first, Some("error: cannot use `$BENCH/other`"));
}
