//! The bytes of a manifest or an index → what the registry has to know of it.

use std::collections::BTreeMap;

use oci::check::{self, DocumentError, parse_index, parse_manifest};
use oci::descriptor::{descriptor, digest_of, with_annotations};
use oci::digest::DigestError;
use oci::media_type::{Distribution, OCI_INDEX, OCI_MANIFEST};
use oci::{Descriptor, Digest, MediaType};

/// A manifest or an index that a repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) size_bytes: u64,
    /// What an index lists: manifests, other indexes, and whatever else.
    pub(crate) children: Vec<Digest>,
    /// The configuration and the layers of a manifest, but those that registries do not hand out.
    pub(crate) blobs: Vec<Digest>,
    /// What it refers to.
    pub(crate) subject: Option<Digest>,
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
}

/// A document is no manifest that can be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("{0}")]
    Document(#[from] DocumentError),
    #[error("{0}")]
    Digest(#[from] DigestError),
    #[error("`{found}` is no media type of a manifest that is known here")]
    Unknown { found: String },
    #[error("the manifest says that it is `{inside}`, and was sent as `{outside}`")]
    Differs { inside: String, outside: String },
}

impl Manifest {
    /// Parses a document. `sent_as` is the media type that came with it, without parameters.
    pub(crate) fn parse(bytes: &[u8], sent_as: Option<&str>) -> Result<Self, ManifestError> {
        if check::is_index(bytes) {
            Self::parse_index(bytes, sent_as)
        } else {
            Self::parse_manifest(bytes, sent_as)
        }
    }

    fn parse_index(bytes: &[u8], sent_as: Option<&str>) -> Result<Self, ManifestError> {
        let index = parse_index(bytes)?;
        let inside = index.media_type().as_ref().map(ToString::to_string);
        Ok(Self {
            media_type: agree(inside, sent_as, OCI_INDEX)?,
            size_bytes: bytes.len() as u64,
            children: digests(index.manifests())?,
            blobs: Vec::new(),
            subject: index.subject().as_ref().map(digest_of).transpose()?,
            artifact_type: index.artifact_type().as_ref().map(ToString::to_string),
            annotations: sorted(index.annotations().clone()),
        })
    }

    fn parse_manifest(bytes: &[u8], sent_as: Option<&str>) -> Result<Self, ManifestError> {
        let manifest = parse_manifest(bytes)?;
        let inside = manifest.media_type().as_ref().map(ToString::to_string);
        let config = manifest.config();
        let layers = manifest
            .layers()
            .iter()
            .filter(|layer| is_handed_out(layer));
        let artifact_type = manifest.artifact_type().as_ref().map(ToString::to_string);
        let artifact_type = artifact_type.filter(|text| !text.is_empty());
        Ok(Self {
            media_type: agree(inside, sent_as, OCI_MANIFEST)?,
            size_bytes: bytes.len() as u64,
            children: Vec::new(),
            blobs: digests([config].into_iter().chain(layers))?,
            subject: manifest.subject().as_ref().map(digest_of).transpose()?,
            artifact_type: artifact_type.or_else(|| Some(config.media_type().to_string())),
            annotations: sorted(manifest.annotations().clone()),
        })
    }

    /// Returns its descriptor.
    pub(crate) fn descriptor(&self, digest: &Digest) -> Descriptor {
        descriptor(&self.media_type, digest, self.size_bytes)
    }

    /// Returns its descriptor in a list of referrers, if it is of the type that is asked for
    /// (distribution-spec, "Listing Referrers").
    pub(crate) fn as_referrer(&self, digest: &Digest, wanted: Option<&str>) -> Option<Descriptor> {
        let is_wanted = wanted.is_none_or(|wanted| self.artifact_type.as_deref() == Some(wanted));
        let mut found = with_annotations(self.descriptor(digest), &self.annotations);
        found.set_artifact_type(self.artifact_type.as_deref().map(Into::into));
        is_wanted.then_some(found)
    }
}

/// Returns the one media type that a document has, inside and outside.
fn agree(
    inside: Option<String>,
    outside: Option<&str>,
    default: &str,
) -> Result<String, ManifestError> {
    // A client that does not know sends one of these.
    let outside =
        outside.filter(|text| !matches!(*text, "application/json" | "application/octet-stream"));
    match (inside, outside) {
        (Some(inside), Some(outside)) if inside != outside => Err(ManifestError::Differs {
            inside,
            outside: outside.to_owned(),
        }),
        (Some(inside), _) => Ok(inside),
        (None, None) => Ok(default.to_owned()),
        (None, Some(outside)) => {
            let (known, wanted) = (MediaType::parse(outside), MediaType::parse(default));
            if known.is_index() == wanted.is_index() && known.is_manifest() == wanted.is_manifest()
            {
                Ok(outside.to_owned())
            } else {
                Err(ManifestError::Unknown {
                    found: outside.to_owned(),
                })
            }
        }
    }
}

fn digests<'d, D: IntoIterator<Item = &'d Descriptor>>(of: D) -> Result<Vec<Digest>, DigestError> {
    of.into_iter().map(digest_of).collect()
}

fn is_handed_out(layer: &Descriptor) -> bool {
    match MediaType::parse(layer.media_type().as_ref()) {
        MediaType::Layer(layer) => layer.distribution == Distribution::Free,
        _ => true,
    }
}

fn sorted<M: IntoIterator<Item = (String, String)>>(map: Option<M>) -> BTreeMap<String, String> {
    map.into_iter().flatten().collect()
}
