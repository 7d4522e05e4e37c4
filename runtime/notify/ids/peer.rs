//! Who is at the other end of a socket (`unix(7)`, `SO_PEERCRED`, `SO_PEERGROUPS`).
//!
//! The kernel tells what the other process was when it connected or listened. Here it is what it is now, which is the same
//! for all but those that change in between.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;

use crate::notify::caller::Neighbour;
use crate::notify::ids::credentials::Credentials;
use crate::notify::ids::outcome::{Decision, Outcome};
use crate::notify::ids::request::Request;
use crate::notify::ids::table::Table;

/// What can be asked for: a process with its user and group, or its further groups.
const PEER_CREDENTIALS: i32 = libc::SO_PEERCRED;
const PEER_GROUPS: i32 = libc::SO_PEERGROUPS;

/// `getsockopt`.
pub(super) fn show(table: &Table, request: &Request<'_>) -> Decision {
    if request.int(1) != libc::SOL_SOCKET {
        return Ok(Outcome::goes_on());
    }
    // The kernel says what is wrong, and who it is that is not in the sandbox.
    let Ok(Some((peer, held))) = find(table, request) else {
        return Ok(Outcome::goes_on());
    };
    match request.int(2) {
        PEER_CREDENTIALS => show_one(request, peer, &held),
        PEER_GROUPS => show_groups(request, &held.further),
        _ => Ok(Outcome::goes_on()),
    }
}

fn find(
    table: &Table,
    request: &Request<'_>,
) -> Result<Option<(Neighbour, Arc<Credentials>)>, Errno> {
    let socket: OwnedFd = request.caller.descriptor(request.int(0))?;
    let peer = getsockopt(&socket, sockopt::PeerCredentials)?;
    if peer.pid() <= 0 {
        return Ok(None);
    }
    let Some(peer) = request.caller.neighbour(Pid::from_raw(peer.pid()))? else {
        return Ok(None);
    };
    let held = table.of(peer.outside)?;
    Ok(Some((peer, held)))
}

/// Writes as much of a `struct ucred` as there is room for.
fn show_one(request: &Request<'_>, peer: Neighbour, held: &Credentials) -> Decision {
    let room = usize::try_from(room(request)?).map_err(|_negative| Errno::EINVAL)?;
    let words = [
        peer.inside.cast_unsigned(),
        held.users.effective,
        held.groups.effective,
    ];
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let shown = bytes.get(..room).unwrap_or(&bytes);
    request.caller.write(request.number(3), shown)?;
    set_room(request, shown.len())?;
    Ok(Outcome::value(0))
}

/// Writes all groups, or how much room they need.
fn show_groups(request: &Request<'_>, groups: &[u32]) -> Decision {
    let room = usize::try_from(room(request)?).map_err(|_negative| Errno::EINVAL)?;
    let bytes: Vec<u8> = groups
        .iter()
        .flat_map(|group| group.to_le_bytes())
        .collect();
    set_room(request, bytes.len())?;
    if room < bytes.len() {
        return Err(Errno::ERANGE);
    }
    request.caller.write(request.number(3), &bytes)?;
    Ok(Outcome::value(0))
}

fn room(request: &Request<'_>) -> Result<i32, Errno> {
    let mut room = [0; 4];
    request.caller.read(request.number(4), &mut room)?;
    Ok(i32::from_le_bytes(room))
}

fn set_room(request: &Request<'_>, length: usize) -> Result<(), Errno> {
    let length = u32::try_from(length).map_err(|_too_long| Errno::EINVAL)?;
    request
        .caller
        .write(request.number(4), &length.to_le_bytes())
}
