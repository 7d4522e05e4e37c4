//! The layers of caches as directories.

use std::sync::Arc;

use oci::Digest;
use rootfs::Root;
use store::ActiveSnapshot;

use super::Maker;
use super::error::RealiseError;
use crate::import::{self, RemoteLayer};
use crate::result::{Held, StackLayer};

impl Maker<'_> {
    /// Fetches the layers whose directories are not there, several at a time.
    pub(super) fn fetch_remote(&self, layers: &[Arc<StackLayer>]) -> Result<(), RealiseError> {
        let mut missing = Vec::new();
        for layer in layers {
            if matches!(layer.held, Held::Remote(_)) && self.open(&layer.id)?.is_none() {
                missing.push(layer.as_ref());
            }
        }
        let brought = import::bring_all(self.workshop, &self.step, &missing);
        brought.map_err(|error| self.unless_cancelled(error))
    }

    /// Unpacks a layer of a cache; returns what says what its files are.
    pub(super) fn unpack_remote(
        &self,
        (layer, remote): (&StackLayer, &RemoteLayer),
        active: &ActiveSnapshot,
        below: &[Arc<Root>],
    ) -> Result<Option<Digest>, RealiseError> {
        let opened = remote.open(self.workshop, Some(&self.step));
        let blob = opened.map_err(|error| self.unless_cancelled(error))?;
        let what = format!("extracting {}", remote.blob().digest);
        self.tell(&what, false);
        let unpacked = self.unpack_blob((layer, remote.blob()), blob, (active, below));
        let says = unpacked.map_err(|error| match error {
            RealiseError::Cancelled => RealiseError::Cancelled,
            error => RealiseError::Import(remote.useless(self.workshop, error)),
        })?;
        self.tell(&what, true);
        remote.remember_packed(self.workshop)?;
        Ok(says)
    }

    fn unless_cancelled(&self, error: import::ImportError) -> RealiseError {
        if self.workshop.cancel.is_cancelled() {
            return RealiseError::Cancelled;
        }
        RealiseError::Import(error)
    }
}
