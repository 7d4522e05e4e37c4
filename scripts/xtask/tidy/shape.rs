//! How large files are, and how they open.

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::rust_text;

/// Lines without tests that a file may have (CONTRIBUTING.md, "Size and shape").
const LINES_MAX: usize = 800;
/// Lines without tests above which review asks why.
const LINES_ASKED: usize = 500;

/// Finds files that do too much.
pub(super) fn file_sizes(checkout: &Checkout) -> Vec<Finding> {
    checkout
        .product_sources()
        .filter_map(|(path, text)| size_finding(path, text.lines().count()))
        .collect()
}

fn size_finding(path: &str, lines: usize) -> Option<Finding> {
    if lines > LINES_MAX {
        Some(Finding::error(
            path,
            format!("has {lines} lines without its tests; the limit is {LINES_MAX}"),
        ))
    } else if lines > LINES_ASKED {
        Some(Finding::warning(
            path,
            format!("has {lines} lines without its tests; aim below {LINES_ASKED}"),
        ))
    } else {
        None
    }
}

/// Finds files that do not open with what they are for. A `tests.rs` says that by its name.
pub(super) fn module_documentation(checkout: &Checkout) -> Vec<Finding> {
    let silent = checkout
        .product_sources()
        .filter(|(_, text)| rust_text::module_documentation(text).is_empty());
    silent
        .map(|(path, _)| Finding::error(path, "does not open with `//!` documentation"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    #[test]
    fn sizes_are_counted_without_tests() {
        let lines = |count: usize| "x\n".repeat(count);
        let tested = format!(
            "{}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            lines(400),
            lines(900)
        );
        let files = [
            ("a/asked.rs", lines(501)),
            ("a/large.rs", lines(801)),
            ("a/small.rs", lines(500)),
            ("a/tested.rs", tested),
            ("a/tests.rs", lines(2000)),
        ];
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let found: Vec<_> = file_sizes(&Checkout::of(&files))
            .into_iter()
            .map(|f| (f.severity, f.place))
            .collect();
        assert_eq!(
            found,
            [
                (Severity::Warning, "a/asked.rs".to_owned()),
                (Severity::Error, "a/large.rs".to_owned())
            ]
        );
    }

    #[test]
    fn a_file_must_say_what_it_is_for() {
        let checkout = Checkout::of(&[
            ("a.rs", "#![expect(x)]\n//! Says it.\n"),
            ("b.rs", "use a;\n"),
            ("c.md", "x"),
            ("b/tests.rs", ""),
        ]);
        let found = module_documentation(&checkout);
        assert_eq!(
            found,
            [Finding::error(
                "b.rs",
                "does not open with `//!` documentation"
            )]
        );
    }
}
