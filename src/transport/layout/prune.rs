//! Removing what no name of a layout leads to.

use std::collections::BTreeSet;

use oci::check;
use oci::descriptor::digest_of;
use oci::digest::Algorithm;
use oci::limits::MANIFEST_MAX_BYTES;
use oci::{Descriptor, Digest, MediaType};
use serde_json::Value;

use super::blob_path;
use super::write::{LayoutError, LayoutTarget, Locked, file};

/// What leads to a blob.
struct Lead {
    digest: Digest,
    media_type: String,
}

impl LayoutTarget {
    /// Removes the blobs that no name leads to; returns how many those were. Documents of any kind are looked into,
    /// however deep, and whatever they call a digest stays: the layout may have more in it than images.
    ///
    /// # Errors
    ///
    /// Fails when a document that a name leads to cannot be read, and removes nothing then; or when a blob cannot be
    /// removed.
    pub fn remove_unnamed(&self) -> Result<usize, LayoutError> {
        let layout = self.locked();
        let named = layout.named()?;
        layout.remove_others(&named)
    }
}

impl Locked {
    /// Returns the paths of all blobs that a name leads to.
    fn named(&self) -> Result<BTreeSet<String>, LayoutError> {
        let mut named = BTreeSet::new();
        // A blob is perhaps led to as a document and as none.
        let mut read = BTreeSet::new();
        let entries = self.entries()?;
        let mut leads: Vec<_> = entries.iter().map(Lead::of).collect::<Result<_, _>>()?;
        while let Some(lead) = leads.pop() {
            let path = blob_path(&lead.digest);
            named.insert(path.clone());
            if lead.is_document() && read.insert(path) {
                leads.extend(self.leads_in(&lead)?);
            }
        }
        Ok(named)
    }

    /// Returns what a document leads to; nothing where there is none.
    fn leads_in(&self, document: &Lead) -> Result<Vec<Lead>, LayoutError> {
        let path = file(&blob_path(&document.digest));
        let failed = |source| self.failed(source);
        let is_needed = document.is_manifest();
        let found = self.root().metadata(&path).map_err(failed)?;
        if !is_needed && found.is_none_or(|found| found.size > MANIFEST_MAX_BYTES) {
            return Ok(Vec::new());
        }
        let read = self.root().read_to_end_limited(&path, MANIFEST_MAX_BYTES);
        let Some(bytes) = read.map_err(failed)? else {
            return Ok(Vec::new());
        };
        match (
            serde_json::from_slice(&bytes),
            check::parse_manifest(&bytes),
        ) {
            (Ok(value), _) => Ok(leads_of(&value)),
            (Err(_), Err(source)) if is_needed => Err(self.malformed(source)),
            (Err(_), _) => Ok(Vec::new()),
        }
    }

    fn remove_others(&self, named: &BTreeSet<String>) -> Result<usize, LayoutError> {
        let failed = |source| self.failed(source);
        let mut removed = 0;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let directory = format!("blobs/{}", algorithm.as_str());
            let Some(blobs) = self
                .root()
                .open_dir_direct(&file(&directory))
                .map_err(failed)?
            else {
                continue;
            };
            for name in blobs.names().map_err(failed)? {
                let path = format!("{directory}/{}", String::from_utf8_lossy(&name));
                if named.contains(&path) {
                    continue;
                }
                self.root().remove_file(&file(&path)).map_err(failed)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Lead {
    fn of(entry: &Descriptor) -> Result<Self, LayoutError> {
        Ok(Self {
            digest: digest_of(entry)?,
            media_type: entry.media_type().to_string(),
        })
    }

    /// Reads something that may be a descriptor.
    fn read(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_str);
        Some(Self {
            digest: Digest::parse(text("digest")?).ok()?,
            media_type: text("mediaType").unwrap_or_default().to_owned(),
        })
    }

    fn is_manifest(&self) -> bool {
        let kind = MediaType::parse(&self.media_type);
        kind.is_index() || kind.is_manifest()
    }

    /// Tells whether it may have descriptors in it.
    fn is_document(&self) -> bool {
        self.media_type.is_empty() || self.media_type.ends_with("json")
    }
}

/// Returns everything in a document that looks like a descriptor.
fn leads_of(value: &Value) -> Vec<Lead> {
    let mut leads = Vec::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        leads.extend(Lead::read(value));
        match value {
            Value::Array(values) => pending.extend(values),
            Value::Object(fields) => pending.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    leads
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use oci::descriptor::descriptor;
    use oci::media_type::{OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
    use serde_json::json;
    use store::LayoutSelector;

    use super::*;
    use crate::Stop;

    /// Puts a blob into a layout, and returns what leads to it.
    fn put(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs::write(layout.join(blob_path(&digest)), bytes).unwrap();
        let descriptor = descriptor(media_type, &digest, bytes.len() as u64);
        serde_json::to_value(descriptor).unwrap()
    }

    fn put_json(layout: &Path, media_type: &str, document: &Value) -> Value {
        put(layout, media_type, document.to_string().as_bytes())
    }

    fn index(entries: &[&Value]) -> Value {
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    }

    /// Removes what no name leads to in a layout of these entries: what was removed, and whether a blob is there.
    fn pruned(layout: &Path, entries: &[&Value]) -> Result<usize, LayoutError> {
        fs::write(layout.join("index.json"), index(entries).to_string()).unwrap();
        let target = LayoutTarget::open(layout, &LayoutSelector::Default, &Stop::never())?;
        target.remove_unnamed()
    }

    fn is_there(layout: &Path, lead: &Value) -> bool {
        let digest = Digest::parse(lead["digest"].as_str().unwrap()).unwrap();
        layout.join(blob_path(&digest)).try_exists().unwrap()
    }

    #[test]
    fn what_any_document_leads_to_stays_however_deep_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let layout = dir.path();
        let lost = put(layout, OCI_LAYER_GZIP, b"nobody's");
        let layer = put(layout, OCI_LAYER_GZIP, b"a layer");
        let config = put_json(
            layout,
            "application/vnd.oci.image.config.v1+json",
            &json!({}),
        );
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let mut top = put_json(layout, OCI_MANIFEST, &manifest);
        for _ in 0..9 {
            top = put_json(layout, OCI_INDEX, &index(&[&top]));
        }
        let blob = put(layout, "text/plain", b"a blob of an artifact");
        let subject = put_json(layout, OCI_MANIFEST, &json!({"schemaVersion": 2, "x": 1}));
        let artifact = json!({"blobs": [blob], "subject": subject});
        let kind = "application/vnd.oci.artifact.manifest.v1+json";
        let artifact = put_json(layout, kind, &artifact);
        assert_eq!(pruned(layout, &[&top, &artifact]).unwrap(), 1);
        assert!(!is_there(layout, &lost));
        for kept in [&layer, &config, &top, &blob, &subject, &artifact] {
            assert!(is_there(layout, kept), "{kept}");
        }
    }

    #[test]
    fn nothing_is_removed_where_a_document_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let layout = dir.path();
        let lost = put(layout, OCI_LAYER_GZIP, b"nobody's");
        let damaged = put(layout, OCI_MANIFEST, b"{\"schemaVersion\":2");
        let error = pruned(layout, &[&damaged]).unwrap_err();
        assert!(matches!(error, LayoutError::Index { .. }), "{error}");
        assert!(is_there(layout, &lost));
        assert_eq!(pruned(layout, &[]).unwrap(), 2);
    }
}
