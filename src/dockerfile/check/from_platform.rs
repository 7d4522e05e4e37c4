//! `RedundantTargetPlatform` and `FromPlatformFlagConstDisallowed`: the `--platform` of a `FROM`.

use oci::Platform;

use crate::ast::Word;
use crate::check::{Rule, Site};
use crate::lower::go_quoted;
use crate::words::Expanded;

/// The argument that holds the platform of the result.
const TARGET: &str = "TARGETPLATFORM";

/// The flag as written and as it was understood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlatformFlag<'a> {
    /// The value as written.
    pub(crate) word: &'a Word,
    /// The value.
    pub(crate) expanded: &'a Expanded,
}

/// Finds `--platform=$TARGETPLATFORM`, which every `FROM` has by itself.
pub(crate) fn redundant_platform(flag: PlatformFlag<'_>, target: Option<&str>, at: &mut Site<'_>) {
    let expanded = flag.expanded;
    let only_target = expanded.used.iter().eq([TARGET]) && expanded.unset.is_empty();
    if only_target && target == Some(&expanded.value) {
        let detail = format!(
            "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
            flag.word.value
        );
        at.find(Rule::RedundantTargetPlatform, detail, flag.word.span);
    }
}

/// Finds a constant, which is then the platform of the stage whatever is built for. Where the name of the stage has
/// the system or the processor in it, that is on purpose.
pub(crate) fn constant_platform(
    flag: PlatformFlag<'_>,
    stage: Option<&str>,
    platform: &Platform,
    at: &mut Site<'_>,
) {
    let expanded = flag.expanded;
    let is_constant = expanded.used.is_empty() && expanded.unset.is_empty();
    let names = |part: &str| stage.is_some_and(|stage| stage.contains(part));
    if is_constant && !names(&platform.os) && !names(&platform.architecture) {
        let value = go_quoted(&expanded.value);
        let detail = format!("FROM --platform flag should not use constant value {value}");
        at.find(
            Rule::FromPlatformFlagConstDisallowed,
            detail,
            flag.word.span,
        );
    }
}
