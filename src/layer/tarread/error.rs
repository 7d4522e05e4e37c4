//! What can be wrong with a tar.

use std::io;

use crate::limits::EXTENSION_MAX_BYTES;

/// What is wrong with a tar.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream cannot be read.
    #[error("the stream of the archive")]
    Read(#[source] io::Error),
    /// The stream ends inside an entry.
    #[error("the archive ends inside an entry")]
    Truncated,
    /// A header is damaged.
    #[error("a header has another checksum than it says")]
    Checksum,
    /// One block of zeros is followed by something else; two are the end.
    #[error("a block of zeros is followed by an entry")]
    LoneZeroBlock,
    /// A field of a header is no number, or one that is out of range.
    #[error("the field `{field}` of a header is no number that it can be")]
    Number {
        /// Which field.
        field: &'static str,
    },
    /// An entry is of a kind that no layer has.
    #[error("an entry has the unknown type {:?}", char::from(*typeflag))]
    UnknownType {
        /// The type in the header.
        typeflag: u8,
    },
    /// An entry of a kind that has no data says that it has some.
    #[error("an entry that is no regular file has {size} bytes of data")]
    DataOfNoFile {
        /// How many.
        size: u64,
    },
    /// The name of a regular file ends with a slash.
    #[error("a regular file has a name that ends with a slash")]
    FileWithSlash,
    /// Extension headers stand where readers differ over what they apply to.
    #[error("extension headers are repeated or contradict each other")]
    Extension,
    /// An extension header is too large.
    #[error("an extension header has {size} bytes, more than {EXTENSION_MAX_BYTES}")]
    LargeExtension {
        /// Its size.
        size: u64,
    },
    /// An extension header has too many records.
    #[error(
        "an extension header has more than {} records",
        crate::limits::PAX_RECORDS_MAX
    )]
    TooManyRecords,
    /// A PAX record does not have the form of one.
    #[error("a PAX record is malformed")]
    MalformedRecord,
    /// The value of a PAX record is none that its key can have.
    #[error("the PAX record `{}` has a wrong value", key.escape_ascii())]
    RecordValue {
        /// The key.
        key: Vec<u8>,
    },
    /// A global header would change where entries are or how long.
    #[error("a global header sets a path or a size")]
    GlobalRecord,
    /// A name has a NUL byte.
    #[error("a name has a NUL byte")]
    NulInName,
    /// The value of an extended attribute is too large.
    #[error(
        "the extended attribute `{}` has more than {} bytes",
        name.escape_ascii(),
        crate::limits::XATTR_MAX_BYTES
    )]
    LargeXattr {
        /// The attribute.
        name: Vec<u8>,
    },
    /// The map of a file with holes is wrong.
    #[error("the map of a sparse file is wrong")]
    Sparse,
    /// A file with holes has too many regions.
    #[error(
        "a sparse file has more than {} regions",
        crate::limits::SPARSE_REGIONS_MAX
    )]
    TooManyRegions,
    /// There are too many entries.
    #[error("the archive has more than {limit} entries")]
    TooManyEntries {
        /// The bound.
        limit: u64,
    },
    /// The archive is too large.
    #[error("the archive unpacks to more than {limit_bytes} bytes")]
    TooLarge {
        /// The bound.
        limit_bytes: u64,
    },
}
