//! The directory: an image layout before, while and after it is served.

use std::fs;

use oci::check::parse_index;
use oci::descriptor::{ANNOTATION_REF_NAME, annotation_of};

use super::*;
use crate::OpenError;

/// Ends a registry, and begins another one over the same directory.
fn again(served: &Served) -> Served {
    // The thread of the first one cannot be ended, so the other one gets a copy of what is on the disk: what a
    // process that was killed leaves.
    let copy = tempfile::tempdir().unwrap();
    copy_tree(served.path(), copy.path());
    Served::over(copy, Access::ReadWrite)
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn names(served: &Served) -> Vec<String> {
    let index = parse_index(&fs::read(served.path().join("index.json")).unwrap()).unwrap();
    let names = index.manifests().iter();
    let names = names.map(|entry| annotation_of(entry, ANNOTATION_REF_NAME).unwrap_or("-"));
    names.map(str::to_owned).collect()
}

#[test]
fn the_index_has_an_entry_for_each_tag_and_for_what_no_tag_leads_to() {
    let served = Served::start();
    let one = served.push_image("team/app", "1", "one");
    let other = served.push_image("team/app", "x", "other");
    served.put_manifest("team/app", "2", &index(&[&one, &other]));
    assert_eq!(names(&served), ["team/app:1", "team/app:2", "team/app:x"]);
    served.ask("DELETE", "/v2/team/app/manifests/x", &[], b"");
    assert_eq!(names(&served), ["team/app:1", "team/app:2"]);
    served.ask("DELETE", "/v2/team/app/manifests/2", &[], b"");
    assert_eq!(names(&served), ["team/app:1", "-"]);
}

#[test]
fn what_was_pushed_is_there_again_after_the_process_has_ended() {
    let served = Served::start();
    let image = served.push_image("app.io/x", "1", "layer");
    let list = index(&[&image]);
    served.put_manifest("app.io/x", Digest::of(&list).as_str(), &list);
    served.push_blob("loose", b"bytes");
    served.begin_upload("app.io/x");
    let served = again(&served);
    assert_eq!(
        served.get("/v2/_catalog").json(),
        json!({ "repositories": ["app.io/x"] })
    );
    assert_eq!(served.get("/v2/app.io/x/manifests/1").body, image);
    let target = format!("/v2/app.io/x/manifests/{}", Digest::of(&list));
    assert_eq!(served.get(&target).body, list);
    let layer = Digest::of(b"layer");
    assert_eq!(
        served.get(&format!("/v2/app.io/x/blobs/{layer}")).body,
        b"layer"
    );
    let left = fs::read_dir(served.path().join(".registry/uploads")).unwrap();
    assert_eq!(left.count(), 0);
}

/// Writes a layout of three entries, as other tools do, and returns them.
fn write_foreign(directory: &Path, manifest: &[u8], lone: &[u8]) -> [Value; 3] {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    for bytes in [b"{}".as_slice(), b"layer", manifest, lone] {
        fs::write(blobs.join(Digest::of(bytes).encoded()), bytes).unwrap();
    }
    let named = |bytes: &[u8], annotations: Value| {
        let mut entry = descriptor(OCI_MANIFEST, bytes);
        entry["annotations"] = annotations;
        entry
    };
    let entries = [
        named(
            manifest,
            json!({
                "io.containerd.image.name": "docker.io/library/alpine:3",
                "org.opencontainers.image.created": "2020-01-01T00:00:00Z",
                "org.opencontainers.image.ref.name": "3",
            }),
        ),
        named(
            manifest,
            json!({ "org.opencontainers.image.ref.name": "app:1" }),
        ),
        named(
            lone,
            json!({ "org.opencontainers.image.ref.name": "latest" }),
        ),
    ];
    let document = json!({ "schemaVersion": 2, "manifests": entries });
    fs::write(directory.join("index.json"), document.to_string()).unwrap();
    fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    entries
}

#[test]
fn a_layout_that_another_tool_wrote_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let (manifest, lone) = (image(b"layer"), image(b"{}"));
    write_foreign(directory.path(), &manifest, &lone);
    let (registry, notes) = Registry::open(directory.path(), Access::ReadWrite).unwrap();
    drop(registry);
    let lone = Digest::of(&lone);
    assert_eq!(
        notes,
        [format!(
            "`{lone}` (latest) is in no repository and not served"
        )]
    );
    let served = Served::over(directory, Access::ReadWrite);
    for target in ["/v2/library/alpine/manifests/3", "/v2/app/manifests/1"] {
        assert_eq!(served.get(target).body, manifest, "{target}");
    }
    let layer = Digest::of(b"layer");
    assert_eq!(
        served
            .get(&format!("/v2/library/alpine/blobs/{layer}"))
            .body,
        b"layer"
    );
}

#[test]
fn what_another_tool_wrote_stays_when_the_index_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let entries = write_foreign(directory.path(), &image(b"layer"), &image(b"{}"));
    let served = Served::over(directory, Access::ReadWrite);
    served.push_image("app", "2", "more");
    // An entry that is not served needs it too.
    let empty = Digest::of(b"{}");
    for repository in ["app", "library/alpine"] {
        let target = format!("/v2/{repository}/blobs/{empty}");
        assert_eq!(served.ask("DELETE", &target, &[], b"").status, 202);
    }
    assert!(
        served
            .path()
            .join("blobs/sha256")
            .join(empty.encoded())
            .try_exists()
            .unwrap()
    );
    let text = fs::read(served.path().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&text).unwrap();
    let after = index["manifests"].as_array().unwrap();
    for entry in &entries {
        assert!(after.contains(entry), "{entry} is gone from {index}");
    }
}

#[test]
fn a_directory_that_cannot_be_served_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let open = |access| Registry::open(path, access).map(drop).unwrap_err();
    assert!(matches!(
        open(Access::ReadOnly),
        OpenError::NotALayout {
            missing: "oci-layout",
            ..
        }
    ));
    fs::write(path.join("letter.txt"), "x").unwrap();
    assert!(matches!(
        open(Access::ReadWrite),
        OpenError::NotALayout { .. }
    ));
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(
        open(Access::ReadOnly),
        OpenError::Document {
            name: "oci-layout",
            ..
        }
    ));
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(path.join("index.json"), "{").unwrap();
    assert!(matches!(
        open(Access::ReadWrite),
        OpenError::Document {
            name: "index.json",
            ..
        }
    ));
    let missing = Registry::open(&path.join("none"), Access::ReadOnly).unwrap_err();
    assert!(matches!(missing, OpenError::Files { .. }), "{missing:?}");
}

#[test]
fn one_process_writes_and_others_may_read() {
    let served = Served::start();
    served.push_image("app", "1", "layer");
    let error = Registry::open(served.path(), Access::ReadWrite).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    Registry::open(served.path(), Access::ReadOnly).unwrap();
}

#[test]
fn what_cannot_be_written_is_told_the_log_and_changes_nothing() {
    let served = Served::start();
    let manifest = served.push_image("app", "1", "layer");
    // A directory in the way of the index, for any user's process.
    fs::remove_file(served.path().join("index.json")).unwrap();
    fs::create_dir_all(served.path().join("index.json/in/the/way")).unwrap();
    let answer = served.put_manifest("app", "2", &manifest);
    assert_eq!((answer.status, answer.code().as_str()), (500, "DENIED"));
    assert_eq!(served.get("/v2/app/tags/list").json()["tags"], json!(["1"]));
    let message = answer.json()["errors"][0]["message"].to_string();
    assert!(!message.contains("index.json"), "{message}");
    let problem = std::iter::repeat_with(|| served.logged().problem).find_map(|problem| problem);
    assert!(problem.unwrap().contains("index.json"));
}

#[test]
fn a_blob_that_somebody_has_removed_is_404_and_can_be_pushed_again() {
    let served = Served::start();
    let digest = served.push_blob("app", b"bytes");
    let target = format!("/v2/app/blobs/{digest}");
    fs::remove_file(served.path().join("blobs/sha256").join(digest.encoded())).unwrap();
    assert_eq!(served.get(&target).status, 404);
    served.push_blob("app", b"bytes");
    assert_eq!(served.get(&target).body, b"bytes");
}

#[test]
fn many_who_append_to_one_index_at_once_lose_nothing() {
    let served = Served::start();
    served.push_blob("app", b"{}");
    assert_eq!(served.put_manifest("app", "all", &index(&[])).status, 201);
    let layers: Vec<_> = (0..8).map(|number| format!("layer {number}")).collect();
    let append = |layer: &String| {
        served.push_blob("app", layer.as_bytes());
        let manifest = image(layer.as_bytes());
        served.put_manifest("app", Digest::of(&manifest).as_str(), &manifest);
        loop {
            let found = served.get("/v2/app/manifests/all");
            let mut list = found.json();
            let entries = list["manifests"].as_array_mut().unwrap();
            entries.push(descriptor(OCI_MANIFEST, &manifest));
            let tag = found.header("etag").unwrap();
            let bytes = list.to_string().into_bytes();
            let answer = served.ask("PUT", "/v2/app/manifests/all", &[("If-Match", tag)], &bytes);
            match answer.status {
                201 => return,
                status => assert_eq!(status, 412),
            }
        }
    };
    thread::scope(|scope| {
        for layer in &layers {
            scope.spawn(|| append(layer));
        }
    });
    let list = served.get("/v2/app/manifests/all").json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), layers.len());
}
