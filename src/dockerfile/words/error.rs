//! What can be wrong with a word that is expanded.

use crate::limits::{MAX_EXPANDED_BYTES, MAX_EXPANSION_DEPTH};

/// Says why a word cannot be expanded. Offsets are those of bytes in the word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A quote is not closed.
    #[error("the {} is not closed", if *.quote == '"' { "double quote" } else { "single quote" })]
    OpenQuote {
        /// The quote character.
        quote: char,
        /// Where it stands.
        offset: usize,
    },
    /// `${` has no `}`.
    #[error("`${{` has no closing `}}`")]
    OpenBrace {
        /// Where the `$` stands.
        offset: usize,
    },
    /// `${name/pattern` has no second slash.
    #[error("`${{name/pattern/replacement}}` has no second `/`")]
    NoReplacement {
        /// Where the `$` stands.
        offset: usize,
    },
    /// `${}`, `${{` or `${:`.
    #[error("bad substitution: `${{` needs the name of a variable")]
    BadSubstitution {
        /// Where the `$` stands.
        offset: usize,
    },
    /// What follows the name is none of the known forms.
    #[error("unsupported modifier `{modifier}` in a substitution")]
    UnknownModifier {
        /// What follows the name.
        modifier: String,
        /// Where the `$` stands.
        offset: usize,
    },
    /// A backslash in a pattern stands before a character that has no special meaning.
    #[error("invalid escape `\\{escaped}` in the pattern `{pattern}`")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// The character behind the backslash, empty at the end.
        escaped: String,
        /// Where the `$` stands.
        offset: usize,
    },
    /// `${name:?message}` and the variable is not set or empty.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The message, or what is said without one.
        message: String,
        /// Where the `$` stands.
        offset: usize,
    },
    /// Substitutions are nested too deeply.
    #[error("substitutions are nested deeper than {MAX_EXPANSION_DEPTH}")]
    TooDeep {
        /// Where the `$` stands.
        offset: usize,
    },
    /// The result is too long.
    #[error("the expanded text is longer than {MAX_EXPANDED_BYTES} bytes")]
    TooLong {
        /// Where the text got too long.
        offset: usize,
    },
    /// The pattern and the value are too long to be compared.
    #[error("the pattern and the value are too long to be compared")]
    TooMuchWork {
        /// Where the `$` stands.
        offset: usize,
    },
}

impl ExpandError {
    /// Returns what can be done about it, if there is something.
    pub(crate) fn help(&self) -> Option<String> {
        let help = match self {
            Self::OpenQuote { quote, .. } => {
                format!("close it with `{quote}`, or write `\\{quote}` for the character itself")
            }
            Self::OpenBrace { .. } => {
                "end it with `}`; a word with blanks in it stands in double quotes".to_owned()
            }
            Self::NoReplacement { .. } => {
                "write `${name/pattern/}` to take away what matches".to_owned()
            }
            Self::BadSubstitution { .. } => "write `\\$` for a dollar sign".to_owned(),
            Self::UnknownModifier { .. } => {
                "a name is followed by `}`, or by one of `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`"
                    .to_owned()
            }
            Self::Required { name, .. } => {
                format!("set it above with `ARG {name}=…`, which `--build-arg` can override")
            }
            Self::BadPattern { .. }
            | Self::TooDeep { .. }
            | Self::TooLong { .. }
            | Self::TooMuchWork { .. } => return None,
        };
        Some(help)
    }

    /// Returns where in the word the fault stands, in bytes.
    pub const fn offset(&self) -> usize {
        match self {
            Self::OpenQuote { offset, .. }
            | Self::OpenBrace { offset }
            | Self::NoReplacement { offset }
            | Self::BadSubstitution { offset }
            | Self::UnknownModifier { offset, .. }
            | Self::BadPattern { offset, .. }
            | Self::Required { offset, .. }
            | Self::TooDeep { offset }
            | Self::TooLong { offset }
            | Self::TooMuchWork { offset } => *offset,
        }
    }
}
