//! `UndefinedVar` and `UndefinedArgInFrom`: variables that nobody sets.

use crate::ast::Word;
use crate::check::{Rule, Site};
use crate::suggest;

/// Tells of a variable that is neither set nor declared, with the one among `known` that was perhaps meant.
pub(crate) fn undefined_variable<'a>(
    name: &str,
    word: &Word,
    known: impl IntoIterator<Item = &'a str>,
    at: &mut Site<'_>,
) {
    let guess = suggest::within_two(name, known)
        .map(|near| format!(" (did you mean ${near}?)"))
        .unwrap_or_default();
    let detail = format!("Usage of undefined variable '${name}'{guess}");
    at.find(Rule::UndefinedVar, detail, word.span);
}

/// Tells of an argument that a `FROM` uses and that is not declared before it.
pub(crate) fn undefined_argument<'a>(
    name: &str,
    word: &Word,
    known: impl IntoIterator<Item = &'a str>,
    at: &mut Site<'_>,
) {
    let guess = suggest::within_two(name, known)
        .map(|near| format!(" (did you mean {near}?)"))
        .unwrap_or_default();
    let detail = format!("FROM argument '{name}' is not declared{guess}");
    at.find(Rule::UndefinedArgInFrom, detail, word.span);
}
