//! The layers of a build as rows of a table, and the largest files of those that it made.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Account, End};

/// How many files are told of, over all layers.
const FILES: usize = 5;

/// What a step adds to a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerRow {
    /// How the step is called.
    pub(crate) step: String,
    /// How many layers it adds; those of a base are one row.
    pub(crate) layers: usize,
    /// The size of their blobs in bytes, if all of them are there as blobs.
    pub(crate) size_bytes: Option<u64>,
    /// How long the step ran; none if an earlier build had it.
    pub(crate) took: Option<Duration>,
}

/// A file of a layer that this build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargeFile {
    /// Where it is in the image.
    pub(crate) path: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// The step that made it.
    pub(crate) step: String,
}

impl Account {
    /// Returns what the steps add to the results, each once, in the order of the targets and from the lowest on.
    pub(crate) fn layer_rows(&self) -> Vec<LayerRow> {
        let mut told = Vec::new();
        let mut rows = Vec::new();
        for (place, layers) in self.targets.values().flatten() {
            if told.contains(place) || layers.is_empty() {
                continue;
            }
            told.push(*place);
            let step = &self.steps[*place];
            let sizes = layers.iter().map(|layer| {
                let packed = self.blobs.get(&layer.layer).map(|blob| blob.size_bytes);
                packed.or(layer.size_bytes)
            });
            rows.push(LayerRow {
                step: step.name.clone(),
                layers: layers.len(),
                size_bytes: sizes.sum(),
                took: (step.end == End::Made).then(|| step.took()),
            });
        }
        rows
    }

    /// Returns the largest files of the layers that were packed now, the largest first.
    pub(crate) fn largest_files(&self) -> Vec<LargeFile> {
        let mut files: Vec<LargeFile> = Vec::new();
        for (place, layers) in self.targets.values().flatten() {
            let blobs = layers
                .iter()
                .filter_map(|layer| self.blobs.get(&layer.layer));
            for file in blobs.flat_map(|blob| &blob.files) {
                let file = LargeFile {
                    path: file.path.clone(),
                    size_bytes: file.size_bytes,
                    step: self.steps[*place].name.clone(),
                };
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        // What is as large stays in the order of the layers.
        files.sort_by_key(|file| Reverse(file.size_bytes));
        files.truncate(FILES);
        files
    }
}
