//! Examples of the pages: of each block it is said what becomes of it when `scripts/e2e/examples_docs.py` runs them.

use crate::checkout::Checkout;
use crate::finding::Finding;

/// What the comment before a block begins with.
const MARK: &str = "<!-- example: ";

/// A block of a page, as far as this check looks at it.
struct Block<'a> {
    /// The number of its first line.
    line: usize,
    language: &'a str,
    /// What the comment before it says.
    mark: &'a str,
    lines: Vec<&'a str>,
}

/// Finds blocks of which nobody knows whether they are run.
pub(super) fn findings(checkout: &Checkout) -> Vec<Finding> {
    let pages = checkout.files_with_extension("md");
    let pages = pages.filter(|(page, _)| *page == "README.md" || page.starts_with("docs/"));
    let found = pages.flat_map(|(page, text)| {
        let blocks = blocks(text);
        let unclear = blocks.into_iter().filter_map(|block| {
            let fault = fault(&block)?;
            Some((block.line, fault))
        });
        let indented = indented(text).map(|line| (line, "is indented: a fence says what it is"));
        let all: Vec<_> = unclear.chain(indented).collect();
        all.into_iter().map(move |(line, fault)| {
            Finding::error(page, format!("the block in line {line} {fault}"))
        })
    });
    found.collect()
}

/// Returns what is wrong with a block.
fn fault(block: &Block<'_>) -> Option<&'static str> {
    let (word, rest) = block.mark.split_once(' ').unwrap_or((block.mark, ""));
    let is_command = |line: &&str| line.starts_with("$ ") || line.starts_with("careen ");
    let is_run = matches!(block.language, "sh" | "console" | "synopsis");
    match word {
        "not" => (!rest.starts_with("run, ") || rest.len() < 10)
            .then_some("is not run, without a reason"),
        "file" => rest.is_empty().then_some("is a file without a name"),
        "exit" => (!is_run).then_some("is not run, and so has no exit code"),
        "" if block.language == "text" => {
            let commands = block.lines.iter().any(is_command);
            commands.then_some("has commands and is called a drawing: `console` runs them")
        }
        "" => (!is_run)
            .then_some("has no comment that says whether it is a file, or not run, and why"),
        _ => Some("has a comment before it that means nothing"),
    }
}

/// Returns the fenced blocks of a page.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open, mut mark) = (Vec::new(), None::<Block<'_>>, "");
    for (number, line) in (1..).zip(text.lines()) {
        let fence = line.strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => block.lines.push(line),
            (None, Some(language)) => {
                open = Some(Block {
                    line: number,
                    language,
                    mark: std::mem::take(&mut mark),
                    lines: Vec::new(),
                });
            }
            (None, None) => match line.strip_prefix(MARK) {
                Some(words) if words.starts_with("unseen") || words.starts_with("table") => {}
                Some(words) => mark = words.trim_end_matches("-->").trim_end(),
                None if line.is_empty() => {}
                None => mark = "",
            },
        }
    }
    blocks
}

/// Returns the lines where a block begins that is indented, outside of fences, comments and lists.
fn indented(text: &str) -> impl Iterator<Item = usize> {
    let (mut lines, mut is_fenced, mut is_comment, mut may_begin) =
        (Vec::new(), false, false, false);
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        }
        is_comment = (is_comment || line.starts_with("<!--")) && !line.contains("-->");
        if may_begin && !is_fenced && !is_comment && line.starts_with("    ") {
            lines.push(number);
        }
        let is_item = line.starts_with("* ") || line.starts_with("- ") || line.starts_with("  ");
        may_begin = line.is_empty() || (may_begin && !is_item && line.starts_with("    "));
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_says_what_becomes_of_it() {
        let page = "```sh\ncareen x\n```\n\n<!-- example: not run, it needs a host of its own -->\n\n```yaml\na\n```\n\n\
            ```text\na drawing\n```\n\n<!-- example: file Dockerfile -->\n\n```dockerfile\nFROM a\n```\n\n\
            <!-- example: unseen\n    true\n-->\n\n* item\n\n  more\n\n<!-- example: exit 1 typed exit -->\n```sh\nfalse\n```\n";
        let checkout = Checkout::of(&[("README.md", page), ("CONTRIBUTING.md", "```\nx\n```\n")]);
        assert_eq!(findings(&checkout), []);
    }

    #[test]
    fn a_block_of_which_nothing_is_said_is_found() {
        let page = "```toml\na\n```\n\n<!-- example: not run, -->\n```sh\nx\n```\n\n    careen x\n    careen y\n\n\
            ```text\n$ careen x\n```\n\n<!-- example: fiel x -->\n```sh\n```\n\n<!-- example: exit 1 -->\n\nText.\n\n```json\n```\n";
        let checkout = Checkout::of(&[("docs/a.md", page)]);
        let found: Vec<_> = findings(&checkout)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(
            found,
            [
                "the block in line 1 has no comment that says whether it is a file, or not run, and why",
                "the block in line 6 is not run, without a reason",
                "the block in line 13 has commands and is called a drawing: `console` runs them",
                "the block in line 18 has a comment before it that means nothing",
                "the block in line 25 has no comment that says whether it is a file, or not run, and why",
                "the block in line 10 is indented: a fence says what it is",
            ]
        );
    }
}
