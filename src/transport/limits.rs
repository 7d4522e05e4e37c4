//! Bounds on what one copy takes from a place, beside those on single documents ([`oci::limits`]).

/// The most manifests and indexes of one image.
pub const DOCUMENTS_MAX: usize = 4096;

/// The most bytes of all manifests and indexes of one image, which are kept in memory.
pub const DOCUMENTS_MAX_BYTES: u64 = 128 * 1024 * 1024;

/// The most levels of what refers to an image and to what refers to it.
pub const REFERRERS_MAX_DEPTH: usize = 3;
