//! The certificates of authorities that one command sees ([`crate::authorities`]), and that its layer does not have.
//!
//! | Where | How |
//! | --- | --- |
//! | the bundles of the image | stand-ins in a layer between the image and what the command changes |
//! | the variables that name a bundle | a file that is mounted in `/dev`, of which nothing is kept |
//!
//! A stand-in is no mount: a command that makes a bundle anew renames the new one over the old one, which a mount would
//! refuse. What it makes is of the certificates that the image has, and is its own. What it writes into a stand-in is a
//! copy in its changes, and of that the block is taken out afterwards. Where a command changes a copy, the stand-ins take
//! the places of the bundles ([`super::furniture`]).

use std::collections::BTreeSet;

use graph::ExecOp;
use rootfs::{FileKind, FsError, Metadata, Mode, Root, RootPath};
use runtime::{Access, TargetKind};
use store::ActiveSnapshot;

use super::error::MountError;
use super::mounts::{MountTable, Mounted, Source};
use crate::authorities::{self, Authorities, BUNDLES, PLACE, VARIABLES};
use crate::error::StepError;
use crate::host_files::Prepared;
use crate::realise;
use crate::worker::Step;

/// No bundle is larger, in bytes: those of Mozilla's certificates have a quarter of a megabyte.
const BUNDLE_LIMIT_BYTES: u64 = 8 << 20;

/// What one command sees.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// What stands in for each bundle of the image.
    stand_ins: Vec<StandIn>,
    /// What the variables name.
    bundle: Option<Vec<u8>>,
    /// The layer of the stand-ins.
    layer: Option<ActiveSnapshot>,
}

/// What stands in for a file of the image.
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    /// The file, without links on the way.
    pub(super) path: RootPath,
    /// All that the command sees in it.
    pub(super) bytes: Vec<u8>,
    /// What of it is not the image's.
    block: Vec<u8>,
}

impl Trust {
    /// Prepares it, if the user asks for it: as a layer, where layers are mounted.
    pub(super) fn prepare(step: &Step<'_>, op: &ExecOp) -> Result<Self, StepError> {
        if step.job.options.authorities.is_empty() {
            return Ok(Self::default());
        }
        let workshop = step.workshop;
        let view = realise::view(workshop, step.step_id(), step.below()?)?;
        let mut trust = Self::look(step, op, view.root().map(|root| &**root))?;
        if let Some(root) = view.root()
            && !trust.stand_ins.is_empty()
            && workshop.unions.trees(workshop).is_none()
        {
            let layer = workshop.store.snapshots().prepare(&workshop.lease)?;
            let files: Vec<_> = trust.stand_ins.iter().map(StandIn::file).collect();
            let made = layer::stand_in(root, &files, layer.fs());
            made.map_err(|source| MountError::Copy {
                target: "the certificates of authorities".to_owned(),
                source,
            })?;
            trust.layer = Some(layer);
        }
        Ok(trust)
    }

    /// Looks what the image has; nothing is made yet.
    pub(super) fn look(
        step: &Step<'_>,
        op: &ExecOp,
        root: Option<&Root>,
    ) -> Result<Self, StepError> {
        let authorities = &step.job.options.authorities;
        if authorities.is_empty() {
            return Ok(Self::default());
        }
        let mut trust = Self::default();
        for path in root.map_or_else(Vec::new, |root| bundles(root, &op.env)) {
            let Some(own) = root.map(|root| read(root, &path)).transpose()?.flatten() else {
                continue;
            };
            let block = authorities.block(&own);
            let bytes = [own.as_slice(), block.as_deref().unwrap_or_default()].concat();
            trust.bundle.get_or_insert_with(|| bytes.clone());
            trust
                .stand_ins
                .extend(block.map(|block| StandIn { path, bytes, block }));
        }
        trust.bundle.get_or_insert_with(|| authorities.bundle());
        Ok(trust)
    }

    /// Returns the layer of the stand-ins, which is above all others below a command.
    pub(super) fn layer(&self) -> Option<&Root> {
        self.layer.as_ref().map(ActiveSnapshot::fs)
    }

    /// Adds the file that the variables name.
    pub(super) fn mount(
        &self,
        host_files: &Prepared,
        table: &mut MountTable,
    ) -> Result<(), StepError> {
        if let Some(bundle) = &self.bundle {
            table.add(Mounted {
                target: PLACE.to_owned(),
                source: Source::Descriptor(host_files.file(bundle, Mode::new(0o444))?),
                kind: TargetKind::File,
                access: Access::ReadOnly,
            });
        }
        Ok(())
    }

    /// Returns what the variables name.
    pub(super) fn bundle(&self) -> Option<&[u8]> {
        self.bundle.as_deref()
    }

    /// Returns what stands in for the bundles of the image.
    pub(super) fn stand_ins(&self) -> &[StandIn] {
        &self.stand_ins
    }

    /// Takes out of what the command wrote what was never the image's. `changed` has what is to be kept: the changes, or
    /// the whole tree that was changed in place.
    pub(super) fn take_out(&self, changed: &Root) -> Result<(), FsError> {
        let blocks: Vec<_> = self.stand_ins.iter().map(|own| own.block.clone()).collect();
        if blocks.is_empty() {
            return Ok(());
        }
        let known = BUNDLES
            .iter()
            .filter_map(|path| RootPath::lexical(*path).ok());
        let own = self.stand_ins.iter().map(|stand_in| stand_in.path.clone());
        let paths: BTreeSet<RootPath> = own.chain(known).collect();
        for path in &paths {
            if let Some(found) = changed.metadata(path)?
                && found.kind == FileKind::File
                && found.size <= BUNDLE_LIMIT_BYTES
            {
                clean((changed, path), &found, &blocks)?;
            }
        }
        Ok(())
    }
}

impl StandIn {
    fn file(&self) -> (RootPath, Vec<u8>) {
        (self.path.clone(), self.bytes.clone())
    }
}

/// Returns the variables that name the bundle, as `NAME=value`.
pub(super) fn variables(authorities: &Authorities) -> Vec<String> {
    if authorities.is_empty() {
        return Vec::new();
    }
    VARIABLES.map(|name| [name, "=", PLACE].concat()).to_vec()
}

/// Returns the bundles of an image, each once and without links on the way: where they usually are, and where the image
/// itself says that they are.
fn bundles(root: &Root, env: &[String]) -> Vec<RootPath> {
    let said = env.iter().filter_map(|entry| {
        let (name, value) = entry.split_once('=')?;
        (VARIABLES.contains(&name) && value.starts_with('/')).then_some(value)
    });
    let mut found = Vec::new();
    for path in BUNDLES.into_iter().chain(said) {
        // A path that leads nowhere, or in a circle, leads to no bundle.
        let real = RootPath::lexical(path).ok().map(|path| root.resolve(&path));
        if let Some(Ok(real)) = real
            && !found.contains(&real)
        {
            found.push(real);
        }
    }
    found
}

/// Reads a bundle; none if there is no such file, or one that holds something else.
fn read(root: &Root, path: &RootPath) -> Result<Option<Vec<u8>>, FsError> {
    match root.metadata(path)? {
        Some(found) if found.kind == FileKind::File && found.size <= BUNDLE_LIMIT_BYTES => {
            root.read_to_end_limited(path, BUNDLE_LIMIT_BYTES)
        }
        _ => Ok(None),
    }
}

/// Takes the blocks out of a file, which keeps its times.
fn clean(
    (root, path): (&Root, &RootPath),
    found: &Metadata,
    blocks: &[Vec<u8>],
) -> Result<(), FsError> {
    let content = root.read_to_end_limited(path, BUNDLE_LIMIT_BYTES)?;
    let rest = content.and_then(|content| authorities::without(&content, blocks));
    let Some(rest) = rest else {
        return Ok(());
    };
    root.rewrite(path, &rest)?;
    root.set_times(path, found.mtime)
}
