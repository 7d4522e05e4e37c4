//! Bounds on what comes from outside: each has a row in a page, with the value that it has and a test of one more.

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::{markdown, rust_text};

const PAGE: &str = "docs/limits.md";
const SECTION: &str = "What comes from outside";

/// Compares the rows of the page with the constants and the names of the tests.
pub(super) fn rows_and_constants(checkout: &Checkout) -> Vec<Finding> {
    let section = markdown::section(checkout.text(PAGE), SECTION).unwrap_or_default();
    let rows = markdown::table(section);
    rows.iter()
        .filter_map(|row| wrong(row, checkout))
        .map(|message| Finding::error(PAGE, message))
        .collect()
}

/// Returns what is wrong with a row.
fn wrong(row: &[String], checkout: &Checkout) -> Option<String> {
    let cell = |number: usize| row.get(number).map_or("", String::as_str);
    let first = |number: usize| markdown::quoted(cell(number)).first().copied();
    let Some(constant) = first(0) else {
        return Some(format!("the row `{}` names no constant", row.join(" | ")));
    };
    let said: String = first(1).unwrap_or_default().replace(',', "");
    match value(constant, checkout) {
        None => Some(format!(
            "no constant is called `{constant}`, or its value is no number"
        )),
        Some(value) if value.to_string() != said => {
            Some(format!("`{constant}` is {value} in the code"))
        }
        Some(_) => {
            let tests = markdown::quoted(cell(3));
            let lacking = tests.iter().find(|test| !is_test(test, checkout));
            let lacking = lacking.map(|test| format!("no test is called `{test}`"));
            let none = tests.is_empty();
            lacking.or_else(|| none.then(|| format!("`{constant}` has no test")))
        }
    }
}

/// Returns the value of a constant, `CRATE::FILE::NAME`.
fn value(constant: &str, checkout: &Checkout) -> Option<u64> {
    let (module, name) = constant.rsplit_once("::")?;
    let file = format!("{}.rs", module.replace("::", "/"));
    let places = [format!("src/{file}"), file];
    let place = places.iter().find(|place| checkout.has(place))?;
    let code = rust_text::code_only(checkout.text(place));
    let (_, rest) = code.split_once(&format!("const {name}: "))?;
    let (_, rest) = rest.split_once('=')?;
    let (expression, _) = rest.split_once(';')?;
    number(expression)
}

/// Returns what an expression of products and shifts is.
fn number(expression: &str) -> Option<u64> {
    if let Some((value, by)) = expression.split_once("<<") {
        return number(value)?.checked_shl(u32::try_from(number(by)?).ok()?);
    }
    expression
        .split('*')
        .map(|factor| factor.trim().replace('_', "").parse::<u64>().ok())
        .try_fold(1_u64, |product, factor| product.checked_mul(factor?))
}

fn is_test(name: &str, checkout: &Checkout) -> bool {
    let definition = format!("fn {name}(");
    checkout
        .files_with_extension("rs")
        .any(|(path, text)| !path.starts_with("scripts/xtask") && text.contains(&definition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: &str) -> Vec<String> {
        let page = format!("## {SECTION}\n\n| a | b | c | d |\n| --- | --- | --- | --- |\n{row}\n");
        let checkout = Checkout::of(&[
            (PAGE, &page),
            (
                "src/one/limits.rs",
                "/// A.\npub const MOST: u64 = 4 * 1_024;\npub const LOG: u32 = 1 << 4;\n",
            ),
            ("src/one/tests.rs", "fn one_more_is_refused() {}"),
        ]);
        let findings = rows_and_constants(&checkout);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_row_has_the_value_of_the_code_and_a_test() {
        let none: [String; 0] = [];
        assert_eq!(
            found("| `one::limits::MOST` | `4,096` | `x` | `one_more_is_refused` |"),
            none
        );
        assert_eq!(
            found("| `one::limits::LOG` | `16` | `x` | `one_more_is_refused` |"),
            none
        );
        for (row, expected) in [
            (
                "| `one::limits::MOST` | `4,097` | | `one_more_is_refused` |",
                "`one::limits::MOST` is 4096 in the code",
            ),
            (
                "| `one::limits::MOST` | `4,096` | | `two` |",
                "no test is called `two`",
            ),
            (
                "| `one::limits::MOST` | `4,096` | | |",
                "`one::limits::MOST` has no test",
            ),
            (
                "| `two::limits::MOST` | `4,096` | | |",
                "no constant is called `two::limits::MOST`, or its value is no number",
            ),
            (
                "| most | | | |",
                "the row `most |  |  | ` names no constant",
            ),
        ] {
            assert_eq!(found(row), [expected]);
        }
    }
}
