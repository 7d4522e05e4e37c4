//! F4: references of images.
//!
//! What was read and is written reads as the same, in its full form and in the one that people know; no path climbs.

use oci::{AnyReference, Platform, Reference};

/// Reads a reference in every way.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(literal) = Reference::parse_literal(text) {
        assert_eq!(literal.to_string(), text);
    }
    if let Ok(reference) = Reference::parse(text) {
        names_one_image(&reference);
        names_one_image(&reference.repository());
        names_one_image(&reference.clone().into_docker_ref());
    }
    if let Ok(any) = AnyReference::parse(text) {
        let again = AnyReference::parse(&any.to_string()).expect("what was written can be read");
        assert_eq!(any.to_string(), again.to_string());
    }
    if let Ok(platform) = Platform::parse(text, &Platform::new("linux", "amd64")) {
        let written = platform.format_all();
        let again = Platform::parse(&written, &Platform::new("linux", "arm64"));
        let again = again.expect("what was written can be read");
        assert_eq!(again.normalized(), platform.normalized(), "{text}");
    }
}

fn names_one_image(reference: &Reference) {
    let full = reference.to_string();
    assert!(full.bytes().all(|byte| byte.is_ascii_graphic()), "{full:?}");
    let mut components = reference.path().split('/');
    assert!(components.all(|component| !matches!(component, "" | "." | "..")));
    assert_eq!(
        Reference::parse_canonical(&full).as_ref().ok(),
        Some(reference)
    );
    // In short, the names of the default registry can be those of another one, or ids: as everywhere.
    if reference.domain() != "docker.io" {
        let again = Reference::parse(&reference.familiar());
        assert_eq!(again.as_ref().ok(), Some(reference));
    }
}
