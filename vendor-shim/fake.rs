//! Scripted doubles of this crate's traits, for tests of the crates above.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::emulation::{Architecture, EmulatorNotFound, Emulators, HostRegistrations};
use crate::idmap::{IdMapError, IdMapper, IdMapping};

/// What an [`IdMapper`] was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRequest {
    /// The process in the namespace.
    pub pid: u32,
    /// The user ids.
    pub uids: Vec<IdMapping>,
    /// The group ids.
    pub gids: Vec<IdMapping>,
}

/// An [`IdMapper`] that maps nothing and remembers what it was asked for.
#[derive(Debug, Default)]
pub struct FakeIdMapper {
    /// The requests, in their order.
    pub requests: RefCell<Vec<MapRequest>>,
    /// What the kernel is to have said; `None` for success.
    pub refusal: Option<io::ErrorKind>,
}

impl IdMapper for FakeIdMapper {
    fn map(&self, pid: u32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), IdMapError> {
        let request = MapRequest {
            pid,
            uids: uids.to_vec(),
            gids: gids.to_vec(),
        };
        self.requests.borrow_mut().push(request);
        match self.refusal {
            None => Ok(()),
            Some(kind) => Err(IdMapError::Write {
                path: PathBuf::from(format!("/proc/{pid}/uid_map")),
                content: crate::idmap::map_text(uids),
                source: kind.into(),
            }),
        }
    }
}

/// [`Emulators`] of a machine that is described by a table.
#[derive(Debug, Clone, Default)]
pub struct FakeEmulators {
    /// The emulators that there are.
    pub emulators: BTreeMap<Architecture, PathBuf>,
    /// The handlers of the host.
    pub registrations: HostRegistrations,
}

impl Emulators for FakeEmulators {
    fn find(&self, architecture: Architecture) -> Result<PathBuf, EmulatorNotFound> {
        self.emulators
            .get(&architecture)
            .cloned()
            .ok_or_else(|| EmulatorNotFound {
                architecture,
                searched: Vec::new(),
                unusable: Vec::new(),
            })
    }

    fn host_registrations(&self) -> Result<HostRegistrations, io::Error> {
        Ok(self.registrations.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fake_mapper_remembers_and_refuses() {
        let line = IdMapping {
            inside: 0,
            outside: 7,
            count: 1,
        };
        let mapper = FakeIdMapper::default();
        mapper.map(42, &[line], &[]).unwrap();
        let expected = MapRequest {
            pid: 42,
            uids: vec![line],
            gids: Vec::new(),
        };
        assert_eq!(*mapper.requests.borrow(), [expected]);
        let refusal = Some(io::ErrorKind::PermissionDenied);
        let mapper = FakeIdMapper {
            refusal,
            ..FakeIdMapper::default()
        };
        assert_eq!(
            mapper.map(42, &[line], &[]).unwrap_err().to_string(),
            "write `0 7 1` to `/proc/42/uid_map`"
        );
    }

    #[test]
    fn the_fake_emulators_are_those_of_the_table() {
        let emulators = FakeEmulators {
            emulators: BTreeMap::from([(Architecture::Arm64, "/q".into())]),
            ..FakeEmulators::default()
        };
        assert_eq!(emulators.find(Architecture::Arm64), Ok("/q".into()));
        assert_eq!(
            emulators.find(Architecture::Arm).unwrap_err().architecture,
            Architecture::Arm
        );
    }
}
