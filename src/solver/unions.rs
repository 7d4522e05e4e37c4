//! How layers become one file system: as overlays, or as directories where the store can hold none.
//!
//! Whether it can is found by mounting one, when the first layers of a build are put together. That it can is noted in the
//! store for this boot of the machine, so that it costs one file that is read; that it cannot is found anew each time, and
//! the user is told.

use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};

use layer::TreeForm;
use rootfs::{Root, RootPath};
use runtime::UpperError;
use store::{NameError, SnapshotError, SnapshotId};
use tracing::debug;

use crate::job::Workshop;
use crate::stash::chain;
use crate::trees::{Notice, Trees};

/// How layers become one file system.
#[derive(Debug, Clone)]
pub struct Unions {
    /// Once it is known: directories, or overlays. Guards that it is found out once; steps are prepared in several
    /// threads.
    found: Arc<OnceLock<Option<Trees>>>,
}

/// Why the store holds no overlay.
#[derive(Debug, thiserror::Error)]
enum TrialError {
    #[error(transparent)]
    Upper(#[from] UpperError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Unions {
    /// They are mounted as overlays if the store's file system can hold what is changed in one, else become directories.
    pub fn of_store() -> Self {
        Self {
            found: Arc::default(),
        }
    }

    /// They become directories, since nothing can be mounted and commands are not isolated by namespaces.
    pub fn without_mounts() -> Self {
        let trees = Trees::new(TreeForm::Real, Notice::LessIsolated);
        Self {
            found: Arc::new(OnceLock::from(Some(trees))),
        }
    }

    /// Returns the directories that layers become, where they are not mounted.
    pub(crate) fn trees(&self, workshop: &Workshop) -> Option<&Trees> {
        let found = self.found.get_or_init(|| match holds_overlays(workshop) {
            Ok(()) => None,
            Err(error) => {
                let notice = Notice::NoOverlays(chain(&error));
                Some(Trees::new(TreeForm::Stored, notice))
            }
        });
        found.as_ref()
    }
}

/// Finds out whether the store's file system can hold what is changed in an overlay.
fn holds_overlays(workshop: &Workshop) -> Result<(), TrialError> {
    let store = &workshop.store;
    let name = SnapshotId::new(&format!("overlays-{}", store.id_map()))?;
    let machine = machine(workshop);
    if machine.is_some() && store.hints().get(&name) == machine {
        return Ok(());
    }
    let place = store.snapshots().prepare(&workshop.lease)?;
    runtime::try_upper(place.fs().as_fd(), &workshop.features)?;
    if let Some(machine) = machine {
        let noted = store.hints().create(&name).and_then(|mut hint| {
            hint.write(&machine)?;
            hint.commit()
        });
        if let Err(error) = noted {
            debug!(%error, "that overlays work is not noted");
        }
    }
    Ok(())
}

/// Returns what the answer holds for: this boot of this kernel, and the file system of the store.
fn machine(workshop: &Workshop) -> Option<Vec<u8>> {
    let boot = runtime::boot_id()?;
    let store = Root::open(workshop.store.path()).ok()?;
    let top = store.metadata(&RootPath::root()).ok()??;
    Some(format!("{boot} {}", top.dev).into_bytes())
}
