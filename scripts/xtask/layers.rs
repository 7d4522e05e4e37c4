//! Which crate may depend on which: the section "Layers" of ARCHITECTURE.md against what cargo says.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::markdown;
use crate::workspace::Package;

const PAGE: &str = "ARCHITECTURE.md";

/// What the page says.
#[derive(Debug, Default)]
struct Drawn {
    /// The floor that each crate stands on.
    floors: BTreeMap<String, u32>,
    /// What each crate depends on.
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

/// Compares the page with the workspace.
pub(crate) fn findings(checkout: &Checkout, packages: &[Package]) -> Vec<Finding> {
    let Some(section) = markdown::section(checkout.text(PAGE), "Layers") else {
        return vec![Finding::error(PAGE, "has no section `Layers`")];
    };
    let drawn = Drawn::parse(section, packages);
    let mut findings = drawn.ascents();
    findings.extend(packages.iter().flat_map(|package| drawn.compare(package)));
    findings
}

impl Drawn {
    fn parse(section: &str, packages: &[Package]) -> Self {
        let is_ours = |word: &str| packages.iter().any(|package| package.name == word);
        let ours = |cell: &str| -> BTreeSet<String> {
            markdown::quoted(cell)
                .into_iter()
                .filter(|word| is_ours(word))
                .map(str::to_owned)
                .collect()
        };
        let mut drawn = Self::default();
        for line in markdown::drawing(section).lines() {
            let mut words = line.split_whitespace();
            let Some(Ok(floor)) = words.next().map(str::parse) else {
                continue;
            };
            drawn.floors.extend(
                words
                    .filter(|word| is_ours(word))
                    .map(|word| (word.to_owned(), floor)),
            );
        }
        for row in markdown::table(section) {
            let [crates, dependencies, ..] = row.as_slice() else {
                continue;
            };
            let dependencies = ours(dependencies);
            drawn.dependencies.extend(
                ours(crates)
                    .into_iter()
                    .map(|name| (name, dependencies.clone())),
            );
        }
        drawn
    }

    /// Finds rows of the table that do not go down in the drawing.
    fn ascents(&self) -> Vec<Finding> {
        let floor = |name: &str| self.floors.get(name);
        let pairs = self
            .dependencies
            .iter()
            .flat_map(|(name, on)| on.iter().map(move |on| (name, on)));
        pairs
            .filter(|(name, on)| !matches!((floor(name), floor(on)), (Some(a), Some(b)) if a > b))
            .map(|(name, on)| {
                Finding::error(
                    PAGE,
                    format!(
                        "`{name}` depends on `{on}`, which does not stand below it in the drawing"
                    ),
                )
            })
            .collect()
    }

    /// Compares one crate with its row.
    fn compare(&self, package: &Package) -> Vec<Finding> {
        let name = &package.name;
        let Some(allowed) = self.dependencies.get(name) else {
            return vec![Finding::error(
                PAGE,
                format!("the table of layers has no row for `{name}`"),
            )];
        };
        let all = &package.dependencies | &package.test_dependencies;
        let extra = all.iter().filter(|on| !allowed.contains(*on)).map(|on| {
            Finding::error(
                name,
                format!("depends on `{on}`, which the table of layers does not allow"),
            )
        });
        let missing = allowed.difference(&all).map(|on| {
            Finding::error(
                name,
                format!("does not depend on `{on}`, though the table of layers says so"),
            )
        });
        extra.chain(missing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWING: &str = "## Layers\n\n```text\n 1  layer\n 0  oci  rootfs\n```\n\n\
        | Crate | Depends on |\n| --- | --- |\n";

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        }
    }

    fn messages(rows: &str, layer: &[&str]) -> Vec<String> {
        let checkout = Checkout::of(&[(PAGE, &format!("{DRAWING}{rows}"))]);
        let packages = [
            package("oci", &[]),
            package("rootfs", &[]),
            package("layer", layer),
        ];
        findings(&checkout, &packages)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_workspace_as_drawn_has_no_findings() {
        let rows =
            "| `oci`, `rootfs` | nothing of ours |\n| `layer` | `oci` (the `Digest` type only) |\n";
        assert_eq!(messages(rows, &["oci"]), [""; 0]);
    }

    #[test]
    fn what_the_table_and_cargo_say_must_be_the_same() {
        let rows = "| `oci`, `rootfs` | |\n| `layer` | `oci` |\n";
        assert_eq!(
            messages(rows, &["rootfs"]),
            [
                "error: layer: depends on `rootfs`, which the table of layers does not allow",
                "error: layer: does not depend on `oci`, though the table of layers says so",
            ]
        );
    }

    #[test]
    fn a_row_must_go_down_and_every_crate_has_one() {
        let rows = "| `oci` | `rootfs` |\n| `layer` | |\n";
        assert_eq!(
            messages(rows, &[]),
            [
                "error: ARCHITECTURE.md: `oci` depends on `rootfs`, which does not stand below it in the drawing",
                "error: oci: does not depend on `rootfs`, though the table of layers says so",
                "error: ARCHITECTURE.md: the table of layers has no row for `rootfs`",
            ]
        );
    }
}
