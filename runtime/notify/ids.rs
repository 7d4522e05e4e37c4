//! The users and groups that processes of a sandbox with one id seem to have.

use std::sync::Arc;

use nix::errno::Errno;

use crate::notify::caller::Caller;
use crate::seccomp::AskedCall;
use crate::sys::notification::{Answer, Question};

/// The credentials of the processes of one sandbox.
#[derive(Debug)]
pub(super) struct Ids {
    root: Arc<Credentials>,
}

/// What a process seems to be: ids as the sandbox sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Credentials {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    /// The owner of files that it makes.
    pub(super) file: u32,
    pub(super) real_group: u32,
    pub(super) effective_group: u32,
    pub(super) saved_group: u32,
    /// The group of files that it makes.
    pub(super) file_group: u32,
    pub(super) groups: Vec<u32>,
}

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "every process is root until ids are kept here"
)]
impl Ids {
    pub(super) fn new() -> Self {
        Self {
            root: Arc::new(Credentials::default()),
        }
    }

    /// Returns what a caller seems to be.
    pub(super) fn of(&mut self, _caller: &Caller<'_>) -> Result<Arc<Credentials>, Errno> {
        Ok(Arc::clone(&self.root))
    }

    /// Answers a question about ids.
    pub(super) fn consider(
        &mut self,
        _call: AskedCall,
        _question: &Question,
        _caller: &Caller<'_>,
    ) -> Result<Answer, Errno> {
        Ok(Answer::GoesOn)
    }
}
