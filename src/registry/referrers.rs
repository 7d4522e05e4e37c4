//! What refers to a manifest: signatures, attestations, documents (distribution-spec, "Listing Referrers" and
//! "Referrers Tag Schema").

use oci::check::{parse_index, parse_manifest};
use oci::descriptor::{new_index, to_canonical_json, with_annotations};
use oci::limits::MANIFEST_MAX_BYTES;
use oci::media_type::OCI_INDEX;
use oci::{Descriptor, Digest, ImageIndex, MediaType};

use crate::answer::{discard, refused};
use crate::error::{Failure, RegistryError};
use crate::limits::REFERRERS_MAX_BYTES;
use crate::manifest::Expect;
use crate::repository::{Repository, Selector};
use crate::session::Session;
use crate::tags::Pages;

/// How often the list behind a tag is written again because somebody else wrote it at the same time.
const LIST_ATTEMPTS: u32 = 5;

impl Repository {
    /// Lists what refers to a manifest, of one type of artifact or of all.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be asked, or its list cannot be read.
    pub fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let asked = format!("list what refers to `{subject}`");
        let listed = self.reading(&asked, |_, session| self.listed(session, subject))?;
        let listed = match listed {
            Some(listed) => listed,
            None => self
                .tagged_referrers(subject)?
                .map_or(Vec::new(), |index| index.manifests().clone()),
        };
        let is_meant = |descriptor: &Descriptor| {
            artifact_type.is_none_or(|wanted| type_of(descriptor).as_deref() == Some(wanted))
        };
        Ok(listed.into_iter().filter(is_meant).collect())
    }

    /// Asks the registry for its list; `None` when it keeps none.
    fn listed(
        &self,
        session: &Session,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Failure> {
        let mut pages = Pages::new(session, &format!("referrers/{subject}"))?;
        let mut listed = Vec::new();
        let mut list_bytes = 0;
        while let Some(request) = pages.next_request()? {
            let request = request.header("accept", OCI_INDEX);
            let scopes = self.scopes(session);
            let read = session.read(&request, &scopes, "a list of referrers", MANIFEST_MAX_BYTES);
            let (response, bytes) = read?;
            match response.status() {
                200 => {}
                // Registries that do not know the question answer in many ways.
                400 | 404 | 405 | 406 | 501 if listed.is_empty() => {
                    discard(response);
                    return Ok(None);
                }
                _ => return Err(refused(response)),
            }
            if !is_index(response.header("content-type")) && listed.is_empty() {
                // A registry that answers everything with a page of its own.
                return Ok(None);
            }
            let index = parse_index(&bytes)
                .map_err(|error| Failure::malformed("a list that is none", error))?;
            listed.extend(index.manifests().iter().cloned());
            list_bytes += bytes.len() as u64;
            if list_bytes > REFERRERS_MAX_BYTES {
                return Err(Failure::TooLarge {
                    what: "referrers",
                    limit_bytes: REFERRERS_MAX_BYTES,
                });
            }
            pages.turn(&response)?;
        }
        Ok(Some(listed))
    }

    /// Reads the list that a tag stands for where the registry keeps none.
    fn tagged_referrers(&self, subject: &Digest) -> Result<Option<ImageIndex>, RegistryError> {
        let selector = Selector::Tag(fallback_tag(subject));
        let manifest = match self.manifest(&selector) {
            Ok(manifest) => manifest,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = parse_index(&manifest.bytes);
        index.map(Some).map_err(|error| {
            self.list_error(subject, Failure::malformed("a list that is none", error))
        })
    }

    /// Puts a manifest into the list behind the tag, if it is not there. Somebody else may do so at the same time, and
    /// nothing of a registry prevents that: it is looked again whether ours is there.
    pub(crate) fn list_referrer(
        &self,
        subject: &Digest,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let entry = referrer_entry(media_type, bytes);
        let selector = Selector::Tag(fallback_tag(subject));
        for _ in 0..LIST_ATTEMPTS {
            let old = self.tagged_referrers(subject)?;
            let mut entries = old
                .as_ref()
                .map_or(Vec::new(), |old| old.manifests().clone());
            if entries.iter().any(|known| known.digest() == entry.digest()) {
                return Ok(());
            }
            entries.push(entry.clone());
            let mut index = new_index(entries);
            index.set_media_type(Some(OCI_INDEX.into()));
            let bytes = to_canonical_json(&index);
            match self.put_list(&selector, &bytes) {
                Err(error) if error.is_changed() => {}
                result => result?,
            }
        }
        Err(self.list_error(subject, Failure::Changed))
    }

    fn list_error(&self, subject: &Digest, failure: Failure) -> RegistryError {
        RegistryError {
            asked: format!("list what refers to `{subject}`"),
            repository: self.reference().name(),
            host: self.reference().domain().to_owned(),
            failure,
        }
    }

    fn put_list(&self, selector: &Selector, bytes: &[u8]) -> Result<(), RegistryError> {
        self.put_manifest(selector, OCI_INDEX, bytes, Expect::Anything)
    }
}

/// Returns the tag of the list of what refers to a manifest.
fn fallback_tag(subject: &Digest) -> String {
    let tag = format!("{}-{}", subject.algorithm().as_str(), subject.encoded());
    tag.chars().take(oci::limits::TAG_MAX_BYTES).collect()
}

fn is_index(media_type: Option<&str>) -> bool {
    let media_type = media_type.unwrap_or_default().split(';').next();
    MediaType::parse(media_type.unwrap_or_default().trim()).is_index()
}

fn type_of(descriptor: &Descriptor) -> Option<String> {
    descriptor.artifact_type().as_ref().map(ToString::to_string)
}

/// Returns the entry of a manifest in a list: with its annotations and the type of its artifact, which is that of its
/// configuration where it says none.
fn referrer_entry(media_type: &str, bytes: &[u8]) -> Descriptor {
    let descriptor =
        oci::descriptor::descriptor(media_type, &Digest::of(bytes), bytes.len() as u64);
    let (artifact_type, annotations) = match parse_manifest(bytes) {
        Ok(manifest) => {
            let own = manifest.artifact_type().clone();
            let of_config = manifest.config().media_type().clone();
            (
                Some(own.unwrap_or(of_config)),
                manifest.annotations().clone(),
            )
        }
        Err(_) => parse_index(bytes).map_or((None, None), |index| {
            (index.artifact_type().clone(), index.annotations().clone())
        }),
    };
    let annotations = annotations.unwrap_or_default().into_iter().collect();
    let mut descriptor = with_annotations(descriptor, &annotations);
    descriptor.set_artifact_type(artifact_type);
    descriptor
}
