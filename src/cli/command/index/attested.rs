//! What an index has about its images: provenance and bills of materials (`BuildKit`, "Attestation storage").
//!
//! An attestation is a manifest in the index that names the digest of the image's manifest. Its layers are statements of
//! in-toto; what a statement is about stands in an annotation.

use oci::check::{parse_manifest, subject_of_attestation};
use oci::descriptor::annotation_of;
use oci::{Descriptor, ImageIndex};
use serde_json::Value as Json;
use template::{Struct, Value};
use transport::{CombineError, Source};

use super::{IndexError, shown};

/// The annotation of a layer that says what its statement says.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// The beginning of the type of provenances, whatever their version.
const SLSA: &str = "https://slsa.dev/provenance/";
/// The type of bills of materials.
const SPDX: &str = "https://spdx.dev/Document";

/// No bill of materials that was seen is larger.
const STATEMENT_LIMIT_BYTES: u64 = 128 * 1024 * 1024;

/// The attestations of an index.
pub(super) struct Attestations<'a> {
    source: &'a dyn Source,
    entries: Vec<Descriptor>,
}

impl<'a> Attestations<'a> {
    /// Finds them; nothing is read yet.
    pub(super) fn new(source: &'a dyn Source, index: Option<&ImageIndex>) -> Self {
        let entries = index
            .map(|index| index.manifests().clone())
            .unwrap_or_default();
        let about = |entry: &Descriptor| subject_of_attestation(entry).is_some();
        Self {
            source,
            entries: entries.into_iter().filter(about).collect(),
        }
    }

    /// Returns what the statements of a kind about a manifest say.
    fn predicates(
        &self,
        manifest: &str,
        is_kind: fn(&str) -> bool,
    ) -> Result<Vec<Json>, IndexError> {
        let mut predicates = Vec::new();
        let about = self
            .entries
            .iter()
            .filter(|entry| subject_of_attestation(entry) == Some(manifest));
        for entry in about {
            for layer in self.layers(entry)? {
                if annotation_of(&layer, PREDICATE).is_some_and(is_kind) {
                    predicates.push(self.predicate(&layer)?);
                }
            }
        }
        Ok(predicates)
    }

    fn layers(&self, entry: &Descriptor) -> Result<Vec<Descriptor>, IndexError> {
        let document = shown::document(self.source, entry)?;
        let manifest =
            parse_manifest(&document.bytes).map_err(|source| CombineError::Document {
                shown: self.source.shown(),
                digest: entry.digest().to_string(),
                source,
            })?;
        Ok(manifest.layers().clone())
    }

    fn predicate(&self, layer: &Descriptor) -> Result<Json, IndexError> {
        let bytes = shown::blob(self.source, layer, STATEMENT_LIMIT_BYTES)?;
        let mut statement: Json =
            serde_json::from_slice(&bytes).map_err(|source| IndexError::Read {
                shown: format!("{}@{}", self.source.shown(), layer.digest()),
                source: source.into(),
            })?;
        Ok(statement
            .get_mut("predicate")
            .map(Json::take)
            .unwrap_or_default())
    }
}

/// Returns the provenance of a manifest.
pub(super) fn provenance(
    attestations: &Attestations<'_>,
    manifest: &str,
) -> Result<Option<Value>, IndexError> {
    let predicates = attestations.predicates(manifest, |kind| kind.starts_with(SLSA))?;
    let first = predicates.into_iter().next();
    Ok(first.map(|slsa| {
        Struct::new("provenance")
            .field("SLSA", "SLSA", Value::from(slsa))
            .into()
    }))
}

/// Returns the bill of materials of a manifest.
pub(super) fn sbom(
    attestations: &Attestations<'_>,
    manifest: &str,
) -> Result<Option<Value>, IndexError> {
    let mut predicates = attestations
        .predicates(manifest, |kind| kind == SPDX)?
        .into_iter();
    let Some(first) = predicates.next() else {
        return Ok(None);
    };
    let sbom = Struct::new("sbom")
        .field("SPDX", "SPDX", Value::from(first))
        .optional(
            "AdditionalSPDXs",
            "AdditionalSPDXs",
            Value::list_or_nil(predicates),
        );
    Ok(Some(sbom.into()))
}
