//! Layers that wait for a reason to be pushed.

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use oci::Digest;
use solver::PackedWhen;

use super::Packed;

/// Passes layers on from the first new one; those before it wait until then. A layer that several platforms have is
/// passed on once: two threads that push it at once would both send it.
#[derive(Clone)]
pub(super) struct HeldBack {
    to: Sender<Packed>,
    /// What came so far. Every thread that packs brings some of it.
    came: Arc<Mutex<Came>>,
}

/// The layers that came.
struct Came {
    /// Those that wait; none when there is a reason.
    waiting: Option<Vec<Packed>>,
    /// All of them, by who wants them.
    known: BTreeSet<(usize, Digest)>,
}

impl HeldBack {
    pub(super) fn new(to: Sender<Packed>) -> Self {
        let came = Came {
            waiting: Some(Vec::new()),
            known: BTreeSet::new(),
        };
        Self {
            to,
            came: Arc::new(Mutex::new(came)),
        }
    }

    pub(super) fn pass(&self, packed: Packed, when: PackedWhen) {
        for packed in self.ready(packed, when) {
            // Nobody takes them when there are no threads to push.
            drop(self.to.send(packed));
        }
    }

    /// Returns what need not wait any more.
    fn ready(&self, packed: Packed, when: PackedWhen) -> Vec<Packed> {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = came.known.insert((packed.wanted, packed.digest.clone()));
        let new = is_new.then_some(packed);
        if when == PackedWhen::Before
            && let Some(waiting) = came.waiting.as_mut()
        {
            waiting.extend(new);
            return Vec::new();
        }
        let mut ready = came.waiting.take().unwrap_or_default();
        ready.extend(new);
        ready
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::image::{LayerFile, LayerPlace};

    fn packed(name: &str, wanted: usize) -> Packed {
        Packed {
            digest: Digest::of(name.as_bytes()),
            file: LayerFile {
                size_bytes: 0,
                media_type: name.to_owned(),
                place: LayerPlace::Packed,
            },
            wanted,
        }
    }

    #[test]
    fn a_layer_that_comes_again_is_not_passed_on_again() {
        let (sender, receiver) = channel();
        let held = HeldBack::new(sender);
        let came = [
            ("a", 0, PackedWhen::Before),
            ("a", 0, PackedWhen::Before),
            ("b", 0, PackedWhen::Now),
            ("b", 0, PackedWhen::Before),
            ("b", 1, PackedWhen::Now),
            ("a", 0, PackedWhen::Before),
        ];
        for (name, wanted, when) in came {
            held.clone().pass(packed(name, wanted), when);
        }
        let passed = receiver.try_iter();
        let passed: Vec<_> = passed
            .map(|one| (one.file.media_type, one.wanted))
            .collect();
        let expected =
            [("a", 0), ("b", 0), ("b", 1)].map(|(name, wanted)| (name.to_owned(), wanted));
        assert_eq!(passed, expected);
    }

    #[test]
    fn layers_wait_for_the_first_new_one_and_none_after_it() {
        let (sender, receiver) = channel();
        let held = HeldBack::new(sender);
        let passed = |held: &HeldBack, name, when| {
            held.pass(packed(name, 0), when);
            let passed = receiver.try_iter().map(|packed| packed.file.media_type);
            passed.collect::<Vec<_>>()
        };
        assert_eq!(passed(&held, "a", PackedWhen::Before), [""; 0]);
        assert_eq!(passed(&held.clone(), "b", PackedWhen::Before), [""; 0]);
        assert_eq!(passed(&held, "c", PackedWhen::Now), ["a", "b", "c"]);
        assert_eq!(passed(&held, "d", PackedWhen::Before), ["d"]);
        assert_eq!(passed(&held.clone(), "e", PackedWhen::Now), ["e"]);
    }
}
