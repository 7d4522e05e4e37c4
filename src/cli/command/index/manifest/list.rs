//! A list of manifests as the store keeps it.

use oci::Descriptor;
use oci::descriptor::digest_of;
use oci::digest::DigestError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use transport::{Location, LocationError};

/// A list of manifests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct List {
    /// The images, in the order in which they were added.
    pub(super) members: Vec<Member>,
}

/// An image of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    /// Where it is, in the words of `careen copy`.
    pub(super) image: String,
    /// What the index will say of it.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub(super) descriptor: Descriptor,
}

/// The place of an image cannot be understood any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum MemberPlaceError {
    /// The place.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The digest.
    #[error("a digest of the list is malformed")]
    Digest(#[from] DigestError),
}

impl List {
    /// Adds an image, in the place of what was added from the same place.
    pub(super) fn add(&mut self, member: Member) {
        match self
            .members
            .iter_mut()
            .find(|known| known.image == member.image)
        {
            Some(known) => *known = member,
            None => self.members.push(member),
        }
    }

    /// Finds an image by its place or its digest.
    pub(super) fn member_mut(&mut self, image: &str) -> Option<&mut Member> {
        let is_it = |member: &&mut Member| {
            member.image == image || member.descriptor.digest().as_ref() == image
        };
        self.members.iter_mut().find(is_it)
    }

    /// Finds an image by its place or its digest.
    pub(super) fn member(&self, image: &str) -> Option<&Member> {
        let is_it = |member: &&Member| {
            member.image == image || member.descriptor.digest().as_ref() == image
        };
        self.members.iter().find(is_it)
    }
}

impl Member {
    /// Makes a member of what a place has.
    pub(super) fn new(location: &Location, descriptor: &Descriptor) -> Self {
        Self {
            image: location.to_string(),
            descriptor: descriptor.clone(),
        }
    }

    /// Returns where the image is, whatever its tag names by now, where places know images by their digests.
    pub(super) fn pinned(&self) -> Result<Location, MemberPlaceError> {
        let digest = digest_of(&self.descriptor)?;
        Ok(match Location::parse(&self.image)? {
            Location::Registry(name) => {
                Location::Registry(name.with_digest(&digest).into_docker_ref())
            }
            other => other,
        })
    }
}

/// Writes a descriptor in the specification's words, which the structure's own are not in all of its fields.
fn write<S: Serializer>(descriptor: &Descriptor, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = oci::descriptor::to_canonical_json(descriptor);
    let json: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(serde::ser::Error::custom)?;
    json.serialize(serializer)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Descriptor, D::Error> {
    let json = serde_json::Value::deserialize(deserializer)?;
    let bytes = serde_json::to_vec(&json).map_err(serde::de::Error::custom)?;
    oci::check::parse_descriptor(&bytes).map_err(serde::de::Error::custom)
}
