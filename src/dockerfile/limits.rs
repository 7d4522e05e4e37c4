//! The bounds on what a Dockerfile may hold. They are far above honest files and far below trouble.

/// Length of a Dockerfile, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Instructions of a Dockerfile.
pub const MAX_INSTRUCTIONS: usize = 1 << 16;

/// Length of one line of a Dockerfile without its ending, in bytes. BuildKit's reader has the same limit.
pub const MAX_LINE_BYTES: usize = (1 << 16) - 1;

/// Depth of `${a:-${b:-…}}`, in substitutions.
pub const MAX_EXPANSION_DEPTH: usize = 100;

/// Length of a word after expansion, in bytes. A Dockerfile can double a variable in every line.
pub const MAX_EXPANDED_BYTES: usize = 1 << 23;

/// Work of matching one pattern of `${name#pattern}` against a value: the product of both lengths.
pub const MAX_PATTERN_WORK: usize = 1 << 28;

/// Depth of `ONBUILD ONBUILD …` that is still read (and refused with a better message).
pub const MAX_ONBUILD_DEPTH: usize = 4;

/// Ports that one `EXPOSE` may name; three whole ranges, one for each protocol.
pub const MAX_EXPOSED_PORTS: usize = 3 << 16;
