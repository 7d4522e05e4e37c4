//! `CopyIgnoredFile`: sources that the ignore file leaves out.

use graph::PatternSet;
use graph::pattern::clean_path;

use crate::ast::Word;
use crate::check::{Rule, Site};
use crate::lower::go_quoted;

/// The ignore file of the build context.
#[derive(Debug, Clone, Default)]
pub(crate) struct IgnoreFile {
    patterns: PatternSet,
}

impl IgnoreFile {
    /// Reads the patterns. A list that cannot be read leaves out nothing here; it is refused where it is used.
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self {
            patterns: PatternSet::new(patterns).unwrap_or_default(),
        }
    }

    /// Tells whether nothing at or below `path` can be there.
    fn leaves_out(&self, path: &str) -> bool {
        if self.has_exception_within(path) {
            return false;
        }
        if path == "." {
            // The root itself is never left out, but all that is in it.
            let patterns = self.patterns.patterns();
            return patterns
                .iter()
                .any(|(text, _)| matches!(*text, "*" | "**" | "**/*"));
        }
        self.patterns.matches(path)
    }

    /// Tells whether a pattern with `!` may match at or below `path`, going by its components before the first
    /// wildcard.
    fn has_exception_within(&self, path: &str) -> bool {
        let path = if path == "." { "" } else { path };
        let patterns = self.patterns.patterns().into_iter();
        let exceptions = patterns.filter(|(_, takes_back)| *takes_back);
        let mut heads = exceptions.map(|(text, _)| literal_head(text));
        heads.any(|(head, is_wild)| within(&head, path) || (is_wild && within(path, &head)))
    }
}

/// Returns the components before the first one with a wildcard, and whether there is one.
fn literal_head(pattern: &str) -> (String, bool) {
    let is_wild = |part: &str| part.contains(['*', '?', '[']);
    let parts: Vec<&str> = pattern.split('/').collect();
    let head: Vec<&str> = parts
        .iter()
        .copied()
        .take_while(|part| !is_wild(part))
        .collect();
    (head.join("/"), head.len() < parts.len())
}

/// Tells whether `path` is `directory` or below it; everything is below the root.
fn within(path: &str, directory: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    directory.is_empty() || path.strip_prefix(directory).is_some_and(below)
}

/// Finds a source that cannot be there. `verb` is `Copy` or `Add`; `source` is what `word` expands to.
pub(crate) fn copy_ignored_file(
    verb: &str,
    (source, word): (&str, &Word),
    ignore: &IgnoreFile,
    at: &mut Site<'_>,
) {
    let path = clean_path(source.trim_start_matches('/'));
    if ignore.leaves_out(&path) {
        let path = go_quoted(&path);
        let detail = format!("Attempting to {verb} file {path} that is excluded by .dockerignore");
        at.find(Rule::CopyIgnoredFile, detail, word.span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_left_out_when_nothing_within_it_is_taken_back() {
        for (patterns, path, expected) in [
            (vec!["a"], "a", true),
            (vec!["a"], "a/b", true),
            (vec!["a"], "ab", false),
            (vec!["a", "!a"], "a", false),
            (vec!["a", "!a/b"], "a", false),
            (vec!["a", "!a/b"], "a/c", true),
            (vec!["a", "!b"], "a", true),
            (vec!["**", "!*/keep"], "sub", false),
            (vec!["**", "!x/*/keep"], "sub", true),
            (vec![".*"], ".", false),
            (vec!["*"], ".", true),
            (vec!["**/*"], ".", true),
            (vec!["**", "!a"], ".", false),
            (vec![], ".", false),
            (vec!["["], "a", false),
        ] {
            let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
            let found = IgnoreFile::new(&patterns).leaves_out(path);
            assert_eq!(found, expected, "{patterns:?} {path}");
        }
    }
}
