//! Bounds on what the service may send, and on what is sent at once.

use std::time::Duration;

/// Most bytes of an answer of the service itself: a few names and a URL.
pub const ANSWER_MAX_BYTES: u64 = 1024 * 1024;

/// Most bytes of the body of an answer that is an error; what is behind is not read.
pub const ERROR_MAX_BYTES: u64 = 32 * 1024;

/// Most characters of what the service says that are shown.
pub const MESSAGE_MAX_CHARS: usize = 400;

/// Most bytes of a document.
pub const DOCUMENT_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Most characters of a key: what the service takes.
pub const KEY_MAX_CHARS: usize = 512;

/// Most characters of a scope, as it stands in a key.
pub const SCOPE_MAX_CHARS: usize = 400;

/// Most bytes of a token.
pub const TOKEN_MAX_BYTES: usize = 64 * 1024;

/// Most branches whose documents are read for one job: the service itself gives three.
pub const BRANCHES_MAX: usize = 10;

/// How much is sent in one request, in bytes.
pub const PART_BYTES: u64 = 8 * 1024 * 1024;

/// How many parts of one blob are sent at once, and are in memory.
pub const PARTS_AT_ONCE: usize = 3;

/// The most blocks of one blob ("Put Block List", "Remarks").
pub const BLOCKS_MAX: u64 = 50_000;

/// How long a store may take to put the parts of a blob together, before it answers.
pub const COMMIT_LIMIT: Duration = Duration::from_mins(10);

/// How often a connection may break while one entry comes, beside once for every [`PROGRESS_BYTES`] of it.
pub const BREAKS_MAX: u64 = 64;

/// How much has to come, in bytes, for a connection to break once more.
pub const PROGRESS_BYTES: u64 = 1024 * 1024;

/// How often a document is read and written at most for one change.
pub const ROUNDS_MAX: u32 = 200;

/// How often it is waited for a number of a document that somebody else took and does not write under, before that
/// number is left out: whoever took it is gone. The pauses together are some thirty seconds.
pub const WAITS_MAX: u32 = 12;

/// The first pause of these.
pub const WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest pause of these.
pub const WAIT_LONGEST: Duration = Duration::from_secs(4);

/// How long a state may take to be written before it is looked whether it was left out meanwhile.
pub const SLOW_WRITE: Duration = Duration::from_secs(10);

/// Most pages of a list of entries, each of which has a hundred.
pub const PAGES_MAX: u32 = 200;

/// How long an import or an export may take where the user says nothing.
pub const TIMEOUT: Duration = Duration::from_mins(10);
