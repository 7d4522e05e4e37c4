//! The limit on open files: raised for the builder, given back to commands.
//!
//! The builder opens a directory for each layer of each running step. A command must not find the
//! limit raised: programs go through all descriptors that they might have, and there can be a
//! million.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::protocol::OpenFiles;
use crate::sys::{CallError, Called as _};

/// The most that the builder asks for; it has no use for more.
const OPEN_FILES_WANTED: u64 = 65_536;

/// Raises this process's limit and returns what it was.
pub(crate) fn raise_open_files() -> Result<OpenFiles, CallError> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).called(|| "getrlimit(RLIMIT_NOFILE)".to_owned())?;
    let wanted = hard.min(OPEN_FILES_WANTED);
    if wanted > soft {
        set_open_files(OpenFiles { soft: wanted, hard })?;
    }
    Ok(OpenFiles { soft, hard })
}

/// Sets this process's limit.
pub(crate) fn set_open_files(limit: OpenFiles) -> Result<(), CallError> {
    setrlimit(Resource::RLIMIT_NOFILE, limit.soft, limit.hard)
        .called(|| format!("setrlimit(RLIMIT_NOFILE, {}, {})", limit.soft, limit.hard))
}
