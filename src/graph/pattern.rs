//! Include, exclude and `.dockerignore` patterns, and matching of paths against them.
//!
//! Two languages meet here:
//!
//! | | [`glob_match`] | [`PatternSet`] |
//! | --- | --- | --- |
//! | used by | sources of `COPY` and `ADD` | `.dockerignore`, `--exclude`, filters of outputs |
//! | meaning of | Go's `filepath.Match` | moby/patternmatcher |
//! | `*` `?` `[a-z]` `[^a]` `\x` | within one path component | within one path component |
//! | `**` | as `*` | any number of components, also none |
//! | `!pattern` | an ordinary character | takes back what earlier patterns matched |
//! | a match of a directory | matches it alone | matches everything below it |
//!
//! In a set the last pattern that matches a path, or a directory above it, decides. Patterns are rooted: `a` is the `a`
//! at the top and `**/a` every `a`.
//!
//! A set is compiled once, to one automaton of all its patterns: what a path costs depends on its length and on the
//! wildcards that fit it, and not on the number of patterns. A walk hands the [`ParentState`] of a directory on to
//! what is in it, so that nothing above is read again.

mod automaton;
mod clean;
mod glob;
#[cfg(test)]
mod tests;

pub use clean::clean_path;
pub use glob::{BadPattern, glob_match};

use automaton::{Automaton, Place};
use glob::{Glob, Stars};

/// Says why a list of patterns is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A pattern is only `!`.
    #[error("pattern `!` takes back nothing")]
    Empty {
        /// Its place in the list, counted from 0.
        index: usize,
    },
    /// A pattern cannot be read.
    #[error("cannot read the pattern `{pattern}`")]
    Bad {
        /// The pattern.
        pattern: String,
        /// Its place in the list, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: BadPattern,
    },
}

/// What is known of a directory, for what is in it. The default is that of the top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParentState {
    /// The last pattern that matches the directory or one above it.
    last: Option<usize>,
    /// How far its path fits the patterns; `None` at the top, of which no path is read.
    places: Option<Vec<Place>>,
}

/// A list of patterns, compiled.
#[derive(Debug, Clone, Default)]
pub struct PatternSet {
    patterns: Vec<Compiled>,
    automaton: Automaton,
}

#[derive(Debug, Clone)]
struct Compiled {
    /// The cleaned text without `!`.
    text: String,
    takes_back: bool,
}

impl PatternSet {
    /// Compiles patterns; empty ones are left out.
    ///
    /// # Errors
    ///
    /// Fails at the first pattern that is only `!` or has a fault in `[…]` or `\`.
    pub fn new<I>(patterns: I) -> Result<Self, PatternError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut set = Self::default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let pattern = pattern.as_ref().trim();
            if !pattern.is_empty() {
                set.add(pattern, index)?;
            }
        }
        Ok(set)
    }

    fn add(&mut self, pattern: &str, index: usize) -> Result<(), PatternError> {
        let cleaned = clean_path(pattern);
        let (text, takes_back) = match cleaned.strip_prefix('!') {
            Some("") => return Err(PatternError::Empty { index }),
            Some(text) => (text, true),
            None => (cleaned.as_str(), false),
        };
        let bad = |source| PatternError::Bad {
            pattern: pattern.to_owned(),
            index,
            source,
        };
        glob::check(text).map_err(bad)?;
        let glob = Glob::parse(text, Stars::CrossDirectories).map_err(bad)?;
        self.automaton.add(&glob, self.patterns.len(), takes_back);
        self.patterns.push(Compiled {
            text: text.to_owned(),
            takes_back,
        });
        Ok(())
    }

    /// Returns the number of patterns.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Tells whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Tells whether a pattern starts with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.takes_back)
    }

    /// Returns the cleaned patterns in order, each with whether it starts with `!`.
    pub fn patterns(&self) -> Vec<(&str, bool)> {
        self.patterns
            .iter()
            .map(|pattern| (pattern.text.as_str(), pattern.takes_back))
            .collect()
    }

    /// Tells whether a path is matched: a slash-separated path, relative to the root of the patterns.
    ///
    /// The root itself (`.`) is never matched.
    pub fn matches(&self, path: &str) -> bool {
        let path = clean_path(path);
        path != "." && self.match_with_parent(&path, &ParentState::default()).0
    }

    /// Tells whether a path is matched, given the state of the directory it is in.
    ///
    /// `path` has to be clean (no `.`, `..` or doubled slashes). The state returned is that of `path`, for what is in
    /// it. With the default state, of the top, the directories above are read as well.
    pub fn match_with_parent(&self, path: &str, parent: &ParentState) -> (bool, ParentState) {
        let state = match &parent.places {
            None => self.read(path, self.automaton.start(), None),
            Some(places) => {
                let rest = path.rfind('/').and_then(|slash| path.get(slash..));
                self.read(rest.unwrap_or(path), places.clone(), parent.last)
            }
        };
        (self.decides(state.last), state)
    }

    /// Tells whether something below a directory that is matched may still not be: a later pattern with `!` can
    /// match there. A walk that leaves out what is matched need not enter the directory otherwise.
    pub fn may_take_back_below(&self, directory: &ParentState) -> bool {
        let Some(places) = &directory.places else {
            return self.has_exceptions();
        };
        self.automaton.last_below(places) > directory.last
    }

    /// Reads a path, or the rest of one, from these places on.
    fn read(&self, path: &str, mut places: Vec<Place>, mut last: Option<usize>) -> ParentState {
        for character in path.chars() {
            if character == '/' {
                last = last.max(self.automaton.last(&places));
            }
            places = self.automaton.step(&places, character);
        }
        ParentState {
            last: last.max(self.automaton.last(&places)),
            places: Some(places),
        }
    }

    fn decides(&self, last: Option<usize>) -> bool {
        let pattern = last.and_then(|last| self.patterns.get(last));
        pattern.is_some_and(|pattern| !pattern.takes_back)
    }
}
