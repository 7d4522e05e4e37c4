//! What one process of a sandbox with one id seems to be.

use caps::Capability;
use nix::errno::Errno;

use crate::notify::ids::capability::{Capabilities, FileCapabilities};
use crate::notify::ids::quartet::{Change, Quartet};
use crate::spec::SandboxUser;

/// The most further groups of a process (`NGROUPS_MAX`, linux/limits.h).
pub(super) const GROUPS_LIMIT: usize = 65_536;

/// Ids as the sandbox sees them, and capabilities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::notify) struct Credentials {
    /// Its user.
    pub(in crate::notify) users: Quartet,
    /// Its group.
    pub(in crate::notify) groups: Quartet,
    /// Its further groups, sorted.
    pub(in crate::notify) further: Vec<u32>,
    pub(super) capabilities: Capabilities,
}

/// What a file makes of whoever executes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::notify) struct Program {
    /// The owner, of a set-user-id file.
    pub(in crate::notify) user: Option<u32>,
    /// The group, of a set-group-id file.
    pub(in crate::notify) group: Option<u32>,
    /// What the attribute `security.capability` says.
    pub(in crate::notify) capabilities: Option<FileCapabilities>,
}

impl Credentials {
    /// Returns what the first command of a sandbox is.
    pub(in crate::notify) fn of_user(user: &SandboxUser) -> Self {
        Self {
            users: Quartet::of(user.uid),
            groups: Quartet::of(user.gid),
            further: sorted(user.groups.clone()),
            capabilities: Capabilities::of_user(user.uid),
        }
    }

    /// Tells whether a capability is in force.
    pub(in crate::notify) fn may(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }

    /// Tells whether a group is one of its own, for files.
    pub(in crate::notify) fn is_in_group(&self, group: u32) -> bool {
        self.groups.file == group || self.further.binary_search(&group).is_ok()
    }

    /// Returns it after a change of its user.
    pub(super) fn with_users(&self, change: Change) -> Result<Self, Errno> {
        let users = self
            .users
            .changed(change, self.may(Capability::CAP_SETUID))?;
        let mut changed = Self {
            users,
            ..self.clone()
        };
        let capabilities = &mut changed.capabilities;
        match change {
            Change::File(_) => capabilities.follow_file(self.users, users),
            Change::One(_) | Change::Two(_) | Change::Three(_) => {
                capabilities.follow(self.users, users);
            }
        }
        Ok(changed)
    }

    /// Returns it after a change of its group.
    pub(super) fn with_groups(&self, change: Change) -> Result<Self, Errno> {
        let groups = self
            .groups
            .changed(change, self.may(Capability::CAP_SETGID))?;
        Ok(Self {
            groups,
            ..self.clone()
        })
    }

    /// Returns it with other further groups.
    pub(super) fn with_further(&self, further: Vec<u32>) -> Self {
        Self {
            further: sorted(further),
            ..self.clone()
        }
    }

    /// Returns it after a change of its capabilities.
    pub(super) fn with_capabilities<T>(
        &self,
        change: impl FnOnce(&mut Capabilities) -> Result<T, Errno>,
    ) -> Result<Self, Errno> {
        let mut changed = self.clone();
        change(&mut changed.capabilities)?;
        Ok(changed)
    }

    /// Returns it after `execve`.
    pub(super) fn executing(&self, program: Program) -> Result<Self, Errno> {
        let users = self.users.executing(program.user);
        let groups = self.groups.executing(program.group);
        let changes_ids = users.effective != users.real || groups.effective != groups.real;
        let file = program.capabilities;
        Ok(Self {
            users,
            groups,
            further: self.further.clone(),
            capabilities: self.capabilities.executing(users, file, changes_ids)?,
        })
    }
}

fn sorted(mut groups: Vec<u32>) -> Vec<u32> {
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: u32) -> Credentials {
        Credentials::of_user(&SandboxUser {
            uid: id,
            gid: id,
            groups: vec![50, id, 4],
        })
    }

    #[test]
    fn root_becomes_somebody_for_good() {
        let there = user(0).with_groups(Change::One(Some(33))).unwrap();
        let there = there.with_further(vec![33]);
        let there = there.with_users(Change::One(Some(33))).unwrap();
        assert_eq!(
            (there.users, there.groups),
            (Quartet::of(33), Quartet::of(33))
        );
        assert_eq!(there.further, [33]);
        for back in [
            Change::One(Some(0)),
            Change::Two([None, Some(0)]),
            Change::Three([None, Some(0), None]),
        ] {
            assert_eq!(there.with_users(back), Err(Errno::EPERM), "{back:?}");
            assert_eq!(there.with_groups(back), Err(Errno::EPERM), "{back:?}");
        }
    }

    #[test]
    fn root_steps_aside_and_comes_back() {
        let aside = user(0)
            .with_users(Change::Three([None, Some(33), None]))
            .unwrap();
        assert!(!aside.may(Capability::CAP_SETUID));
        let back = aside.with_users(Change::Two([None, Some(0)])).unwrap();
        assert_eq!(back, user(0));
    }

    #[test]
    fn groups_of_files_are_found() {
        let user = user(7);
        let found: Vec<u32> = (0..60).filter(|id| user.is_in_group(*id)).collect();
        assert_eq!(found, [4, 7, 50]);
    }

    #[test]
    fn a_set_user_id_program_of_root_is_root_and_knows_who_started_it() {
        let program = Program {
            user: Some(0),
            ..Program::default()
        };
        let sudo = user(7).executing(program).unwrap();
        assert_eq!(
            (sudo.users.real, sudo.users.effective, sudo.users.saved),
            (7, 0, 0)
        );
        assert!(sudo.may(Capability::CAP_SETUID));
        let root = sudo
            .with_users(Change::Three([Some(0), Some(0), Some(0)]))
            .unwrap();
        assert_eq!(root.users, Quartet::of(0));
    }

    #[test]
    fn a_program_that_is_like_any_other_changes_nothing() {
        for id in [0, 7] {
            assert_eq!(user(id).executing(Program::default()), Ok(user(id)));
        }
    }
}
