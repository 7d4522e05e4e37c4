//! Git repositories that are kept between builds: [`Repository`].
//!
//! One directory for each remote, which only `git` writes to. Whoever works with one has the claim on it; `git`
//! itself takes care that a process that dies leaves a repository that can be used. What a build takes from one is
//! checked out into a snapshot, so nothing here has to stay: no lease names it.

use std::path::{Path, PathBuf};

use oci::Digest;

use crate::claim::{Claim, ClaimError, ClaimName, Claims};
use crate::file::{self, FileError};
use crate::layout::{Layout, parent};
use crate::{trash, used};

/// A repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The claim on it cannot be taken.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Its directory cannot be made.
    #[error("make a place for a repository in the store")]
    Directory(#[from] FileError),
}

/// Whether a repository is one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryState {
    /// Its directory is empty.
    New,
    /// Something is in its directory.
    Used,
}

/// A directory that holds a git repository, and the right to work in it.
#[derive(Debug)]
pub struct Repository {
    path: PathBuf,
    state: RepositoryState,
    _claim: Claim,
}

impl Repository {
    /// Waits for the right to the repository called `name`; `None` when `cancelled` said yes first.
    pub(crate) fn open(
        layout: &Layout,
        claims: &Claims,
        name: &Digest,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, RepositoryError> {
        let Some(claim) = claims.exclusive_or(ClaimName::Key(&key(name)), cancelled)? else {
            return Ok(None);
        };
        let path = layout.repository(name);
        // A store that was made before there were repositories has no place for them.
        file::create_dir(parent(&path))?;
        let is_new = file::create_dir(&path)? || file::entries(&path)?.is_empty();
        used::touch_now(&path);
        let state = if is_new {
            RepositoryState::New
        } else {
            RepositoryState::Used
        };
        Ok(Some(Self {
            path,
            state,
            _claim: claim,
        }))
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether the directory was empty when it was opened.
    pub fn state(&self) -> RepositoryState {
        self.state
    }

    /// Removes what is in the directory, for one that turned out to be damaged.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be moved away.
    pub(crate) fn clear(&mut self, layout: &Layout) -> Result<(), RepositoryError> {
        trash::clear(layout, &self.path)?;
        file::create_dir(&self.path)?;
        self.state = RepositoryState::New;
        Ok(())
    }
}

/// Returns the key that is claimed by whoever works in a repository.
pub(crate) fn key(name: &Digest) -> Digest {
    Digest::of(format!("repository\0{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn a_repository_is_new_until_something_is_in_it() {
        let fixture = Fixture::new();
        let store = &fixture.store;
        let name = Digest::of(b"https://e.com/r.git");
        let open = || store.repository(&name, &|| false).unwrap().unwrap();
        let mut repository = open();
        assert_eq!(repository.state(), RepositoryState::New);
        std::fs::write(repository.path().join("HEAD"), "x").unwrap();
        assert!(store.repository(&name, &|| true).unwrap().is_none());
        store.clear_repository(&mut repository).unwrap();
        assert_eq!(std::fs::read_dir(repository.path()).unwrap().count(), 0);
        std::fs::write(repository.path().join("HEAD"), "x").unwrap();
        drop(repository);
        assert_eq!(open().state(), RepositoryState::Used);
    }
}
