//! The directories of a stack: few of them, however many layers it has.
//!
//! The kernel takes 500 directories, and each costs every look-up in a merged one a little. So of more than
//! [`MOST`] the lowest [`RUN`] are merged into one ([`layer::merge`]), and of more than that many merged ones the lowest
//! of these again:
//!
//! ```text
//! layers       64     64     64     64     64     65 … 128
//! directories  merged merged merged merged merged one each
//! ```
//!
//! Which are merged depends on the number of layers alone, and the name of what they become on their names and those
//! below: it is made once, and found by every stack that begins with the same layers. No record names it, so that it may
//! be removed when nobody uses it.
//!
//! A step's stack is mostly that of the step before with one layer more. What was made of that one is remembered
//! ([`Piles`]), or each step would look for all layers below it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Digest;
use rootfs::Root;
use store::{NameError, SnapshotId, SnapshotKind, SnapshotMeta};

use super::error::RealiseError;
use super::{Maker, is_base, merged, without_repeats};
use crate::result::{Stack, StackLayer};

/// How many become one.
const RUN: usize = 64;

/// How many of one height are left as they are: about as many as other builders take for an image.
const MOST: usize = 2 * RUN;

/// How many stacks are remembered: more than there are stages at work at a time.
const REMEMBERED: usize = 16;

/// The directories of one layer, or the one of several that were merged.
#[derive(Debug, Clone)]
struct Unit {
    /// How often layers were merged: it has [`RUN`] to the power of this many.
    height: u32,
    /// What names all layers up to the uppermost in it.
    end: Digest,
    roots: Vec<Arc<Root>>,
}

/// The directories of a stack, the lowest first. Higher units are below lower ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Pile {
    units: Vec<Unit>,
}

impl Pile {
    /// Returns the directories, the lowest first.
    pub(super) fn roots(&self) -> Vec<Arc<Root>> {
        roots_of(&self.units)
    }

    fn push(&mut self, layer: &SnapshotId, roots: Vec<Arc<Root>>) {
        let below = self.units.last().map(|unit| &unit.end);
        self.units.push(Unit {
            height: 0,
            end: end_of(below, layer),
            roots,
        });
    }

    /// Returns the next units to be merged, if there are too many of a height.
    fn surplus(&self) -> Option<Range<usize>> {
        let mut start = 0;
        for (place, unit) in self.units.iter().enumerate() {
            if unit.height != self.units[start].height {
                start = place;
            }
            if place - start >= MOST {
                return Some(start..start + RUN);
            }
        }
        None
    }
}

fn roots_of(units: &[Unit]) -> Vec<Arc<Root>> {
    let roots = units.iter().flat_map(|unit| &unit.roots);
    roots.cloned().collect()
}

/// Names a layer and all below it.
fn end_of(below: Option<&Digest>, layer: &SnapshotId) -> Digest {
    let below = below.map(Digest::to_string).unwrap_or_default();
    Digest::of(format!("{below}\0{layer}").as_bytes())
}

fn merged_id(height: u32, end: &Digest) -> Result<SnapshotId, NameError> {
    let text = format!("merged\0{RUN}\0{height}\0{end}");
    SnapshotId::from_digest("merged", &Digest::of(text.as_bytes()))
}

/// Returns how many layers each merged directory of a stack of so many has, with its height; the lowest first.
fn merged_spans(layers: usize) -> Vec<(u32, usize)> {
    let mut spans = Vec::new();
    let (mut height, mut span) = (0, 1);
    let mut count = layers;
    while count > 0 {
        // What is left of a height are `MOST - RUN + 1` to `MOST`.
        let merged = count.saturating_sub(MOST - RUN + 1) / RUN;
        if height > 0 {
            spans.extend(std::iter::repeat_n((height, span), count - merged * RUN));
        }
        (height, span, count) = (height + 1, span * RUN, merged);
    }
    spans.sort_by_key(|&(height, _)| std::cmp::Reverse(height));
    spans
}

impl Maker<'_> {
    /// Returns the directories of a stack.
    pub(super) fn pile(&self, stack: &Stack) -> Result<Pile, RealiseError> {
        self.workshop.reach.files()?;
        let piles = &self.workshop.piles;
        let (mut pile, mut new) = piles.nearest(stack);
        if pile.units.is_empty() {
            let covered = self.merged_before(&mut pile, &new)?;
            new.drain(..covered);
        }
        self.grow(&mut pile, (stack, &new), &mut |_own| {})?;
        piles.remember(stack, &pile);
        Ok(pile)
    }

    /// Returns the directories of each layer of a stack, and those of the stack.
    pub(super) fn parts(&self, stack: &Stack) -> Result<Vec<Vec<Arc<Root>>>, RealiseError> {
        self.workshop.reach.files()?;
        let mut parts = Vec::new();
        let mut keep = |own: &[Arc<Root>]| parts.push(own.to_vec());
        self.grow(&mut Pile::default(), (stack, stack.layers()), &mut keep)?;
        Ok(parts)
    }

    /// Takes the merged directories that earlier builds left, from the bottom on; returns how many layers they are.
    fn merged_before(
        &self,
        pile: &mut Pile,
        layers: &[Arc<StackLayer>],
    ) -> Result<usize, RealiseError> {
        let mut covered = 0;
        let mut end = None;
        for (height, span) in merged_spans(layers.len()) {
            let above = &layers[covered..covered + span];
            let top = above.iter().fold(end.clone(), |below, layer| {
                Some(end_of(below.as_ref(), &layer.id))
            });
            let Some(top) = top else { break };
            let Some(found) = self.open(&merged_id(height, &top)?)? else {
                break;
            };
            pile.units.push(Unit {
                height,
                end: top.clone(),
                roots: vec![Arc::new(found.fs)],
            });
            (covered, end) = (covered + span, Some(top));
        }
        Ok(covered)
    }

    /// Puts the uppermost layers of a stack onto the directories of those below, and tells what each of them has.
    fn grow(
        &self,
        pile: &mut Pile,
        (stack, new): (&Stack, &[Arc<StackLayer>]),
        tell: &mut dyn FnMut(&[Arc<Root>]),
    ) -> Result<(), RealiseError> {
        let bases = new.iter().take_while(|layer| is_base(layer)).count();
        let (of_base, own) = new.split_at(bases);
        self.fetch_remote(own)?;
        for (layer, root) in of_base.iter().zip(self.base_above(stack, of_base)?) {
            let roots = vec![root];
            tell(&roots);
            self.put(pile, &layer.id, roots)?;
        }
        for layer in own {
            let roots = self.layer(layer, &pile.roots())?;
            tell(&roots);
            self.put(pile, &layer.id, roots)?;
        }
        Ok(())
    }

    /// Returns the directories of the uppermost layers of a base.
    fn base_above(
        &self,
        stack: &Stack,
        upper: &[Arc<StackLayer>],
    ) -> Result<Vec<Arc<Root>>, RealiseError> {
        let upper: Vec<_> = upper.iter().collect();
        if let Some(roots) = self.base_that_is_there(&upper)? {
            return Ok(roots);
        }
        // Made from the bottom up.
        let all = stack.layers().iter();
        let all: Vec<_> = all.take_while(|layer| is_base(layer)).collect();
        let mut roots = self.base(&all)?;
        Ok(roots.split_off(all.len().saturating_sub(upper.len())))
    }

    /// Puts a layer on top, and merges what is too much then.
    pub(super) fn put(
        &self,
        pile: &mut Pile,
        layer: &SnapshotId,
        roots: Vec<Arc<Root>>,
    ) -> Result<(), RealiseError> {
        pile.push(layer, roots);
        while let Some(run) = pile.surplus() {
            let merged = self.merge(&pile.units[..run.start], &pile.units[run.clone()])?;
            pile.units.splice(run, merged);
        }
        Ok(())
    }

    /// Returns units as one, found or made.
    fn merge(&self, below: &[Unit], run: &[Unit]) -> Result<Option<Unit>, RealiseError> {
        let Some(top) = run.last() else {
            return Ok(None);
        };
        let (height, end) = (top.height + 1, top.end.clone());
        let root = self.merged_root(&merged_id(height, &end)?, below, run)?;
        Ok(Some(Unit {
            height,
            end,
            roots: vec![root],
        }))
    }

    fn merged_root(
        &self,
        id: &SnapshotId,
        below: &[Unit],
        run: &[Unit],
    ) -> Result<Arc<Root>, RealiseError> {
        if let Some(found) = self.open(id)? {
            return Ok(Arc::new(found.fs));
        }
        let _claim = self.claim(&Digest::of(id.as_str().as_bytes()))?;
        if let Some(found) = self.open(id)? {
            return Ok(Arc::new(found.fs));
        }
        let below = without_repeats(roots_of(below))?;
        let is_some = !below.is_empty();
        let below = is_some.then(|| merged(self.workshop, &below)).transpose()?;
        let active = self
            .workshop
            .store
            .snapshots()
            .prepare(&self.workshop.lease)?;
        let merged = layer::merge(&roots_of(run), below.as_deref(), active.fs());
        merged.map_err(|source| RealiseError::Merge {
            layer: id.clone(),
            source,
        })?;
        let meta = SnapshotMeta::of(SnapshotKind::Merged);
        Ok(Arc::new(active.commit(id, meta)?.fs))
    }
}

/// The directories of the stacks that were asked for last; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Piles {
    /// The steps of a job share it, each on a thread of its own, and hold it for a moment. A channel would need
    /// somebody who waits at its other end.
    last: Arc<Mutex<VecDeque<(Stack, Pile)>>>,
}

impl Piles {
    /// Returns the directories of as much of a stack as is known, and the layers above that.
    fn nearest(&self, stack: &Stack) -> (Pile, Vec<Arc<StackLayer>>) {
        let mut above = Vec::new();
        let mut rest = stack.clone();
        let pile = loop {
            if let Some(pile) = self.of(&rest) {
                break pile;
            }
            let Some((top, below)) = rest.split_top() else {
                break Pile::default();
            };
            above.push(Arc::clone(top));
            rest = below;
        };
        above.reverse();
        (pile, above)
    }

    fn of(&self, stack: &Stack) -> Option<Pile> {
        let last = self.last();
        let found = last.iter().find(|(known, _)| known.is(stack));
        found.map(|(_, pile)| pile.clone())
    }

    fn remember(&self, stack: &Stack, pile: &Pile) {
        let mut last = self.last();
        last.retain(|(known, _)| !known.is(stack));
        last.push_front((stack.clone(), pile.clone()));
        last.truncate(REMEMBERED);
    }

    fn last(&self) -> MutexGuard<'_, VecDeque<(Stack, Pile)>> {
        // Every change of it leaves a list.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(count: usize) -> Pile {
        let mut pile = Pile::default();
        for number in 0..count {
            pile.push(
                &SnapshotId::new(&format!("layer-{number}")).unwrap(),
                Vec::new(),
            );
            while let Some(run) = pile.surplus() {
                let top = pile.units[run.end - 1].clone();
                let merged = Unit {
                    height: top.height + 1,
                    ..top
                };
                pile.units.splice(run, [merged]);
            }
        }
        pile
    }

    #[test]
    fn few_layers_are_left_as_they_are_and_many_become_few() {
        for (count, expected) in [
            (0, vec![]),
            (1, vec![(0, 1)]),
            (128, vec![(0, 128)]),
            (129, vec![(1, 1), (0, 65)]),
            (192, vec![(1, 1), (0, 128)]),
            (193, vec![(1, 2), (0, 65)]),
            (1_000, vec![(1, 14), (0, 104)]),
            (8_384, vec![(2, 1), (1, 65), (0, 128)]),
        ] {
            let mut heights: Vec<(u32, usize)> = Vec::new();
            for unit in layers(count).units {
                match heights.last_mut() {
                    Some((height, units)) if *height == unit.height => *units += 1,
                    _ => heights.push((unit.height, 1)),
                }
            }
            assert_eq!(heights, expected, "{count} layers");
        }
    }

    #[test]
    fn what_is_looked_for_is_what_was_merged() {
        for count in [0, 128, 129, 192, 193, 1_000, 8_384, 8_385, 20_000] {
            let units = layers(count).units;
            let merged = units.iter().filter(|unit| unit.height > 0);
            let made: Vec<_> = merged
                .map(|unit| (unit.height, RUN.pow(unit.height)))
                .collect();
            assert_eq!(merged_spans(count), made, "{count} layers");
        }
    }

    #[test]
    fn a_merged_directory_is_named_by_all_layers_up_to_its_top() {
        let end = |names: &[&str]| {
            let ids = names.iter().map(|name| SnapshotId::new(name).unwrap());
            ids.fold(None, |below, id| Some(end_of(below.as_ref(), &id)))
                .unwrap()
        };
        assert_eq!(end(&["a", "b"]), end(&["a", "b"]));
        assert_ne!(end(&["a", "b"]), end(&["b"]));
        assert_ne!(end(&["a", "b"]), end(&["b", "a"]));
        assert_ne!(
            merged_id(1, &end(&["a"])).unwrap(),
            merged_id(2, &end(&["a"])).unwrap()
        );
    }

    #[test]
    fn what_is_known_of_a_stack_is_found_for_those_on_top_of_it() {
        let layer = |name: &str| {
            Arc::new(StackLayer {
                id: SnapshotId::new(name).unwrap(),
                held: crate::result::Held::Stored,
                created: None,
            })
        };
        let below = Stack::scratch().with(layer("a"));
        let stack = below.with(layer("b")).with(layer("c"));
        let piles = Piles::default();
        let above = |piles: &Piles| {
            let (pile, above) = piles.nearest(&stack);
            let names: Vec<_> = above.iter().map(|layer| layer.id.to_string()).collect();
            (pile.units.len(), names.concat())
        };
        assert_eq!(above(&piles), (0, "abc".to_owned()));
        let mut pile = Pile::default();
        pile.push(&below.layers()[0].id, Vec::new());
        piles.remember(&below, &pile);
        assert_eq!(above(&piles), (1, "bc".to_owned()));
        for number in 0..REMEMBERED {
            let other = Stack::scratch().with(layer(&format!("other-{number}")));
            piles.remember(&other, &pile);
        }
        assert_eq!(above(&piles), (0, "abc".to_owned()));
    }
}
