//! Bounds on what one copy takes from a place, beside those on single documents ([`oci::limits`]).

/// How many blobs of one image are on their way at the same time, unless another number is asked for.
pub const JOBS: usize = 4;

/// The most manifests and indexes of one image.
pub const DOCUMENTS_MAX: usize = 4096;

/// The most bytes of all manifests and indexes of one image, which are kept in memory.
pub const DOCUMENTS_MAX_BYTES: u64 = 128 * 1024 * 1024;

/// The most levels of what refers to an image and to what refers to it.
pub const REFERRERS_MAX_DEPTH: usize = 3;

/// The most entries of an archive of images.
pub const ARCHIVE_MEMBERS_MAX: u64 = 100_000;

/// The most links from a name in an archive to its file.
pub const LINKS_MAX: usize = 8;

/// The most images of an archive.
pub const ARCHIVE_IMAGES_MAX: usize = 1024;

/// The most parents of an image in an archive from before Docker 1.10; docker itself took 127 layers.
pub const CHAIN_MAX: usize = 1024;
