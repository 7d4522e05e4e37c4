//! Quotes, escapes and `$variables` in words.
//!
//! The forms are those of BuildKit's lexer:
//!
//! | Form | Value |
//! | --- | --- |
//! | `$name` `${name}` | the value, empty when not set |
//! | `${name:-word}` `${name-word}` | `word` when not set (with `:` also when empty) |
//! | `${name:+word}` `${name+word}` | `word` when set (with `:` only when not empty), else nothing |
//! | `${name:?word}` `${name?word}` | an error that says `word` when not set (with `:` also when empty) |
//! | `${name#pattern}` `${name##pattern}` | the value without its shortest, longest matching start |
//! | `${name%pattern}` `${name%%pattern}` | the value without its shortest, longest matching end |
//! | `${name/pattern/word}` `${name//pattern/word}` | the value with the first, every match replaced |
//!
//! `word` and `pattern` are expanded themselves. In patterns `*` is any text and `?` any character.
//! Single quotes keep everything as it is; in double quotes the escape character takes the meaning of `"`, `$`
//! and itself; outside of quotes it takes that of whatever follows.

use std::collections::BTreeSet;

use crate::ast::Escape;

mod error;
mod lexer;
mod output;
mod pattern;
#[cfg(test)]
mod tests;

pub use error::ExpandError;
pub(crate) use lexer::{Options, Quotes, raw_words};
pub(crate) use output::RawWord;

/// Answers what a variable holds; nothing when it is not set.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A text after expansion, with the variables it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The text.
    pub value: String,
    /// The text split at blanks that were neither quoted nor escaped, for `EXPOSE` and `VOLUME`.
    pub words: Vec<String>,
    /// Names that were asked for and are set.
    pub used: BTreeSet<String>,
    /// Names that were asked for and are not set.
    pub unset: BTreeSet<String>,
}

/// Expands a word of an instruction: variables are replaced, quotes and escapes taken away.
///
/// # Errors
///
/// Fails when a quote or brace is not closed, a substitution is none of the known forms, a variable that
/// `${name:?}` requires is not set, or a limit is exceeded.
pub fn expand_word(
    word: &str,
    lookup: &Lookup<'_>,
    escape: Escape,
) -> Result<Expanded, ExpandError> {
    lexer::expand(
        word,
        lookup,
        Options {
            escape: escape.as_char(),
            ..Options::default()
        },
    )
}

/// Expands the body of a here-document: variables are replaced, quotes stay.
///
/// The escape character is always the backslash, as in BuildKit.
///
/// # Errors
///
/// Fails as [`expand_word`] does, but for quotes.
pub fn expand_text(text: &str, lookup: &Lookup<'_>) -> Result<Expanded, ExpandError> {
    lexer::expand(
        text,
        lookup,
        Options {
            quotes: Quotes::Ordinary,
            ..Options::default()
        },
    )
}
