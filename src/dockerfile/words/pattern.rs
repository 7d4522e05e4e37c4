//! The patterns of `${name#pattern}` and `${name/pattern/word}`.
//!
//! A pattern is cut at its `*` into pieces of fixed length, so the first and the last place of each piece
//! decide everything and nothing is ever tried twice.

/// One character of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Exactly(char),
    Any,
}

impl Symbol {
    fn accepts(self, character: char) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == character,
            Self::Any => true,
        }
    }
}

/// How much a `*` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Shortest,
    Longest,
}

/// A pattern: pieces with a `*` between each two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Vec<Symbol>>,
}

impl Pattern {
    /// Reads a pattern; the error is the character behind a backslash that cannot stand there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = vec![Vec::new()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let symbol = match character {
                '*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                '?' => Symbol::Any,
                '\\' => match characters.next() {
                    // `\}` and `\/` are needed within `${…}`; the backslash is not part of the pattern.
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Symbol::Exactly(escaped),
                    other => return Err(other.map(String::from).unwrap_or_default()),
                },
                other => Symbol::Exactly(other),
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(symbol);
            }
        }
        Ok(Self { pieces })
    }

    /// Returns `value` without what matches at its start.
    pub(super) fn trim_start(&self, value: &[char], extent: Extent) -> String {
        let end = self.match_at(value, 0, extent).unwrap_or(0);
        value.iter().skip(end).collect()
    }

    /// Returns `value` without what matches at its end.
    pub(super) fn trim_end(&self, value: &[char], extent: Extent) -> String {
        let reversed: Vec<char> = value.iter().rev().copied().collect();
        let end = self.reversed().match_at(&reversed, 0, extent).unwrap_or(0);
        value.iter().take(value.len() - end).collect()
    }

    /// Returns `value` with the first match, or with every match, replaced. A `*` takes all it can.
    pub(super) fn replace(&self, value: &[char], replacement: &str, all: bool) -> String {
        let mut result = String::new();
        let mut at = 0;
        let mut last_end = None;
        while let Some((start, end)) = self.find(value, at) {
            result.extend(value.iter().skip(at).take(start - at));
            // An empty match directly behind another one does not count, as in Go's regexps.
            if start != end || last_end != Some(start) {
                result.push_str(replacement);
            }
            at = end;
            if start == end {
                result.extend(value.get(at));
                at += 1;
            }
            last_end = Some(end);
            if !all || at > value.len() {
                break;
            }
        }
        result.extend(value.iter().skip(at));
        result
    }

    fn reversed(&self) -> Self {
        let pieces = self.pieces.iter().rev();
        Self {
            pieces: pieces
                .map(|piece| piece.iter().rev().copied().collect())
                .collect(),
        }
    }

    /// Returns the first match at or behind `from`, as far as it goes.
    fn find(&self, value: &[char], from: usize) -> Option<(usize, usize)> {
        // Where the first piece stands first is the only start worth trying: what a later start leaves for
        // the other pieces is a part of what this one leaves.
        let start = find_piece(value, self.pieces.first()?, from)?;
        Some((start, self.match_at(value, start, Extent::Longest)?))
    }

    /// Returns the end of a match that starts at `start`.
    fn match_at(&self, value: &[char], start: usize, extent: Extent) -> Option<usize> {
        let (first, rest) = self.pieces.split_first()?;
        if !piece_at(value, first, start) {
            return None;
        }
        let mut at = start + first.len();
        let Some((last, middle)) = rest.split_last() else {
            return Some(at);
        };
        for piece in middle {
            at = find_piece(value, piece, at)? + piece.len();
        }
        let place = match extent {
            Extent::Shortest => find_piece(value, last, at),
            Extent::Longest => find_last_piece(value, last, at),
        };
        place.map(|place| place + last.len())
    }
}

fn piece_at(value: &[char], piece: &[Symbol], at: usize) -> bool {
    value.get(at..at + piece.len()).is_some_and(|part| {
        part.iter()
            .zip(piece)
            .all(|(character, symbol)| symbol.accepts(*character))
    })
}

fn find_piece(value: &[char], piece: &[Symbol], from: usize) -> Option<usize> {
    let last = value.len().checked_sub(piece.len())?;
    (from..=last).find(|at| piece_at(value, piece, *at))
}

fn find_last_piece(value: &[char], piece: &[Symbol], from: usize) -> Option<usize> {
    let last = value.len().checked_sub(piece.len())?;
    (from..=last).rev().find(|at| piece_at(value, piece, *at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn starts_are_trimmed_by_the_shortest_or_the_longest_match() {
        for (pattern, value, shortest, longest) in [
            ("a*", "abcabc", "bcabc", ""),
            ("*b", "abcabc", "cabc", "c"),
            ("*b*a", "abcabca", "bca", ""),
            ("x", "abc", "abc", "abc"),
            ("a?c", "abcd", "d", "d"),
            ("", "abc", "abc", "abc"),
            ("*", "abc", "abc", ""),
            ("\\*", "*a", "a", "a"),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.trim_start(&chars(value), Extent::Shortest),
                shortest
            );
            assert_eq!(pattern.trim_start(&chars(value), Extent::Longest), longest);
        }
    }

    #[test]
    fn ends_are_trimmed_by_the_shortest_or_the_longest_match() {
        for (pattern, value, shortest, longest) in [
            (".*", "a.b.c", "a.b", "a"),
            ("*", "abc", "abc", ""),
            ("b*", "abab", "aba", "a"),
            ("x", "abc", "abc", "abc"),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.trim_end(&chars(value), Extent::Shortest), shortest);
            assert_eq!(pattern.trim_end(&chars(value), Extent::Longest), longest);
        }
    }

    #[test]
    fn matches_are_replaced_once_or_everywhere() {
        for (pattern, value, once, everywhere) in [
            ("a", "banana", "bxnana", "bxnxnx"),
            ("a*", "banana", "bx", "bx"),
            ("", "ab", "xab", "xaxbx"),
            ("q", "ab", "ab", "ab"),
            ("a?a", "banana", "bxna", "bxna"),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.replace(&chars(value), "x", false), once);
            assert_eq!(pattern.replace(&chars(value), "x", true), everywhere);
        }
    }

    #[test]
    fn a_backslash_before_an_ordinary_character_is_refused() {
        assert_eq!(Pattern::parse("a\\b"), Err("b".to_owned()));
        assert_eq!(Pattern::parse("a\\"), Err(String::new()));
    }
}
