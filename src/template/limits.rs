//! What a template may cost.

/// The length of a template in bytes.
pub const TEMPLATE_MAX_BYTES: usize = 64 * 1024;

/// How deep actions and parentheses may be in each other.
pub const DEPTH_MAX: usize = 64;

/// How many nodes may be evaluated for one output.
pub const STEPS_MAX: usize = 2_000_000;

/// The length of what a template gives, in bytes; and of one value on the way.
pub const OUTPUT_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The width that `printf` and `pad` may be asked for.
pub const WIDTH_MAX: usize = 64 * 1024;
