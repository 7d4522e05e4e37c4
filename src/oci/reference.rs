//! References to images: `registry.example:5000/team/app:1.2@sha256:…`.
//!
//! A reference has a *literal* form, in which everything is as it was written, and a *normal* form, in
//! which Docker's short names are spelled out: `busybox` is `docker.io/library/busybox`. Only normal
//! forms can be compared or looked up. The *familiar* form is the normal one made short again, for
//! people to read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestError};
use crate::limits::{REPOSITORY_PATH_MAX_BYTES, TAG_MAX_BYTES};

mod grammar;

/// The registry of names that do not say one.
const DEFAULT_DOMAIN: &str = "docker.io";
/// What Docker Hub was called before; still found in configuration files.
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
/// Where Docker Hub keeps the images with one-word names.
const OFFICIAL_PREFIX: &str = "library/";
/// The tag of names that say neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// The name of an image: a repository, and a tag or a digest of it or both.
///
/// Deserialized from, and serialized to, its normal form.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What is wrong with a text that should be a reference.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// There is nothing.
    #[error("image reference is empty")]
    Empty,
    /// The text does not fit the grammar.
    #[error("image reference `{text}` is not of the form registry/repository:tag@digest")]
    Format {
        /// The text that was parsed.
        text: String,
    },
    /// It would fit if it were in lower case.
    #[error("image reference `{text}` has upper-case letters in the repository's name")]
    Uppercase {
        /// The text that was parsed.
        text: String,
    },
    /// The path of the repository is too long.
    #[error(
        "image reference `{text}` has a repository of more than {REPOSITORY_PATH_MAX_BYTES} bytes"
    )]
    TooLong {
        /// The text that was parsed.
        text: String,
    },
    /// The text is an image id where a name is asked for.
    #[error("image reference `{text}` is an image id, not a name")]
    Identifier {
        /// The text that was parsed.
        text: String,
    },
    /// The name is not in its normal form where it has to be.
    #[error("image reference `{text}` is not in its normal form `{normal}`")]
    NotCanonical {
        /// The text that was parsed.
        text: String,
        /// How it should have been written.
        normal: String,
    },
    /// What follows the `@` is not a digest.
    #[error("image reference `{text}` has an invalid digest")]
    Digest {
        /// The text that was parsed.
        text: String,
        /// What is wrong with the digest.
        #[source]
        source: DigestError,
    },
    /// A tag has another form.
    #[error("tag `{tag}` is not 1 to {TAG_MAX_BYTES} letters, digits, `_`, `.` and `-`")]
    Tag {
        /// The text that was parsed.
        tag: String,
    },
}

impl Reference {
    /// Parses a name as people write it and returns its normal form: `busybox` becomes
    /// `docker.io/library/busybox`. Neither a tag nor a digest is added.
    ///
    /// # Errors
    ///
    /// Fails when the text does not fit the grammar, is a 64-digit image id, has upper-case letters in
    /// the path, a path of more than 255 bytes, or a digest that is not one.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if grammar::is_identifier(text) {
            return Err(ReferenceError::Identifier {
                text: text.to_owned(),
            });
        }
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (domain, rest) = split_docker_domain(text);
        let path = rest.split(':').next().unwrap_or(rest);
        if path.chars().any(char::is_uppercase) {
            return Err(ReferenceError::Uppercase {
                text: text.to_owned(),
            });
        }
        let official = domain == DEFAULT_DOMAIN && !rest.contains('/');
        let prefix = if official { OFFICIAL_PREFIX } else { "" };
        parse_grammar(&format!("{domain}/{prefix}{rest}"), text)
    }

    /// Parses a reference exactly as it is written: no domain and no tag is added.
    ///
    /// # Errors
    ///
    /// Fails when the text does not fit the grammar, has a path of more than 255 bytes or a digest that
    /// is not one.
    pub fn parse_literal(text: &str) -> Result<Self, ReferenceError> {
        parse_grammar(text, text)
    }

    /// Parses a reference that has to be in its normal form already.
    ///
    /// # Errors
    ///
    /// Fails as [`Reference::parse`] does, and when the normal form differs from the text.
    pub fn parse_canonical(text: &str) -> Result<Self, ReferenceError> {
        let reference = Self::parse(text)?;
        let normal = reference.to_string();
        if normal != text {
            return Err(ReferenceError::NotCanonical {
                text: text.to_owned(),
                normal,
            });
        }
        Ok(reference)
    }

    /// Parses the name of one image, as `docker pull` takes it: `latest` is the tag where there is
    /// neither tag nor digest, and of the two the digest wins.
    ///
    /// # Errors
    ///
    /// Fails as [`Reference::parse`] does.
    pub fn parse_docker_ref(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text).map(Self::into_docker_ref)
    }

    /// Adds `latest` where there is neither tag nor digest, and drops the tag where there are both.
    #[must_use]
    pub fn into_docker_ref(mut self) -> Self {
        self.tag = match (&self.digest, self.tag.take()) {
            (Some(_), _) => None,
            (None, tag) => Some(tag.unwrap_or_else(|| DEFAULT_TAG.to_owned())),
        };
        self
    }

    /// Returns the registry's host and port; empty in a literal reference without one.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the repository without the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the repository with the registry, if there is one: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        if self.domain.is_empty() {
            self.path.clone()
        } else {
            format!("{}/{}", self.domain, self.path)
        }
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns the short name that people know the repository by: `busybox` for
    /// `docker.io/library/busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// Returns the short name with the tag and digest.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// Returns the same repository, without tag and digest.
    #[must_use]
    pub fn repository(&self) -> Self {
        Self {
            tag: None,
            digest: None,
            ..self.clone()
        }
    }

    /// Returns the same repository with another tag and no digest.
    ///
    /// # Errors
    ///
    /// Fails when the tag does not fit the grammar.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !grammar::is_tag(tag) {
            return Err(ReferenceError::Tag {
                tag: tag.to_owned(),
            });
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// Returns the same reference pinned to a digest.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self {
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

/// Tells whether a text can be a repository's path on a registry (distribution-spec, "Pulling manifests").
pub fn is_repository_path(text: &str) -> bool {
    text.len() <= REPOSITORY_PATH_MAX_BYTES && grammar::is_path(text)
}

/// Tells whether a text can be a tag (distribution-spec, "Pulling manifests").
pub fn is_tag(text: &str) -> bool {
    grammar::is_tag(text)
}

/// Parses `text`; errors speak of `written`, which is what the user wrote.
fn parse_grammar(text: &str, written: &str) -> Result<Reference, ReferenceError> {
    let Some(parts) = grammar::split_reference(text) else {
        return Err(refusal(text, written));
    };
    let Some((domain, path)) = grammar::split_name(parts.name) else {
        return Err(ReferenceError::Format {
            text: written.to_owned(),
        });
    };
    if path.len() > REPOSITORY_PATH_MAX_BYTES {
        return Err(ReferenceError::TooLong {
            text: written.to_owned(),
        });
    }
    let digest = parts
        .digest
        .map(Digest::parse)
        .transpose()
        .map_err(|source| ReferenceError::Digest {
            text: written.to_owned(),
            source,
        })?;
    Ok(Reference {
        domain: domain.to_owned(),
        path: path.to_owned(),
        tag: parts.tag.map(str::to_owned),
        digest,
    })
}

/// Says why a text does not fit the grammar.
fn refusal(text: &str, written: &str) -> ReferenceError {
    let lower = text.to_lowercase();
    if text.is_empty() {
        ReferenceError::Empty
    } else if lower != text && grammar::split_reference(&lower).is_some() {
        ReferenceError::Uppercase {
            text: written.to_owned(),
        }
    } else {
        ReferenceError::Format {
            text: written.to_owned(),
        }
    }
}

/// Splits what people write into a registry and the rest. Without a slash there is no registry; before
/// a slash it is one when no repository could be called so.
fn split_docker_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((LEGACY_DEFAULT_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// What a user may give where an image is meant: a name, or an id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnyReference {
    /// A name, in its normal form.
    Name(Reference),
    /// The digest of an image, or its 64 digits.
    Id(Digest),
}

impl AnyReference {
    /// Parses 64 hexadecimal digits, a digest, or a name.
    ///
    /// # Errors
    ///
    /// Fails as [`Reference::parse`] does on what is neither of the first two.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let with_algorithm;
        let candidate = if grammar::is_identifier(text) {
            with_algorithm = format!("sha256:{text}");
            &with_algorithm
        } else {
            text
        };
        match Digest::parse(candidate) {
            Ok(digest) => Ok(Self::Id(digest)),
            Err(_not_an_id) => Reference::parse(text).map(Self::Name),
        }
    }
}

impl fmt::Display for AnyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(reference) => reference.fmt(f),
            Self::Id(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
