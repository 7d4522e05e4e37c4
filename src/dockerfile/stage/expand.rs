//! Variables in words, with a diagnostic at the word when they cannot be expanded.

use crate::ast::{Escape, Word};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::stage::environment::Environment;
use crate::words::{self, ExpandError, Expanded};

/// Expands one word of an instruction: quotes and escapes go away, variables become what they hold.
///
/// # Errors
///
/// Fails at the word when its form is wrong, or when it says itself that a variable must be set.
pub(crate) fn expand(
    word: &Word,
    visible: &Environment,
    escape: Escape,
) -> Result<Expanded, Vec<Diagnostic>> {
    let lookup = |name: &str| visible.get(name).map(str::to_owned);
    words::expand_word(&word.value, &lookup, escape).map_err(|error| vec![fault(&error, word)])
}

/// Returns the error at a word that cannot be expanded: at the part of it that is wrong, where that has a place.
pub(crate) fn fault(error: &ExpandError, word: &Word) -> Diagnostic {
    let Span { start, end } = word.span;
    let is_exact = word.span.len() == word.value.len();
    let span = match error.offset() {
        offset if is_exact && offset < word.value.len() => Span::new(start + offset, end),
        _ => word.span,
    };
    Diagnostic::error(error.to_string(), span).with_help(error.help())
}
