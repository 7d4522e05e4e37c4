//! Reads what careen wrote, and checks every invariant on the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use oci::check::{self, BlobSource, CheckedImage};
use oci::descriptor::{self, Descriptor};
use oci::digest::{DiffId, Digest};
use oci::media_type::MediaType;
use oci::{ImageConfig, ImageIndex};
use serde_json::Value;

use crate::tarball::{self, Entry, Kind};
use crate::{compress, fail};

/// An OCI image layout, read from an archive or a directory.
#[derive(Debug)]
pub struct Archive {
    blobs: BTreeMap<Digest, Vec<u8>>,
    index: ImageIndex,
    /// Docker's list of images (`manifest.json`), where there is one.
    pub saved: Option<String>,
    /// The images, in the order of the indexes.
    pub images: Vec<Image>,
}

/// An image of the layout.
#[derive(Debug)]
pub struct Image {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The configuration.
    pub config: ImageConfig,
    /// The media types of the layers.
    pub media_types: Vec<String>,
    /// The layers, the bottom one first.
    pub layers: Vec<Vec<Entry>>,
}

impl BlobSource for Archive {
    fn open(&self, digest: &Digest) -> io::Result<Option<Box<dyn Read + '_>>> {
        self.blobs.open(digest)
    }
}

impl Archive {
    /// Reads an archive.
    pub fn read(tar: &[u8]) -> Self {
        let entries = tarball::read(tar).into_iter();
        let files = entries.filter_map(|entry| match entry.kind {
            Kind::File(content) => Some((entry.path, content)),
            _ => None,
        });
        Self::new(files.collect())
    }

    /// Reads a directory.
    pub fn read_directory(path: &Path) -> Self {
        let mut files = BTreeMap::new();
        for directory in ["", "blobs/sha256"] {
            for entry in fs::read_dir(path.join(directory)).expect("the layout can be listed") {
                let entry = entry.expect("the layout can be listed");
                if entry
                    .file_type()
                    .expect("the layout can be listed")
                    .is_file()
                {
                    let name = entry.file_name().into_string().expect("names are text");
                    let content = fs::read(entry.path()).expect("the layout can be read");
                    files.insert(
                        format!("{directory}/{name}").trim_matches('/').to_owned(),
                        content,
                    );
                }
            }
        }
        Self::new(files)
    }

    fn new(mut files: BTreeMap<String, Vec<u8>>) -> Self {
        let layout = files
            .remove("oci-layout")
            .expect("a layout has its version");
        check::parse_layout(&layout).expect("the version is known");
        let index = files.remove("index.json").expect("a layout has an index");
        let index = check::parse_index(&index).expect("the index is one");
        let saved = files.remove("manifest.json");
        let saved = saved.map(|saved| String::from_utf8(saved).expect("the list is text"));
        let blob = |(path, bytes): (String, Vec<u8>)| {
            let encoded = path
                .strip_prefix("blobs/sha256/")
                .expect("all other files are blobs");
            (
                Digest::parse(&format!("sha256:{encoded}")).expect("blobs are named by digests"),
                bytes,
            )
        };
        let mut archive = Self {
            blobs: files.into_iter().map(blob).collect(),
            index,
            saved,
            images: Vec::new(),
        };
        for digest in archive.top_digests() {
            let images = check::check_image(&digest, &archive).expect("the image is right");
            archive.images.extend(
                images
                    .into_iter()
                    .map(|image| Image::new(image, &archive.blobs)),
            );
        }
        archive
    }

    /// Returns the digests that `index.json` names, each once.
    pub fn top_digests(&self) -> Vec<Digest> {
        let digest = |entry: &Descriptor| descriptor::digest_of(entry).expect("a digest is one");
        let mut digests: Vec<_> = self.index.manifests().iter().map(digest).collect();
        digests.dedup();
        digests
    }

    /// Returns the digest of the one image, or index of images, that is there.
    pub fn top_digest(&self) -> Digest {
        let mut digests = self.top_digests();
        assert_eq!(digests.len(), 1, "{digests:?}");
        digests.remove(0)
    }

    /// Returns the values of an annotation in `index.json`.
    pub fn annotations(&self, key: &str) -> Vec<&str> {
        let entries = self.index.manifests().iter();
        entries
            .filter_map(|entry| descriptor::annotation_of(entry, key))
            .collect()
    }

    /// Returns the annotations of the documents with a media type that ends so: of manifests, of indexes.
    pub fn said(&self, media_type_end: &str, key: &str) -> Vec<String> {
        let documents = self.blobs.values();
        let documents = documents.filter_map(|bytes| serde_json::from_slice::<Value>(bytes).ok());
        let of_type = documents.filter(|document| {
            let media_type = document["mediaType"].as_str().unwrap_or_default();
            media_type.ends_with(media_type_end)
        });
        let said = |document: Value| {
            let value = &document["annotations"][key];
            value.as_str().map(str::to_owned)
        };
        of_type.filter_map(said).collect()
    }

    /// Returns what indexes say of manifests.
    pub fn said_of_manifests(&self, key: &str) -> Vec<String> {
        let documents = self.blobs.values();
        let documents = documents.filter_map(|bytes| serde_json::from_slice::<Value>(bytes).ok());
        let manifests = documents.filter_map(|document| document["manifests"].as_array().cloned());
        let said = |manifest: Value| manifest["annotations"][key].as_str().map(str::to_owned);
        manifests.flatten().filter_map(said).collect()
    }

    /// Returns the media type of the first entry of `index.json`.
    pub fn top_media_type(&self) -> String {
        let first = self.index.manifests().first().expect("an image is there");
        first.media_type().to_string()
    }

    /// Returns the one image.
    pub fn image(&self) -> &Image {
        let [image] = self.images.as_slice() else {
            fail(&format!(
                "{} images where one is expected",
                self.images.len()
            ))
        };
        image
    }

    /// Returns the digests of all blobs.
    pub fn blobs(&self) -> Vec<&Digest> {
        self.blobs.keys().collect()
    }
}

impl Image {
    fn new(image: CheckedImage, blobs: &BTreeMap<Digest, Vec<u8>>) -> Self {
        let mut layers = Vec::new();
        for (layer, diff_id) in image
            .manifest
            .layers()
            .iter()
            .zip(&image.config.rootfs.diff_ids)
        {
            let digest = descriptor::digest_of(layer).expect("a digest is one");
            let tar = decompress(layer, blobs.get(&digest).expect("the check found it"));
            assert_eq!(
                &DiffId::new(Digest::of(&tar)),
                diff_id,
                "of the layer {digest}"
            );
            layers.push(tarball::read(&tar));
        }
        let media_type = |layer: &Descriptor| layer.media_type().to_string();
        Self {
            digest: image.digest,
            media_types: image.manifest.layers().iter().map(media_type).collect(),
            config: image.config,
            layers,
        }
    }

    /// Returns the platform as text.
    pub fn platform(&self) -> String {
        self.config.platform().to_string()
    }

    /// Returns the uppermost layer.
    pub fn top_layer(&self) -> &[Entry] {
        self.layers.last().expect("the image has a layer")
    }

    /// Returns the paths of the uppermost layer, in its order.
    pub fn top_paths(&self) -> Vec<&str> {
        self.top_layer()
            .iter()
            .map(|entry| entry.path.as_str())
            .collect()
    }

    /// Returns what all layers together make.
    pub fn tree(&self) -> BTreeMap<&str, &Entry> {
        let mut tree = BTreeMap::new();
        for entry in self.layers.iter().flatten() {
            let (directory, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            match name.strip_prefix(".wh.") {
                // image-spec, layer.md, "Opaque Whiteout": what lies below is hidden, the directory is not.
                Some(".wh..opq") => remove(&mut tree, directory, false),
                Some(hidden) => {
                    remove(
                        &mut tree,
                        format!("{directory}/{hidden}").trim_matches('/'),
                        true,
                    );
                }
                None => {
                    if entry.kind != Kind::Directory {
                        remove(&mut tree, &entry.path, true);
                    }
                    tree.insert(entry.path.as_str(), entry);
                }
            }
        }
        tree
    }

    /// Returns the entry at a path, which is there.
    pub fn entry(&self, path: &str) -> &Entry {
        let tree = self.tree();
        let paths = || tree.keys().copied().collect::<Vec<_>>();
        tree.get(path).unwrap_or_else(|| {
            fail(&format!(
                "`{path}` is not in the image, which has {:?}",
                paths()
            ))
        })
    }

    /// Tells whether there is something at a path.
    pub fn has(&self, path: &str) -> bool {
        self.tree().contains_key(path)
    }

    /// Returns the text of a file; of a hard link, that of the file that it is.
    pub fn text(&self, path: &str) -> &str {
        let entry = self.entry(path);
        match &entry.kind {
            Kind::HardLink(target) => self.entry(target).text(),
            _ => entry.text(),
        }
    }

    /// Returns the texts of the history: who made each layer, and `(empty)` before what made none.
    pub fn history(&self) -> Vec<String> {
        let line = |entry: &oci::History| {
            let mark = if entry.empty_layer { "(empty) " } else { "" };
            format!("{mark}{}", entry.created_by.as_deref().unwrap_or_default())
        };
        self.config.history.iter().map(line).collect()
    }
}

/// Removes what is below a path, and what is there itself if it is asked for too.
fn remove(tree: &mut BTreeMap<&str, &Entry>, path: &str, itself: bool) {
    let below = format!("{path}/");
    tree.retain(|key, _| !(key.starts_with(&below) || itself && *key == path));
}

fn decompress(layer: &Descriptor, blob: &[u8]) -> Vec<u8> {
    let media_type = MediaType::parse(layer.media_type().as_ref());
    let compression = media_type.layer_compression();
    compress::decompress(compression.expect("it is the media type of a layer"), blob)
}
