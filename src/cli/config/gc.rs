//! The table `[gc]` of the configuration: what goes after builds.

use serde::Deserialize;

/// What the table says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GcConfig {
    /// Whether anything goes after builds.
    pub enabled: Option<bool>,
    /// What is kept in any case: `10GB` or `10%` of the disk.
    pub reserved_space: Option<String>,
    /// What is kept at most.
    pub max_used_space: Option<String>,
    /// What is to be free on the disk.
    pub min_free_space: Option<String>,
    /// Rules in place of the usual ones.
    pub policy: Option<Vec<GcPolicy>>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GcPolicy {
    /// Whether it means what careen keeps for itself too.
    #[serde(default)]
    pub all: bool,
    /// Alternatives; of each all that commas part.
    #[serde(default)]
    pub filters: Vec<String>,
    /// How lately something must have been used to be kept: `48h`.
    pub keep_duration: Option<String>,
    /// What is kept in any case.
    pub reserved_space: Option<String>,
    /// What is kept at most.
    pub max_used_space: Option<String>,
    /// What is to be free on the disk.
    pub min_free_space: Option<String>,
}
