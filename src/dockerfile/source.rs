//! The text of a Dockerfile and places in it.
//!
//! A [`SourceFile`] keeps the text exactly as it was read, so that every [`Span`] is a byte range of what
//! the user sees in an editor. Lines and columns are computed only when a message is printed.

/// A half-open range of byte offsets in a [`SourceFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The offset of the first byte.
    pub start: usize,
    /// The offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// Returns the span from `start` up to, but not including, `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Returns the number of bytes covered.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Tells whether no byte is covered.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A value together with the place it was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Returns `value`, read from `span`.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Returns what `change` makes of the value, at the same place.
    pub fn map<U, F: FnOnce(T) -> U>(self, change: F) -> Spanned<U> {
        Spanned {
            value: change(self.value),
            span: self.span,
        }
    }
}

/// A place as an editor shows it; both numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// The first and the last line of something; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineRange {
    /// The first line.
    pub first: usize,
    /// The last line, which belongs to the range.
    pub last: usize,
}

/// The text of one Dockerfile, with the name that messages give it.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// Returns a source with the given name (for messages) and text.
    pub fn new<N: Into<String>, T: Into<String>>(name: N, text: T) -> Self {
        let text = text.into();
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(after_newlines.map(|(at, _)| at + 1))
            .collect();
        Self {
            name: name.into(),
            text,
            line_starts,
        }
    }

    /// Returns the name that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text at `span`, or nothing when the span is not one of this file.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Returns the number of the line that holds the byte at `offset`, counted from 1.
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Returns line and column of the byte at `offset`.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_of(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.slice(Span::new(start, offset.min(self.text.len())));
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// Returns the lines that `span` touches.
    pub fn lines_of(&self, span: Span) -> LineRange {
        let last = span.end.saturating_sub(1).max(span.start);
        LineRange {
            first: self.line_of(span.start),
            last: self.line_of(last),
        }
    }

    /// Returns the span of a line (counted from 1) without its line ending; an empty one behind the end.
    pub fn line_span(&self, line: usize) -> Span {
        let end_of_text = self.text.len();
        let start = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index));
        let start = start.copied().unwrap_or(end_of_text);
        let next = self.line_starts.get(line).copied().unwrap_or(end_of_text);
        let raw = self.slice(Span::new(start, next));
        let text = raw.strip_suffix('\n').unwrap_or(raw);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Span::new(start, start + text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let source = SourceFile::new("Dockerfile", "ab\r\nöx\n");
        for (offset, line, column) in [(0, 1, 1), (3, 1, 4), (4, 2, 1), (6, 2, 2), (8, 3, 1)] {
            assert_eq!(
                source.position(offset),
                Position { line, column },
                "{offset}"
            );
        }
    }

    #[test]
    fn lines_are_found_without_their_endings() {
        let source = SourceFile::new("Dockerfile", "ab\r\nöx\n");
        let lines = [0, 1, 2, 3, 4].map(|line| source.slice(source.line_span(line)));
        assert_eq!(lines, ["", "ab", "öx", "", ""]);
        assert_eq!(
            source.lines_of(Span::new(0, 7)),
            LineRange { first: 1, last: 2 }
        );
        assert_eq!(
            source.lines_of(Span::new(0, 4)),
            LineRange { first: 1, last: 1 }
        );
    }
}
