//! Landlock: withholds the abstract sockets of the host from a sandbox that has the host's network.
//!
//! An abstract socket has no file and no permissions; whoever is in the network namespace may
//! connect, and daemons have trusted that (CVE-2020-15257). Sockets that the sandbox itself makes
//! stay usable in it. Nothing else is restricted, above all no file:
//! `Documentation/userspace-api/landlock.rst`, "IPC scoping".

use std::os::fd::AsFd as _;

use crate::sys::{CallError, security};

/// Puts this process and whatever it starts into a domain of their own.
pub(crate) fn confine_abstract_sockets() -> Result<(), CallError> {
    let ruleset = security::landlock_ruleset(security::LANDLOCK_SCOPE_ABSTRACT_SOCKETS)?;
    security::landlock_restrict(ruleset.as_fd())
}
