//! Cache mounts in the document of a cache: [`CachedMount`].
//!
//! What a mount held is an index and packs (`layer::StashIndex`), which are layers of the document like others, so that
//! every place keeps and gives them like others. A build writes those mounts that it is asked to, in the place of what
//! was there of them; other mounts stay as records do ([`crate::merge`]).

use std::collections::BTreeSet;

use oci::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use solver::stash::{Stash, StashPack};

use crate::config::{CacheConfig, CacheLayer, ConfigError, check};
use crate::limits::{MOUNTS_KEPT, MOUNTS_MAX, PACKS_MAX};

/// What a cache mount held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedMount {
    /// The digest of all that tells it from others.
    pub name: Digest,
    /// What keeps equal ids apart, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// What Dockerfiles call it.
    pub id: String,
    /// On which day a build wrote it last.
    pub used: Timestamp,
    /// Which of the layers is its index.
    pub index: usize,
    /// Its packs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<CachedPack>,
}

/// A pack of a cache mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedPack {
    /// Which of the layers it is.
    pub layer: usize,
    /// The bytes of all files in it.
    pub file_bytes: u64,
}

impl CachedMount {
    /// Returns the numbers of all its layers.
    fn layers(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.index).chain(self.packs.iter().map(|pack| pack.layer))
    }
}

/// Whose mount it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountName {
    /// The digest of all that tells it from others.
    pub name: Digest,
    /// What keeps equal ids apart.
    pub namespace: String,
    /// What Dockerfiles call it.
    pub id: String,
}

impl CacheConfig {
    /// Adds a mount, in the place of what is there of it.
    pub fn add_mount(&mut self, mount: MountName, stash: &Stash, used: Timestamp) {
        let MountName {
            name,
            namespace,
            id,
        } = mount;
        let mut add = |blob| self.add_layer(CacheLayer::new(blob, layer::Times::Kept));
        let index = add(&stash.index);
        let packs = stash.packs.iter().map(|pack| CachedPack {
            layer: add(&pack.blob),
            file_bytes: pack.file_bytes,
        });
        let mount = CachedMount {
            index,
            packs: packs.collect(),
            name,
            namespace,
            id,
            used,
        };
        self.mounts.retain(|other| other.name != mount.name);
        self.mounts.push(mount);
        self.mounts.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Returns the blobs of a mount; `None` if there is no such mount.
    pub fn stash(&self, name: &Digest) -> Option<Stash> {
        let mount = self.mounts.iter().find(|mount| mount.name == *name)?;
        let blob = |at: usize| self.layers.get(at).map(CacheLayer::blob);
        let packs = mount.packs.iter().map(|pack| {
            Some(StashPack {
                blob: blob(pack.layer)?,
                file_bytes: pack.file_bytes,
            })
        });
        Some(Stash {
            index: blob(mount.index)?,
            packs: packs.collect::<Option<_>>()?,
        })
    }

    /// Adds the mounts of an earlier document that this one does not have and that were written not before `oldest`.
    pub(crate) fn keep_mounts(&mut self, earlier: &Self, oldest: Timestamp) {
        let known: BTreeSet<_> = self.mounts.iter().map(|mount| mount.name.clone()).collect();
        let stays = |mount: &&CachedMount| mount.used >= oldest && !known.contains(&mount.name);
        let mut stay: Vec<_> = earlier.mounts.iter().filter(stays).collect();
        stay.sort_by(|one, other| (other.used, &one.name).cmp(&(one.used, &other.name)));
        for mount in stay.into_iter().take(MOUNTS_KEPT) {
            let name = MountName {
                name: mount.name.clone(),
                namespace: mount.namespace.clone(),
                id: mount.id.clone(),
            };
            if let Some(stash) = earlier.stash(&mount.name) {
                self.add_mount(name, &stash, mount.used);
            }
        }
    }

    /// Checks what the types do not say of mounts.
    pub(crate) fn check_mounts(&self) -> Result<(), ConfigError> {
        check("cache mounts", self.mounts.len() as u64, MOUNTS_MAX as u64)?;
        let count = self.layers.len();
        for mount in &self.mounts {
            check(
                "packs of a cache mount",
                mount.packs.len() as u64,
                PACKS_MAX as u64,
            )?;
            if let Some(layer) = mount.layers().find(|layer| *layer >= count) {
                return Err(ConfigError::NoMountLayer {
                    id: mount.id.clone(),
                    layer,
                    count,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
