//! Bounds on what is read back from a store or from a user's image layout.

/// The longest name of a snapshot or of an id map, in bytes; below `NAME_MAX`.
pub const NAME_LIMIT_BYTES: usize = 160;

/// The largest `VERSION` file, in bytes.
pub const VERSION_LIMIT_BYTES: u64 = 64;

/// The largest cache record, in bytes.
pub const RECORD_LIMIT_BYTES: u64 = 8 * 1024 * 1024;

/// The largest `snapshot.json`, in bytes.
pub const MARK_LIMIT_BYTES: u64 = 64 * 1024;

/// The largest list of one lease, in bytes: some 150,000 objects.
pub const LEASE_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// The largest `index.json` of a layout, in bytes: as a manifest, which it is.
pub const INDEX_LIMIT_BYTES: u64 = oci::limits::MANIFEST_MAX_BYTES;

/// How many indexes of a user's layout are read in search of one digest.
pub const INDEX_LIMIT: usize = 1024;

/// The largest hint, in bytes: what is known of a million files.
pub const HINT_LIMIT_BYTES: u64 = 128 * 1024 * 1024;

/// How many hints there are at most.
pub const HINT_LIMIT: usize = 64;

/// The largest list of manifests that is put together; none comes near it.
pub const LIST_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// The largest note of a cache's files, in bytes: as many as an index of them may name.
pub const NOTE_LIMIT_BYTES: u64 = 512 * 1024 * 1024;
