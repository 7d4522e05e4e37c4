//! Scripted doubles of this crate's traits, for tests of the crates above.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::credential_helper::{CredentialHelpers, HelperCredentials, HelperError};
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
                uninstalled: false,
            })
    }

    fn host_registrations(&self) -> Result<HostRegistrations, io::Error> {
        Ok(self.registrations.clone())
    }
}

/// Helper and server → user and secret.
pub type Kept = BTreeMap<(String, String), HelperCredentials>;

/// [`CredentialHelpers`] that keep everything in a table.
#[derive(Debug, Default)]
pub struct FakeCredentialHelpers {
    /// What is kept. Several threads may ask.
    pub kept: Mutex<Kept>,
    /// What was asked, in its order: verb, helper, server.
    pub asked: Mutex<Vec<String>>,
    /// The helper that is not there.
    pub missing: Option<String>,
}

impl FakeCredentialHelpers {
    fn table(
        &self,
        verb: &str,
        helper: &str,
        server: &str,
    ) -> Result<MutexGuard<'_, Kept>, HelperError> {
        if let Ok(mut asked) = self.asked.lock() {
            asked.push(format!("{verb} {helper} {server}").trim_end().to_owned());
        }
        if self.missing.as_deref() == Some(helper) {
            return Err(HelperError::Missing {
                helper: helper.to_owned(),
                source: crate::program::ProgramNotFound {
                    name: format!("docker-credential-{helper}"),
                    searched: vec![PathBuf::from("/bin")],
                },
            });
        }
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CredentialHelpers for FakeCredentialHelpers {
    fn get(&self, helper: &str, server: &str) -> Result<Option<HelperCredentials>, HelperError> {
        let table = self.table("get", helper, server)?;
        Ok(table.get(&(helper.to_owned(), server.to_owned())).cloned())
    }

    fn store(
        &self,
        helper: &str,
        server: &str,
        credentials: &HelperCredentials,
    ) -> Result<(), HelperError> {
        let key = (helper.to_owned(), server.to_owned());
        self.table("store", helper, server)?
            .insert(key, credentials.clone());
        Ok(())
    }

    fn erase(&self, helper: &str, server: &str) -> Result<(), HelperError> {
        let key = (helper.to_owned(), server.to_owned());
        self.table("erase", helper, server)?.remove(&key);
        Ok(())
    }

    fn list(&self, helper: &str) -> Result<BTreeMap<String, String>, HelperError> {
        let table = self.table("list", helper, "")?;
        let of_helper = table.iter().filter(|((kept, _), _)| kept == helper);
        Ok(of_helper
            .map(|((_, server), credentials)| (server.clone(), credentials.user.clone()))
            .collect())
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
    fn the_fake_credential_helpers_keep_and_remember() {
        let helpers = FakeCredentialHelpers {
            missing: Some("gone".to_owned()),
            ..FakeCredentialHelpers::default()
        };
        let mine = HelperCredentials {
            user: "me".to_owned(),
            secret: "s".to_owned(),
        };
        helpers.store("pass", "r", &mine).unwrap();
        assert_eq!(helpers.get("pass", "r").unwrap(), Some(mine));
        assert_eq!(helpers.get("other", "r").unwrap(), None);
        assert_eq!(helpers.list("pass").unwrap().len(), 1);
        helpers.erase("pass", "r").unwrap();
        assert_eq!(helpers.list("pass").unwrap().len(), 0);
        helpers.get("gone", "r").unwrap_err();
        let expected = [
            "store pass r",
            "get pass r",
            "get other r",
            "list pass",
            "erase pass r",
            "list pass",
            "get gone r",
        ];
        assert_eq!(*helpers.asked.lock().unwrap(), expected);
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
