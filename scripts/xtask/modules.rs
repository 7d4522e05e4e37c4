//! The section "Crates and modules" of ARCHITECTURE.md, made from what the crates and files say of themselves.

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::workspace::Package;
use crate::{markdown, rust_text};

pub(crate) const PAGE: &str = "ARCHITECTURE.md";
const SECTION: &str = "Crates and modules";
/// What stands below the heading before the first crate.
const OPENING: &str = "\n\nMade by `cargo xtask modules` from the first sentence of each file. A directory belongs to the file of \
    its name.\n";

/// Finds out whether the page is as it would be made.
pub(crate) fn findings(checkout: &Checkout, packages: &[Package]) -> Vec<Finding> {
    if markdown::section(checkout.text(PAGE), SECTION) == Some(section(checkout, packages).as_str())
    {
        return Vec::new();
    }
    let message = format!("\"{SECTION}\" is not what the files say; run `cargo xtask modules`");
    vec![Finding::error(PAGE, message)]
}

/// Returns the page with the section made anew; none if it has no such section.
pub(crate) fn renewed_page(checkout: &Checkout, packages: &[Package]) -> Option<String> {
    let page = checkout.text(PAGE);
    let old = markdown::section(page, SECTION)?;
    let (before, after) = page.split_once(old)?;
    Some([before, &section(checkout, packages), after].concat())
}

fn section(checkout: &Checkout, packages: &[Package]) -> String {
    let mut inner: Vec<_> = packages
        .iter()
        .filter(|package| !package.directory.is_empty())
        .collect();
    inner.sort_by_key(|package| &package.directory);
    let parts = inner.into_iter().map(|package| part(checkout, package));
    [OPENING.to_owned()]
        .into_iter()
        .chain(parts)
        .chain(["\n".to_owned()])
        .collect()
}

fn part(checkout: &Checkout, package: &Package) -> String {
    let directory = &package.directory;
    let head = format!("\n### `{directory}`\n\n{}.\n", package.description);
    let rows: Vec<_> = modules(checkout, directory)
        .map(|(name, text)| row(name, text))
        .collect();
    if rows.is_empty() {
        return head;
    }
    format!(
        "{head}\n| Module | Purpose |\n| --- | --- |\n{}",
        rows.concat()
    )
}

/// Returns the files that lie directly in a crate's directory and are neither its root nor tests.
fn modules<'a>(
    checkout: &'a Checkout,
    directory: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let inner = checkout.product_sources().filter_map(move |(path, text)| {
        let name = path.strip_prefix(directory)?.strip_prefix('/')?;
        Some((name, text))
    });
    inner.filter(|(name, _)| !name.contains('/') && !["lib.rs", "main.rs"].contains(name))
}

fn row(name: &str, text: &str) -> String {
    let documentation = rust_text::module_documentation(text);
    let paragraph = documentation
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ");
    let sentence = paragraph
        .split(". ")
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    format!("| `{name}` | {} |\n", sentence.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "# A\n\n## Crates and modules\n\nMade by `cargo xtask modules` from the first sentence of each \
        file. A directory belongs to the file of its name.\n\n### `runtime`\n\nThe sandbox.\n\n### `src/oci`\n\n\
        The formats.\n\n| Module | Purpose |\n| --- | --- |\n| `digest.rs` | Digests: `Digest`, and how they are \
        written |\n| `time.rs` | Time |\n\n## Next\n";

    fn checkout(page: &str) -> Checkout {
        Checkout::of(&[
            (PAGE, page),
            ("src/oci/lib.rs", "//! Oci.\n"),
            (
                "src/oci/digest.rs",
                "//! Digests: [`Digest`], and how they\n//! are written. More.\n//!\n//! Yet more.\n",
            ),
            ("src/oci/digest/writer.rs", "//! Inner.\n"),
            ("src/oci/tests.rs", ""),
            ("src/oci/time.rs", "#![expect(x)]\n//! Time\n\nuse a;\n"),
        ])
    }

    fn packages() -> [Package; 3] {
        let package = |directory: &str, description: &str| Package {
            directory: directory.to_owned(),
            description: description.to_owned(),
            ..Package::default()
        };
        [
            package("", "All"),
            package("src/oci", "The formats"),
            package("runtime", "The sandbox"),
        ]
    }

    #[test]
    fn the_section_is_made_from_the_files_and_nothing_else_changes() {
        let old = checkout("# A\n\n## Crates and modules\n\nOld.\n\n## Next\n");
        assert_eq!(renewed_page(&old, &packages()).as_deref(), Some(MADE));
        assert_eq!(findings(&old, &packages()).len(), 1);
        assert_eq!(findings(&checkout(MADE), &packages()), []);
    }
}
