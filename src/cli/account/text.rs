//! What is told at the end of a build, as text: a table of its layers, and the largest files of those that it made.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::{Account, LargeFile, LayerRow};
use crate::human;
use crate::progress::clean;

/// How wide the names of steps are at most, in characters.
const NAME_CHARS: usize = 60;

/// Returns the table and the files; empty where there are no layers.
pub(crate) fn summary(account: &Account) -> String {
    let rows = account.layer_rows();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n");
    let mut lines = vec![["LAYER", "SIZE", "TIME"].map(str::to_owned)];
    lines.extend(rows.iter().map(line));
    text += &laid_out(&lines);
    let files = account.largest_files();
    if !files.is_empty() {
        let mut lines = vec![["LARGEST NEW FILE", "SIZE", "LAYER"].map(str::to_owned)];
        lines.extend(files.iter().map(file_line));
        text.push('\n');
        text += &laid_out(&lines);
    }
    text
}

fn line(row: &LayerRow) -> [String; 3] {
    let name = clean(&row.step, NAME_CHARS);
    let name = match row.layers {
        1 => name,
        layers => format!("{name} ({layers} layers)"),
    };
    [name, size(row), time(row)]
}

fn file_line(file: &LargeFile) -> [String; 3] {
    [
        clean(&file.path, NAME_CHARS),
        human::size(file.size_bytes, 3),
        clean(&file.step, NAME_CHARS),
    ]
}

/// Returns the size of a row, if its layers are there as blobs.
pub(super) fn size(row: &LayerRow) -> String {
    let size = row.size_bytes.map(|bytes| human::size(bytes, 3));
    size.unwrap_or_else(|| "-".to_owned())
}

/// Returns how long a row took.
pub(super) fn time(row: &LayerRow) -> String {
    row.took.map_or_else(|| "cached".to_owned(), seconds)
}

/// Returns a duration as plain progress tells it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// Puts columns below each other, three blanks apart.
fn laid_out(lines: &[[String; 3]]) -> String {
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].width());
        widths.max().unwrap_or(0) + 3
    };
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    for [name, size, last] in lines {
        let name_gap = " ".repeat(first - name.width());
        let size_gap = " ".repeat(second - size.width());
        text += format!("{name}{name_gap}{size}{size_gap}{last}").trim_end();
        text.push('\n');
    }
    text
}
