//! Which image of an index is meant.

use std::cmp::Ordering;

use crate::descriptor::{
    ANNOTATION_REFERENCE_DIGEST, ANNOTATION_REFERENCE_TYPE, Descriptor, ImageIndex, annotation_of,
    platform_of,
};
use crate::platform::Platform;

/// Says whether an entry of an index is about an image instead of being one: a provenance or an SBOM
/// that BuildKit put there.
pub fn is_attestation(entry: &Descriptor) -> bool {
    annotation_of(entry, ANNOTATION_REFERENCE_TYPE).is_some()
        || platform_of(entry).is_some_and(|platform| platform.is_unknown())
}

/// Returns the digest of the manifest that an attestation is about; none for what is no attestation.
pub fn subject_of_attestation(entry: &Descriptor) -> Option<&str> {
    annotation_of(entry, ANNOTATION_REFERENCE_DIGEST)
}

/// Chooses the entry of an index that suits a platform best; of equally good ones the first.
///
/// An entry that says no platform is chosen only when no entry says a platform that runs here: what it
/// is for stands in its configuration, which the caller compares, or it is an index again.
pub fn select_platform<'a>(index: &'a ImageIndex, platform: &Platform) -> Option<&'a Descriptor> {
    let mut best: Option<(&Descriptor, Option<Platform>)> = None;
    for entry in index
        .manifests()
        .iter()
        .filter(|entry| !is_attestation(entry))
    {
        let candidate = platform_of(entry);
        if candidate
            .as_ref()
            .is_some_and(|candidate| !platform.can_run(candidate))
        {
            continue;
        }
        let is_better = best.as_ref().is_none_or(|(_, best)| {
            compare(platform, candidate.as_ref(), best.as_ref()) == Ordering::Less
        });
        if is_better {
            best = Some((entry, candidate));
        }
    }
    best.map(|(entry, _)| entry)
}

/// Orders two candidates, the better one first; one without a platform comes last.
fn compare(platform: &Platform, a: Option<&Platform>, b: Option<&Platform>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => platform.preference(a).cmp(&platform.preference(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Lists the platforms that an index has images for, in its order, each once.
pub fn platforms_of(index: &ImageIndex) -> Vec<Platform> {
    let mut platforms = Vec::new();
    for entry in index
        .manifests()
        .iter()
        .filter(|entry| !is_attestation(entry))
    {
        let Some(platform) = platform_of(entry) else {
            continue;
        };
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    platforms
}
