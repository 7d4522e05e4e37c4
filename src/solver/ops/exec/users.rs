//! Whether the users that a command may become have ids here.

use rootfs::{IdError, IdStorage, ResolvedUser, Root};

use crate::error::StepError;
use crate::job::{UsersBeyond, Workshop};

/// The id of `nobody` and `nogroup`, the highest one that distributions give out by themselves.
const NOBODY: u32 = 65_534;

/// Looks for ids that the range does not reach: of the command's own user, and, where that is asked for, of all users in
/// the tables of the image. Packages change to these while they are installed. A range that has `nobody` has what
/// distributions need, and no table is read.
pub(crate) fn check(
    workshop: &Workshop,
    view: &Root,
    user: &ResolvedUser,
) -> Result<(), StepError> {
    let is_held = |id: u32| workshop.ids.to_disk(id).map(drop);
    let own = [user.uid, user.gid].into_iter();
    own.chain(user.groups.iter().copied())
        .try_for_each(is_held)?;
    let is_short = matches!(workshop.ids, IdStorage::Shifted { count, .. } if count <= NOBODY);
    if !is_short || workshop.users == UsersBeyond::Kept {
        return Ok(());
    }
    // A table that cannot be read has nobody; whoever needs it is told.
    let highest = rootfs::highest_id(view).unwrap_or_default();
    Ok(is_held(highest)?)
}

impl From<IdError> for StepError {
    fn from(error: IdError) -> Self {
        Self::Ids(error)
    }
}
