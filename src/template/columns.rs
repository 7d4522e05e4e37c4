//! Tables as Go's `text/tabwriter` lays them out.
//!
//! A cell ends with a tab; what follows the last tab of a line is no cell and has no width. A column is as wide as the
//! widest of the cells that stand above each other in consecutive lines.

/// How wide columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The least width of a column, in characters.
    pub min_width: usize,
    /// What is between two columns, in spaces.
    pub padding: usize,
}

impl Columns {
    /// Docker's tables.
    pub const DOCKER: Self = Self {
        min_width: 10,
        padding: 3,
    };

    /// Returns a text whose tabs are replaced by spaces.
    pub fn lay_out(&self, text: &str) -> String {
        let lines: Vec<Vec<&str>> = text
            .split('\n')
            .map(|line| line.split('\t').collect())
            .collect();
        let mut widths: Vec<Vec<usize>> = lines.iter().map(|_| Vec::new()).collect();
        let deepest = lines.iter().map(|cells| cells.len() - 1).max().unwrap_or(0);
        for column in 0..deepest {
            self.measure(&lines, column, &mut widths);
        }
        let laid: Vec<String> = lines
            .iter()
            .zip(&widths)
            .map(|(cells, widths)| join(cells, widths))
            .collect();
        laid.join("\n")
    }

    /// Adds the width of a column to each line that has it.
    fn measure(&self, lines: &[Vec<&str>], column: usize, widths: &mut [Vec<usize>]) {
        let has = |line: usize| {
            lines
                .get(line)
                .is_some_and(|cells| cells.len() - 1 > column)
        };
        let mut first = 0;
        while first < lines.len() {
            let mut end = first;
            let mut width = self.min_width;
            while has(end) {
                let cell = lines
                    .get(end)
                    .and_then(|cells| cells.get(column))
                    .unwrap_or(&"");
                width = width.max(cell.chars().count() + self.padding);
                end += 1;
            }
            for line in widths.iter_mut().take(end).skip(first) {
                line.push(width);
            }
            first = end + 1;
        }
    }
}

fn join(cells: &[&str], widths: &[usize]) -> String {
    let mut text = String::new();
    for (at, cell) in cells.iter().enumerate() {
        text.push_str(cell);
        if let Some(width) = widths.get(at) {
            let used = cell.chars().count();
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell_and_ends_with_the_lines_that_have_it() {
        let table = [
            ("a\tb\nccccccccc\td", "a           b\nccccccccc   d"),
            ("a\tb", "a         b"),
            ("one line", "one line"),
            ("", ""),
            ("a\t\tb\n", "a                   b\n"),
            (
                "long cell of this\tb\nnone\nx\ty",
                "long cell of this   b\nnone\nx         y",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Columns::DOCKER.lay_out(text), expected, "{text:?}");
        }
    }
}
