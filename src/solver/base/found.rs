//! What names of images were found to be, by one command: it asks once, however often it begins.

use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::Platform;

use crate::event::{Event, Events};

use super::{Named, Pull, ResolvedImage};

/// The images that one command asked for, with what they are.
#[derive(Debug, Default)]
pub struct FoundImages {
    // Threads ask for different images at the same time, and each only adds its own: nobody would own it.
    found: Mutex<Vec<Found>>,
}

#[derive(Debug)]
struct Found {
    name: String,
    platforms: Vec<Platform>,
    pull: Pull,
    images: Vec<ResolvedImage>,
    /// What was told on the way: a display that begins anew is told it again.
    told: Vec<Event>,
}

impl FoundImages {
    /// Returns what was found before, and tells what was told then; none if it was not asked for.
    pub(super) fn get(&self, wanted: &Named<'_>, events: &Events) -> Option<Vec<ResolvedImage>> {
        let all = self.all();
        let found = all.iter().find(|found| {
            (found.name.as_str(), found.pull) == (wanted.name, wanted.pull)
                && found.platforms == wanted.platforms
        });
        found.map(|found| {
            let told = found.told.iter().cloned();
            told.for_each(|event| events.emit(event));
            found.images.clone()
        })
    }

    /// Keeps what was found.
    pub(super) fn add(&self, wanted: &Named<'_>, images: &[ResolvedImage], told: Vec<Event>) {
        self.all().push(Found {
            name: wanted.name.to_owned(),
            platforms: wanted.platforms.to_vec(),
            pull: wanted.pull,
            images: images.to_vec(),
            told,
        });
    }

    fn all(&self) -> MutexGuard<'_, Vec<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
