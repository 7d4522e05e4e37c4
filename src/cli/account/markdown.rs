//! What is told at the end of a build, as Markdown for the page of a workflow.
//!
//! Names of steps and files are strangers': each stands in an element of code, with whatever Markdown or HTML would take for
//! its own written as an entity.

use super::text::{size, time};
use super::{Account, seconds};
use crate::human;

/// How many rows a table has: GitHub takes a page of at most 1 MiB from a step.
const ROWS_MAX: usize = 500;

/// How many characters of a name are written.
const NAME_CHARS: usize = 200;

/// Punctuation that means nothing to Markdown in the middle of a line, nor to HTML.
const HARMLESS: &str = "/.,:;-=()";

/// Returns the page of a build: `name`, how it ended, what it consists of. `error` is what ended it.
pub(crate) fn markdown(account: &Account, name: &str, error: Option<&str>) -> String {
    let counts = account.counts();
    let cached = (100 * counts.cached).checked_div(counts.total).unwrap_or(0);
    let status = error.map_or("completed", |_| "failed");
    let error = error.map_or_else(String::new, |error| format!("{}\n\n", code(error)));
    let took = seconds(account.ended());
    let steps = format!("{} of {} steps in {took}", counts.completed, counts.total);
    let title = format!("### Build {}: {status}\n\n", code(name));
    let page = format!("{title}{error}{steps}, {cached} % cached\n\n");
    page + &layers(account) + &files(account)
}

fn layers(account: &Account) -> String {
    let rows = account.layer_rows();
    let rows = rows.iter().take(ROWS_MAX).map(|row| {
        let name = match row.layers {
            1 => code(&row.step),
            layers => format!("{} ({layers} layers)", code(&row.step)),
        };
        [name, size(row), time(row)]
    });
    table(["Layer", "Size", "Time"], &rows.collect::<Vec<_>>())
}

fn files(account: &Account) -> String {
    let files = account.largest_files();
    let rows = files.iter().map(|file| {
        let size = human::size(file.size_bytes, 3);
        [code(&file.path), size, code(&file.step)]
    });
    table(
        ["Largest new file", "Size", "Layer"],
        &rows.collect::<Vec<_>>(),
    )
}

fn table(titles: [&str; 3], rows: &[[String; 3]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = format!("| {} |\n| --- | ---: | --- |\n", titles.join(" | "));
    let rows = rows.iter().map(|row| format!("| {} |\n", row.join(" | ")));
    let lines = std::iter::once(head).chain(rows);
    lines.chain(["\n".to_owned()]).collect()
}

/// Writes a text of strangers as code, in one line.
fn code(text: &str) -> String {
    let chars = text.chars().take(NAME_CHARS);
    let written = chars.map(|char| match char {
        char if char.is_control() => " ".to_owned(),
        char if char.is_ascii_punctuation() && !HARMLESS.contains(char) => {
            format!("&#{};", u32::from(char))
        }
        char => char.to_string(),
    });
    format!("<code>{}</code>", written.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markdown_or_html() {
        for (name, expected) in [
            ("COPY a /b", "<code>COPY a /b</code>"),
            (
                "a|`b`\n<img>",
                "<code>a&#124;&#96;b&#96; &#60;img&#62;</code>",
            ),
            (
                "[x](javascript:y)",
                "<code>&#91;x&#93;(javascript:y)</code>",
            ),
        ] {
            assert_eq!(code(name), expected);
        }
    }
}
