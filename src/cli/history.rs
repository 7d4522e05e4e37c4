//! Builds of the past: each leaves a file in a directory beside the store, with its events and what it was.
//!
//! ```text
//! STORE/history/
//! └─ 01767323045123456789-0f1e2d3c4b5a6978-7c6b5a49382716f5e4d3c2b1a    when · what was built · which build
//!
//! {"careen":"events","version":1,"start":"2026-01-02T03:04:05.123456789Z"}
//! {"at":0.012,"event":"planned", …}                                      as `--event-log` has them
//! …
//! {"careen":"build","version":1,"id":"7c6b5a49382716f5e4d3c2b1a", …}     what it was, and how it ended
//! ```
//!
//! The file is written once, when the build is over, and is not synced: one that a loss of power tore, or whose writer is
//! not done, has no last line and is passed over. Nothing depends on any of them.

mod explain;
mod id;
mod record;
mod shelf;
mod writer;

pub(crate) use explain::{Earlier, Explained, Explainer, Wish};
pub(crate) use id::{BuildId, Lineage};
pub(crate) use record::{Built, Record, Status, WrittenImage};
pub(crate) use shelf::{Entry, HistoryError, Shelf, Wanted};
pub(crate) use writer::CompactLog;
