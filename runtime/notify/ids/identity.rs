//! Calls that show or change users and groups.

use nix::errno::Errno;

use crate::notify::ids::credentials::{Credentials, GROUPS_LIMIT};
use crate::notify::ids::outcome::{Decision, Outcome};
use crate::notify::ids::quartet::{Change, Quartet};
use crate::notify::ids::request::Request;
use caps::Capability;

/// `getuid` and its like.
pub(super) fn show(request: &Request<'_>, id: u32) -> Outcome {
    Outcome::value(request.shown(id))
}

/// `getresuid`, `getresgid`.
pub(super) fn show_three(request: &Request<'_>, ids: Quartet) -> Decision {
    for (at, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        request.write_ids(request.number(at), &[id])?;
    }
    Ok(Outcome::value(0))
}

/// `getgroups`.
pub(super) fn show_further(held: &Credentials, request: &Request<'_>) -> Decision {
    let room = usize::try_from(request.int(0)).map_err(|_negative| Errno::EINVAL)?;
    let count = held.further.len();
    if room > 0 {
        if room < count {
            return Err(Errno::EINVAL);
        }
        request.write_ids(request.number(1), &held.further)?;
    }
    Ok(Outcome::value(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// `setuid`, `setgid`.
pub(super) fn one(request: &Request<'_>) -> Change {
    Change::One(request.id(0))
}

/// `setreuid`, `setregid`.
pub(super) fn two(request: &Request<'_>) -> Change {
    Change::Two([0, 1].map(|at| request.id(at)))
}

/// `setresuid`, `setresgid`.
pub(super) fn three(request: &Request<'_>) -> Change {
    Change::Three([0, 1, 2].map(|at| request.id(at)))
}

/// `setfsuid`, which returns the id before.
pub(super) fn file_user(held: &Credentials, request: &Request<'_>) -> Decision {
    let changed = held.with_users(Change::File(request.id(0)))?;
    Ok(Outcome::becomes(changed).returning(held.users.file.into()))
}

/// `setfsgid`, which returns the id before.
pub(super) fn file_group(held: &Credentials, request: &Request<'_>) -> Decision {
    let changed = held.with_groups(Change::File(request.id(0)))?;
    Ok(Outcome::becomes(changed).returning(held.groups.file.into()))
}

/// `setgroups`.
pub(super) fn set_further(held: &Credentials, request: &Request<'_>) -> Decision {
    if !held.may(Capability::CAP_SETGID) {
        return Err(Errno::EPERM);
    }
    let count = usize::try_from(request.int(0)).map_err(|_negative| Errno::EINVAL)?;
    if count > GROUPS_LIMIT {
        return Err(Errno::EINVAL);
    }
    let groups = request.read_ids(request.number(1), count)?;
    let groups: Option<Vec<u32>> = groups.into_iter().collect();
    let groups = groups.ok_or(Errno::EINVAL)?;
    Ok(Outcome::becomes(held.with_further(groups)))
}
