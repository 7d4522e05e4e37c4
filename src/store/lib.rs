//! State on disk: one directory that many processes of one user share.
//!
//! There is no service and no database: what is there is what the directories say (the drawing is in
//! `layout`), and the kernel's file locks say who is alive. A process may be killed at any moment;
//! whatever it had begun is recognised by its free lock and removed by the next one.
//!
//! | Module | Promise |
//! | --- | --- |
//! | `open`, `repair` | a store is made once, is its owner's alone, and is cleaned at every opening |
//! | `lock`, `claim` | who owns a file, and who may do what now ([`Claim`]); free when the holder dies |
//! | `wait` | who waits for a lock of somebody else's can say so |
//! | `lease`, `gc` | what a live build uses is not removed, and nobody waits for a build |
//! | `usage` | what is there, how much room it takes, when it was used last |
//! | `policy`, `collect` | what is not used any more goes, the least recently used first |
//! | `wanted`, `sweep` | blobs that no tag leads to and no record names are removed |
//! | `check` | everything is looked at, and what is damaged is mended, when somebody asks for it |
//! | `glance` | what a shell completes is seen without opening the store |
//! | `image` | what the index names is an image, with its names |
//! | `content`, `ingest`, `tags` | blobs by digest in an OCI image layout, whole or absent |
//! | `blob`, `foreign` | blobs are read verified, from the store or from a user's layout |
//! | `whole` | what this process has hashed need not be read again to be lent out |
//! | `snapshot`, `mark` | file systems, visible when complete |
//! | `cache_mount` | directories that commands keep between builds |
//! | `record`, `sealed` | what a key led to; a damaged record is a miss |
//! | `hint` | what makes a build faster and is not needed; a damaged one is none |
//! | `list` | lists of manifests that are being put together, each whole |
//! | `repository` | git repositories that are kept, for one at a time |
//! | `scratch`, `trash` | what is not there yet, and what is not there any more |
//!
//! The store's own files are not trusted either: blobs are verified against their digests, records and
//! marks against a digest in them. What is damaged is an error that says so, or a miss.
#![forbid(unsafe_code)]

mod blob;
mod cache_mount;
mod cache_note;
mod check;
mod claim;
mod collect;
mod content;
mod file;
mod foreign;
mod gc;
mod glance;
mod hint;
mod image;
mod ingest;
mod kept;
mod later;
mod layout;
mod lease;
pub mod limits;
mod list;
mod lock;
mod mark;
mod medium;
mod name;
mod open;
mod opened;
mod policy;
mod record;
mod repair;
mod repository;
mod scratch;
mod sealed;
mod snapshot;
mod store;
mod sweep;
mod tags;
#[cfg(test)]
mod testing;
mod trash;
mod unsynced;
mod usage;
mod used;
mod wait;
mod wanted;
mod whole;

pub use blob::{BlobError, BlobReader, BlobSource};
pub use cache_mount::{CacheDirectory, CacheError, CacheId, CacheMeta, Caches, NewCache};
pub use check::{
    CheckError, Checked, CompareFiles, Compared, Damage, Extent, Mended, Mending, Part, Wrong,
};
pub use claim::{Claim, ClaimError, ClaimName, Claims};
pub use collect::{CollectError, Collected};
pub use content::{ContentError, ContentStore, DiscardError, Lent};
pub use file::{FileError, SyncPolicy};
pub use foreign::{ForeignError, ForeignLayout, LayoutIndex, LayoutLocation, LayoutSelector};
pub use gc::{RemoveError, Removed};
pub use glance::Glance;
pub use hint::{Hints, NewHint};
pub use image::{FindError, FoundImage, StoredImage};
pub use ingest::{Ingest, IngestError};
pub use kept::{KeptError, KeptId, KeptIdError, KeptSteps};
pub use later::LaterError;
pub use layout::{FORMAT, WHOLE};
pub use lease::{Lease, LeaseError, Presence};
pub use list::{ListError, ListStore};
pub use mark::{SnapshotKind, SnapshotMeta};
pub use medium::{Medium, MediumError};
pub use name::{IdMapName, NameError, ObjectId, SnapshotId};
pub use open::{OpenError, OpenOptions};
pub use policy::{Filter, FilterError, Room, Rule, Space, choose};
pub use record::{RecordError, RecordStore, read_record};
pub use repository::{Repository, RepositoryError, RepositoryState};
pub use scratch::Spool;
pub use snapshot::{ActiveSnapshot, Snapshot, SnapshotError, Snapshotter};
pub use store::Store;
pub use sweep::{SweepError, Swept};
pub use tags::{ANNOTATION_IMAGE_NAME, TagError};
pub use trash::TrashError;
pub use usage::{Item, ItemId, ItemKind, Usage, UsageError};
pub use wait::{Held, Wait, Waits};
pub use wanted::WantedError;
