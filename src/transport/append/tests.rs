//! Tests of adding to an index, alone and against others.

use std::sync::{Mutex, PoisonError};

use oci::Platform;
use oci::descriptor::{descriptor, with_platform};
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};

use ::store::LayoutSelector;

use super::*;
use crate::Location;
use crate::testing::{Fixture, chain};

/// Whether a place looks at what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compares {
    Yes,
    /// It does not, as most registries.
    No,
}

/// A tag of a registry in memory.
#[derive(Debug)]
struct Memory {
    /// What many threads write, as many clients write to one registry.
    named: Mutex<Option<Document>>,
    compares: Compares,
    /// How often a write is refused for the moment.
    refusals: Mutex<u32>,
}

impl Memory {
    fn new(compares: Compares) -> Self {
        Self {
            named: Mutex::new(None),
            compares,
            refusals: Mutex::new(0),
        }
    }

    fn named(&self) -> std::sync::MutexGuard<'_, Option<Document>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn platforms(&self) -> Vec<String> {
        let document = self.named().clone().unwrap();
        let entries = self.entries(&document).unwrap();
        let mut platforms: Vec<_> = entries
            .iter()
            .map(|entry| platform_of(entry).unwrap().to_string())
            .collect();
        platforms.sort();
        platforms
    }
}

impl Tag for Memory {
    fn shown(&self) -> String {
        "memory:1".to_owned()
    }

    fn read(&self) -> Result<Option<Document>, PlaceError> {
        Ok(self.named().clone())
    }

    fn look(&self) -> Result<Option<Digest>, PlaceError> {
        Ok(self
            .named()
            .as_ref()
            .map(|document| document.digest().unwrap()))
    }

    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(check::parse_index(&document.bytes)?.manifests().clone())
    }

    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Ok(Written::NotNow("the registry has a bad day".into()));
        }
        drop(refusals);
        // The time in which somebody else may write.
        thread::park_timeout(Duration::from_millis(2).mul_f64(jitter()));
        let mut named = self.named();
        let found = named.as_ref().map(|document| document.digest().unwrap());
        if self.compares == Compares::Yes && found.as_ref() != expected {
            return Ok(Written::Changed);
        }
        *named = Some(index.clone());
        Ok(Written::Yes)
    }

    fn is_exact(&self, _index: &Document) -> bool {
        self.compares == Compares::Yes
    }
}

fn image(text: &str, architecture: &str) -> Descriptor {
    let image = descriptor(OCI_MANIFEST, &Digest::of(text.as_bytes()), 7);
    with_platform(image, &Platform::new("linux", architecture))
}

/// A pace for tests: long enough for a machine that is busy with other things.
const PACE: Pace = Pace {
    window: Duration::from_millis(50),
    settle: Duration::from_millis(800),
    tries: 30,
};

fn entries(entries: &[Descriptor]) -> Additions {
    Additions {
        entries: entries.to_vec(),
        ..Additions::default()
    }
}

fn add(tag: &dyn Tag, additions: &[Descriptor]) -> Appended {
    append(tag, &entries(additions), &PACE, &Stop::never()).unwrap()
}

/// Adds two platforms to each of so many tags, all at the same time.
fn race(tags: &[Memory]) {
    thread::scope(|scope| {
        for tag in tags {
            for architecture in ["amd64", "arm64"] {
                scope.spawn(move || add(tag, &[image(architecture, architecture)]));
            }
        }
    });
}

#[test]
fn of_two_that_add_at_the_same_time_both_are_there_whether_or_not_the_registry_compares() {
    for compares in [Compares::Yes, Compares::No] {
        let tags: Vec<_> = (0..50).map(|_| Memory::new(compares)).collect();
        race(&tags);
        for tag in &tags {
            assert_eq!(
                tag.platforms(),
                ["linux/amd64", "linux/arm64"],
                "{compares:?}"
            );
        }
    }
}

#[test]
fn of_many_that_add_at_the_same_time_all_are_there() {
    for compares in [Compares::Yes, Compares::No] {
        let tag = Memory::new(compares);
        let architectures = ["386", "amd64", "arm64", "loong64", "ppc64le", "riscv64"];
        thread::scope(|scope| {
            for architecture in architectures {
                let tag = &tag;
                scope.spawn(move || add(tag, &[image(architecture, architecture)]));
            }
        });
        let expected: Vec<_> = architectures
            .iter()
            .map(|name| format!("linux/{name}"))
            .collect();
        assert_eq!(tag.platforms(), expected, "{compares:?}");
    }
}

#[test]
fn what_another_wrote_over_is_added_again() {
    /// Somebody else writes an index without ours, once, right after ours.
    #[derive(Debug)]
    struct Overwritten(Memory, Mutex<bool>);

    impl Tag for Overwritten {
        fn shown(&self) -> String {
            self.0.shown()
        }
        fn read(&self) -> Result<Option<Document>, PlaceError> {
            self.0.read()
        }
        fn look(&self) -> Result<Option<Digest>, PlaceError> {
            self.0.look()
        }
        fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
            self.0.entries(document)
        }
        fn write(
            &self,
            index: &Document,
            expected: Option<&Digest>,
        ) -> Result<Written, PlaceError> {
            let written = self.0.write(index, expected)?;
            let mut is_done = self.1.lock().unwrap();
            if !*is_done {
                *is_done = true;
                let theirs = index_of(vec![image("theirs", "arm64")], &BTreeMap::new());
                *self.0.named() = Some(theirs);
            }
            Ok(written)
        }
        fn is_exact(&self, _index: &Document) -> bool {
            false
        }
    }

    let tag = Overwritten(Memory::new(Compares::No), Mutex::new(false));
    let pace = Pace {
        settle: Duration::from_millis(1),
        window: Duration::from_millis(10),
        ..PACE
    };
    let appended = append(
        &tag,
        &entries(&[image("ours", "amd64")]),
        &pace,
        &Stop::never(),
    )
    .unwrap();
    assert_eq!(appended.tries, 2);
    assert_eq!(tag.0.platforms(), ["linux/amd64", "linux/arm64"]);
}

#[test]
fn an_image_takes_the_place_of_the_one_for_its_platform_and_of_what_was_said_of_it() {
    let tag = Memory::new(Compares::Yes);
    let about = |image: &Descriptor| {
        let said = with_platform(
            descriptor(OCI_MANIFEST, &Digest::of(b"said"), 3),
            &Platform::new("unknown", "unknown"),
        );
        let said = oci::descriptor::annotated(
            &said,
            oci::descriptor::ANNOTATION_REFERENCE_DIGEST,
            image.digest().as_ref(),
        );
        oci::descriptor::annotated(
            &said,
            oci::descriptor::ANNOTATION_REFERENCE_TYPE,
            "attestation-manifest",
        )
    };
    let (old, new, other) = (
        image("old", "arm64"),
        image("new", "arm64"),
        image("other", "amd64"),
    );
    add(&tag, &[old.clone(), other.clone(), about(&old)]);
    let appended = add(&tag, &[new.clone(), about(&new)]);
    let document = tag.read().unwrap().unwrap();
    assert_eq!(
        tag.entries(&document).unwrap(),
        [other, new.clone(), about(&new)]
    );
    assert_eq!(appended.index, document.descriptor);
    // Nothing is written when it is there.
    assert_eq!(add(&tag, &[new]).tries, 1);
    assert_eq!(tag.read().unwrap().unwrap(), document);
}

#[test]
fn what_an_index_says_of_itself_stays() {
    let tag = Memory::new(Compares::Yes);
    let said: BTreeMap<_, _> = [("a".to_owned(), "b".to_owned())].into();
    *tag.named() = Some(index_of(vec![image("one", "amd64")], &said));
    let additions = Additions {
        entries: vec![image("two", "arm64")],
        annotations: [("c".to_owned(), "d".to_owned())].into(),
    };
    let expected = appended_to(&tag, &additions).unwrap();
    append(&tag, &additions, &PACE, &Stop::never()).unwrap();
    let document = tag.read().unwrap().unwrap();
    assert_eq!(document, expected);
    let index = check::parse_index(&document.bytes).unwrap();
    let said: BTreeMap<_, _> = index.annotations().clone().unwrap().into_iter().collect();
    let expected = [("a", "b"), ("c", "d")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(said, expected.into());
}

#[test]
fn a_write_that_fails_for_the_moment_is_tried_again_and_not_for_ever() {
    let tag = Memory::new(Compares::Yes);
    *tag.refusals.lock().unwrap() = 2;
    assert_eq!(add(&tag, &[image("one", "amd64")]).tries, 3);
    *tag.refusals.lock().unwrap() = 9;
    let pace = Pace {
        window: Duration::from_millis(10),
        tries: 2,
        ..PACE
    };
    let error = append(
        &tag,
        &entries(&[image("two", "arm64")]),
        &pace,
        &Stop::never(),
    )
    .unwrap_err();
    assert_eq!(
        chain(&error),
        "cannot write `memory:1`: the registry has a bad day"
    );
}

#[test]
fn who_always_comes_too_late_says_so_and_who_is_stopped_stops() {
    /// Each look finds something else.
    #[derive(Debug)]
    struct Restless(Memory);

    impl Tag for Restless {
        fn shown(&self) -> String {
            self.0.shown()
        }
        fn read(&self) -> Result<Option<Document>, PlaceError> {
            Ok(None)
        }
        fn look(&self) -> Result<Option<Digest>, PlaceError> {
            Ok(Some(Digest::of(b"another")))
        }
        fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
            self.0.entries(document)
        }
        fn write(
            &self,
            _index: &Document,
            _expected: Option<&Digest>,
        ) -> Result<Written, PlaceError> {
            Err("nothing may be written".into())
        }
        fn is_exact(&self, _index: &Document) -> bool {
            true
        }
    }

    let tag = Restless(Memory::new(Compares::Yes));
    let pace = Pace {
        window: Duration::from_millis(1),
        tries: 3,
        ..PACE
    };
    let run = |stop: Stop| {
        append(&tag, &entries(&[image("one", "amd64")]), &pace, &stop)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        run(Stop::never()),
        "others changed `memory:1` each of 3 times that it was added to"
    );
    assert_eq!(run(Stop::new(|| true)), "adding to `memory:1` was ended");
}

#[test]
fn names_of_the_store_and_of_layouts_are_added_to() {
    let fixture = Fixture::new();
    let Location::Store(name) = fixture.at("store:app:1") else {
        unreachable!("it names the store")
    };
    let tag = StoreTag::new(&fixture.store, &fixture.lease, &name);
    add(&tag, &[image("one", "amd64")]);
    add(&tag, &[image("two", "arm64")]);
    let root = fixture.source("store:app:1").root().unwrap();
    assert_eq!(
        tag.entries(&root).unwrap(),
        [image("one", "amd64"), image("two", "arm64")]
    );
    assert_eq!(tag.shown(), "store:app:1");
    let stop = Stop::never();
    let selector = LayoutSelector::Tag("1".to_owned());
    let path = fixture.path("new/layout");
    let tag = LayoutTag::new(&path, &selector, &stop);
    add(&tag, &[image("one", "amd64")]);
    add(&tag, &[image("two", "arm64")]);
    let root = tag.read().unwrap().unwrap();
    assert_eq!(root.descriptor.media_type().as_ref(), OCI_INDEX);
    assert_eq!(
        tag.entries(&root).unwrap(),
        [image("one", "amd64"), image("two", "arm64")]
    );
    // Somebody else was faster.
    assert!(matches!(tag.write(&root, None).unwrap(), Written::Changed));
    // The tag of an image becomes an index of it and what is added.
    let images = fixture.path("images");
    let one = LayoutSelector::Tag("one".to_owned());
    let tag = LayoutTag::new(&images, &one, &stop);
    add(&tag, &[image("two", "arm64")]);
    let entries = tag.entries(&tag.read().unwrap().unwrap()).unwrap();
    let platforms: Vec<_> = entries
        .iter()
        .map(|entry| platform_of(entry).unwrap().to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
}
