//! What the pages say about the checkout.

use std::collections::BTreeSet;

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::markdown;
use crate::workspace::Package;

const TREE_PAGE: &str = "ARCHITECTURE.md";
const README: &str = "README.md";
/// The commands that a newcomer and a contributor need, and that the README must name.
const COMMANDS: [&str; 2] = ["scripts/quickstart.sh", "scripts/test.sh"];

/// Compares the drawing of the tree with the directories that there are, and with the crates.
pub(super) fn tree(checkout: &Checkout, packages: &[Package]) -> Vec<Finding> {
    let drawn = drawn_directories(markdown::drawing(checkout.text(TREE_PAGE)));
    let undrawn = packages.iter().map(|package| &package.directory);
    let undrawn = undrawn.filter(|directory| !directory.is_empty() && !drawn.contains(*directory));
    let undrawn = undrawn
        .map(|at| Finding::error(TREE_PAGE, format!("the drawing of the tree lacks `{at}/`")));
    let gone = drawn.iter().filter(|directory| !checkout.has(directory));
    let gone = gone.map(|at| {
        Finding::error(
            TREE_PAGE,
            format!("the tree has no `{at}/`, which the drawing shows"),
        )
    });
    undrawn.chain(gone).collect()
}

/// Returns the directories of a drawing in which what lies in one is indented by two spaces.
fn drawn_directories(drawing: &str) -> BTreeSet<String> {
    let mut directories = BTreeSet::new();
    let mut parents: Vec<&str> = Vec::new();
    for line in drawing.lines() {
        let name = line.trim_start();
        parents.truncate((line.len() - name.len()) / 2);
        let Some(directory) = name
            .split_whitespace()
            .next()
            .and_then(|word| word.strip_suffix('/'))
        else {
            continue;
        };
        parents.push(directory);
        directories.insert(parents.join("/"));
    }
    directories
}

/// Finds commands that the README does not name, or names in vain.
pub(super) fn readme_commands(checkout: &Checkout) -> Vec<Finding> {
    let readme = checkout.text(README);
    let unnamed = COMMANDS.iter().filter(|command| !readme.contains(*command));
    let unnamed =
        unnamed.map(|command| Finding::error(README, format!("does not name `{command}`")));
    let gone = COMMANDS.iter().filter(|command| !checkout.has(command));
    unnamed
        .chain(gone.map(|command| Finding::error(README, format!("there is no `{command}`"))))
        .collect()
}

/// Finds links to files that are not there.
pub(super) fn links(checkout: &Checkout) -> Vec<Finding> {
    let pages = checkout.files_with_extension("md");
    let links = pages.flat_map(|(page, text)| {
        markdown::links(text)
            .into_iter()
            .map(move |link| (page, link))
    });
    links
        .filter(|(_, link)| !link.contains("://") && !link.starts_with('#'))
        .filter(|(page, link)| !checkout.has(&resolve(page, link)))
        .map(|(page, link)| Finding::error(page, format!("links to `{link}`, which is not there")))
        .collect()
}

/// Returns a link's target from the top of the checkout.
fn resolve(page: &str, link: &str) -> String {
    let path = link.split('#').next().unwrap_or(link);
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_drawn_as_it_is() {
        let page = "```text\nCargo.toml   it\nsrc/         the builder\n  oci/       formats\n  gone/      no more\nruntime/     r\n```\n";
        let checkout = Checkout::of(&[
            (TREE_PAGE, page),
            ("src/oci/lib.rs", ""),
            ("src/new/lib.rs", ""),
            ("runtime/lib.rs", ""),
        ]);
        let package = |directory: &str| Package {
            directory: directory.to_owned(),
            ..Package::default()
        };
        let packages = [
            package(""),
            package("src/oci"),
            package("src/new"),
            package("runtime"),
        ];
        let found: Vec<_> = tree(&checkout, &packages)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(
            found,
            [
                "the drawing of the tree lacks `src/new/`",
                "the tree has no `src/gone/`, which the drawing shows",
            ]
        );
    }

    #[test]
    fn the_readme_names_the_commands_that_there_are() {
        let checkout = Checkout::of(&[
            (README, "Run `scripts/quickstart.sh`."),
            ("scripts/test.sh", ""),
        ]);
        let found: Vec<_> = readme_commands(&checkout)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(
            found,
            [
                "does not name `scripts/test.sh`",
                "there is no `scripts/quickstart.sh`"
            ]
        );
    }

    #[test]
    fn links_lead_somewhere() {
        let page =
            "[a](../README.md#top) [b](adr/) [c](gone.md) [d](https://example.org/x) [e](#f)";
        let checkout = Checkout::of(&[("docs/a.md", page), ("docs/adr/1.md", ""), (README, "")]);
        assert_eq!(
            links(&checkout),
            [Finding::error(
                "docs/a.md",
                "links to `gone.md`, which is not there"
            )]
        );
    }
}
