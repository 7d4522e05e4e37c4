//! `InvalidBaseImagePlatform`: a base image for another platform.

use oci::Platform;

use crate::check::{Rule, Site};
use crate::lower::go_quoted;
use crate::source::Spanned;

/// Finds a base image for another system or processor than the one that was asked for. Variants may differ.
pub(crate) fn base_platform(
    image: &Spanned<&str>,
    expected: &Platform,
    found: &Platform,
    at: &mut Site<'_>,
) {
    if found.os == expected.os && found.architecture == expected.architecture {
        return;
    }
    let shown = |platform: &Platform| go_quoted(&platform.clone().normalized().format_all());
    let detail = format!(
        "Base image {} was pulled with platform {}, expected {} for current build",
        image.value,
        shown(found),
        shown(expected)
    );
    at.find(Rule::InvalidBaseImagePlatform, detail, image.span);
}
