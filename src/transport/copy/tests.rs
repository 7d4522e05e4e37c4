//! Tests of copying.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;

use oci::descriptor::ANNOTATION_REF_NAME;
use oci::media_type::{DOCKER_INDEX, DOCKER_LAYER, DOCKER_MANIFEST, OCI_FOREIGN_LAYER, OCI_INDEX};
use oci::{Digest, check};

use super::*;
use crate::testing::{Fixture, Layout, chain, check_all};
use crate::{Context, Location, open_source, open_target};

const MANY: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/arm/v7"];

/// Notes what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl CopyProgress for Told {
    fn started(&self, _blob: &Descriptor) {}

    fn finished(&self, _blob: &Descriptor, how: Transferred) {
        self.0.lock().unwrap().push(format!("{how:?}"));
    }

    fn passed_over(&self, _blob: &Descriptor) {
        self.0.lock().unwrap().push("PassedOver".to_owned());
    }
}

fn options(selection: Selection, progress: &dyn CopyProgress) -> CopyOptions<'_> {
    CopyOptions {
        selection,
        referrers: Referrers::Left,
        jobs: 4,
        convert: Convert::Keep,
        progress,
        stop: Stop::never(),
    }
}

fn platform(text: &str) -> Platform {
    Platform::parse(text, &Platform::new("linux", "amd64")).unwrap()
}

impl Fixture {
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            lease: &self.lease,
            registry: None,
            platform: &self.platform,
            stop: Stop::never(),
        }
    }

    pub(crate) fn at(&self, text: &str) -> Location {
        Location::parse(text).unwrap().below(&self.path(""))
    }

    pub(crate) fn source(&self, text: &str) -> Box<dyn Source> {
        open_source(&self.at(text), &self.context()).unwrap()
    }

    pub(crate) fn copy(
        &self,
        from: &str,
        to: &str,
        options: &CopyOptions<'_>,
    ) -> Result<CopyReport, CopyError> {
        let target = open_target(&self.at(to), &self.context()).unwrap();
        copy(self.source(from).as_ref(), target.as_ref(), options)
    }

    fn copied(&self, from: &str, to: &str, selection: Selection) -> CopyReport {
        self.copy(from, to, &options(selection, &Silent)).unwrap()
    }
}

#[test]
fn an_image_goes_from_each_place_to_each_and_stays_the_same() {
    let fixture = Fixture::new();
    let original = fixture.source("oci:images:many").root().unwrap();
    let mut from = "oci:images:many";
    for to in [
        "store:app:1",
        "oci:a:1",
        "oci-archive:a.tar:1",
        "dir:d",
        "docker-archive:b.tar:app:1",
        "oci:c:x/y:2",
        "docker-archive:c.tar",
        "oci-archive:d.tar",
        "store:b:2",
        "dir:e",
        "store:c",
    ] {
        let report = fixture.copied(from, to, Selection::All);
        assert_eq!(report.root.digest(), original.descriptor.digest(), "{to}");
        let copy = fixture.source(to);
        assert_eq!(copy.root().unwrap().bytes, original.bytes, "{to}");
        assert_eq!(check_all(copy.as_ref()), MANY, "{to}");
        from = to;
    }
}

#[test]
fn each_blob_is_copied_once_and_not_again() {
    let fixture = Fixture::new();
    let told = Told::default();
    let report = fixture
        .copy(
            "oci:images:many",
            "oci:new:1",
            &options(Selection::All, &told),
        )
        .unwrap();
    // The layer of all, three of their own, three configurations, the attestation and its configuration.
    assert_eq!((report.copied, report.present), (9, 0));
    assert_eq!(told.0.into_inner().unwrap(), ["Copied"; 9]);
    let again = fixture.copied("oci:images:many", "oci:new:2", Selection::All);
    assert_eq!((again.copied, again.present, again.copied_bytes), (0, 9, 0));
    for tag in ["1", "2"] {
        assert_eq!(
            check_all(fixture.source(&format!("oci:new:{tag}")).as_ref()),
            MANY
        );
    }
}

#[test]
fn a_layout_on_the_file_system_of_the_store_shares_its_blobs() {
    let fixture = Fixture::new();
    fixture.copied("oci:images:many", "store:app:1", Selection::All);
    let report = fixture.copied("store:app:1", "oci:new:1", Selection::All);
    assert_eq!((report.copied, report.present), (9, 0));
    let top = fixture.source("oci:new:1").root().unwrap();
    let blobs = plan::make(
        fixture.source("oci:new:1").as_ref(),
        &options(Selection::All, &Silent),
    );
    for blob in blobs.unwrap().blobs {
        let path = crate::layout::blob_path(&oci::descriptor::digest_of(&blob).unwrap());
        let ours = fs::metadata(fixture.path("store/content").join(&path)).unwrap();
        let theirs = fs::metadata(fixture.path("new").join(&path)).unwrap();
        assert_eq!(
            (ours.dev(), ours.ino()),
            (theirs.dev(), theirs.ino()),
            "{path}"
        );
    }
    // What names the blobs is the layout's own.
    let manifest = crate::layout::blob_path(&top.digest().unwrap());
    let links = fs::metadata(fixture.path("new").join(manifest)).unwrap();
    assert_eq!(links.nlink(), 1);
    assert_eq!(check_all(fixture.source("oci:new:1").as_ref()), MANY);
}

#[test]
fn a_platform_of_an_index_is_a_manifest_and_several_are_an_index() {
    let fixture = Fixture::new();
    let many = "oci:images:many";
    let one = fixture.copied(many, "oci:one:1", Selection::One(platform("linux/arm64")));
    assert_eq!(one.copied, 3);
    assert_eq!(
        check_all(fixture.source("oci:one:1").as_ref()),
        ["linux/arm64"]
    );
    assert!(!check::is_index(
        &fixture.source("oci:one:1").root().unwrap().bytes
    ));

    let system = Selection::System(platform("linux/amd64"));
    let system = fixture.copied(many, "store:system", system);
    let of_tag = fixture.source("oci:images:one").root().unwrap();
    assert_eq!(system.root.digest(), of_tag.descriptor.digest());

    let two = vec![platform("linux/arm/v7"), platform("linux/amd64")];
    fixture.copied(many, "oci:two:1", Selection::Platforms(two));
    let source = fixture.source("oci:two:1");
    assert_eq!(check_all(source.as_ref()), ["linux/amd64", "linux/arm/v7"]);
    let index = check::parse_index(&source.root().unwrap().bytes).unwrap();
    // With the attestation about the first.
    assert_eq!(index.manifests().len(), 3);

    let all = MANY.map(platform).to_vec();
    let all = fixture.copied(many, "oci:all:1", Selection::Platforms(all));
    let original = fixture.source(many).root().unwrap();
    assert_eq!(all.root.digest(), original.descriptor.digest());
}

#[test]
fn a_platform_that_is_not_there_is_refused_with_those_that_are() {
    let fixture = Fixture::new();
    let refused = |from: &str, selection| {
        let result = fixture.copy(from, "store:x", &options(selection, &Silent));
        match result.unwrap_err() {
            CopyError::NoPlatform { available, .. } => available
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            other => vec![other.to_string()],
        }
    };
    let s390x = platform("linux/s390x");
    assert_eq!(
        refused("oci:images:many", Selection::One(s390x.clone())),
        MANY
    );
    assert_eq!(
        refused("oci:images:many", Selection::System(s390x.clone())),
        MANY
    );
    let two = vec![platform("linux/amd64"), s390x.clone()];
    assert_eq!(
        refused("oci:images:many", Selection::Platforms(two.clone())),
        MANY
    );
    assert_eq!(
        refused("oci:images:one", Selection::One(s390x.clone())),
        ["linux/amd64"]
    );
    assert_eq!(
        refused("oci:images:one", Selection::Platforms(two)),
        [format!(
            "`oci:{}:one` is one image and no index",
            fixture.path("images").display()
        )]
    );
    fixture.copied("oci:images:one", "store:x", Selection::System(s390x));
}

#[test]
fn an_image_that_is_for_another_platform_than_its_index_says_is_refused() {
    let fixture = Fixture::new();
    let layout = Layout::create(&fixture.path("lying"));
    let image = layout.image("linux", "amd64", None);
    let lying = oci::descriptor::with_platform(image, &platform("linux/arm64"));
    let index = oci::descriptor::to_canonical_json(&oci::descriptor::new_index(vec![lying]));
    layout.name(&[(&layout.blob(OCI_INDEX, &index), "1")]);
    let selections = [
        Selection::One(platform("linux/arm64")),
        Selection::System(platform("linux/arm64")),
        Selection::Platforms(vec![platform("linux/arm64")]),
    ];
    for selection in selections {
        let error = fixture.copy("oci:lying:1", "store:x", &options(selection, &Silent));
        let said = chain(&error.unwrap_err());
        let expected = format!(
            "`oci:{}:1` has an image for linux/arm64 in its index, whose configuration says linux/amd64",
            fixture.path("lying").display()
        );
        assert!(said.ends_with(&expected), "{said}");
        assert_eq!(fixture.store.content().tags().unwrap(), []);
    }
    // Whoever wants everything gets it as it is.
    fixture.copied("oci:lying:1", "store:x", Selection::All);
}

#[test]
fn an_index_alone_needs_what_it_names_to_be_there() {
    let fixture = Fixture::new();
    fixture.copied("oci:images:many", "oci:new:1", Selection::All);
    let report = fixture.copied("oci:images:many", "oci:new:2", Selection::IndexOnly);
    assert_eq!((report.copied, report.present), (0, 0));
    assert_eq!(check_all(fixture.source("oci:new:2").as_ref()), MANY);
    let error = fixture.copy(
        "oci:images:one",
        "oci:new:3",
        &options(Selection::IndexOnly, &Silent),
    );
    assert!(matches!(error, Err(CopyError::NoIndex { .. })));
}

#[test]
fn other_images_of_a_layout_stay_and_the_same_name_is_replaced() {
    let fixture = Fixture::new();
    fixture.copied("oci:images:many", "oci:new:a", Selection::All);
    fixture.copied("oci:images:one", "oci:new:b", Selection::All);
    fixture.copied("oci:images:one", "oci:new:a", Selection::All);
    let one = fixture.source("oci:images:one").root().unwrap();
    for tag in ["a", "b"] {
        let found = fixture.source(&format!("oci:new:{tag}")).root().unwrap();
        assert_eq!(found.bytes, one.bytes, "{tag}");
    }
    let index = fs::read(fixture.path("new/index.json")).unwrap();
    assert_eq!(check::parse_index(&index).unwrap().manifests().len(), 2);
}

#[test]
fn an_image_gets_the_other_media_types_and_its_layers_stay() {
    let fixture = Fixture::new();
    let docker = CopyOptions {
        convert: Convert::To(Flavour::Docker),
        ..options(Selection::All, &Silent)
    };
    let report = fixture
        .copy("oci:images:many", "oci:docker:1", &docker)
        .unwrap();
    assert_eq!(
        report.left_out,
        LeftOut {
            attestations: 1,
            annotations: 0
        }
    );
    let source = fixture.source("oci:docker:1");
    assert_eq!(check_all(source.as_ref()), MANY);
    let root = source.root().unwrap();
    assert_eq!(root.descriptor.media_type().as_ref(), DOCKER_INDEX);
    let entry = check::parse_index(&root.bytes).unwrap().manifests()[0].clone();
    assert_eq!(entry.media_type().as_ref(), DOCKER_MANIFEST);
    let manifest = source.document(&entry).unwrap();
    let manifest = check::parse_manifest(&manifest.bytes).unwrap();
    assert_eq!(manifest.layers()[0].media_type().as_ref(), DOCKER_LAYER);

    let oci = CopyOptions {
        convert: Convert::To(Flavour::Oci),
        ..options(Selection::All, &Silent)
    };
    let kept = fixture.copy("oci:images:many", "oci:kept:1", &oci).unwrap();
    let original = fixture.source("oci:images:many").root().unwrap();
    assert_eq!(kept.root.digest(), original.descriptor.digest());
    let back = fixture.copy("oci:docker:1", "oci:back:1", &oci).unwrap();
    assert_eq!(back.root.media_type().as_ref(), OCI_INDEX);
    assert_eq!(check_all(fixture.source("oci:back:1").as_ref()), MANY);
}

#[test]
fn a_layer_that_registries_do_not_hand_out_may_be_missing() {
    let fixture = Fixture::new();
    let layout = Layout::create(&fixture.path("foreign"));
    let image = layout.image("windows", "amd64", None);
    let manifest = fixture
        .path("foreign/blobs/sha256")
        .join(image.digest().to_string().strip_prefix("sha256:").unwrap());
    let mut manifest = check::parse_manifest(&fs::read(manifest).unwrap()).unwrap();
    let mut layers = manifest.layers().clone();
    layers[0].set_media_type(OCI_FOREIGN_LAYER.into());
    let gone = Digest::of(b"the layer that all have");
    fs::remove_file(fixture.path("foreign/blobs/sha256").join(gone.encoded())).unwrap();
    manifest.set_layers(layers);
    let manifest = oci::descriptor::to_canonical_json(&manifest);
    let manifest = layout.blob(oci::media_type::OCI_MANIFEST, &manifest);
    layout.name(&[(&manifest, "1")]);
    let report = fixture.copied("oci:foreign:1", "oci:new:1", Selection::All);
    assert_eq!((report.copied, report.passed_over), (2, 1));
    assert_eq!(
        check_all(fixture.source("oci:new:1").as_ref()),
        ["windows/amd64"]
    );
}

#[test]
fn a_damaged_or_missing_blob_names_nothing() {
    let fixture = Fixture::new();
    let blobs = fixture.path("images/blobs/sha256");
    let layer = Digest::of(b"the layer that all have");
    let path = blobs.join(layer.encoded());
    for content in [Some("the layer that ALL have"), Some("short"), None] {
        fs::remove_file(&path).unwrap();
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        for to in [
            "store:new",
            "oci:new:1",
            "oci-archive:new.tar",
            "docker-archive:new.tar",
            "dir:new.d",
        ] {
            let failed = fixture.copy("oci:images:many", to, &options(Selection::All, &Silent));
            let text = chain(&failed.unwrap_err());
            assert!(
                text.starts_with(&format!("cannot copy `{layer}` from `oci:")),
                "{text}"
            );
            let opened = open_source(&fixture.at(to), &fixture.context());
            assert!(opened.is_err(), "{to}");
        }
        fs::write(&path, "x").unwrap();
    }
}

#[test]
fn a_copy_that_is_stopped_names_nothing() {
    let fixture = Fixture::new();
    let stopped = CopyOptions {
        stop: Stop::new(|| true),
        ..options(Selection::All, &Silent)
    };
    let result = fixture.copy("oci:images:many", "oci:new:1", &stopped);
    assert!(matches!(result, Err(CopyError::Stopped)), "{result:?}");
    assert!(!fs::exists(fixture.path("new/index.json")).unwrap());
}

#[test]
fn what_refers_to_an_image_goes_along_if_it_is_asked_for() {
    let fixture = Fixture::new();
    let one = fixture.source("oci:images:one").root().unwrap();
    let layout = Layout::create(&fixture.path("images"));
    let config = layout.blob(oci::media_type::OCI_EMPTY, b"{}");
    let signature = layout.blob("application/example", b"signed");
    let mut manifest = oci::descriptor::new_manifest(config, vec![signature]);
    manifest.set_subject(Some(one.descriptor.clone()));
    let manifest = oci::descriptor::to_canonical_json(&manifest);
    let manifest = layout.blob(oci::media_type::OCI_MANIFEST, &manifest);
    let index = fs::read(fixture.path("images/index.json")).unwrap();
    let mut entries = check::parse_index(&index).unwrap().manifests().clone();
    entries.push(manifest.clone());
    fs::write(
        fixture.path("images/index.json"),
        crate::layout::index_json(&entries),
    )
    .unwrap();

    let with = CopyOptions {
        referrers: Referrers::Copied,
        ..options(Selection::All, &Silent)
    };
    let subject = one.digest().unwrap();
    for (from, to) in [
        ("oci:images:one", "store:new:1"),
        ("store:new:1", "oci:new:1"),
    ] {
        fixture.copied(from, "oci:without:1", Selection::All);
        assert_eq!(
            fixture.source("oci:without:1").referrers(&subject).unwrap(),
            []
        );
        let report = fixture.copy(from, to, &with).unwrap();
        assert_eq!(report.copied, 5, "{to}");
        let found = fixture.source(to).referrers(&subject).unwrap();
        assert_eq!(found, std::slice::from_ref(&manifest), "{to}");
        // A referrer is no image with a name.
        let named = |entry: &&Descriptor| {
            oci::descriptor::annotation_of(entry, ANNOTATION_REF_NAME).is_some()
        };
        let names: BTreeMap<_, _> = fixture
            .store
            .content()
            .tags()
            .unwrap()
            .into_iter()
            .collect();
        assert_eq!(names.values().filter(named).count(), 1);
    }
}

#[test]
fn an_index_that_says_another_size_of_a_manifest_is_refused() {
    let fixture = Fixture::new();
    let layout = Layout::create(&fixture.path("wrong"));
    let mut image = layout.image("linux", "amd64", None);
    let size = image.size();
    image.set_size(size + 1);
    let index = oci::descriptor::to_canonical_json(&oci::descriptor::new_index(vec![image]));
    let index = layout.blob(OCI_INDEX, &index);
    layout.name(&[(&index, "1")]);
    let refused = fixture.copy("oci:wrong:1", "store:x", &options(Selection::All, &Silent));
    assert!(
        matches!(refused, Err(CopyError::Size { found_bytes, .. }) if found_bytes == size),
        "{refused:?}"
    );
}
