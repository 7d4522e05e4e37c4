//! What only some files may do.

use std::collections::BTreeSet;

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::workspace::Package;
use crate::{markdown, rust_text};

/// The crate that may use `unsafe`, and where in it.
const UNSAFE_CRATE: &str = "runtime";
const UNSAFE_ROOMS: [&str; 2] = ["runtime/sys.rs", "runtime/sys/"];
/// Crates that read and write what strangers sent: paths there go through `rootfs` alone.
const CONFINED: [&str; 3] = ["src/layer/", "src/solver/", "src/export/"];
const OWNERS_PAGE: &str = "ARCHITECTURE.md";
const OWNERS_SECTION: &str = "Owners of `std::fs`";

/// Finds crate roots that do not forbid `unsafe`.
pub(super) fn forbids_unsafe(checkout: &Checkout, packages: &[Package]) -> Vec<Finding> {
    let roots = packages
        .iter()
        .filter(|package| package.name != UNSAFE_CRATE)
        .flat_map(|package| &package.roots);
    let open = roots.filter(|root| {
        !checkout
            .text(root)
            .lines()
            .any(|line| line == "#![forbid(unsafe_code)]")
    });
    open.map(|root| Finding::error(root, "lacks `#![forbid(unsafe_code)]`"))
        .collect()
}

/// Finds `unsafe` outside its room, in tests too.
pub(super) fn of_unsafe(checkout: &Checkout) -> Vec<Finding> {
    let in_room = |path: &str| UNSAFE_ROOMS.iter().any(|room| path.starts_with(room));
    let outside = checkout
        .files_with_extension("rs")
        .filter(|(path, _)| !in_room(path));
    outside
        .filter(|(_, text)| rust_text::has_word(&rust_text::code_only(text), "unsafe"))
        .map(|(path, _)| Finding::error(path, "has `unsafe`, which belongs into runtime/sys"))
        .collect()
}

/// Finds files of the confined crates that use `std::fs` and are not in the list of owners, and owners
/// that no longer need to be there.
pub(super) fn of_std_fs(checkout: &Checkout) -> Vec<Finding> {
    let section = markdown::section(checkout.text(OWNERS_PAGE), OWNERS_SECTION).unwrap_or_default();
    let rows = markdown::table(section);
    let owners: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| markdown::quoted(row.first()?).first().copied())
        .collect();
    let confined = checkout
        .product_sources()
        .filter(|(path, _)| CONFINED.iter().any(|at| path.starts_with(at)));
    let users: BTreeSet<&str> = confined
        .filter(|(_, text)| uses_std_fs(text))
        .map(|(path, _)| path)
        .collect();
    let strangers = users.difference(&owners).map(|path| {
        Finding::error(
            *path,
            format!("uses `std::fs` and is not in {OWNERS_PAGE}, \"{OWNERS_SECTION}\""),
        )
    });
    let idle = owners.difference(&users).map(|path| {
        Finding::error(
            OWNERS_PAGE,
            format!("lists `{path}` as an owner of `std::fs`, which it does not use"),
        )
    });
    strangers.chain(idle).collect()
}

fn uses_std_fs(text: &str) -> bool {
    let code = rust_text::code_only(text);
    let grouped = code
        .split("use std::{")
        .skip(1)
        .filter_map(|rest| rest.split_once(';'));
    code.contains("std::fs")
        || grouped
            .into_iter()
            .any(|(group, _)| rust_text::has_word(group, "fs"))
}

/// Finds the place of this very checkout in its files: no other machine has it.
pub(super) fn machine_paths(checkout: &Checkout) -> Vec<Finding> {
    let root = checkout.root.to_string_lossy();
    if root.matches('/').count() < 2 {
        // A name at the top (`/src`) may well stand for a directory in an image.
        return Vec::new();
    }
    let named = checkout
        .files()
        .filter(|(_, text)| text.contains(root.as_ref()));
    named
        .map(|(path, _)| Finding::error(path, "names the directory of this checkout"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(findings: &[Finding]) -> Vec<&str> {
        findings
            .iter()
            .map(|finding| finding.place.as_str())
            .collect()
    }

    #[test]
    fn every_crate_root_but_one_forbids_unsafe() {
        let crate_at = |name: &str, root: &str| Package {
            name: name.to_owned(),
            roots: vec![root.to_owned()],
            ..Package::default()
        };
        let checkout = Checkout::of(&[
            ("src/a/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n"),
            ("src/b/lib.rs", "//! Says `#![forbid(unsafe_code)]`.\n"),
            ("runtime/lib.rs", "//! R.\n"),
        ]);
        let packages = [
            crate_at("a", "src/a/lib.rs"),
            crate_at("b", "src/b/lib.rs"),
            crate_at("runtime", "runtime/lib.rs"),
        ];
        assert_eq!(
            places(&forbids_unsafe(&checkout, &packages)),
            ["src/b/lib.rs"]
        );
    }

    #[test]
    fn unsafe_has_one_room() {
        let block = "fn f() { unsafe { g() } }";
        let checkout = Checkout::of(&[
            ("runtime/sys/mount.rs", block),
            ("runtime/init.rs", block),
            ("runtime/role.rs", "// unsafe\nlet a = \"unsafe\";"),
        ]);
        assert_eq!(places(&of_unsafe(&checkout)), ["runtime/init.rs"]);
    }

    #[test]
    fn std_fs_is_used_by_its_owners_alone() {
        let page = format!(
            "## {OWNERS_SECTION}\n\n| File | Why |\n| --- | --- |\n| `src/export/oci.rs` | a |\n| `src/layer/old.rs` | b |\n"
        );
        let checkout = Checkout::of(&[
            (OWNERS_PAGE, &page),
            ("src/export/oci.rs", "use std::fs::File;"),
            ("src/layer/apply.rs", "use std::{fs, io};"),
            ("src/layer/old.rs", "use std::io; // not std::fs"),
            (
                "src/layer/diff.rs",
                "use std::io;\n\n#[cfg(test)]\nmod tests { use std::fs; }",
            ),
            ("src/store/content.rs", "use std::fs;"),
        ]);
        let found: Vec<_> = of_std_fs(&checkout)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "error: src/layer/apply.rs: uses `std::fs` and is not in ARCHITECTURE.md, \"Owners of `std::fs`\"",
                "error: ARCHITECTURE.md: lists `src/layer/old.rs` as an owner of `std::fs`, which it does not use",
            ]
        );
    }

    #[test]
    fn no_file_names_the_place_of_the_checkout() {
        let checkout = Checkout::of(&[
            ("a.md", "in /home/ana/careen/src"),
            ("b.md", "in /home/ana"),
        ]);
        assert_eq!(places(&machine_paths(&checkout)), ["a.md"]);
    }
}
