//! Lines of the file → logical lines: continuations joined, comments taken out, here-documents cut off.
//!
//! ```text
//! # comment above            ─► comments of the line below; a blank line or an empty comment forgets it
//! RUN a \                    ┐
//!   # comment within         │  one logical line "RUN a   b";
//!                            │  an empty line within is dropped with a warning
//!   b                        ┘
//! RUN <<EOF                  ─► a logical line; the parser then asks for the body up to `EOF`
//! ```

use crate::ast::{Escape, Word};
use crate::limits::MAX_LINE_BYTES;
use crate::source::{LineRange, SourceFile, Span, Spanned};

/// The mark that some editors put at the start of a file.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A line of the file without its ending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Physical<'a> {
    pub(crate) text: &'a str,
    /// Where the text starts in the file.
    pub(crate) start: usize,
    /// Where the next line starts.
    pub(crate) next: usize,
    /// Counted from 1.
    pub(crate) number: usize,
}

impl Physical<'_> {
    fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text.len())
    }
}

/// A piece of a logical line that stands in one piece in the file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    logical: usize,
    source: usize,
}

/// An instruction's line with its continuations joined.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogicalLine {
    pub(crate) text: String,
    segments: Vec<Segment>,
    /// The comments directly above.
    pub(crate) comments: Vec<Spanned<String>>,
    /// Empty lines between continued ones.
    pub(crate) empty_continuations: Vec<Span>,
    first: usize,
    last: usize,
    /// Where all of it is said to stand, if it is no part of the file.
    place: Option<Span>,
}

impl LogicalLine {
    fn push(&mut self, text: &str, source: usize) {
        self.segments.push(Segment {
            logical: self.text.len(),
            source,
        });
        self.text.push_str(text);
    }

    /// Returns a line as if it stood alone in a file.
    #[cfg(test)]
    pub(crate) fn from_text(text: &str) -> Self {
        let mut line = Self::default();
        line.push(text, 0);
        line
    }

    /// Makes all of the text stand at one place of another file.
    pub(crate) const fn stand_at(&mut self, span: Span, lines: LineRange) {
        self.place = Some(span);
        self.first = lines.first;
        self.last = lines.last;
    }

    /// Returns the lines of the file that it was joined from.
    pub(crate) const fn lines(&self) -> LineRange {
        LineRange {
            first: self.first,
            last: self.last,
        }
    }

    /// Returns all of the line.
    pub(crate) fn slice(&self) -> Slice<'_> {
        Slice {
            line: self,
            start: 0,
            end: self.text.len(),
        }
    }

    /// Returns the place in the file of a part of the text.
    fn span(&self, start: usize, end: usize) -> Span {
        if let Some(place) = self.place {
            return place;
        }
        let from = self.source_of(start);
        let to = if end > start {
            self.source_of(end - 1) + 1
        } else {
            from
        };
        Span::new(from, to.max(from))
    }

    fn source_of(&self, offset: usize) -> usize {
        let behind = self
            .segments
            .partition_point(|segment| segment.logical <= offset);
        match behind
            .checked_sub(1)
            .and_then(|index| self.segments.get(index))
        {
            Some(segment) => segment.source + (offset - segment.logical),
            None => offset,
        }
    }
}

/// A part of a logical line that knows where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice<'a> {
    line: &'a LogicalLine,
    start: usize,
    end: usize,
}

impl<'a> Slice<'a> {
    pub(crate) fn as_str(self) -> &'a str {
        self.line.text.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn span(self) -> Span {
        self.line.span(self.start, self.end)
    }

    /// Returns the part from `start` to `end`, counted from the start of this one.
    pub(crate) fn part(self, start: usize, end: usize) -> Self {
        let end = (self.start + end).min(self.end);
        Self {
            line: self.line,
            start: (self.start + start).min(end),
            end,
        }
    }

    /// Returns the part from `start` on.
    pub(crate) fn from(self, start: usize) -> Self {
        self.part(start, self.end - self.start)
    }

    pub(crate) fn trim_start(self) -> Self {
        let text = self.as_str();
        self.from(text.len() - text.trim_start().len())
    }

    pub(crate) fn trim(self) -> Self {
        let trimmed = self.trim_start();
        trimmed.part(0, trimmed.as_str().trim_end().len())
    }

    /// Returns the text as a word, as written.
    pub(crate) fn word(self) -> Word {
        Spanned::new(self.as_str().to_owned(), self.span())
    }

    /// Returns `value` as a word that stands here.
    pub(crate) fn word_as(self, value: String) -> Word {
        Spanned::new(value, self.span())
    }
}

/// Reads a file line by line.
#[derive(Debug)]
pub(crate) struct LineReader<'a> {
    source: &'a SourceFile,
    escape: char,
    at: usize,
    number: usize,
    last_end: usize,
    /// Lines that are too long, which are left out.
    pub(crate) too_long: Vec<Span>,
}

impl<'a> LineReader<'a> {
    pub(crate) fn new(source: &'a SourceFile, escape: Escape) -> Self {
        Self {
            source,
            escape: escape.as_char(),
            at: 0,
            number: 0,
            last_end: 0,
            too_long: Vec::new(),
        }
    }

    /// Returns the next logical line.
    pub(crate) fn next_logical(&mut self) -> Option<LogicalLine> {
        let mut comments = Vec::new();
        loop {
            let physical = self.next_physical()?;
            let text = physical.text.trim_start();
            let start = physical.start + (physical.text.len() - text.len());
            match text.strip_prefix('#') {
                Some(comment) => note_comment(&mut comments, comment, start),
                None if text.is_empty() => comments.clear(),
                None => {
                    let mut line = LogicalLine {
                        comments,
                        ..LogicalLine::default()
                    };
                    line.first = physical.number;
                    line.last = physical.number;
                    self.join(&mut line, text, start);
                    return Some(line);
                }
            }
        }
    }

    /// Adds the text of the first line and of those that continue it.
    fn join(&mut self, line: &mut LogicalLine, text: &str, start: usize) {
        let (text, mut continues) = without_continuation(text, self.escape);
        line.push(text, start);
        while continues {
            let Some(physical) = self.next_physical() else {
                return;
            };
            line.last = physical.number;
            let trimmed = physical.text.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                line.empty_continuations.push(physical.span());
                continue;
            }
            let (text, more) = without_continuation(physical.text, self.escape);
            line.push(text, physical.start);
            continues = more;
        }
    }

    /// Returns the next line, without its ending. Lines that are too long are noted and left out.
    pub(crate) fn next_physical(&mut self) -> Option<Physical<'a>> {
        loop {
            let rest = self
                .source
                .text()
                .get(self.at..)
                .filter(|rest| !rest.is_empty())?;
            let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
            let raw = rest.get(..length).unwrap_or_default();
            let mut start = self.at;
            self.at += length;
            self.number += 1;
            let mut text = raw.trim_end_matches(['\r', '\n']);
            if let Some(behind) = text
                .strip_prefix(BYTE_ORDER_MARK)
                .filter(|_| self.number == 1)
            {
                start += text.len() - behind.len();
                text = behind;
            }
            let physical = Physical {
                text,
                start,
                next: self.at,
                number: self.number,
            };
            self.last_end = physical.span().end;
            if raw.strip_suffix('\n').unwrap_or(raw).len() <= MAX_LINE_BYTES {
                return Some(physical);
            }
            self.too_long.push(physical.span());
        }
    }

    /// Returns a line with its ending.
    pub(crate) fn raw(&self, line: Physical<'_>) -> &'a str {
        self.source.slice(Span::new(line.start, line.next))
    }

    /// Returns the number of the line read last.
    pub(crate) const fn line_number(&self) -> usize {
        self.number
    }

    /// Returns where the line read last ends.
    pub(crate) const fn last_end(&self) -> usize {
        self.last_end
    }

    /// Returns where the next line starts.
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }
}

/// Keeps a comment for the instruction below; an empty one separates.
fn note_comment(comments: &mut Vec<Spanned<String>>, comment: &str, start: usize) {
    let text = comment.trim();
    if text.is_empty() {
        comments.clear();
        return;
    }
    let end = start + 1 + comment.len();
    comments.push(Spanned::new(text.to_owned(), Span::new(start, end)));
}

/// Returns the line without the escape character that continues it, and whether there was one.
///
/// A doubled escape character at the end continues nothing.
pub(crate) fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(text: &str) -> Vec<String> {
        let source = SourceFile::new("Dockerfile", text);
        let mut reader = LineReader::new(&source, Escape::Backslash);
        std::iter::from_fn(|| reader.next_logical())
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn lines_are_joined_at_the_escape_character() {
        for (text, expected) in [
            ("a \\\n b", vec!["a  b"]),
            ("a\\\\\nb", vec!["a\\\\", "b"]),
            ("a \\ \t\nb", vec!["a b"]),
            ("a \\\n# comment\n  # comment\nb", vec!["a b"]),
            ("a \\\n\n\nb", vec!["a b"]),
            ("\\\na", vec!["a"]),
            ("a \\", vec!["a "]),
            ("a\r\nb\r\n", vec!["a", "b"]),
            ("\u{feff}a", vec!["a"]),
            ("  \t a", vec!["a"]),
            ("# a\n\n", vec![]),
        ] {
            assert_eq!(logical(text), expected, "{text:?}");
        }
    }

    #[test]
    fn parts_of_a_joined_line_know_where_they_stand() {
        let source = SourceFile::new("Dockerfile", "RUN one \\\n  # note\n  two\n");
        let mut reader = LineReader::new(&source, Escape::Backslash);
        let line = reader.next_logical().unwrap();
        let slice = line.slice();
        let at = line.text.find("two").unwrap();
        assert_eq!(source.slice(slice.part(at, at + 3).span()), "two");
        assert_eq!(
            source.slice(slice.part(4, at + 3).span()),
            "one \\\n  # note\n  two"
        );
        assert_eq!(line.lines(), LineRange { first: 1, last: 3 });
    }

    #[test]
    fn comments_directly_above_belong_to_the_line() {
        for (text, expected) in [
            ("# a\n#b\nFROM x", vec!["a", "b"]),
            ("# a\n\n# b\nFROM x", vec!["b"]),
            ("# a\n#\n# b\nFROM x", vec!["b"]),
            ("# a\n\nFROM x", vec![]),
            ("  # a\nFROM x", vec!["a"]),
        ] {
            let source = SourceFile::new("Dockerfile", text);
            let line = LineReader::new(&source, Escape::Backslash)
                .next_logical()
                .unwrap();
            let comments: Vec<_> = line.comments.iter().map(|c| c.value.as_str()).collect();
            assert_eq!(comments, expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_of_64_kib_is_left_out() {
        for (length, kept) in [(MAX_LINE_BYTES, true), (MAX_LINE_BYTES + 1, false)] {
            let source = SourceFile::new("Dockerfile", "a".repeat(length));
            let mut reader = LineReader::new(&source, Escape::Backslash);
            assert_eq!(reader.next_logical().is_some(), kept);
            assert_eq!(reader.too_long.is_empty(), kept);
        }
    }
}
