//! Bounds on what is read from caches, which anybody may have written, and on what is kept in them.

use std::time::Duration;

/// Most bytes of a configuration. One record takes about 400.
pub const CONFIG_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Most records, and most aliases, of a configuration.
pub const RECORDS_MAX: usize = 50_000;

/// Most layers of a configuration.
pub const LAYERS_MAX: usize = 10_000;

/// Most bytes of one layer.
pub const LAYER_MAX_BYTES: u64 = 128 * 1024 * 1024 * 1024;

/// How many records of earlier builds stay when a cache is written again.
pub const RECORDS_KEPT: usize = 2_000;

/// How many layers of earlier builds stay when a cache is written again.
pub const LAYERS_KEPT: usize = 200;

/// How long a record stays that no build has used.
pub const UNUSED_KEPT: Duration = Duration::from_hours(30 * 24);

/// Most cache mounts of a configuration.
pub const MOUNTS_MAX: usize = 1_000;

/// Most packs of a cache mount that are read. Fewer are written.
pub const PACKS_MAX: usize = 64;

/// How many cache mounts of earlier builds stay when a cache is written again.
pub const MOUNTS_KEPT: usize = 50;
