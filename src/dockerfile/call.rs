//! What a Dockerfile says of itself, without a build: its targets, and what can be given to a build of one.
//!
//! A comment directly above a `FROM … AS name` or an `ARG name` that begins with the name describes it:
//!
//! ```text
//! # base is what everything starts from
//! FROM debian AS base
//! ```

use crate::source::Spanned;

mod inputs;
mod outline;
mod targets;

pub(crate) use inputs::{Argument, Inputs};
pub use outline::{Outline, OutlineArgument, OutlineMount};
pub use targets::{TargetStage, targets};

/// Returns what the comments directly above an instruction say of a name.
pub(crate) fn description(comments: &[Spanned<String>], name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let behind_name = |comment: &Spanned<String>| {
        let rest = comment.value.strip_prefix(name)?.strip_prefix(' ')?;
        Some(rest.to_owned())
    };
    comments.iter().find_map(behind_name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    #[test]
    fn a_description_begins_with_the_name() {
        let comments = ["note", "base is one", "base is two"];
        let comments = comments.map(|text| Spanned::new(text.to_owned(), Span::default()));
        for (name, expected) in [
            ("base", "is one"),
            ("bas", ""),
            ("note", ""),
            ("Base", ""),
            ("", ""),
        ] {
            assert_eq!(description(&comments, name), expected, "{name}");
        }
    }
}
