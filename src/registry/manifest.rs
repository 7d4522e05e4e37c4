//! Manifests and indexes: found, read, written, removed (distribution-spec, "Pulling manifests", "Pushing
//! Manifests", "Deleting Manifests").

use fetch::{Method, Request, Response};
use oci::limits::MANIFEST_MAX_BYTES;
use oci::media_type::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use oci::{Descriptor, Digest, Hasher, MediaType};
use serde::Deserialize;

use crate::answer::{discard, refused};
use crate::error::{Failure, RegistryError};
use crate::repository::{Repository, Selector};
use crate::session::Session;

/// What is taken for a manifest or an index. Schema 1 is not named, so that a registry that has both gives the other.
const ACCEPTED: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];

/// A manifest or an index as a registry gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// Its bytes, verified.
    pub bytes: Vec<u8>,
}

/// What a tag has to be for a manifest to take its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect<'a> {
    /// Anything.
    #[default]
    Anything,
    /// The manifest with this digest (`If-Match`). Few registries look at that.
    Digest(&'a Digest),
    /// Nothing (`If-None-Match: *`).
    Nothing,
}

/// A manifest on its way to a host.
struct Written<'a> {
    selector: &'a Selector,
    media_type: &'a str,
    bytes: &'a [u8],
    expect: Expect<'a>,
}

impl Repository {
    /// Finds out what a tag names now, or whether a digest is there; `None` when the registry has no such thing.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be asked, or what it says cannot be trusted.
    pub fn resolve(&self, selector: &Selector) -> Result<Option<Descriptor>, RegistryError> {
        let found = self.reading(&format!("find the manifest `{selector}`"), |_, session| {
            self.head(session, selector)
        });
        match found {
            Ok(Some(descriptor)) => Ok(Some(descriptor)),
            // A registry that says too little of what it has.
            Ok(None) => Ok(Some(self.manifest(selector)?.descriptor)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds out the same of the host that this repository is written to; `None` also when the registry does not
    /// answer such questions.
    ///
    /// # Errors
    ///
    /// Fails as [`Repository::resolve`] does.
    pub fn find_written(&self, selector: &Selector) -> Result<Option<Descriptor>, RegistryError> {
        let asked = format!("find the manifest `{selector}`");
        match self.writing(&asked, |session| self.head(session, selector)) {
            Err(error) if error.is_missing() => Ok(None),
            found => found,
        }
    }

    /// Reads a manifest or an index.
    ///
    /// # Errors
    ///
    /// Fails when the registry does not have it or cannot be asked, and when what it gives is too large, is not what
    /// the digest says, or is of a kind that is not supported.
    pub fn manifest(&self, selector: &Selector) -> Result<Manifest, RegistryError> {
        self.reading(&format!("read the manifest `{selector}`"), |_, session| {
            self.get(session, selector)
        })
    }

    /// Writes a manifest or an index, whose blobs and manifests are there. Where it refers to another one and the
    /// registry keeps no list of such, the tag that stands in for the list is written too.
    ///
    /// # Errors
    ///
    /// Fails when the registry does not take it, and with [`RegistryError::is_changed`] when the tag is not what was
    /// expected and the registry looks at that.
    pub fn put_manifest(
        &self,
        selector: &Selector,
        media_type: &str,
        bytes: &[u8],
        expect: Expect<'_>,
    ) -> Result<(), RegistryError> {
        let asked = format!("push the manifest `{selector}`");
        let written = Written {
            selector,
            media_type,
            bytes,
            expect,
        };
        let answered = self.writing(&asked, |session| self.put(session, &written))?;
        match subject_of(bytes) {
            Some(subject) if answered != Some(subject.clone()) => {
                self.list_referrer(&subject, media_type, bytes)
            }
            _ => Ok(()),
        }
    }

    /// Removes a manifest and all tags that name it.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, and when the registry does not do such things
    /// ([`RegistryError::is_unsupported`]).
    pub fn delete_manifest(&self, digest: &Digest) -> Result<(), RegistryError> {
        let asked = format!("delete the manifest `{digest}`");
        self.delete(&asked, &format!("manifests/{digest}"))
    }

    /// Removes a tag, and not what it names.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, and when the registry does not do such things
    /// ([`RegistryError::is_unsupported`]).
    pub fn delete_tag(&self, tag: &str) -> Result<(), RegistryError> {
        let asked = format!("delete the tag `{tag}`");
        self.delete(&asked, &format!("manifests/{tag}"))
            .map_err(|mut error| {
                // Registries that know digests alone say so in this way.
                if let Failure::Refused(refusal) = &error.failure
                    && refusal.status == 400
                {
                    error.failure = Failure::Unsupported(refusal.clone());
                }
                error
            })
    }

    pub(crate) fn delete(&self, asked: &str, rest: &str) -> Result<(), RegistryError> {
        self.writing(asked, |session| {
            let request = session.request(Method::Delete, rest)?;
            let response = session.ask(&request, None, &self.scopes(session))?;
            match response.status() {
                200..=299 => {
                    discard(response);
                    Ok(())
                }
                _ => Err(refused(response)),
            }
        })
    }

    /// Asks for the head alone; `None` when that does not say enough.
    fn head(&self, session: &Session, selector: &Selector) -> Result<Option<Descriptor>, Failure> {
        let request = Self::request_for(session, Method::Head, selector)?;
        let response = session.ask(&request, None, &self.scopes(session))?;
        match response.status() {
            200 => described(&response, selector),
            // Not every registry answers such a question.
            400 | 405 | 501 => Ok(None),
            _ => Err(refused(response)),
        }
    }

    fn get(&self, session: &Session, selector: &Selector) -> Result<Manifest, Failure> {
        let request = Self::request_for(session, Method::Get, selector)?;
        let scopes = self.scopes(session);
        let read = session.read(&request, &scopes, "a manifest", MANIFEST_MAX_BYTES)?;
        let (response, bytes) = read;
        if response.status() != 200 {
            return Err(refused(response));
        }
        let media_type = media_type_in(&response)?;
        let expected = match selector {
            Selector::Digest(digest) => Some(digest.clone()),
            Selector::Tag(_) => digest_in(&response)?,
        };
        let digest = verified(&bytes, expected.as_ref())?;
        let media_type = known_media_type(media_type, &bytes)?;
        Ok(Manifest {
            descriptor: oci::descriptor::descriptor(&media_type, &digest, bytes.len() as u64),
            bytes,
        })
    }

    fn request_for(
        session: &Session,
        method: Method,
        selector: &Selector,
    ) -> Result<Request, Failure> {
        let request = session.request(method, &format!("manifests/{selector}"))?;
        Ok(request.header("accept", &ACCEPTED.join(", ")))
    }

    /// Returns the subject that the registry has put into its list.
    fn put(&self, session: &Session, written: &Written<'_>) -> Result<Option<Digest>, Failure> {
        let Written { selector, .. } = written;
        let request = session
            .request(Method::Put, &format!("manifests/{selector}"))?
            .header("content-type", written.media_type);
        let request = match written.expect {
            Expect::Anything => request,
            Expect::Digest(digest) => request.header("if-match", &format!("\"{digest}\"")),
            Expect::Nothing => request.header("if-none-match", "*"),
        };
        let body = written.bytes.to_vec();
        let response = session.ask(&request, Some(&body), &self.scopes(session))?;
        if !matches!(response.status(), 200..=299) {
            return Err(refused(response));
        }
        if let Some(found) = digest_in(&response)? {
            verified(written.bytes, Some(&found))?;
        }
        let subject = response.header("oci-subject");
        let subject = subject.and_then(|subject| Digest::parse(subject).ok());
        discard(response);
        Ok(subject)
    }
}

/// Returns the descriptor that the head of an answer says; none when it says too little.
fn described(response: &Response, selector: &Selector) -> Result<Option<Descriptor>, Failure> {
    let digest = match selector {
        Selector::Digest(digest) => Some(digest.clone()),
        Selector::Tag(_) => digest_in(response)?,
    };
    let size = response.header("content-length");
    let size: Option<u64> = size.and_then(|size| size.parse().ok());
    let media_type = media_type_in(response)?;
    let kind = MediaType::parse(&media_type);
    if kind == MediaType::Schema1 {
        return Err(Failure::Schema1);
    }
    Ok(match (digest, size) {
        (Some(digest), Some(size)) if kind.is_index() || kind.is_manifest() => {
            Some(oci::descriptor::descriptor(&media_type, &digest, size))
        }
        _ => None,
    })
}

/// Returns the digest that the registry says the answer has.
fn digest_in(response: &Response) -> Result<Option<Digest>, Failure> {
    let header = response.header("docker-content-digest");
    header
        .map(Digest::parse)
        .transpose()
        .map_err(|error| Failure::malformed("a header with a digest that is none", error))
}

fn media_type_in(response: &Response) -> Result<String, Failure> {
    let header = response.header("content-type").unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    if media_type.len() > 255 || !media_type.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Failure::Malformed {
            what: "a media type that is none",
            source: None,
        });
    }
    Ok(media_type.to_ascii_lowercase())
}

/// Returns the digest of the bytes, if it is the one that is expected.
fn verified(bytes: &[u8], expected: Option<&Digest>) -> Result<Digest, Failure> {
    let Some(expected) = expected else {
        return Ok(Digest::of(bytes));
    };
    let mut hasher = Hasher::with_algorithm(expected.algorithm());
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *expected {
        return Ok(found);
    }
    Err(Failure::WrongDigest {
        expected: expected.clone(),
        found,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde_json::Value>,
    subject: Option<SubjectHead>,
}

#[derive(Deserialize)]
struct SubjectHead {
    digest: String,
}

/// Returns what the document is: what it says of itself, and else what the registry says, if that is one we know.
fn known_media_type(header: String, bytes: &[u8]) -> Result<String, Failure> {
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| Failure::malformed("a manifest that is none", error))?;
    let is_schema1 = MediaType::parse(&header) == MediaType::Schema1;
    if is_schema1 || head.schema_version == Some(1) {
        return Err(Failure::Schema1);
    }
    let is_known = |text: &String| {
        let kind = MediaType::parse(text);
        kind.is_index() || kind.is_manifest()
    };
    let own = head.media_type.filter(|own| !own.is_empty());
    match (own, header) {
        (Some(own), header) if is_known(&own) && is_known(&header) && own != header => {
            Err(Failure::Malformed {
                what: "a manifest that says it is of another media type than the registry says",
                source: None,
            })
        }
        (Some(own), _) if is_known(&own) => Ok(own),
        (None, header) if is_known(&header) => Ok(header),
        (None, _) if head.manifests.is_some() => Ok(OCI_INDEX.to_owned()),
        (None, _) => Ok(OCI_MANIFEST.to_owned()),
        (Some(_), _) => Err(Failure::Malformed {
            what: "a manifest of a media type that is not supported",
            source: None,
        }),
    }
}

/// Returns what a manifest refers to.
fn subject_of(bytes: &[u8]) -> Option<Digest> {
    let head: Head = serde_json::from_slice(bytes).ok()?;
    Digest::parse(&head.subject?.digest).ok()
}
