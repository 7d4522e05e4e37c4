//! Change sets in memory: sorted, each path once.

use rootfs::RootPath;

use super::list::{ChangeList, Listed};
use super::{Attributes, Change, Changes};

/// A change set in memory: a recipe, whose contents are elsewhere.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    changes: ChangeList,
}

impl ChangeSet {
    /// Sorts changes by path. Of several changes of one path the last one counts.
    pub fn new(mut changes: Vec<Change>) -> Self {
        changes.reverse();
        // The sort is stable, so that the last one said comes first, and is the one that stays.
        changes.sort_by(|one, other| one.path.cmp(&other.path));
        changes.dedup_by(|later, kept| later.path == kept.path);
        Self {
            changes: changes.into_iter().map(Listed::from).collect(),
        }
    }

    /// Returns the changes in order.
    pub fn iter(&self) -> impl Iterator<Item = Change> + use<'_> {
        self.changes.iter().map(|listed| listed.change)
    }

    /// Returns what is said of a path.
    pub fn get(&self, path: &RootPath) -> Option<Change> {
        self.changes.get(path).map(|listed| listed.change)
    }

    /// Returns the first change at a path or behind it.
    pub(crate) fn at_or_after(&self, path: &RootPath) -> Option<Change> {
        self.changes.at_or_after(path).map(|listed| listed.change)
    }

    /// Hands the paths of all changes to `take`, each with whether it is a directory that hides nothing below it.
    pub(crate) fn for_each_name(&self, take: impl FnMut(&[u8], bool)) {
        self.changes.for_each_name(take);
    }

    /// Hands the paths of all changes to `take`, each with its owner, mode and extended attributes, but not its time; none
    /// of one that is gone.
    pub fn for_each_attributes<T: FnMut(&[u8], Option<&Attributes>)>(&self, take: T) {
        self.changes.for_each_attributes(take);
    }

    /// Returns the changes as a stream.
    pub fn stream(&self) -> impl Changes + use<'_> {
        self.iter().map(Ok)
    }

    /// Returns how many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Tells whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Puts a change set together of changes that come mostly in order.
///
/// What comes in order is one *run*. A path that is not behind the one before begins another, and runs of like length are
/// merged, so that there are never many.
#[derive(Debug, Default)]
pub struct ChangeSetBuilder {
    /// Those further back count more.
    runs: Vec<ChangeList>,
}

impl ChangeSetBuilder {
    /// Adds a change; of several of one path the last one counts.
    pub fn push(&mut self, change: Change) {
        let last = self.runs.last().and_then(ChangeList::last_path);
        if last.is_none_or(|last| *last >= change.path) {
            self.begin();
        }
        if let Some(run) = self.runs.last_mut() {
            run.push(change.into());
        }
    }

    /// Tells whether a path is behind all that was added.
    pub fn is_behind(&self, path: &RootPath) -> bool {
        let mut last = self.runs.iter().filter_map(ChangeList::last_path);
        last.all(|last| last < path)
    }

    /// Returns what was said of a path last.
    pub fn get(&self, path: &RootPath) -> Option<Change> {
        let mut newest_first = self.runs.iter().rev();
        let found = newest_first.find_map(|run| run.get(path));
        found.map(|listed| listed.change)
    }

    /// Returns the change set.
    pub fn finish(mut self) -> ChangeSet {
        while self.runs.len() > 1 {
            self.merge_last();
        }
        ChangeSet {
            changes: self.runs.pop().unwrap_or_default(),
        }
    }

    /// Begins a run, with no more of them than a power of two has digits.
    fn begin(&mut self) {
        while let [.., below, above] = self.runs.as_slice()
            && below.len() <= 2 * above.len()
        {
            self.merge_last();
        }
        self.runs.push(ChangeList::default());
    }

    fn merge_last(&mut self) {
        let (above, below) = (self.runs.pop(), self.runs.pop());
        if let (Some(below), Some(above)) = (below, above) {
            self.runs.push(merged(below, above));
        }
    }
}

/// Merges two runs; what the second one says of a path counts.
fn merged(below: ChangeList, above: ChangeList) -> ChangeList {
    let mut below = below.drain().peekable();
    let mut merged = ChangeList::default();
    for listed in above.drain() {
        let path = &listed.change.path;
        while let Some(before) = below.next_if(|before| before.change.path <= *path) {
            if before.change.path != *path {
                merged.push(before);
            }
        }
        merged.push(listed);
    }
    below.for_each(|listed| merged.push(listed));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ChangeKind, Node, NodeKind};

    fn path(text: &str) -> RootPath {
        RootPath::strict(text).unwrap()
    }

    fn fifo(at: &str, uid: u32) -> Change {
        let attributes = Attributes {
            uid,
            ..Attributes::default()
        };
        let kind = NodeKind::Fifo;
        Change {
            path: path(at),
            kind: ChangeKind::Put(Node { attributes, kind }),
        }
    }

    fn uid(change: &Change) -> Option<u32> {
        match &change.kind {
            ChangeKind::Put(node) => Some(node.attributes.uid),
            ChangeKind::Delete => None,
        }
    }

    #[test]
    fn a_change_set_is_in_order_and_the_last_word_counts() {
        let delete = |at: &str| Change {
            path: path(at),
            kind: ChangeKind::Delete,
        };
        let set = ChangeSet::new(vec![fifo("b", 0), delete("a/x"), delete("a"), delete("b")]);
        let found: Vec<_> = set.stream().map(Result::unwrap).collect();
        let paths: Vec<_> = found.iter().map(|change| change.path.clone()).collect();
        assert_eq!(paths, ["a", "a/x", "b"].map(path));
        assert!(matches!(found[2].kind, ChangeKind::Delete));
    }

    #[test]
    fn a_set_that_is_put_together_in_any_order_has_the_last_word_on_each_path() {
        let mut builder = ChangeSetBuilder::default();
        let mut expected = std::collections::BTreeMap::new();
        // Every step is a prime apart, so that runs of all lengths come about and paths come again.
        for number in 0..3000_u32 {
            let at = format!("d{}/f{}", number * 7919 % 40, number * 104_729 % 50 / 3);
            builder.push(fifo(&at, number));
            expected.insert(path(&at), Some(number));
            assert_eq!(builder.get(&path(&at)).as_ref().and_then(uid), Some(number));
            assert!(!builder.is_behind(&path(&at)));
            assert!(builder.is_behind(&path("e")));
            assert!(builder.runs.len() <= 12, "{}", builder.runs.len());
        }
        assert!(builder.get(&path("d0")).is_none());
        let set = builder.finish();
        let found = set.iter().map(|change| (change.path.clone(), uid(&change)));
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn nothing_put_together_is_an_empty_set() {
        assert!(ChangeSetBuilder::default().finish().is_empty());
    }
}
