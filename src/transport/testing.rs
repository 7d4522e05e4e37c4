//! What the tests of this crate share: images in a layout, a store, and a look at what was copied.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci::check::{self, BlobSource};
use oci::config::History;
use oci::descriptor::{self, ANNOTATION_REF_NAME};
use oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use oci::{Descriptor, DiffId, Digest, ImageConfig, Platform, Timestamp};
use store::{IdMapName, Lease, OpenOptions, Store, SyncPolicy, Waits};
use tempfile::TempDir;

use crate::place::{Document, Source};

/// A directory with a store, and a layout `images` with the tags
///
/// * `one`: a manifest for `linux/amd64`;
/// * `many`: an index for `linux/amd64` (the same manifest), `linux/arm64` and `linux/arm/v7`, with an attestation
///   of the first.
pub(crate) struct Fixture {
    directory: TempDir,
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) platform: Platform,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            id_map: IdMapName::new("test").unwrap(),
            sync: SyncPolicy::None,
            waits: Waits::default(),
        };
        let store = Store::open(&directory.path().join("store"), options).unwrap();
        let lease = store.lease().unwrap();
        let fixture = Self {
            directory,
            store,
            lease,
            platform: Platform::new("linux", "arm64"),
        };
        fixture.make_images();
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn make_images(&self) {
        let layout = Layout::create(&self.path("images"));
        let amd64 = layout.image("linux", "amd64", None);
        let arm64 = layout.image("linux", "arm64", None);
        let arm = layout.image("linux", "arm", Some("v7"));
        let about = layout.attestation(&amd64);
        let entries = vec![amd64.clone(), arm64, arm, about];
        let index = descriptor::to_canonical_json(&descriptor::new_index(entries));
        let index = layout.blob(OCI_INDEX, &index);
        layout.name(&[(&amd64, "one"), (&index, "many")]);
    }
}

/// A layout that is written by hand.
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn create(path: &Path) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), crate::layout::VERSION_TEXT).unwrap();
        Self(path.to_owned())
    }

    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let digest = Digest::of(bytes);
        fs::write(self.0.join("blobs/sha256").join(digest.encoded()), bytes).unwrap();
        descriptor::descriptor(media_type, &digest, bytes.len() as u64)
    }

    /// Writes an image with a layer that all have and one of its own.
    pub(crate) fn image(&self, os: &str, architecture: &str, variant: Option<&str>) -> Descriptor {
        let mut platform = Platform::new(os, architecture);
        platform.variant = variant.map(str::to_owned);
        let own = format!("the layer of {platform}");
        let tars = [b"the layer that all have".to_vec(), own.into_bytes()];
        let mut config = ImageConfig::new(&platform);
        let created = Some(Timestamp::from_unix_seconds(0).unwrap());
        let mut layers = Vec::new();
        for tar in tars {
            config.rootfs.diff_ids.push(DiffId::new(Digest::of(&tar)));
            config.history.push(History {
                created,
                ..History::default()
            });
            layers.push(self.blob(OCI_LAYER, &tar));
        }
        let config = self.blob(OCI_CONFIG, &config.to_bytes());
        let manifest = descriptor::new_manifest(config, layers);
        let manifest = self.blob(OCI_MANIFEST, &descriptor::to_canonical_json(&manifest));
        descriptor::with_platform(manifest, &platform)
    }

    fn attestation(&self, about: &Descriptor) -> Descriptor {
        let platform = Platform::new("unknown", "unknown");
        let config = self.blob(OCI_CONFIG, &ImageConfig::new(&platform).to_bytes());
        let statement = self.blob("application/vnd.in-toto+json", b"{\"it\":\"is so\"}");
        let manifest = descriptor::new_manifest(config, vec![statement]);
        let manifest = self.blob(OCI_MANIFEST, &descriptor::to_canonical_json(&manifest));
        let annotations = BTreeMap::from([
            (
                descriptor::ANNOTATION_REFERENCE_DIGEST.to_owned(),
                about.digest().to_string(),
            ),
            (
                descriptor::ANNOTATION_REFERENCE_TYPE.to_owned(),
                "attestation-manifest".to_owned(),
            ),
        ]);
        let manifest = descriptor::with_platform(manifest, &platform);
        descriptor::with_annotations(manifest, &annotations)
    }

    pub(crate) fn name(&self, entries: &[(&Descriptor, &str)]) {
        let entries = entries.iter().map(|(entry, name)| {
            let name = (ANNOTATION_REF_NAME.to_owned(), (*name).to_owned());
            descriptor::with_annotations((*entry).clone(), &[name].into_iter().collect())
        });
        let entries: Vec<_> = entries.collect();
        fs::write(
            self.0.join("index.json"),
            crate::layout::index_json(&entries),
        )
        .unwrap();
    }
}

/// A source as the check reads it.
struct Checked<'a> {
    source: &'a dyn Source,
    documents: BTreeMap<Digest, Vec<u8>>,
    blobs: BTreeMap<Digest, Descriptor>,
}

impl BlobSource for Checked<'_> {
    fn open(&self, digest: &Digest) -> io::Result<Option<Box<dyn Read + '_>>> {
        if let Some(document) = self.documents.get(digest) {
            return Ok(Some(Box::new(document.as_slice())));
        }
        let blob = self.blobs.get(digest);
        let opened = blob.and_then(|blob| self.source.blob(blob, 0).ok());
        Ok(opened.map(|reader| reader as Box<dyn Read>))
    }
}

impl Checked<'_> {
    fn note(&mut self, document: &Document) {
        let digest = document.digest().unwrap();
        self.documents.insert(digest, document.bytes.clone());
        if let Ok(index) = check::parse_index(&document.bytes) {
            for entry in index.manifests() {
                let below = self.source.document(entry).unwrap();
                self.note(&below);
            }
            return;
        }
        let manifest = check::parse_manifest(&document.bytes).unwrap();
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            let digest = descriptor::digest_of(blob).unwrap();
            self.blobs.insert(digest, blob.clone());
        }
    }
}

/// Checks everything that a source has; returns the platforms of its images.
pub(crate) fn check_all(source: &dyn Source) -> Vec<String> {
    let root = source.root().unwrap();
    let mut checked = Checked {
        source,
        documents: BTreeMap::new(),
        blobs: BTreeMap::new(),
    };
    checked.note(&root);
    let images = check::check_image(&root.digest().unwrap(), &checked).unwrap();
    images
        .iter()
        .map(|image| image.config.platform().to_string())
        .collect()
}

/// Returns an error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
