//! Bounds on what is read from outside, in bytes unless the name says otherwise.

/// Most bytes of a manifest or an index (distribution-spec, "Pushing Manifests": 4 MiB is what every
/// registry has to take).
pub const MANIFEST_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Most bytes of an image configuration.
pub const CONFIG_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Most bytes of the `oci-layout` file; a real one has 30.
pub const LAYOUT_MAX_BYTES: u64 = 4 * 1024;

/// Most indexes on the way from the root of an image to one of its manifests.
pub const INDEX_MAX_DEPTH: usize = 4;

/// Most bytes of a repository's path in a reference (distribution/reference).
pub const REPOSITORY_PATH_MAX_BYTES: usize = 255;

/// Most bytes of a tag (distribution-spec, "Pulling manifests").
pub const TAG_MAX_BYTES: usize = 128;
