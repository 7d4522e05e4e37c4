//! Tests of indexes of images that are anywhere.

use oci::descriptor::{annotated, annotation_of};

use super::*;
use crate::copy::{Convert, Selection, Silent};
use crate::stop::Stop;
use crate::testing::{Fixture, chain, check_all};
use crate::{Context, open_target};

fn options() -> CopyOptions<'static> {
    CopyOptions::new(Selection::All, &Silent, Stop::never())
}

fn platform(text: &str) -> Platform {
    Platform::parse(text, &Platform::new("linux", "amd64")).unwrap()
}

fn platforms(combination: &Combination<'_>) -> Vec<String> {
    let entries = combination.entries().iter();
    entries
        .map(|entry| {
            platform_of(&entry.descriptor)
                .map_or("none".to_owned(), |platform| platform.to_string())
        })
        .collect()
}

/// Puts what was combined at a place, under its name.
fn put(fixture: &Fixture, combination: &Combination<'_>, to: &str) {
    let context = Context {
        store: &fixture.store,
        lease: &fixture.lease,
        registry: None,
        platform: &fixture.platform,
        stop: Stop::never(),
    };
    let target = open_target(&fixture.at(to), &context).unwrap();
    combination
        .put_images(target.as_ref(), &options(), &|_| false)
        .unwrap();
    target.finish(&combination.document().unwrap()).unwrap();
}

#[test]
fn images_of_several_places_become_one_index() {
    let fixture = Fixture::new();
    for (selection, to) in [
        (Selection::One(platform("linux/arm64")), "oci:arm:1"),
        (Selection::One(platform("linux/amd64")), "store:amd:1"),
    ] {
        let options = CopyOptions {
            selection,
            ..options()
        };
        fixture.copy("oci:images:many", to, &options).unwrap();
    }
    let (arm, amd, many) = (
        fixture.source("oci:arm:1"),
        fixture.source("store:amd:1"),
        fixture.source("oci:images:many"),
    );
    let mut combination = Combination::new();
    combination.add(arm.as_ref()).unwrap();
    combination.add(amd.as_ref()).unwrap();
    // The platforms are those of the configurations.
    assert_eq!(platforms(&combination), ["linux/arm64", "linux/amd64"]);
    assert!(combination.unchanged(true).is_none());
    for to in ["store:all:1", "oci:all:1", "oci-archive:all.tar"] {
        put(&fixture, &combination, to);
        assert_eq!(
            check_all(fixture.source(to).as_ref()),
            ["linux/arm64", "linux/amd64"],
            "{to}"
        );
    }
    // What is there is not there again.
    combination.add(many.as_ref()).unwrap();
    assert_eq!(
        platforms(&combination),
        [
            "linux/arm64",
            "linux/amd64",
            "linux/arm/v7",
            "unknown/unknown"
        ]
    );
    assert_eq!(combination.duplicates(), []);
    let repeated: Vec<_> = combination
        .repeated()
        .iter()
        .map(|one| one.platform.to_string())
        .collect();
    assert_eq!(repeated, ["linux/arm64", "linux/amd64"]);
    assert_eq!(
        combination.repeated()[0].sources,
        [arm.shown(), many.shown()]
    );
}

#[test]
fn a_platform_that_is_there_twice_is_told_with_the_places() {
    let fixture = Fixture::new();
    let one = fixture.source("oci:images:one");
    let convert = CopyOptions {
        convert: Convert::To(oci::media_type::Flavour::Docker),
        ..options()
    };
    fixture
        .copy("oci:images:one", "oci:other:1", &convert)
        .unwrap();
    let other = fixture.source("oci:other:1");
    let mut combination = Combination::new();
    combination.add(one.as_ref()).unwrap();
    combination.add(other.as_ref()).unwrap();
    let sources = vec![one.shown(), other.shown()];
    let platform = platform("linux/amd64");
    assert_eq!(combination.duplicates(), [Duplicate { platform, sources }]);
}

#[test]
fn one_source_stays_as_it_is_until_something_is_changed() {
    let fixture = Fixture::new();
    let (many, one) = (
        fixture.source("oci:images:many"),
        fixture.source("oci:images:one"),
    );
    let mut combination = Combination::new();
    combination.add(many.as_ref()).unwrap();
    assert_eq!(combination.unchanged(false), Some(&many.root().unwrap()));
    combination.annotate("a", "b");
    assert_eq!(combination.unchanged(true), None);
    let mut combination = Combination::new();
    combination.add(one.as_ref()).unwrap();
    assert_eq!(combination.unchanged(false), None);
    assert_eq!(combination.unchanged(true), Some(&one.root().unwrap()));
}

#[test]
fn platforms_are_kept_with_what_is_said_of_them() {
    let fixture = Fixture::new();
    let many = fixture.source("oci:images:many");
    let mut combination = Combination::new();
    combination.add(many.as_ref()).unwrap();
    let missing = combination.keep_platforms(&[platform("linux/amd64"), platform("linux/s390x")]);
    assert_eq!(missing, [platform("linux/s390x")]);
    assert_eq!(platforms(&combination), ["linux/amd64", "unknown/unknown"]);
    combination.keep_platforms(&[platform("linux/amd64")]);
    put(&fixture, &combination, "oci:kept:1");
    assert_eq!(
        check_all(fixture.source("oci:kept:1").as_ref()),
        ["linux/amd64"]
    );
}

#[test]
fn annotations_are_those_of_the_index_and_of_its_entries() {
    let fixture = Fixture::new();
    let one = fixture.source("oci:images:one");
    let mut combination = Combination::new();
    combination.add(one.as_ref()).unwrap();
    combination.annotate("of", "index");
    let mut shown = Vec::new();
    combination.change_entries(|entry, from| {
        shown.push(from.to_owned());
        *entry = annotated(entry, "of", "entry");
    });
    assert_eq!(shown, [one.shown()]);
    let index = check::parse_index(&combination.document().unwrap().bytes).unwrap();
    assert_eq!(index.annotations().clone().unwrap()["of"], "index");
    assert_eq!(annotation_of(&index.manifests()[0], "of"), Some("entry"));
}

#[test]
fn images_of_dockers_type_make_an_index_of_it_which_says_nothing() {
    let fixture = Fixture::new();
    let convert = CopyOptions {
        convert: Convert::To(oci::media_type::Flavour::Docker),
        ..options()
    };
    fixture
        .copy("oci:images:one", "oci:docker:1", &convert)
        .unwrap();
    let (docker, one) = (
        fixture.source("oci:docker:1"),
        fixture.source("oci:images:one"),
    );
    let mut combination = Combination::new();
    combination.add(docker.as_ref()).unwrap();
    let media_type = |combination: &Combination<'_>| {
        combination
            .document()
            .map(|document| document.descriptor.media_type().to_string())
    };
    assert_eq!(media_type(&combination).unwrap(), DOCKER_INDEX);
    combination.annotate("a", "b");
    assert_eq!(
        chain(&media_type(&combination).unwrap_err()),
        "an index of Docker's media type has no annotations: its images are all of that type"
    );
    combination.add(one.as_ref()).unwrap();
    assert_eq!(media_type(&combination).unwrap(), OCI_INDEX);
    assert_eq!(
        index_of(Vec::new(), &BTreeMap::new())
            .descriptor
            .media_type()
            .as_ref(),
        OCI_INDEX
    );
}
