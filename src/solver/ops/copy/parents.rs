//! `COPY --parents`: what a pattern matches, with the directories that lead there.
//!
//! The source is split where its `/./` says: what is left of that is a source like any other, and
//! what is right of it a pattern as in `.dockerignore`, with `**` and with all that is below a directory that
//! matches. A directory on the way is copied with its attributes once something below it is.

use std::sync::Arc;

use graph::CopySource;
use graph::pattern::{self, ParentState, PatternSet};
use rootfs::{Root, RootPath};

use super::collect::{Found, Reader, root_path};
use super::error::CopyError;
use super::filter::{Decision, text};
use super::similar::similar;
use super::wildcard;

/// What `--parents` wants below a directory.
pub(super) struct Wanted {
    pattern: String,
    set: PatternSet,
    /// What the pattern said of the directories above.
    above: Vec<(RootPath, ParentState)>,
    /// Whether there was something of it that the build sees, be it excluded or not.
    found: bool,
}

impl Wanted {
    /// Reads a pattern.
    fn new(pattern: &str) -> Result<Self, CopyError> {
        let set = PatternSet::new([pattern]).map_err(|source| CopyError::Pattern {
            pattern: pattern.to_owned(),
            source,
        })?;
        Ok(Self {
            pattern: pattern.to_owned(),
            set,
            above: Vec::new(),
            found: false,
        })
    }

    /// Decides about what is at a path below the directory; paths come in the order of a walk.
    pub(super) fn decide(
        &mut self,
        tail: &RootPath,
        is_directory: bool,
        is_seen: bool,
    ) -> Decision {
        self.above
            .retain(|(directory, _)| tail.starts_with(directory));
        let top = ParentState::default();
        let above = self.above.last().map_or(&top, |(_, state)| state);
        let (matches, state) = self.set.match_with_parent(&text(tail), above);
        if is_directory {
            self.above.push((tail.clone(), state));
        }
        if matches {
            self.found |= is_seen;
            return Decision::Take;
        }
        if is_directory && self.may_be_below(tail) {
            Decision::Maybe
        } else {
            Decision::Leave
        }
    }

    /// Tells whether something below a directory that is not matched may be: what is elsewhere is not walked.
    fn may_be_below(&self, directory: &RootPath) -> bool {
        let mut parts = self.pattern.split('/');
        for name in directory.components() {
            match parts.next() {
                None => return false,
                Some("**") => return true,
                Some(part) => {
                    // One that only the set understands is left to the set.
                    let name = String::from_utf8_lossy(name);
                    if !pattern::glob_match(part, &name).unwrap_or(true) {
                        return false;
                    }
                }
            }
        }
        parts.next().is_some()
    }
}

impl Reader<'_> {
    /// Reads what a pattern matches below each directory that `base` names.
    pub(super) fn read_parents(&self, base: &str, pattern: &str) -> Result<Vec<Found>, CopyError> {
        let mut found = Vec::new();
        let Some(root) = self.tree.root() else {
            return self.read_nothing(base);
        };
        let is_wildcard = CopySource::is_wildcard(base);
        let bases = if is_wildcard {
            self.expand(root, base)?
        } else {
            vec![root_path(&wildcard::unescaped(base))?]
        };
        for named in bases {
            let mut wanted = (!pattern.is_empty())
                .then(|| Wanted::new(pattern))
                .transpose()?;
            let mut one = self.read_one(root, base, &named, wanted.as_mut())?;
            one.keeps_directories = true;
            found.push(one);
            let is_required = !is_wildcard && !CopySource::is_wildcard(pattern);
            if is_required && wanted.is_some_and(|wanted| !wanted.found) {
                return Err(self.missing(root, &named, pattern));
            }
        }
        Ok(found)
    }

    /// Says why there is nothing at a path without wildcards.
    fn missing(&self, root: &Arc<Root>, base: &RootPath, pattern: &str) -> CopyError {
        let tail = match root_path(&wildcard::unescaped(pattern)) {
            Ok(tail) => tail,
            Err(error) => return error,
        };
        let shown = base.join(&tail).unwrap_or_else(|_| tail.clone());
        let path = shown.absolute();
        match root.metadata(&shown) {
            Ok(Some(_)) => CopyError::Ignored {
                path,
                place: self.tree.place(),
            },
            _ => self.not_found(&path, similar(root, &shown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_cannot_match_is_not_walked() {
        for (pattern, directory, expected) in [
            ("a/b", "a", Decision::Maybe),
            ("a/b", "a/b", Decision::Take),
            ("a/b", "c", Decision::Leave),
            ("a/b", "a/c", Decision::Leave),
            ("a/*/c", "a/x", Decision::Maybe),
            ("a/*/c", "a/x/d", Decision::Leave),
            ("a/**/c", "a/x/y", Decision::Maybe),
            ("*.txt", "a", Decision::Leave),
            ("**/x", "a/b", Decision::Maybe),
        ] {
            let mut wanted = Wanted::new(pattern).unwrap();
            let path = RootPath::lexical(directory).unwrap();
            let found = wanted.decide(&path, true, true);
            assert_eq!(found, expected, "{pattern} {directory}");
        }
    }
}
