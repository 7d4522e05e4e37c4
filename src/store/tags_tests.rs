//! Tests of tags.

use std::fs;
use std::thread;

use oci::descriptor::{annotation_of, descriptor, with_platform};
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use oci::{Descriptor, Digest, Platform, Reference};
use ocidir::cap_std::{ambient_authority, fs::Dir};
use ocidir::{OciDir, OciRead as _};

use crate::testing::{Fixture, chain, names};

use super::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME};

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn image(content: &str) -> Descriptor {
    descriptor(OCI_INDEX, &Digest::of(content.as_bytes()), 10)
}

#[test]
fn a_name_names_the_image_that_got_it_last() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    assert_eq!(content.resolve(&name("demo:1")).unwrap(), None);
    content.tag(&name("demo:1"), &image("a")).unwrap();
    content.tag(&name("demo:2"), &image("a")).unwrap();
    content
        .tag(&name("example.com:5000/x/demo:1"), &image("c"))
        .unwrap();
    content.tag(&name("demo:1"), &image("b")).unwrap();

    let tags: Vec<_> = content
        .tags()
        .unwrap()
        .into_iter()
        .map(|(name, image)| (name.to_string(), image.digest().to_string()))
        .collect();
    let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
    assert_eq!(
        tags,
        [
            ("docker.io/library/demo:1".to_owned(), digest("b")),
            ("docker.io/library/demo:2".to_owned(), digest("a")),
            ("example.com:5000/x/demo:1".to_owned(), digest("c")),
        ]
    );
    let found = fixture
        .again()
        .content()
        .resolve(&name("demo:1"))
        .unwrap()
        .unwrap();
    assert_eq!(found.digest().to_string(), digest("b"));
}

#[test]
fn a_name_that_is_taken_away_names_nothing() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    content.tag(&name("demo:1"), &image("a")).unwrap();
    assert!(content.untag(&name("demo:1")).unwrap());
    assert!(!content.untag(&name("demo:1")).unwrap());
    assert_eq!(content.tags().unwrap(), []);
}

#[test]
fn an_entry_is_annotated_as_others_do_it() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    content.tag(&name("demo:1"), &image("a")).unwrap();
    let entry = content.resolve(&name("demo:1")).unwrap().unwrap();
    assert_eq!(
        annotation_of(&entry, ANNOTATION_IMAGE_NAME),
        Some("docker.io/library/demo:1")
    );
    assert_eq!(annotation_of(&entry, ANNOTATION_REF_NAME), Some("1"));
    // Retagged, with its old annotations.
    let digest = Digest::of(b"a");
    content
        .tag(&name("demo").with_digest(&digest), &entry)
        .unwrap();
    let entry = content
        .resolve(&name("demo").with_digest(&digest))
        .unwrap()
        .unwrap();
    assert_eq!(annotation_of(&entry, ANNOTATION_REF_NAME), None);

    let dir = Dir::open_ambient_dir(fixture.path("content"), ambient_authority()).unwrap();
    let found = OciDir::open(dir)
        .unwrap()
        .find_manifest_descriptor_with_tag("1")
        .unwrap();
    assert_eq!(
        found.unwrap().digest().to_string(),
        Digest::of(b"a").to_string()
    );
}

#[test]
fn the_index_is_the_same_bytes_for_the_same_tags() {
    let index = || {
        let fixture = Fixture::new();
        let content = fixture.store.content();
        let platform = Platform {
            architecture: "arm64".to_owned(),
            os: "linux".to_owned(),
            os_version: Some("6.7".to_owned()),
            os_features: Vec::new(),
            variant: Some("v8".to_owned()),
        };
        let digest = Digest::of(b"a");
        let image = with_platform(descriptor(OCI_MANIFEST, &digest, 10), &platform);
        content.tag(&name("demo:1"), &image).unwrap();
        fs::read_to_string(fixture.path("content/index.json")).unwrap()
    };
    let text = index();
    assert_eq!(
        text,
        format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","#,
                r#""manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""digest":"{}","size":10,"#,
                r#""annotations":{{"io.containerd.image.name":"docker.io/library/demo:1","#,
                r#""org.opencontainers.image.ref.name":"1"}},"#,
                r#""platform":{{"architecture":"arm64","os":"linux","os.version":"6.7","#,
                r#""variant":"v8"}}}}]}}"#
            ),
            Digest::of(b"a")
        )
    );
    assert_eq!(text, index());
}

#[test]
fn entries_of_others_are_kept() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let path = fixture.path("content/index.json");
    let digest = Digest::of(b"others");
    let other = format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":3}}"#);
    fs::write(
        &path,
        format!(r#"{{"schemaVersion":2,"manifests":[{other}]}}"#),
    )
    .unwrap();
    assert_eq!(content.tags().unwrap(), []);
    content.tag(&name("demo:1"), &image("a")).unwrap();
    content.untag(&name("demo:1")).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains(&other));
}

#[test]
fn tags_of_many_at_once_are_all_there() {
    let fixture = Fixture::new();
    thread::scope(|scope| {
        for user in 0..4 {
            let store = fixture.again();
            scope.spawn(move || {
                for number in 0..10 {
                    let name = name(&format!("demo{user}:{number}"));
                    store.content().tag(&name, &image("a")).unwrap();
                }
            });
        }
    });
    assert_eq!(fixture.store.content().tags().unwrap().len(), 40);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

/// D7.
#[test]
fn a_damaged_index_is_named() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let path = fixture.path("content/index.json");
    for text in ["", "{", "[]", r#"{"schemaVersion":1,"manifests":[]}"#] {
        fs::write(&path, text).unwrap();
        let error = content.tag(&name("demo:1"), &image("a")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{}` is damaged", path.display()),
            "{text}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let text = chain(&content.tags().unwrap_err());
    assert!(
        text.starts_with("read the tags of the store: open `"),
        "{text}"
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(content.tags().unwrap(), []);
}

#[test]
fn an_index_that_could_not_be_read_again_is_not_written() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let mut large = image("a");
    let value = "x".repeat(4 * 1024 * 1024);
    large.set_annotations(Some([("large".to_owned(), value)].into()));
    let error = content.tag(&name("demo:1"), &large).unwrap_err();
    assert!(
        error.to_string().ends_with("bytes, more than 4194304"),
        "{error}"
    );
    assert_eq!(content.tags().unwrap(), []);
}

#[test]
fn an_image_that_loses_its_last_name_to_another_stays_without_one() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let unnamed = || -> Vec<String> {
        let images = content.images().unwrap().into_iter();
        images
            .filter(|image| image.names.is_empty())
            .map(|image| image.digest.to_string())
            .collect()
    };
    let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
    content.tag(&name("demo:1"), &image("a")).unwrap();
    content.tag(&name("demo:2"), &image("a")).unwrap();
    content.tag(&name("demo:1"), &image("b")).unwrap();
    assert!(unnamed().is_empty());
    content.tag(&name("demo:2"), &image("b")).unwrap();
    assert_eq!(unnamed(), [digest("a")]);
    let entry = content.entries().unwrap().pop().unwrap();
    assert_eq!(annotation_of(&entry, ANNOTATION_REF_NAME), None);
    content.tag(&name("demo:3"), &entry).unwrap();
    assert!(unnamed().is_empty());
    content.tag(&name("demo:3"), &image("a")).unwrap();
    assert!(unnamed().is_empty());
}

#[test]
fn an_image_is_kept_without_a_name_once_and_forgotten_with_all_its_names() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    content.keep(&image("a")).unwrap();
    content.keep(&image("a")).unwrap();
    assert_eq!(content.entries().unwrap(), [image("a")]);
    let digest = Digest::of(b"a");
    assert_eq!(content.forget(&digest).unwrap(), Some(Vec::new()));
    assert_eq!(content.forget(&digest).unwrap(), None);
    content.tag(&name("b:2"), &image("a")).unwrap();
    content.tag(&name("a:1"), &image("a")).unwrap();
    content.keep(&image("a")).unwrap();
    assert_eq!(content.entries().unwrap().len(), 2);
    assert_eq!(
        content.forget(&digest).unwrap(),
        Some(vec![name("a:1"), name("b:2")])
    );
    assert_eq!(content.tags().unwrap(), []);
}

#[test]
fn a_name_goes_to_another_image_if_it_names_what_is_expected() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let demo = name("demo:1");
    assert!(!content.tag_if(&demo, Some(&a), &image("b")).unwrap());
    assert!(content.tag_if(&demo, None, &image("a")).unwrap());
    assert!(!content.tag_if(&demo, None, &image("b")).unwrap());
    assert!(!content.tag_if(&demo, Some(&b), &image("b")).unwrap());
    assert!(content.tag_if(&demo, Some(&a), &image("b")).unwrap());
    let found = content.resolve(&demo).unwrap().unwrap();
    assert_eq!(found.digest().to_string(), b.to_string());
}
