//! Tables that stand both in a page and in the code.

use std::collections::BTreeSet;

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::{markdown, rust_text};

const KEYS_CODE: &str = "src/graph/cache_map.rs";
const KEYS_PAGE: &str = "docs/cache-keys.md";
const EXIT_CODE: &str = "src/cli/exit.rs";
const EXIT_PAGE: &str = "docs/errors.md";

/// Compares the table of what enters a cache key with its page.
pub(super) fn cache_keys(checkout: &Checkout) -> Vec<Finding> {
    let in_code = markdown::table(&rust_text::module_documentation(checkout.text(KEYS_CODE)));
    let in_page = markdown::table(checkout.text(KEYS_PAGE));
    let differs = |row: &Vec<String>, other: &[Vec<String>]| !other.contains(row);
    let code_alone = in_code.iter().filter(|row| differs(row, &in_page));
    let page_alone = in_page.iter().filter(|row| differs(row, &in_code));
    let in_code_alone = code_alone.map(|row| (KEYS_PAGE, row, KEYS_CODE));
    let in_page_alone = page_alone.map(|row| (KEYS_CODE, row, KEYS_PAGE));
    in_code_alone
        .chain(in_page_alone)
        .map(|(lacking, row, has)| {
            Finding::error(
                lacking,
                format!("lacks the row `{}` of {has}", row.join(" | ")),
            )
        })
        .collect()
}

/// Compares the exit codes with their page.
pub(super) fn exit_codes(checkout: &Checkout) -> Vec<Finding> {
    let in_code = codes_in_code(rust_text::without_tests(checkout.text(EXIT_CODE)));
    let section = markdown::section(checkout.text(EXIT_PAGE), "Exit codes").unwrap_or_default();
    let in_page: BTreeSet<u32> = markdown::table(section)
        .iter()
        .filter_map(|row| leading_number(row.first()?))
        .collect();
    if in_code.is_empty() || in_code == in_page {
        return Vec::new();
    }
    let message = format!("the exit codes are {in_code:?} in {EXIT_CODE}, and {in_page:?} here");
    vec![Finding::error(EXIT_PAGE, message)]
}

/// Returns the numbers that stand right of an equals sign or an arrow.
fn codes_in_code(text: &str) -> BTreeSet<u32> {
    let code = rust_text::code_only(text);
    let values = code
        .lines()
        .filter_map(|line| line.rsplit_once('=').map(|(_, value)| value));
    let values = values.map(|value| value.trim_start_matches(|c: char| !c.is_ascii_digit()));
    values.filter_map(leading_number).collect()
}

fn leading_number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_table_is_the_same_in_both_places() {
        let code = "//! Keys.\n//!\n//! | Value | Key |\n//! | --- | --- |\n//! | platform | ✓ |\n\
            //! | [`KeyFormat`] | ✓ |\n\nuse a;\n";
        let page =
            "# Keys\n\n| Value | Key |\n| --- | --- |\n| platform | |\n| `KeyFormat` | ✓ |\n";
        let found = cache_keys(&Checkout::of(&[(KEYS_CODE, code), (KEYS_PAGE, page)]));
        assert_eq!(
            found,
            [
                Finding::error(
                    KEYS_PAGE,
                    "lacks the row `platform | ✓` of src/graph/cache_map.rs"
                ),
                Finding::error(
                    KEYS_CODE,
                    "lacks the row `platform | ` of docs/cache-keys.md"
                ),
            ]
        );
    }

    #[test]
    fn the_exit_codes_are_the_same_in_both_places() {
        let page = "## Exit codes\n\n| Code | Meaning |\n| --- | --- |\n| 0 | done |\n| 70 | ours |\n| 128 + n | signal |\n";
        let codes = "//! 99 = no code.\npub const DONE: u8 = 0;\nenum E { Ours = 70, }\nfn f() { a => E(128) }\n";
        assert_eq!(
            exit_codes(&Checkout::of(&[(EXIT_CODE, codes), (EXIT_PAGE, page)])),
            []
        );
        let fewer = "pub const DONE: u8 = 0;\n";
        let found = exit_codes(&Checkout::of(&[(EXIT_CODE, fewer), (EXIT_PAGE, page)]));
        assert_eq!(
            found,
            [Finding::error(
                EXIT_PAGE,
                "the exit codes are {0} in src/cli/exit.rs, and {0, 70, 128} here"
            )]
        );
    }
}
