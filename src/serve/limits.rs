//! Bounds on what clients send, and on how long they may take.

use std::time::Duration;

/// Most connections at once; a further one is answered 503.
pub const CONNECTION_LIMIT: usize = 128;

/// Most bytes of the head of a request.
pub const HEAD_LIMIT_BYTES: usize = 32 * 1024;

/// Most header lines of a request.
pub const HEADER_LIMIT: usize = 100;

/// Most bytes of a line between two chunks of a body, and of all lines behind the last one.
pub const CHUNK_LINE_LIMIT_BYTES: usize = 4 * 1024;

/// Most bytes of a blob.
pub const BLOB_LIMIT_BYTES: u64 = 256 * 1024 * 1024 * 1024;

/// Most bytes of a manifest, and of the `index.json` that names all of them.
pub const MANIFEST_LIMIT_BYTES: u64 = oci::limits::MANIFEST_MAX_BYTES;

/// Most uploads that are not finished; a further one takes the place of the one that was touched first.
pub const UPLOAD_LIMIT: usize = 256;

/// How long an upload is kept that nobody goes on with.
pub const UPLOAD_AGE_LIMIT: Duration = Duration::from_hours(1);

/// How long a request waits for another one to let go of the same upload.
pub const UPLOAD_WAIT_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may be open without a request.
pub const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// How long the head of a request may take.
pub const HEAD_TIME_LIMIT: Duration = Duration::from_secs(20);

/// How long a client may send nothing, or take nothing, in the middle of a body.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What a body has to bring, or a client to take, in bytes a second on the average; measured from
/// [`SILENCE_LIMIT`] on.
pub const PACE_BYTES_PER_SECOND: u64 = 1024;

/// How much of a body is read only to get to the next request, in bytes.
pub const DRAIN_LIMIT_BYTES: u64 = 64 * 1024;

/// How much is read, and for how long, so that a client that still sends sees its answer.
pub const LINGER_LIMIT_BYTES: u64 = 16 * 1024 * 1024;
/// See [`LINGER_LIMIT_BYTES`].
pub const LINGER_LIMIT: Duration = Duration::from_secs(2);
