//! A look at a store without opening it, for what a shell completes: [`Glance`].
//!
//! Nothing is made, locked, mended or waited for, and what cannot be read is not there.

use std::path::{Path, PathBuf};

use oci::check::parse_index;
use oci::{Digest, Reference};
use serde::de::DeserializeOwned;

use crate::file;
use crate::kept::KeptId;
use crate::layout::{content_index, kept_steps};
use crate::limits::{INDEX_LIMIT_BYTES, RECORD_LIMIT_BYTES};
use crate::sealed;
use crate::tags::name_of;

/// A store that is looked at and not opened.
#[derive(Clone, Debug)]
pub struct Glance {
    store: PathBuf,
}

impl Glance {
    /// Names a store, which need not be there.
    pub fn at(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
        }
    }

    /// Returns the names of its images with what they name, in their order.
    pub fn image_names(&self) -> Vec<(Reference, Digest)> {
        let read = file::read_limited(&content_index(&self.store), INDEX_LIMIT_BYTES);
        let index = read
            .ok()
            .flatten()
            .and_then(|bytes| parse_index(&bytes).ok());
        let mut names: Vec<_> = index
            .iter()
            .flat_map(oci::ImageIndex::manifests)
            .filter_map(|entry| Some((name_of(entry)?, entry.digest().as_ref().parse().ok()?)))
            .collect();
        names.sort();
        names
    }

    /// Returns the steps that it keeps, whatever id map they are of.
    pub fn kept<T: DeserializeOwned>(&self) -> Vec<(KeptId, T)> {
        let maps = file::entries(&kept_steps(&self.store)).unwrap_or_default();
        let files = maps
            .iter()
            .flat_map(|map| file::entries(map).unwrap_or_default());
        files.filter_map(|path| kept_step(&path)).collect()
    }
}

fn kept_step<T: DeserializeOwned>(path: &Path) -> Option<(KeptId, T)> {
    let id = path.file_name()?.to_str()?.parse().ok()?;
    let bytes = file::read_limited(path, RECORD_LIMIT_BYTES).ok()??;
    Some((id, sealed::open(&bytes)?))
}

#[cfg(test)]
mod tests {
    use oci::Descriptor;

    use super::*;
    use crate::testing::{Fixture, tree};

    #[test]
    fn what_a_store_has_is_seen_without_opening_it() {
        let fixture = Fixture::new();
        let content = fixture.store.content();
        let digest = Digest::of(b"image");
        let image: Descriptor = serde_json::from_value(serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1, "digest": digest.as_str(),
        }))
        .unwrap();
        for name in ["docker.io/library/b:1", "docker.io/library/a:2"] {
            let name = Reference::parse_canonical(name).unwrap();
            content.tag(&name, &image).unwrap();
        }
        let id: KeptId = "0123456789ab".parse().unwrap();
        fixture.store.kept().put(&id, &"RUN false").unwrap();
        let before = tree(fixture.dir.path());
        let glance = Glance::at(&fixture.layout().root);
        let names = glance.image_names();
        let names: Vec<_> = names
            .iter()
            .map(|(name, of)| (name.familiar(), of))
            .collect();
        assert_eq!(
            names,
            [("a:2".to_owned(), &digest), ("b:1".to_owned(), &digest)]
        );
        assert_eq!(glance.kept::<String>(), [(id, "RUN false".to_owned())]);
        assert_eq!(tree(fixture.dir.path()), before);
    }

    #[test]
    fn a_store_that_is_not_there_or_damaged_has_nothing_and_is_not_made() {
        let fixture = Fixture::new();
        std::fs::write(fixture.layout().index(), "{").unwrap();
        std::fs::write(fixture.layout().kept().join("0123456789ab"), "{").unwrap();
        let missing = fixture.dir.path().join("missing");
        for store in [&fixture.layout().root, &missing] {
            let glance = Glance::at(store);
            assert_eq!(glance.image_names(), []);
            assert_eq!(glance.kept::<String>(), []);
        }
        assert!(!missing.try_exists().unwrap());
    }
}
