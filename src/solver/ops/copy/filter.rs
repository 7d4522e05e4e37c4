//! Which entries of a source are copied: the ignore file's patterns and `--exclude`'s.

use std::borrow::Cow;

use graph::pattern::{ParentState, PatternSet};
use rootfs::RootPath;

use super::plan::with_ancestors;

/// What becomes of an entry below a source; of several decisions the greatest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decision {
    Take,
    /// A directory that is left out, unless something below it is not.
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
            matcher.decide(&path, true);
        }
        matcher
    }

    fn decide(&mut self, path: &RootPath, is_directory: bool) -> Decision {
        while self
            .parents
            .last()
            .is_some_and(|(parent, _)| !path.starts_with(parent))
        {
            self.parents.pop();
        }
        let top = ParentState::default();
        let above = self.parents.last().map_or(&top, |(_, state)| state);
        let (matches, state) = self.set.match_with_parent(&text(path), above);
        let may_return = matches && is_directory && self.set.may_take_back_below(&state);
        if is_directory {
            self.parents.push((path.clone(), state));
        }
        match (matches, may_return) {
            (false, _) => Decision::Take,
            (true, true) => Decision::Maybe,
            (true, false) => Decision::Leave,
        }
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
        let decisions = parts.into_iter().filter_map(|(matcher, path)| {
            matcher.map(|matcher| matcher.decide(path, is_directory))
        });
        decisions.max().unwrap_or(Decision::Take)
    }
}

/// Returns a path as patterns see it. A name that is not UTF-8 is matched by `*` alone.
pub(super) fn text(path: &RootPath) -> Cow<'_, str> {
    String::from_utf8_lossy(path.as_bytes())
}
