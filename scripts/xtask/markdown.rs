//! As much of Markdown as our pages use: sections, tables, drawings and links.

/// Returns the text below a heading, up to the next heading of the same or a higher level.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let start = page.lines().find(|line| is_heading(line, heading))?;
    let (_, body) = page.split_once(start)?;
    let level = start.chars().take_while(|c| *c == '#').count();
    let end = lines_with_offset(body).find(|(_, line)| {
        let found = line.chars().take_while(|c| *c == '#').count();
        (1..=level).contains(&found) && line.chars().nth(found) == Some(' ')
    });
    Some(end.map_or(body, |(offset, _)| body.split_at(offset).0))
}

/// Returns the rows of the first table in a text, without its head; each row as its cells.
pub(crate) fn table(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(str::trim);
    let rows = lines
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    rows.skip(2).map(cells).collect()
}

/// Returns the first drawing (a block fenced as `text`) in a text.
pub(crate) fn drawing(text: &str) -> &str {
    let Some((_, body)) = text.split_once("```text\n") else {
        return "";
    };
    body.split_once("\n```")
        .map_or(body, |(drawing, _)| drawing)
}

/// Returns the words that stand in backticks.
pub(crate) fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Returns the targets of the links of a page.
pub(crate) fn links(page: &str) -> Vec<&str> {
    let after = page.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

fn is_heading(line: &str, heading: &str) -> bool {
    line.starts_with('#') && line.trim_start_matches('#').trim() == heading
}

fn cells(row: &str) -> Vec<String> {
    // A bar that is part of a cell is written `\|`.
    let row = row.replace("\\|", "\u{0}");
    let inner = row.trim_matches('|');
    inner
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

fn lines_with_offset(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Top\n\n## One\n\nText.\n\n### Deeper\n\n| A | B |\n| --- | --- |\n\
        | `x`, `y` | 1 \\| 2 |\n| z | |\n\n## Two\n\n```text\na\n b\n```\n[l](docs/a.md#b)\n";

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        let one = section(PAGE, "One").unwrap();
        assert!(one.contains("### Deeper") && !one.contains("Two"), "{one}");
        assert_eq!(section(PAGE, "Three"), None);
    }

    #[test]
    fn a_table_gives_its_cells() {
        assert_eq!(table(PAGE), [vec!["`x`, `y`", "1 | 2"], vec!["z", ""]]);
        assert_eq!(quoted("`x`, `y` (z)"), ["x", "y"]);
    }

    #[test]
    fn drawings_and_links_are_found() {
        assert_eq!(drawing(PAGE), "a\n b");
        assert_eq!(links(PAGE), ["docs/a.md#b"]);
    }
}
