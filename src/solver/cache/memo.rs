//! What one job has found already: chains of stages ask for the same again and again.
//!
//! Only what was found and is there is remembered: the job's lease keeps it from being removed, so that it is there as long
//! as this is. When the job records something all is forgotten, and what was not found is looked for again: somebody else
//! may have made it meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::CacheKey;

use super::Found;

/// What keys led to, in one job.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    // Whoever looks something up asks, in whichever thread, and nobody waits for what is kept here.
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    results: BTreeMap<CacheKey, Arc<Found>>,
    contents: BTreeMap<CacheKey, CacheKey>,
}

impl Memo {
    /// Returns what a key led to, if it was found before.
    pub(super) fn result(&self, key: &CacheKey) -> Option<Arc<Found>> {
        self.tables().results.get(key).cloned()
    }

    /// Keeps what a key led to.
    pub(super) fn keep_result(&self, found: &Found) {
        let (key, found) = (found.key.clone(), Arc::new(found.clone()));
        self.tables().results.insert(key, found);
    }

    /// Returns the content that a definition led to, if that was found before.
    pub(super) fn content(&self, definition: &CacheKey) -> Option<CacheKey> {
        self.tables().contents.get(definition).cloned()
    }

    /// Keeps the content that a definition led to.
    pub(super) fn keep_content(&self, definition: &CacheKey, content: &CacheKey) {
        let (definition, content) = (definition.clone(), content.clone());
        self.tables().contents.insert(definition, content);
    }

    /// Forgets everything: something else may be recorded now.
    pub(crate) fn clear(&self) {
        *self.tables() = Tables::default();
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
