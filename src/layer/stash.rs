//! What a directory of cache mounts holds, as blobs that a later build adds to: an index and packs.
//!
//! The *index* says everything of every object but the bytes of files, of which it has the digests. The bytes are
//! in *packs*, tars whose entries are named by digest, each digest in one pack. So what did not change is never
//! packed again, a file that was moved or touched costs a line of the index, and one that was removed costs nothing:
//! no pack has a whiteout, and the order of packs does not matter.
//!
//! ```text
//!  directory ──scan──► index ──plan──► packs that stay, files that are packed
//!                        │                        │
//!  index + packs ◄───────┴──────── write ◄────────┘
//!       └──fill──► directory
//! ```
//!
//! * [`scan()`] hashes only what a [`StashNote`] does not remember by its inode, size and times.
//! * [`plan()`] drops packs of which more than half is dead, so that what is held is never more than twice what is
//!   used, and keeps their number small.
//! * [`StashFiller`] takes nothing on trust: an index is checked while it is read, and each file is hashed while it
//!   is written.

mod fill;
mod index;
mod note;
mod plan;
mod scan;
mod text;

pub use fill::{StashFillError, StashFiller};
pub use index::{StashEntry, StashIndex, StashIndexError, StashObject};
pub use note::StashNote;
pub use plan::{PACKS_MAX, StashPackError, StashPlan, plan};
pub use scan::{StashScan, StashScanError, scan};
