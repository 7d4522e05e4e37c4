//! The names of the functions.

/// Go's own.
const BUILT_IN: [&str; 18] = [
    "and", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Those that docker adds.
const DOCKERS: [&str; 8] = [
    "join", "json", "lower", "pad", "split", "title", "truncate", "upper",
];

/// Tells whether there is a function of this name.
pub(crate) fn is_known(name: &str) -> bool {
    BUILT_IN.contains(&name) || DOCKERS.contains(&name)
}
