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
//! A set is compiled once. Patterns without wildcards, and the common kinds with (`dir/**`, `**/name`), are found by
//! their text, so that a walk costs little per path however many of them there are; the others are tried where the
//! literal directory they start with is above the path. A walk hands the [`ParentState`] of a directory on to what
//! is in it, so that nothing above is looked at again.

use std::collections::HashMap;

mod clean;
mod glob;
#[cfg(test)]
mod tests;

pub use clean::clean_path;
pub use glob::{BadPattern, glob_match};

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

/// Which pattern decided about a directory, for what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParentState {
    /// The last pattern that matches the directory or one above it.
    last: Option<usize>,
}

/// A list of patterns, compiled.
#[derive(Debug, Clone, Default)]
pub struct PatternSet {
    patterns: Vec<Compiled>,
    index: Index,
}

#[derive(Debug, Clone)]
struct Compiled {
    /// The cleaned text without `!`.
    text: String,
    takes_back: bool,
}

/// Patterns by what finds them. Of several with one key the last is kept: it decides.
#[derive(Debug, Clone, Default)]
struct Index {
    /// `a/b`: by the whole path.
    exact: HashMap<String, usize>,
    /// `a/b/**`: by the directory.
    below: HashMap<String, usize>,
    /// `**/a`: by the last component.
    names: HashMap<String, usize>,
    /// `**`
    everything: Option<usize>,
    /// `a/b**`: by the start of the path.
    starts: Vec<(String, usize)>,
    /// `**/a/b` and `**a`: by the end of the path.
    ends: Vec<(Suffix, usize)>,
    /// Everything else, by the literal directory it starts with.
    wild: HashMap<String, Vec<(Glob, usize)>>,
}

/// The literal end of a path.
#[derive(Debug, Clone)]
struct Suffix(String);

impl Suffix {
    /// `/a/b` also matches the path `a/b`.
    fn matches(&self, path: &str) -> bool {
        path.ends_with(&self.0) || self.0.strip_prefix('/') == Some(path)
    }
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
        self.index.add(glob, text, self.patterns.len());
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
        if path == "." {
            return false;
        }
        let parents = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let names = parents.chain([path.as_str()]);
        let last = names.fold(None, |last, name| self.index.last_by_text(name, last));
        self.decides(self.index.last_wild(&path, last, Glob::matches_or_holds))
    }

    /// Tells whether a path is matched, given the state of the directory it is in.
    ///
    /// `path` has to be clean (no `.`, `..` or doubled slashes). What is at the top gets the default state. The
    /// state returned is that of `path`, for what is in it.
    pub fn match_with_parent(&self, path: &str, parent: &ParentState) -> (bool, ParentState) {
        let last = self.index.last_by_text(path, parent.last);
        let last = self.index.last_wild(path, last, Glob::matches);
        (self.decides(last), ParentState { last })
    }

    /// Tells whether something below a directory that is matched may still not be: a pattern with `!` can match
    /// there. A walk that leaves out what is matched need not enter the directory otherwise.
    pub fn may_take_back_below(&self, directory: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.takes_back && may_reach(&pattern.text, directory))
    }

    fn decides(&self, last: Option<usize>) -> bool {
        let pattern = last.and_then(|last| self.patterns.get(last));
        pattern.is_some_and(|pattern| !pattern.takes_back)
    }
}

/// Tells whether a pattern can match something below a directory, going by the text before its first wildcard.
fn may_reach(pattern: &str, directory: &str) -> bool {
    let literal = pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len());
    let head = pattern.get(..literal).unwrap_or_default();
    let below = |path: &str, above: &str| {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let wild = literal < pattern.len();
    let head_is_above = wild && (directory.starts_with(head) || format!("{directory}/") == head);
    below(head, directory) || head_is_above
}

impl Index {
    fn add(&mut self, glob: Glob, text: &str, index: usize) {
        match glob.literal_kind() {
            glob::Kind::Exact => _ = self.exact.insert(text.to_owned(), index),
            glob::Kind::Prefix => self.add_prefix(text.strip_suffix("**").unwrap_or(text), index),
            glob::Kind::Suffix => self.add_suffix(text.strip_prefix("**").unwrap_or(text), index),
            glob::Kind::Wild => {
                let directory = glob.literal_directory();
                self.wild.entry(directory).or_default().push((glob, index));
            }
        }
    }

    fn add_prefix(&mut self, prefix: &str, index: usize) {
        match prefix.strip_suffix('/') {
            Some(directory) => _ = self.below.insert(directory.to_owned(), index),
            None => self.starts.push((prefix.to_owned(), index)),
        }
    }

    fn add_suffix(&mut self, suffix: &str, index: usize) {
        match suffix.strip_prefix('/') {
            _ if suffix.is_empty() => self.everything = Some(index),
            Some(name) if !name.contains('/') => _ = self.names.insert(name.to_owned(), index),
            _ => self.ends.push((Suffix(suffix.to_owned()), index)),
        }
    }

    /// Returns the last pattern found by its text that matches `path`, or `last` when that comes later.
    fn last_by_text(&self, path: &str, last: Option<usize>) -> Option<usize> {
        let (directory, name) = match path.rsplit_once('/') {
            Some((directory, name)) => (Some(directory), name),
            None => (None, path),
        };
        let by_text = [
            last,
            self.everything,
            self.exact.get(path).copied(),
            directory.and_then(|directory| self.below.get(directory).copied()),
            self.names.get(name).copied(),
        ];
        let last = by_text.into_iter().max().flatten();
        let last = last_in(&self.starts, last, |prefix| {
            path.starts_with(prefix.as_str())
        });
        last_in(&self.ends, last, |suffix| suffix.matches(path))
    }

    /// Does the same for the other patterns, each of which is asked by `matches`.
    fn last_wild(
        &self,
        path: &str,
        last: Option<usize>,
        matches: fn(&Glob, &str) -> bool,
    ) -> Option<usize> {
        if self.wild.is_empty() {
            return last;
        }
        let parents = path.match_indices('/').map(|(at, slash)| at + slash.len());
        let directories = std::iter::once(0).chain(parents);
        let globs = directories.filter_map(|end| self.wild.get(path.get(..end)?));
        globs.fold(last, |last, globs| {
            last_in(globs, last, |glob| matches(glob, path))
        })
    }
}

/// Returns the last entry that matches, or `last` when that comes later.
fn last_in<T>(
    entries: &[(T, usize)],
    last: Option<usize>,
    matches: impl Fn(&T) -> bool,
) -> Option<usize> {
    let later = entries
        .iter()
        .rev()
        .take_while(|(_, index)| Some(*index) > last);
    let found = later
        .map(|(entry, index)| (matches(entry), *index))
        .find(|(hit, _)| *hit);
    found.map(|(_, index)| index).or(last)
}
