//! `chown` and its like: who a file belongs to is recorded.
//!
//! The kernel is asked to change the file to no other owner: so it looks whether the file may be changed at all, copies
//! it up, takes the set-user-id bit and the capabilities away, and sets the time, as it does for every change of owner.

use std::os::fd::AsFd as _;

use caps::Capability;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::fchownat;
use rootfs::{Mode, OwnerRecord};

use crate::notify::caller::Caller;
use crate::notify::files::place::{Named, Place, low_half};
use crate::notify::files::record::{Records, Seen, is_directory};
use crate::notify::ids::Credentials;
use crate::seccomp::{AskedCall, ProgramKind};
use crate::sys::attribute::LastLink;
use crate::sys::notification::Answer;
use crate::sys::status::Status;

/// Takes away a set-user-id bit, and a set-group-id bit of a file that a group may execute.
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const GROUP_EXECUTES: u32 = 0o010;

/// Whom a file is given to; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gift {
    named: Named,
    user: Option<u32>,
    group: Option<u32>,
}

/// Records an owner.
pub(super) fn give(
    call: AskedCall,
    arguments: &[u64; 6],
    (records, caller, credentials): (&mut Records, &Caller<'_>, &Credentials),
) -> Result<Answer, Errno> {
    let gift = Gift::read(call, arguments).ok_or(Errno::ENOSYS)?;
    let place = gift.named.find(caller)?;
    if place == Place::Kernels {
        return Ok(Answer::GoesOn);
    }
    // What nothing is recorded of is root's already, and the kernel knows root.
    let stays_roots = gift.is_roots() && credentials.may(Capability::CAP_CHOWN);
    if stays_roots && records.glance(&place, caller).is_none() {
        return Ok(Answer::GoesOn);
    }
    let seen = records.see(place.open(caller)?)?;
    let now = seen.now();
    if !may_give(credentials, &now, gift) {
        return Err(Errno::EPERM);
    }
    fchownat(&seen.file, "", None, None, AtFlags::AT_EMPTY_PATH)?;
    let status = Status::of(seen.file.as_fd())?;
    let record = OwnerRecord {
        uid: gift.user.unwrap_or(now.uid),
        gid: gift.group.unwrap_or(now.gid),
        mode: mode_afterwards(&seen, now.mode),
        ..now
    };
    records.set(seen.file.as_fd(), &status, record)?;
    Ok(Answer::DONE)
}

impl Gift {
    fn read(call: AskedCall, arguments: &[u64; 6]) -> Option<Self> {
        let [first, second, third, fourth, fifth, _] = *arguments;
        let (named, user, group) = match call.name {
            "chown" | "chown32" => (Named::path(first, LastLink::Followed), second, third),
            "lchown" | "lchown32" => (Named::path(first, LastLink::Meant), second, third),
            "fchown" | "fchown32" => (Named::descriptor(first), second, third),
            "fchownat" => (Named::at(first, second, fifth), third, fourth),
            _ => return None,
        };
        let is_short = matches!(call.kind, ProgramKind::I386 | ProgramKind::Arm)
            && matches!(call.name, "chown" | "lchown" | "fchown");
        let id = |argument: u64| {
            let id = low_half(argument);
            let (id, none) = if is_short {
                (id & 0xffff, 0xffff)
            } else {
                (id, u32::MAX)
            };
            (id != none).then_some(id)
        };
        Some(Self {
            named,
            user: id(user),
            group: id(group),
        })
    }

    /// Tells whether it is to nobody but root.
    fn is_roots(self) -> bool {
        let is_root = |id: u32| id == 0;
        self.user.is_none_or(is_root) && self.group.is_none_or(is_root)
    }
}

/// Tells whether a process may give a file away: root may, and an owner may give it to a group of his.
fn may_give(credentials: &Credentials, now: &OwnerRecord, gift: Gift) -> bool {
    if credentials.may(Capability::CAP_CHOWN) {
        return true;
    }
    let stays = gift.user.is_none_or(|user| user == now.uid);
    let group_may = gift
        .group
        .is_none_or(|group| group == now.gid || credentials.is_in_group(group));
    credentials.users.file == now.uid && stays && group_may
}

/// Returns the mode that a file has when it was given away.
fn mode_afterwards(seen: &Seen, mode: Mode) -> Mode {
    let bits = mode.bits();
    if is_directory(&seen.status) {
        return mode;
    }
    let lost = if bits & GROUP_EXECUTES == 0 {
        SET_USER
    } else {
        SET_USER | SET_GROUP
    };
    Mode::new(bits & !lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::Subject;
    use crate::spec::SandboxUser;

    fn call(name: &'static str, kind: ProgramKind) -> AskedCall {
        AskedCall {
            name,
            subject: Subject::File,
            kind,
        }
    }

    #[test]
    fn ids_of_sixteen_bits_are_read() {
        let arguments = [1, 0xffff, 0xdead_0007, 0, 0, 0];
        for (name, kind, expected) in [
            ("chown", ProgramKind::I386, (None, Some(7))),
            ("lchown", ProgramKind::Arm, (None, Some(7))),
            (
                "chown32",
                ProgramKind::I386,
                (Some(0xffff), Some(0xdead_0007)),
            ),
            (
                "chown",
                ProgramKind::Amd64,
                (Some(0xffff), Some(0xdead_0007)),
            ),
        ] {
            let gift = Gift::read(call(name, kind), &arguments).unwrap();
            assert_eq!((gift.user, gift.group), expected, "{name} {kind:?}");
        }
        let arguments = [1, 2, 0xffff_ffff, 3, 0, 0];
        let gift = Gift::read(call("fchownat", ProgramKind::Arm64), &arguments).unwrap();
        assert_eq!((gift.user, gift.group), (None, Some(3)));
    }

    #[test]
    fn an_owner_gives_to_groups_of_his_alone() {
        let named = Named::descriptor(0);
        let now = OwnerRecord {
            uid: 5,
            gid: 6,
            mode: Mode::new(0o644),
            device: None,
        };
        let user = |uid| {
            Credentials::of_user(&SandboxUser {
                uid,
                gid: 6,
                groups: vec![8],
            })
        };
        let (root, owner, other) = (user(0), user(5), user(7));
        for (who, user, group, expected) in [
            (&root, Some(9), Some(9), true),
            (&owner, None, Some(8), true),
            (&owner, Some(5), Some(6), true),
            (&owner, None, Some(9), false),
            (&owner, Some(9), None, false),
            (&other, None, Some(8), false),
        ] {
            let gift = Gift { named, user, group };
            assert_eq!(may_give(who, &now, gift), expected, "{who:?} {gift:?}");
        }
    }
}
