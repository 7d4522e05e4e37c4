//! File trees ⇄ change sets ⇄ layer tars.
//!
//! ```text
//!  upper directory ──diff──►                    ┌─write──► tar ──compress──► blob
//!                            changes (a stream) ┤
//!  recipe of a COPY ───────►                    ├─place──► directory in overlay form
//!                                               └─digest_changes──► content key
//!  blob ──decompressor──► tar ──apply──► directory in overlay form ──settle──► complete
//! ```
//!
//! A change is what one layer says of one path: what is there now, or that nothing is. Changes flow
//! one by one, so that memory does not grow with the number of files. On disk a layer is a directory of
//! its own in overlay form: a removed name is the character device 0:0, a directory that hides what is
//! below has the attribute `user.overlay.opaque` (overlayfs.rst, "whiteouts and opaque directories").
//!
//! * The bytes of a tar and of a blob are a function of the changes and the options alone: not of the
//!   number of threads, the time, or the sizes of reads and writes.
//! * An archive is hostile until it is applied: nothing outside the target directory is touched, and
//!   everything has a bound ([`limits`]).
//!
//! Mounting, and where layers are kept, is left to others.
#![forbid(unsafe_code)]

mod apply;
mod archive;
mod archive_index;
mod archive_write;
mod baseline;
mod blocks;
mod change;
mod checksum;
mod compare;
mod compress;
mod content;
mod decompress;
mod diff;
mod disk;
mod expansion;
mod finish;
mod header;
mod index;
mod indexer;
mod largest;
mod lay;
pub mod limits;
mod look;
mod merge;
mod node;
mod pack;
mod pax;
mod place;
mod placer;
mod read_ahead;
mod replica;
mod room;
mod same;
mod settle;
mod sink;
mod sparse;
mod stand_in;
mod stash;
mod tarread;
#[cfg(test)]
mod tests;
mod unpack;
mod whiteout;
mod write;
mod writers;
mod xattr;
mod zstd_frames;

pub use apply::{Applied, ApplyError, ApplyOptions, apply};
pub use archive::{ArchiveError, ArchiveFile, ArchiveReader, begins_archive, is_archive};
pub use archive_index::{ArchiveMember, MemberKind, index_archive};
pub use archive_write::{ArchiveWriteError, ArchiveWriter};
pub use baseline::{Baseline, BaselineError, next_grain};
pub use change::{
    Attributes, Change, ChangeKind, ChangeList, ChangeSet, ChangeSetBuilder, Changes, Content,
    Listed, Node, NodeKind,
};
pub use checksum::{ChecksumError, HashedFile, digest_changes, fingerprint, hash_files};
pub use compare::{DIFFERENCES_MAX, Differences, differences};
pub use compress::Compression;
pub use content::ContentError;
pub use decompress::{ArchiveFormat, decompressor, sniff};
pub use diff::{DiffError, UpperDiff, diff_upper};
pub use index::{LayerIndex, index};
pub use largest::{LARGEST_FILES, LargeFile};
pub use lay::{TreeForm, copy_tree, lay};
pub use limits::Limits;
pub use look::{LookedInto, Lookups, Undecided};
pub use merge::{MergeError, flatten, merge};
pub use node::{directory_attributes, known_file, local_node, stored_node};
pub use pack::{PackError, PackOptions, Packed, RepackError, pack, repack};
pub use place::{FillError, PlaceError, fill, place};
pub use replica::ReplicaError;
pub use room::DecoderRoom;
pub use same::{CompareError, Made, Span, made_the_same};
pub use settle::{DeferredLink, SettleError, Unsettled, settle};
pub use stand_in::{copy_changed, stand_in};
pub use stash::{
    PACKS_MAX, StashEntry, StashFillError, StashFiller, StashIndex, StashIndexError, StashNote,
    StashObject, StashPackError, StashPlan, StashScan, StashScanError, plan as plan_stash,
    scan as scan_stash,
};
pub use tarread::TarError;
pub use unpack::{UnpackError, unpack};
pub use write::{TarOptions, TimePrecision, Times, WriteError, write_tar};
