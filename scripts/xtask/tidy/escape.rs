//! Attacks that are known: each has a row in a page and tests by its name.

use std::collections::BTreeSet;

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::markdown;

/// A table of attacks.
struct Table {
    page: &'static str,
    section: &'static str,
    /// What the names of its rows begin with: the kinds of attacks.
    kinds: &'static [&'static str],
}

const TABLES: [Table; 2] = [
    Table {
        page: "docs/sandbox.md",
        section: "Known escapes, and the tests that try them",
        kinds: &["t_c", "t_d"],
    },
    Table {
        page: "docs/attacks.md",
        section: "Known attacks, and the tests that try them",
        kinds: &["t_a", "t_b", "t_e", "t_f", "t_g"],
    },
];

/// Compares the rows of the pages with the names of the tests.
pub(super) fn rows_and_tests(checkout: &Checkout) -> Vec<Finding> {
    let tables = TABLES.iter();
    tables.flat_map(|table| of_table(table, checkout)).collect()
}

fn of_table(table: &Table, checkout: &Checkout) -> Vec<Finding> {
    let section = markdown::section(checkout.text(table.page), table.section).unwrap_or_default();
    let rows: BTreeSet<String> = markdown::table(section)
        .iter()
        .filter_map(|row| markdown::quoted(row.first()?).first().map(|s| (*s).into()))
        .collect();
    let sources = checkout.files_with_extension("rs");
    let tests: BTreeSet<String> = sources
        // The tests of this file have names of tests in their texts.
        .filter(|(path, _)| !path.starts_with("scripts/xtask"))
        .flat_map(|(_, text)| names(text, table.kinds))
        .collect();
    let untested = rows.difference(&tests);
    let unnamed = tests.difference(&rows);
    untested
        .map(|name| format!("no test has a name that begins with `{name}_`"))
        .chain(unnamed.map(|name| format!("lacks the row `{name}`, by which tests are named")))
        .chain(
            missing(&rows, table.kinds).map(|name| format!("lacks the row `{name}` before others")),
        )
        .map(|message| Finding::error(table.page, message))
        .collect()
}

/// Returns the names of rows that names of tests begin with: `t_d07_a_target…` is one of `t_d07`.
fn names(text: &str, kinds: &'static [&'static str]) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter_map(move |word| {
        let (name, rest) = word.split_at_checked("t_d07".len())?;
        let (kind, number) = name.split_at_checked("t_d".len())?;
        let is_name = kinds.contains(&kind) && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_name && rest.starts_with('_')).then(|| name.to_owned())
    })
}

/// Returns the numbers that are left out before the last of each kind.
fn missing(
    rows: &BTreeSet<String>,
    kinds: &'static [&'static str],
) -> impl Iterator<Item = String> {
    kinds.iter().flat_map(|kind| {
        let of_kind = |row: &&String| row.starts_with(*kind);
        let count = rows.iter().filter(of_kind).count();
        let expected = (1..=count).map(move |number| format!("{kind}{number:02}"));
        expected.filter(|name| !rows.contains(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with these rows.
    fn page(section: &str, rows: &[&str]) -> String {
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("| `{row}` | CVE |"))
            .collect();
        let rows = rows.join("\n");
        format!("## {section}\n\n| Test | Others |\n| --- | --- |\n{rows}")
    }

    #[test]
    fn each_row_is_tested_and_each_test_has_a_row() {
        let tests =
            "fn t_c01_a_way_out() {}\nfn t_c1_no() { \"t_d01_another\" }\nfn other_t_d02_x() {}\n";
        let found = |rows: &[&str]| {
            let [escapes, attacks] = TABLES;
            let of_escapes = page(escapes.section, rows);
            let of_attacks = page(attacks.section, &["t_a01"]);
            rows_and_tests(&Checkout::of(&[
                (escapes.page, &of_escapes),
                (attacks.page, &of_attacks),
                ("tests/it/a.rs", tests),
                ("src/a.rs", "mod tests { fn t_a01_x() {} }"),
                ("scripts/xtask/a.rs", "fn t_e01_x() {}"),
            ]))
        };
        assert_eq!(found(&["t_c01", "t_d01"]), []);
        let error = |message: &str| Finding::error(TABLES[0].page, message);
        assert_eq!(
            found(&["t_c02", "t_d01"]),
            [
                error("no test has a name that begins with `t_c02_`"),
                error("lacks the row `t_c01`, by which tests are named"),
                error("lacks the row `t_c01` before others"),
            ]
        );
    }
}
