//! Bounds on what registries and token servers may send.

use std::time::Duration;

/// Most bytes of the body of an answer that is an error; a longer one is cut.
pub const ERROR_MAX_BYTES: u64 = 64 * 1024;

/// Most characters of what a registry says that are shown.
pub const MESSAGE_MAX_CHARS: usize = 400;

/// Most bytes of the answer of a token server.
pub const TOKEN_MAX_BYTES: u64 = 1024 * 1024;

/// Most bytes of one page of a list.
pub const PAGE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Most pages of a list.
pub const PAGES_MAX: usize = 10_000;

/// Most names in a list, over all its pages.
pub const NAMES_MAX: usize = 1_000_000;

/// Most bytes of a list of referrers, over all its pages.
pub const REFERRERS_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// How long a registry may take to check a blob that was pushed, before it answers.
pub const COMMIT_LIMIT: Duration = Duration::from_mins(10);

/// How often an upload is begun anew because the registry forgot it, before that is an error.
pub const RESTARTS_MAX: u32 = 50;

/// How often a host is asked at most where another one can be asked in its place.
pub const MIRROR_ATTEMPTS: u32 = 2;

/// The size of chunks where a registry does not take a blob in one piece, in bytes.
pub const CHUNK_BYTES: u64 = 16 * 1024 * 1024;

/// The size of the smallest chunks that are tried, in bytes.
pub const CHUNK_MIN_BYTES: u64 = 256 * 1024;

/// How long the validity of a token is where the server does not say it (distribution, "Token Authentication").
pub const TOKEN_VALIDITY: Duration = Duration::from_mins(1);

/// How often a connection may break while one blob comes or goes, beside once for every [`PROGRESS_BYTES`] of it.
pub const BREAKS_MAX: u64 = 8192;

/// How much has to come, in bytes, for a host to be waited for again that was too slow.
pub const PROGRESS_BYTES: u64 = 64 * 1024;
