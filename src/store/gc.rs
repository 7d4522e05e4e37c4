//! Removing an object that nobody uses; the protocol is drawn in `lease`.
//!
//! Which objects nobody wants is for the caller to say, who reads tags and records. It has to look at
//! them again after it has read the leases and before it removes: a build may have written a record
//! and ended meanwhile.

use std::sync::Arc;

use tracing::debug;

use crate::claim::{ClaimError, ClaimName, Claims};
use crate::file::FileError;
use crate::layout::Layout;
use crate::lease::is_leased;
use crate::name::ObjectId;
use crate::trash::{self, TrashError};

/// What became of an object that was to be removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removed {
    /// It is gone.
    Yes,
    /// Somebody uses it; it is there still.
    InUse,
    /// It was not there.
    Absent,
}

/// An object cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// It cannot be claimed.
    #[error("remove {object}")]
    Claim {
        /// The object.
        object: ObjectId,
        /// What failed.
        #[source]
        source: ClaimError,
    },
    /// The leases cannot be read.
    #[error("remove {object}")]
    Leases {
        /// The object.
        object: ObjectId,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// It cannot be moved or deleted.
    #[error("remove {object}")]
    Trash {
        /// The object.
        object: ObjectId,
        /// What failed.
        #[source]
        source: TrashError,
    },
}

/// Removes an object unless somebody uses it. It does not wait for anybody.
pub(crate) fn remove(layout: &Arc<Layout>, object: &ObjectId) -> Result<Removed, RemoveError> {
    let claims = Claims::new(Arc::clone(layout));
    let claim = claims
        .try_exclusive(ClaimName::Object(object))
        .map_err(|source| RemoveError::Claim {
            object: object.clone(),
            source,
        })?;
    let Some(claim) = claim else {
        return Ok(Removed::InUse);
    };
    let leased = is_leased(layout, object).map_err(|source| RemoveError::Leases {
        object: object.clone(),
        source,
    })?;
    if leased {
        return Ok(Removed::InUse);
    }
    let failed = |source| RemoveError::Trash {
        object: object.clone(),
        source,
    };
    let trashed =
        trash::take(layout, &layout.object(object)).map_err(|error| failed(error.into()))?;
    drop(claim);
    let Some(trashed) = trashed else {
        return Ok(Removed::Absent);
    };
    trashed.delete().map_err(failed)?;
    debug!(%object, "removed");
    Ok(Removed::Yes)
}

#[cfg(test)]
#[path = "gc_tests.rs"]
mod tests;
