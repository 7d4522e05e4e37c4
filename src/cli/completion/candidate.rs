//! What is offered for a word.

use std::fmt;

use crate::progress::clean;

/// What stands at the head of an answer: another program of the name would not say it.
const HEAD: &str = "careen-completion";

/// How many characters a description has at most.
const ABOUT_LIMIT_CHARS: usize = 80;

/// A word, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) value: String,
    pub(super) about: String,
}

impl Candidate {
    /// Makes one of a word and what is said of it, of which the first line counts.
    pub(super) fn new(value: impl Into<String>, about: &str) -> Self {
        let line = about.lines().next().unwrap_or_default();
        Self {
            value: value.into(),
            about: clean(line, ABOUT_LIMIT_CHARS),
        }
    }

    /// Makes one of a word that says enough.
    pub(super) fn plain(value: impl Into<String>) -> Self {
        Self::new(value, "")
    }

    /// Tells whether every shell takes it for one word that means nothing else.
    fn is_safe(&self) -> bool {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,:/=@+^".contains(&byte);
        !self.value.is_empty() && self.value.bytes().all(is_safe)
    }
}

/// What can stand in the place of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choices {
    /// These.
    Values(Vec<Candidate>),
    /// These, and more behind a comma.
    Parts(Vec<Candidate>),
    /// The name of a file.
    Files,
    /// The name of a directory.
    Directories,
}

/// What is offered for the word that is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// How the word begins, whatever is chosen.
    pub(super) before: String,
    pub(super) choices: Choices,
}

impl Offer {
    /// Offers nothing.
    pub(super) const NOTHING: Self = Self {
        before: String::new(),
        choices: Choices::Values(Vec::new()),
    };

    /// Offers those of the candidates that a word begins.
    pub(super) fn of(before: &str, typed: &str, candidates: Vec<Candidate>) -> Self {
        Self {
            before: before.to_owned(),
            choices: Choices::Values(fitting(typed, candidates)),
        }
    }

    /// Offers them for a part of a word.
    pub(super) fn part(before: &str, typed: &str, candidates: Vec<Candidate>) -> Self {
        Self {
            before: before.to_owned(),
            choices: Choices::Parts(fitting(typed, candidates)),
        }
    }
}

fn fitting(typed: &str, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| candidate.value.starts_with(typed) && candidate.is_safe());
    candidates
}

/// As the scripts read it: the drawing is in `completion`.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, candidates) = match &self.choices {
            Choices::Values(candidates) => ("values", candidates.as_slice()),
            Choices::Parts(candidates) => ("parts", candidates.as_slice()),
            Choices::Files => ("files", &[][..]),
            Choices::Directories => ("directories", &[][..]),
        };
        let before = &self.before;
        writeln!(f, "{HEAD}\t{kind}\n{before}")?;
        for Candidate { value, about } in candidates {
            writeln!(f, "{before}{value}\t{about}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_offered_that_a_shell_would_carry_out_or_a_terminal_obey() {
        let hostile = [
            "$(id)",
            "`id`",
            "a;b",
            "a b",
            "a\nb",
            "",
            "~",
            "a'b",
            "\u{1b}[1m",
            "a&b",
            "é",
        ];
        let offered = hostile.into_iter().chain(["base-1_x.y"]);
        let offered = offered.map(|value| Candidate::new(value, "one\u{1b}[31m\ttwo\nthree"));
        let offer = Offer::of("--target=", "", offered.collect());
        assert_eq!(
            offer.to_string(),
            "careen-completion\tvalues\n--target=\n--target=base-1_x.y\tone     two\n"
        );
    }

    #[test]
    fn files_are_left_to_the_shell() {
        let offer = Offer {
            before: "--file=".to_owned(),
            choices: Choices::Files,
        };
        assert_eq!(offer.to_string(), "careen-completion\tfiles\n--file=\n");
        assert_eq!(Offer::NOTHING.to_string(), "careen-completion\tvalues\n\n");
    }
}
