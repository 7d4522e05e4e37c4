//! Bounds on what is waited for and taken from servers.

use std::time::Duration;

/// How often one request may be redirected.
pub const REDIRECT_LIMIT: u32 = 5;

/// How large the head of an answer may be, in bytes.
pub const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// How often a request is sent at most before its failure counts.
pub const ATTEMPT_LIMIT: u32 = 4;

/// How long a name may take to be resolved.
pub const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may take to be made, with its TLS handshake.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// How long the head of an answer may take to come.
pub const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// How long a server may send nothing in the middle of a body, or take nothing of one.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The longest wait between two attempts, whatever a server asks for.
pub const PAUSE_LIMIT: Duration = Duration::from_secs(20);

/// How long a body is waited for before its speed counts.
pub const SLOW_AFTER: Duration = Duration::from_mins(1);

/// A body that is slower than this is given up, in bytes a second.
pub const SLOWEST_BYTES: u64 = 1024;
