//! Which entries of a source are copied: the ignore file's patterns and `--exclude`'s.

use std::borrow::Cow;

use graph::pattern::{ParentState, PatternSet};
use rootfs::RootPath;

use super::plan::with_ancestors;

/// What becomes of an entry below a source.
pub(super) enum Decision {
    Take,
    Maybe,
    Leave,
}

/// The ignore file's patterns, which count from the context's root, and `--exclude`'s, which count
/// from the source.
pub(super) struct Filter<'a> {
    ignore: Option<Matcher<'a>>,
    exclude: Option<Matcher<'a>>,
}

/// Patterns on the way through a tree: what they said of each directory above is known already.
struct Matcher<'a> {
    set: &'a PatternSet,
    parents: Vec<(RootPath, ParentState)>,
}

impl<'a> Matcher<'a> {
    /// Starts at a directory of the patterns' own root.
    fn new(set: &'a PatternSet, start: &RootPath) -> Self {
        let mut matcher = Self {
            set,
            parents: Vec::new(),
        };
        for path in with_ancestors(start) {
            matcher.matches(&path, true);
        }
        matcher
    }

    fn matches(&mut self, path: &RootPath, is_directory: bool) -> bool {
        while self
            .parents
            .last()
            .is_some_and(|(parent, _)| !path.starts_with(parent))
        {
            self.parents.pop();
        }
        let above = self
            .parents
            .last()
            .map(|(_, state)| *state)
            .unwrap_or_default();
        let (matches, state) = self.set.match_with_parent(&text(path), &above);
        if is_directory {
            self.parents.push((path.clone(), state));
        }
        matches
    }

    /// Tells whether something below a directory that is matched may be taken back.
    fn may_return(&self, directory: &RootPath) -> bool {
        self.set.may_take_back_below(&text(directory))
    }
}

impl<'a> Filter<'a> {
    pub(super) fn new(
        ignore: Option<&'a PatternSet>,
        exclude: Option<&'a PatternSet>,
        source: &RootPath,
    ) -> Self {
        Self {
            ignore: ignore.map(|set| Matcher::new(set, source)),
            exclude: exclude.map(|set| Matcher::new(set, &RootPath::root())),
        }
    }

    pub(super) fn decide(
        &mut self,
        path: &RootPath,
        tail: &RootPath,
        is_directory: bool,
    ) -> Decision {
        let parts = [(self.ignore.as_mut(), path), (self.exclude.as_mut(), tail)];
        let (mut hidden, mut may_return) = (false, is_directory);
        for (matcher, path) in parts {
            let Some(matcher) = matcher else { continue };
            if matcher.matches(path, is_directory) {
                hidden = true;
                may_return &= matcher.may_return(path);
            }
        }
        match (hidden, may_return) {
            (false, _) => Decision::Take,
            (true, true) => Decision::Maybe,
            (true, false) => Decision::Leave,
        }
    }
}

/// Returns a path as patterns see it. A name that is not UTF-8 is matched by `*` alone.
pub(super) fn text(path: &RootPath) -> Cow<'_, str> {
    String::from_utf8_lossy(path.as_bytes())
}
