//! File access confined to a root directory.
//!
//! A name that came from an image, a Dockerfile or a build context is never given to the kernel as
//! a path of this machine. It becomes a [`RootPath`], and the only thing that can be done with a
//! `RootPath` is to use it below a [`Root`]: a descriptor of a directory that nothing leads out of.
//! The parent of a name is looked up by `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`, and the
//! last component by an `*at` call that follows nothing (openat2(2), "The how.resolve field").
//!
//! | Module | Promise |
//! | --- | --- |
//! | `path` | a name is normalised once and cannot climb |
//! | `root` | a look-up never leaves the root, whoever renames what meanwhile |
//! | `follow` | a path is followed in one way, also where there is no directory yet |
//! | `ops` | changes are made below the root and follow no link |
//! | `walk` | a tree is read in one order, with few descriptors |
//! | `attr` | metadata, modes, times and extended attributes of an inode held by a descriptor |
//! | `owner` | how the ids, modes and devices of an image are held where this process cannot give them |
//! | `atomic` | a file is there whole or not at all |
//! | `users` | `USER` is looked up in the image's own tables |
//!
//! The crate makes no decision about images: what to write and where is the caller's.
#![forbid(unsafe_code)]

mod atomic;
mod attr;
mod call;
mod copy;
mod error;
mod follow;
mod ops;
mod owner;
mod path;
mod remove;
mod root;
#[cfg(test)]
mod tests;
mod trace;
mod users;
mod walk;
mod xattr;

pub use std::fs::File;

pub use atomic::{TEMPORARY_PREFIX, sync_file_system, write_atomic};
pub use attr::{FileKind, FileTime, Inode, Metadata, Mode};
pub use copy::{Copied, copy_contents, next_data, seek, set_length, share_contents, write_all};
pub use error::FsError;
pub use follow::{FollowError, Way, follow};
pub use owner::{
    Device, IdError, IdStorage, OWNER_XATTR, OwnerRecord, OwnerTable, Owners, RecordError,
};
pub use path::{COMPONENT_LIMIT_BYTES, PATH_LIMIT_BYTES, PathError, RootPath, compare_paths};
pub use root::Root;
pub use users::{
    GROUP, PASSWD, ResolvedUser, TABLE_LIMIT_BYTES, UserError, UserTables, highest_id,
    resolve_user, resolve_user_in, resolve_user_without_tables,
};
pub use walk::{Entry, NamedEntry, Walk};
