//! Which `--build-context` stands for a name.

use std::collections::BTreeSet;

use oci::reference::ReferenceError;
use oci::{Platform, Reference};

/// Returns the entry that stands for `name` on `platform`: `name::platform` before `name`.
///
/// Names that mean the same image are the same: `busybox`, `busybox:latest` and
/// `docker.io/library/busybox`. The names `scratch` and `context` are reserved and never stand for
/// anything else.
pub(super) fn find(name: &str, platform: &Platform, contexts: &BTreeSet<String>) -> Option<String> {
    let wanted = short(name);
    if contexts.is_empty() || RESERVED.contains(&wanted.as_str()) {
        return None;
    }
    let matches = |with_platform: bool| {
        contexts.iter().find(|entry| match entry.split_once("::") {
            Some((name, of)) => {
                with_platform && short(name) == wanted && of == platform.to_string()
            }
            None => !with_platform && short(entry) == wanted,
        })
    };
    matches(true).or_else(|| matches(false)).cloned()
}

/// Why a name is none that a context can have.
#[derive(Debug, thiserror::Error)]
pub enum ContextNameError {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// It has not the form of an image's name.
    #[error(transparent)]
    Form(#[from] ReferenceError),
}

/// Returns the entry that `--build-context` makes of a name: in lower case, the shortest of those that mean the same
/// image. `name::platform` keeps its platform.
///
/// # Errors
///
/// Fails for what could be the name of no image and no stage.
pub fn context_name(text: &str) -> Result<String, ContextNameError> {
    let lower = text.to_lowercase();
    let (name, platform) = match lower.split_once("::") {
        Some((name, platform)) => (name, Some(platform)),
        None => (lower.as_str(), None),
    };
    if name.is_empty() {
        return Err(ContextNameError::Empty);
    }
    Reference::parse(name)?;
    let name = short(name);
    Ok(match platform {
        Some(platform) => format!("{name}::{platform}"),
        None => name,
    })
}

const RESERVED: [&str; 2] = ["scratch", "context"];

/// Returns the shortest name of the same image; names that no image can have stay what they are.
fn short(name: &str) -> String {
    let familiar = Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar());
    familiar
        .strip_suffix(":latest")
        .map(str::to_owned)
        .unwrap_or(familiar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_stands_for_every_name_of_the_image() {
        let contexts = [
            "busybox",
            "debian:12",
            "tool::linux/arm64",
            "tool",
            "scratch",
        ];
        let contexts = contexts.map(str::to_owned).into();
        for (name, platform, expected) in [
            ("busybox", "linux/amd64", Some("busybox")),
            ("busybox:latest", "linux/amd64", Some("busybox")),
            ("docker.io/library/busybox", "linux/amd64", Some("busybox")),
            ("busybox:1", "linux/amd64", None),
            ("debian", "linux/amd64", None),
            ("debian:12", "linux/amd64", Some("debian:12")),
            ("tool", "linux/arm64", Some("tool::linux/arm64")),
            ("tool", "linux/amd64", Some("tool")),
            ("scratch", "linux/amd64", None),
        ] {
            let platform = Platform::parse(platform, &Platform::new("linux", "amd64")).unwrap();
            let found = find(name, &platform, &contexts);
            assert_eq!(found.as_deref(), expected, "{name} {platform}");
        }
    }
}
