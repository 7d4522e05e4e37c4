//! Tables for people, and places as BuildKit's JSON has them.

use dockerfile::source::LineRange;
use serde_json::{Value, json};

/// Returns rows as text, the first of them the titles; columns are three blanks apart.
pub(super) fn table<const N: usize>(rows: &[[&str; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &[&str; N]| {
        let cells = row.iter().enumerate();
        let padded = cells.map(|(column, cell)| format!("{cell:0$}   ", width(column)));
        format!("{}\n", padded.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

/// Returns lines as a location in JSON: a range for each.
pub(super) fn location(lines: LineRange) -> Value {
    let ranges: Vec<Value> = (lines.first..=lines.last)
        .map(|line| json!({"start": {"line": line}, "end": {"line": line}}))
        .collect();
    json!({"ranges": ranges})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["A", "LONG", "C"], ["one", "2", "x y"], ["", "", "z"]];
        assert_eq!(
            table(&rows),
            "A     LONG   C\none   2      x y\n             z\n"
        );
    }
}
