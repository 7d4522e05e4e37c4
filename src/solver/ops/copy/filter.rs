//! Which entries of a source are copied: the ignore file's patterns, `--exclude`'s, and what `--parents` wants.

use std::borrow::Cow;

use graph::pattern::{ParentState, PatternSet};
use rootfs::RootPath;

use super::parents::Wanted;
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
    wanted: Option<&'a mut Wanted>,
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
        // Most contexts have no ignore file: no name is looked at then.
        let says_something = |set: &&PatternSet| !set.is_empty();
        let (ignore, exclude) = (
            ignore.filter(says_something),
            exclude.filter(says_something),
        );
        Self {
            ignore: ignore.map(|set| Matcher::new(set, source)),
            exclude: exclude.map(|set| Matcher::new(set, &RootPath::root())),
            wanted: None,
        }
    }

    /// Leaves out what is not wanted.
    pub(super) fn only(mut self, wanted: Option<&'a mut Wanted>) -> Self {
        self.wanted = wanted;
        self
    }

    pub(super) fn decide(
        &mut self,
        path: &RootPath,
        tail: &RootPath,
        is_directory: bool,
    ) -> Decision {
        let ignored = decision(self.ignore.as_mut(), path, is_directory);
        let excluded = decision(self.exclude.as_mut(), tail, is_directory);
        let wanted = self.wanted.as_mut().map_or(Decision::Take, |wanted| {
            wanted.decide(tail, is_directory, ignored == Decision::Take)
        });
        ignored.max(excluded).max(wanted)
    }
}

fn decision(matcher: Option<&mut Matcher<'_>>, path: &RootPath, is_directory: bool) -> Decision {
    matcher.map_or(Decision::Take, |matcher| matcher.decide(path, is_directory))
}

/// Returns a path as patterns see it. A name that is not UTF-8 is matched by `*` alone.
pub(super) fn text(path: &RootPath) -> Cow<'_, str> {
    String::from_utf8_lossy(path.as_bytes())
}
