//! What a check found.

use std::fmt;

/// How much a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The check fails.
    Error,
    /// A reviewer should look.
    Warning,
}

/// One place that a check does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How much it counts.
    pub(crate) severity: Severity,
    /// The file, or the crate.
    pub(crate) place: String,
    /// What is wrong there.
    pub(crate) message: String,
}

impl Finding {
    /// Returns a finding that fails the check.
    pub(crate) fn error(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.into(),
            message: message.into(),
        }
    }

    /// Returns a finding that is only shown.
    pub(crate) fn warning(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}: {}", self.place, self.message)
    }
}
