//! F5: manifests, indexes, configurations, descriptors and layouts.
//!
//! No document is both a manifest and an index; and what was read and is written reads as the same, from the same bytes.

use oci::ImageConfig;
use oci::check::{parse_descriptor, parse_index, parse_layout, parse_manifest};
use oci::descriptor::{annotation_of, digest_of, platform_of, to_canonical_json};

use crate::taken;

/// Reads a document as everything that it could be.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let manifest = parse_manifest(data).ok();
    let index = parse_index(data).ok();
    assert!(manifest.is_none() || index.is_none(), "both");
    if let Some(manifest) = manifest {
        let written = to_canonical_json(&manifest);
        let again = parse_manifest(&written).expect("what was written can be read");
        assert_eq!(manifest, again);
        assert_eq!(written, to_canonical_json(&again));
    }
    if let Some(index) = index {
        let written = to_canonical_json(&index);
        let again = parse_index(&written).expect("what was written can be read");
        assert_eq!(index, again);
        assert_eq!(written, to_canonical_json(&again));
    }
    if let Ok(descriptor) = parse_descriptor(data) {
        let written = to_canonical_json(&descriptor);
        let again = parse_descriptor(&written).expect("what was written can be read");
        assert_eq!(descriptor, again);
        taken(digest_of(&descriptor));
        taken(annotation_of(
            &descriptor,
            "org.opencontainers.image.ref.name",
        ));
        if let Some(platform) = platform_of(&descriptor) {
            taken(platform.normalized().format_all());
        }
    }
    if let Ok(config) = ImageConfig::parse(data) {
        let written = config.to_bytes();
        let again = ImageConfig::parse(&written).expect("what was written can be read");
        assert_eq!(config, again);
        assert_eq!(written, again.to_bytes());
        taken(config.platform().normalized().format_all());
    }
    taken(parse_layout(data));
}
