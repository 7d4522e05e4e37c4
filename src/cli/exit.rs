//! The exit codes: a public interface (`docs/errors.md`).

/// Done.
pub const DONE: u8 = 0;
/// The build failed: a Dockerfile error, a missing file, a `RUN` that failed.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// `careen diff` and `careen check-base`, where 1 is an answer: there is none.
pub const NO_ANSWER: u8 = 2;
/// This machine cannot do it.
pub const HOST: u8 = 3;
/// A registry refused, or could not be reached.
pub const REMOTE: u8 = 4;
/// `careen run`: careen itself failed, and not the command.
pub const RUN_FAILED: u8 = 125;
/// `careen run`: the command is there, and cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// `careen run`: the command is not there.
pub const NOT_FOUND: u8 = 127;
/// A fault of careen's own.
pub const INTERNAL: u8 = 70;
/// Ended by signal n: this plus n.
pub const SIGNAL: u8 = 128;
