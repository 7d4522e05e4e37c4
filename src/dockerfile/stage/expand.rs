//! Variables in words, with a diagnostic at the word when they cannot be expanded.

use crate::ast::{Escape, Word};
use crate::diagnostic::Diagnostic;
use crate::stage::environment::Environment;
use crate::words::{self, Expanded};

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
    words::expand_word(&word.value, &lookup, escape)
        .map_err(|error| vec![Diagnostic::error(error.to_string(), word.span)])
}
