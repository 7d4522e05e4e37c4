//! Tests of a user's image layout.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use oci::Digest;
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use tempfile::TempDir;

use super::{ForeignError, ForeignLayout, LayoutLocation, LayoutSelector};
use crate::testing::{Kind, chain};
use crate::{BlobError, BlobSource as _};

/// An image layout that is made by hand.
struct Layout(TempDir);

impl Layout {
    fn new(entries: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(
            dir.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        fs::write(dir.path().join("index.json"), index(entries)).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn blob(&self, bytes: &str) -> Digest {
        let digest = Digest::of(bytes.as_bytes());
        fs::write(
            self.path().join("blobs/sha256").join(digest.encoded()),
            bytes,
        )
        .unwrap();
        digest
    }

    fn open(&self) -> ForeignLayout {
        ForeignLayout::open(self.path()).unwrap()
    }
}

fn index(entries: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    )
}

fn entry(media_type: &str, content: &str, annotations: &str) -> String {
    let digest = Digest::of(content.as_bytes());
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{},"annotations":{{{annotations}}}}}"#,
        content.len()
    )
}

fn tagged(content: &str, tag: &str) -> String {
    let annotation = format!(r#""org.opencontainers.image.ref.name":"{tag}""#);
    entry(OCI_MANIFEST, content, &annotation)
}

fn resolve(layout: &ForeignLayout, selector: &LayoutSelector) -> Vec<String> {
    let found = layout.resolve(selector).unwrap();
    found
        .iter()
        .map(|descriptor| descriptor.digest().to_string())
        .collect()
}

fn digests(contents: &[&str]) -> Vec<String> {
    contents
        .iter()
        .map(|content| Digest::of(content.as_bytes()).to_string())
        .collect()
}

fn tag(text: &str) -> LayoutSelector {
    LayoutSelector::Tag(text.to_owned())
}

#[test]
fn a_location_is_a_path_and_perhaps_a_tag_or_a_digest() {
    let digest = Digest::of(b"");
    let by_digest = LayoutSelector::Digest(digest.clone());
    for (text, path, selector) in [
        ("/images/app", "/images/app", LayoutSelector::Default),
        ("/images/app:1.2", "/images/app", tag("1.2")),
        ("images", "images", LayoutSelector::Default),
        ("/im:ages/app", "/im:ages/app", LayoutSelector::Default),
        ("/images/app:", "/images/app:", LayoutSelector::Default),
        (
            "/images/app:.hidden",
            "/images/app:.hidden",
            LayoutSelector::Default,
        ),
        (
            "/images/me@home",
            "/images/me@home",
            LayoutSelector::Default,
        ),
        ("/images/me@home:1", "/images/me@home", tag("1")),
        (
            &format!("/images/app@{digest}"),
            "/images/app",
            by_digest.clone(),
        ),
        (
            &format!("/images/me@home@{digest}"),
            "/images/me@home",
            by_digest,
        ),
    ] {
        let expected = LayoutLocation {
            path: path.into(),
            selector,
        };
        assert_eq!(LayoutLocation::parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_digest_that_is_none_is_refused() {
    let error = LayoutLocation::parse("/images/app@sha256:12").unwrap_err();
    assert_eq!(
        error.to_string(),
        "digest `sha256:12` has 2 digits where sha256 has 64"
    );
}

#[test]
fn an_image_is_found_by_its_tag() {
    let full = r#""io.containerd.image.name":"docker.io/library/demo:3""#;
    let layout = Layout::new(&[
        tagged("a", "1"),
        tagged("b", "docker.io/library/demo:2"),
        entry(OCI_INDEX, "c", full),
        tagged("d", "latest"),
    ])
    .open();
    for (selector, content) in [
        (tag("1"), "a"),
        (tag("2"), "b"),
        (tag("3"), "c"),
        (LayoutSelector::Default, "d"),
    ] {
        assert_eq!(
            resolve(&layout, &selector),
            digests(&[content]),
            "{selector}"
        );
    }
}

#[test]
fn the_only_image_needs_no_tag() {
    for entries in [vec![tagged("a", "1")], vec![entry(OCI_MANIFEST, "a", "")]] {
        let layout = Layout::new(&entries).open();
        assert_eq!(resolve(&layout, &LayoutSelector::Default), digests(&["a"]));
    }
}

#[test]
fn what_refers_to_the_only_image_is_no_image_beside_it() {
    let layout = Layout::new(&[tagged("a", "1"), entry(OCI_MANIFEST, "signature", "")]);
    assert_eq!(
        resolve(&layout.open(), &LayoutSelector::Default),
        digests(&["a"])
    );
}

#[test]
fn manifests_of_several_platforms_may_have_one_name() {
    let layout = Layout::new(&[tagged("a", "1"), tagged("b", "1")]).open();
    for selector in [LayoutSelector::Default, tag("1")] {
        assert_eq!(resolve(&layout, &selector), digests(&["a", "b"]));
    }
}

#[test]
fn an_image_is_found_by_its_digest_below_an_index_too() {
    let inner = index(&[entry(OCI_MANIFEST, "a", "")]);
    let outer = index(&[entry(OCI_INDEX, &inner, "")]);
    let gone = entry(OCI_INDEX, "gone", "");
    let layout = Layout::new(&[tagged("b", "1"), gone, entry(OCI_INDEX, &outer, "")]);
    layout.blob(&inner);
    layout.blob(&outer);
    let layout = layout.open();
    for content in ["a", "b", &inner, &outer] {
        let selector = LayoutSelector::Digest(Digest::of(content.as_bytes()));
        assert_eq!(resolve(&layout, &selector), digests(&[content]));
    }
}

#[test]
fn an_image_that_is_not_there_is_named_with_those_that_are() {
    let layout = Layout::new(&[tagged("a", "2"), tagged("b", "1"), tagged("c", "1")]);
    let opened = layout.open();
    for (selector, shown) in [(tag("3"), "3"), (LayoutSelector::Default, "latest")] {
        assert_eq!(
            opened.resolve(&selector).unwrap_err().to_string(),
            format!(
                "the image layout `{}` has no image `{shown}`; it has `1`, `2`",
                layout.path().display()
            )
        );
    }
    let layout = Layout::new(&[]);
    let error = layout.open().resolve(&LayoutSelector::Default).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no image `latest`; it has none"),
        "{error}"
    );
}

#[test]
fn an_index_of_indexes_is_read_to_a_limit() {
    let mut inner = index(&[entry(OCI_MANIFEST, "a", "")]);
    let layout = Layout::new(&[]);
    for _ in 0..5 {
        layout.blob(&inner);
        inner = index(&[entry(OCI_INDEX, &inner, "")]);
    }
    fs::write(layout.path().join("index.json"), &inner).unwrap();
    let selector = LayoutSelector::Digest(Digest::of(b"a"));
    let error = layout.open().resolve(&selector).unwrap_err();
    assert!(matches!(error, ForeignError::NoSuchImage { .. }), "{error}");

    let same = entry(OCI_INDEX, &index(&[]), "");
    let layout = Layout::new(&vec![same; crate::limits::INDEX_LIMIT + 1]);
    layout.blob(&index(&[]));
    let error = layout.open().resolve(&selector).unwrap_err();
    assert!(matches!(error, ForeignError::TooMany { .. }), "{error}");
}

#[test]
fn a_damaged_index_below_is_an_error() {
    let inner = index(&[]);
    let layout = Layout::new(&[entry(OCI_INDEX, &inner, "")]);
    let digest = layout.blob(&inner);
    fs::write(
        layout.path().join("blobs/sha256").join(digest.encoded()),
        "{}",
    )
    .unwrap();
    let selector = LayoutSelector::Digest(Digest::of(b"a"));
    let error = layout.open().resolve(&selector).unwrap_err();
    let found = Digest::of(b"{}");
    assert_eq!(
        chain(&error),
        format!(
            "read an index of the image layout `{}`: blob `{digest}` is damaged: its 2 bytes hash to \
             `{found}`",
            layout.path().display()
        )
    );
}

#[test]
fn what_is_no_layout_is_refused() {
    let layout = Layout::new(&[]);
    let path = layout.path().to_owned();
    let open = || ForeignLayout::open(&path).unwrap_err();
    let shown = path.display();
    fs::write(path.join("index.json"), "{").unwrap();
    assert!(matches!(open(), ForeignError::Index { .. }));
    fs::write(path.join("index.json"), " ".repeat(4 * 1024 * 1024 + 1)).unwrap();
    assert_eq!(
        chain(&open()),
        format!(
            "read `index.json` of the image layout `{shown}`: `index.json` has more than 4194304 bytes"
        )
    );
    fs::remove_file(path.join("index.json")).unwrap();
    assert_eq!(
        open().to_string(),
        format!("`{shown}` is no image layout: it has no `index.json`")
    );
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.1.0"}"#).unwrap();
    assert_eq!(
        open().to_string(),
        format!("the `oci-layout` in `{shown}` does not say version 1.0.0")
    );
    fs::write(path.join("oci-layout"), " ".repeat(4097)).unwrap();
    assert!(matches!(
        open(),
        ForeignError::Read {
            name: "oci-layout",
            ..
        }
    ));
    fs::remove_file(path.join("oci-layout")).unwrap();
    assert_eq!(
        open().to_string(),
        format!("`{shown}` is no image layout: it has no `oci-layout`")
    );
    drop(layout);
    assert!(matches!(open(), ForeignError::Open { .. }));
}

#[test]
fn t_a11_only_a_regular_file_inside_the_layout_is_a_blob() {
    let outside = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"secret");
    fs::write(outside.path().join(digest.encoded()), "secret").unwrap();
    let target = outside.path().join(digest.encoded());
    let kinds: [Kind<'_>; 5] = [
        ("symlink out", &|path| symlink(&target, path).unwrap()),
        ("symlink in", &|path| {
            fs::write(path.with_extension("x"), "secret").unwrap();
            symlink(path.with_extension("x").file_name().unwrap(), path).unwrap();
        }),
        ("fifo", &|path| mkfifo(path, Mode::S_IRWXU).unwrap()),
        ("directory", &|path| fs::create_dir(path).unwrap()),
        ("nothing", &|_| {}),
    ];
    for (kind, make) in kinds {
        let layout = Layout::new(&[]);
        make(&layout.path().join("blobs/sha256").join(digest.encoded()));
        let opened = layout.open();
        for error in [
            opened.open_blob(&digest, 6).map(drop).unwrap_err(),
            opened.read_blob(&digest, 6).map(drop).unwrap_err(),
        ] {
            let expected = match kind {
                "nothing" => matches!(error, BlobError::Absent { .. }),
                _ => matches!(error, BlobError::NotAFile { .. }),
            };
            assert!(expected, "{kind}: {}", chain(&error));
        }
    }
    // A directory on the way leads nowhere outside either.
    let layout = Layout::new(&[]);
    fs::remove_dir(layout.path().join("blobs/sha256")).unwrap();
    symlink(outside.path(), layout.path().join("blobs/sha256")).unwrap();
    let error = layout.open().read_blob(&digest, 6).unwrap_err();
    assert!(
        matches!(error, BlobError::Absent { .. }),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_blob_is_verified_while_it_is_read() {
    let layout = Layout::new(&[]);
    let digest = layout.blob("blob");
    let opened = layout.open();
    let mut text = String::new();
    opened
        .open_blob(&digest, 4)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "blob");
    fs::write(
        layout.path().join("blobs/sha256").join(digest.encoded()),
        "BLOB",
    )
    .unwrap();
    let read = opened
        .open_blob(&digest, 4)
        .unwrap()
        .read_to_string(&mut text);
    let error = BlobError::from_read(&digest, read.unwrap_err());
    assert_eq!(
        error.to_string(),
        format!(
            "blob `{digest}` is damaged: its 4 bytes hash to `{}`",
            Digest::of(b"BLOB")
        )
    );
}

#[test]
fn an_image_layout_of_the_store_is_one_like_any_other() {
    let fixture = crate::testing::Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let content = fixture.store.content();
    let digest = content.put(&lease, b"manifest").unwrap();
    let image = oci::descriptor::descriptor(OCI_MANIFEST, &digest, 8);
    content
        .tag(&oci::Reference::parse("demo:1").unwrap(), &image)
        .unwrap();
    let foreign = ForeignLayout::open(&fixture.path("content")).unwrap();
    assert_eq!(resolve(&foreign, &tag("1")), [digest.to_string()]);
    assert_eq!(foreign.read_blob(&digest, 8).unwrap(), b"manifest");
}
