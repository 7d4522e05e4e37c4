//! Splitting a line into words. Quotes and escapes decide where a word ends, and stay in it.

use crate::ast::Word;
use crate::lines::Slice;
use crate::source::{Span, Spanned};

/// The blanks that separate words: not those of Unicode.
const BLANKS: [char; 5] = [' ', '\t', '\u{b}', '\u{c}', '\r'];

/// Returns the first word and what follows the blanks behind it.
pub(super) fn split_first(text: Slice<'_>) -> (Slice<'_>, Slice<'_>) {
    split_by(text, |character| BLANKS.contains(&character))
}

/// Does the same with every blank that Unicode knows.
pub(super) fn split_first_at_space(text: Slice<'_>) -> (Slice<'_>, Slice<'_>) {
    split_by(text, char::is_whitespace)
}

fn split_by(text: Slice<'_>, is_blank: impl Fn(char) -> bool) -> (Slice<'_>, Slice<'_>) {
    let all = text.as_str();
    let end = all.find(&is_blank).unwrap_or(all.len());
    let behind = all.get(end..).unwrap_or_default();
    let next = behind
        .find(|character| !is_blank(character))
        .unwrap_or(behind.len());
    (text.part(0, end), text.from(end + next))
}

/// Returns the words between blanks, whatever quotes there are.
pub(super) fn between_blanks(text: Slice<'_>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.as_str().is_empty() {
        let (word, behind) = split_first(rest);
        words.push(word.word());
        rest = behind;
    }
    words
}

/// Where [`quoted_words`] is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Between,
    Word,
    Quoted(char),
}

/// Returns the words between blanks that are neither quoted nor escaped.
///
/// An escape character at the very end is left out.
pub(crate) fn quoted_words(text: Slice<'_>, escape: char) -> Vec<Word> {
    let all = text.as_str();
    let mut words = Vec::new();
    let mut phase = Phase::Between;
    let mut start = 0;
    let mut end = all.len();
    let mut characters = all.char_indices();
    while let Some((at, character)) = characters.next() {
        if phase == Phase::Between {
            if character.is_whitespace() {
                continue;
            }
            phase = Phase::Word;
            start = at;
        }
        let escapes = character == escape && phase != Phase::Quoted('\'');
        if escapes && characters.next().is_none() {
            end = at;
            break;
        }
        if escapes {
            continue;
        }
        phase = match phase {
            Phase::Word if character.is_whitespace() => {
                words.push(text.part(start, at).word());
                Phase::Between
            }
            Phase::Word if matches!(character, '\'' | '"') => Phase::Quoted(character),
            Phase::Quoted(quote) if character == quote => Phase::Word,
            same => same,
        };
    }
    if phase != Phase::Between && end > start {
        words.push(text.part(start, end).word());
    }
    words
}

/// Splits a word at its first `=`.
pub(crate) fn split_at_equals(word: &Word) -> Option<(Word, Word)> {
    let (key, value) = word.value.split_once('=')?;
    // A word that continues on another line has no simple inner places.
    let exact = word.span.len() == word.value.len();
    let middle = word.span.start + key.len();
    let key_span = if exact {
        Span::new(word.span.start, middle)
    } else {
        word.span
    };
    let value_span = if exact {
        Span::new(middle + 1, word.span.end)
    } else {
        word.span
    };
    Some((
        Spanned::new(key.to_owned(), key_span),
        Spanned::new(value.to_owned(), value_span),
    ))
}
