//! `WORKDIR`: a directory that exists from here on.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::MakeDirectory;
use layer::{Attributes, Change, ChangeKind, ChangeSet};
use rootfs::{Mode, RootPath};

use super::copy::{self, CopyError};
use crate::cache::{self, Found};
use crate::error::StepError;
use crate::realise::Lookup;
use crate::result::Output;
use crate::worker::{Making, Step};

/// Makes the change set of a directory: nothing if it is there.
pub(crate) fn run(
    step: &Step<'_>,
    action: &MakeDirectory,
    making: &Making,
) -> Result<Output, StepError> {
    let below = step.below()?;
    let view = step.look_below()?;
    let changes = plan(step, &view, action)?;
    let keys = making.keys()?;
    let layer = Arc::new(copy::recipe(step, "dir", None, changes)?);
    let found = Found::made(step, keys, Arc::clone(&layer))?;
    cache::remember(step.workshop, keys, &found, None)?;
    Ok(Output::Files(below.with(layer)))
}

fn plan(
    step: &Step<'_>,
    view: &Lookup<'_>,
    action: &MakeDirectory,
) -> Result<ChangeSet, StepError> {
    let wanted = RootPath::lexical(&action.path).map_err(|source| CopyError::Path {
        path: action.path.clone(),
        source,
    })?;
    let target = view.resolve(&wanted)?;
    let there = |path: &RootPath| view.directory(path).map_err(CopyError::from);
    if target.is_root() || there(&target)?.is_some() {
        return Ok(ChangeSet::default());
    }
    let owner = match action.owner.as_deref() {
        Some(owner) => Some((owner, view.resolve_user(owner)?)),
        None => None,
    };
    let (uid, gid) = owner.map_or((0, 0), |(owner, resolved)| {
        (resolved.uid, copy::group_of(owner, &resolved))
    });
    let made = Attributes {
        uid,
        gid,
        mode: Mode::new(action.mode),
        mtime: copy::file_time(&step.workshop.clock),
        xattrs: BTreeMap::new(),
    };
    let mut changes = Vec::new();
    for path in copy::with_ancestors(&target) {
        let found = there(&path)?;
        if found.is_none() && view.kind(&path)?.is_some() {
            return Err(CopyError::NotADirectory {
                path: path.to_string(),
            }
            .into());
        }
        let node = copy::directory_node(found.unwrap_or_else(|| made.clone()));
        changes.push(Change {
            path,
            kind: ChangeKind::Put(node),
        });
    }
    Ok(ChangeSet::new(changes))
}
