//! Layers that wait for a reason to be pushed.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use solver::PackedWhen;

use super::Packed;

/// Passes layers on from the first new one; those before it wait until then.
#[derive(Clone)]
pub(super) struct HeldBack {
    to: Sender<Packed>,
    /// Those that wait; none when there is a reason. Every thread that packs may bring it.
    waiting: Arc<Mutex<Option<Vec<Packed>>>>,
}

impl HeldBack {
    pub(super) fn new(to: Sender<Packed>) -> Self {
        Self {
            to,
            waiting: Arc::new(Mutex::new(Some(Vec::new()))),
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
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if when == PackedWhen::Before
            && let Some(waiting) = waiting.as_mut()
        {
            waiting.push(packed);
            return Vec::new();
        }
        let mut ready = waiting.take().unwrap_or_default();
        ready.push(packed);
        ready
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use oci::Digest;

    use super::*;
    use crate::image::{LayerFile, LayerPlace};

    #[test]
    fn layers_wait_for_the_first_new_one_and_none_after_it() {
        let packed = |name: &str| Packed {
            digest: Digest::of(name.as_bytes()),
            file: LayerFile {
                size_bytes: 0,
                media_type: name.to_owned(),
                place: LayerPlace::Packed,
            },
            wanted: 0,
        };
        let (sender, receiver) = channel();
        let held = HeldBack::new(sender);
        let passed = |held: &HeldBack, name, when| {
            held.pass(packed(name), when);
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
