//! Bounds on what an archive may contain. Each refusal names the bound.

/// The most entries of one layer. Each costs an inode and, if a directory, some memory.
pub const ENTRIES_MAX: u64 = 4_000_000;

/// The longest path, in bytes, as in `rootfs`.
pub const PATH_MAX_BYTES: usize = rootfs::PATH_LIMIT_BYTES;

/// The longest component of a path, in bytes, as in `rootfs`.
pub const COMPONENT_MAX_BYTES: usize = rootfs::COMPONENT_LIMIT_BYTES;

/// The largest extension header (PAX records, GNU long names) of one entry, in bytes.
pub const EXTENSION_MAX_BYTES: u64 = 1024 * 1024;

/// The most PAX records of one entry.
pub const PAX_RECORDS_MAX: usize = 1024;

/// The largest value of an extended attribute, in bytes (`XATTR_SIZE_MAX` of the kernel).
pub const XATTR_MAX_BYTES: usize = 64 * 1024;

/// The most bytes that an index of a layer keeps in memory: paths, targets of links, attributes, tables of users. An index
/// of a hundred thousand paths of usual lengths takes a fifth of it.
pub const INDEX_MAX_BYTES: usize = 32 * 1024 * 1024;

/// The most regions with data of one sparse file.
pub const SPARSE_REGIONS_MAX: usize = 1_000_000;

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The most memory that decoding xz may take, in bytes: what `xz -9` asks for, and half as much.
pub const XZ_MEMORY_MAX_BYTES: u64 = 96 * 1024 * 1024;

/// The most bytes of one layer or archive, uncompressed.
pub const STREAM_MAX_BYTES: u64 = 1 << 40;

/// The most bytes of all files of one layer or archive together, with their holes, which take no room: a file that is
/// written to at the place of a large user id has terabytes of them.
pub const UNPACKED_MAX_BYTES: u64 = 1 << 50;

/// What a compressed archive may become whatever its size, in bytes.
pub const EXPANSION_FREE_BYTES: u64 = 16 << 30;

/// What a compressed archive may become beyond that, as a multiple of its size: what gzip can do at most is 1032.
pub const EXPANSION_RATIO_MAX: u64 = 1100;

/// The same of an archive of zstd, which can do 32,768: holes are packed as the zeros that are read of them.
pub const ZSTD_EXPANSION_RATIO_MAX: u64 = 33_000;

/// The same of an archive of xz, which can do some 7,000.
pub const XZ_EXPANSION_RATIO_MAX: u64 = 8000;

/// How much memory the decoders of zstd and xz take together, in bytes: four with the largest window that is usual, or one
/// that asks for more.
pub const DECODER_ROOM_BYTES: u64 = 32 * 1024 * 1024;

/// The most files and directories of one stash: what a cache mount holds, as blobs. The index of one is in memory.
pub const STASH_ENTRIES_MAX: u64 = 1_000_000;

/// The most bytes of all files of one stash, with their holes.
pub const STASH_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// The most bytes of the index of a stash, uncompressed.
pub const STASH_INDEX_MAX_BYTES: u64 = 512 * 1024 * 1024;

/// The longest line of the index of a stash, in bytes: a path, escaped, and extended attributes as digits.
pub const STASH_LINE_MAX_BYTES: u64 = 1024 * 1024;

/// The bounds that whoever applies a layer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most entries.
    pub entries: u64,
    /// The most bytes of all files together, with their holes.
    pub unpacked_bytes: u64,
    /// The most bytes of the tar itself, with its headers and what comes after its end.
    pub stream_bytes: u64,
}

impl Default for Limits {
    /// What no honest layer comes near: [`ENTRIES_MAX`], [`UNPACKED_MAX_BYTES`] and [`STREAM_MAX_BYTES`].
    fn default() -> Self {
        Self {
            entries: ENTRIES_MAX,
            unpacked_bytes: UNPACKED_MAX_BYTES,
            stream_bytes: STREAM_MAX_BYTES,
        }
    }
}
