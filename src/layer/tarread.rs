//! A tar as a stream of entries, with every extension header resolved.
//!
//! An extension (PAX `x`, GNU `L` and `K`) applies to the next real header and to nothing else; a
//! second one of its kind, a global header in between, or both a PAX and a GNU name are refused,
//! because readers differ over them (RUSTSEC-2025-0110, RUSTSEC-2026-0066). A PAX size wins over the
//! header's.

mod error;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Seek};

use rootfs::{FileTime, Mode};

pub use error::TarError;

use crate::header::{self, BLOCK_BYTES, RawHeader};
use crate::limits::{EXTENSION_MAX_BYTES, Limits};
use crate::pax::{self, PaxRecords};
use crate::sparse::{self, MapPlace, MapReader, Region, SparseRecords};

/// How much of the stream is read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
}

/// An entry, its data to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TarEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: Mode,
    pub(crate) mtime: FileTime,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The size of the file with its holes.
    pub(crate) size: u64,
    /// The bytes of it that are stored.
    pub(crate) regions: Vec<Region>,
}

impl TarEntry {
    /// Tells whether all bytes of the file are stored, in their order.
    pub(crate) fn is_dense(&self) -> bool {
        self.regions
            == [Region {
                offset: 0,
                length: self.size,
            }]
    }
}

/// What extension headers say of the next entry.
#[derive(Debug, Default)]
struct Pending {
    pax: Option<PaxRecords>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

/// Reads a tar.
#[derive(Debug)]
pub(crate) struct TarReader<B> {
    input: B,
    limits: Limits,
    read_bytes: u64,
    unpacked_bytes: u64,
    entries: u64,
    /// What is left of the data of the current entry.
    data: u64,
    /// What fills up its last block.
    padding: u64,
}

impl<R: Read> TarReader<BufReader<R>> {
    pub(crate) fn new(input: R, limits: Limits) -> Self {
        Self::buffered(BufReader::with_capacity(BUFFER_BYTES, input), limits)
    }
}

impl<B: BufRead> TarReader<B> {
    /// Reads a stream that comes in large pieces anyway.
    pub(crate) fn buffered(input: B, limits: Limits) -> Self {
        Self {
            input,
            limits,
            read_bytes: 0,
            unpacked_bytes: 0,
            entries: 0,
            data: 0,
            padding: 0,
        }
    }

    /// Returns how many bytes of the stream have been read.
    pub(crate) fn offset(&self) -> u64 {
        self.read_bytes
    }

    /// Returns how many entries there were.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns how many bytes all files had together, with their holes.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    /// Returns the next entry, passing over what is left of the one before; `None` at the end, when
    /// the stream has been read to its end too.
    pub(crate) fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let mut pending = Pending::default();
        loop {
            self.skip(self.data.saturating_add(self.padding))?;
            (self.data, self.padding) = (0, 0);
            let Some(block) = self.header_block()? else {
                return if pending.is_empty() {
                    self.drain()
                } else {
                    Err(TarError::Truncated)
                };
            };
            let raw = header::parse(&block)?;
            match raw.typeflag {
                b'x' => take_once(&mut pending.pax, pax::parse(&self.extension(&raw)?)?)?,
                b'L' => take_once(&mut pending.long_name, self.long_name(&raw)?)?,
                b'K' => take_once(&mut pending.long_link, self.long_name(&raw)?)?,
                b'g' if pending.is_empty() => pax::check_global(&self.extension(&raw)?)?,
                b'g' => return Err(TarError::Extension),
                _ => return self.entry(raw, &block, pending).map(Some),
            }
        }
    }

    /// Returns some of the data that is left of the current entry, at most `most` bytes of it; nothing
    /// at its end. The bytes are taken by [`Self::consume`].
    pub(crate) fn data(&mut self, most: u64) -> Result<&[u8], TarError> {
        let most = usize::try_from(most.min(self.data)).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(&[]);
        }
        let buffer = fill(&mut self.input)?;
        if buffer.is_empty() {
            return Err(TarError::Truncated);
        }
        Ok(&buffer[..buffer.len().min(most)])
    }

    /// Takes bytes that [`Self::data`] returned.
    pub(crate) fn consume(&mut self, count: usize) -> Result<(), TarError> {
        self.input.consume(count);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.data = self.data.saturating_sub(count);
        self.count(count)
    }

    fn count(&mut self, bytes: u64) -> Result<(), TarError> {
        self.read_bytes = self.read_bytes.saturating_add(bytes);
        check_quota(self.read_bytes, self.limits.stream_bytes)
    }

    fn skip(&mut self, mut count: u64) -> Result<(), TarError> {
        while count > 0 {
            let buffer = fill(&mut self.input)?;
            if buffer.is_empty() {
                return Err(TarError::Truncated);
            }
            let step = buffer
                .len()
                .min(usize::try_from(count).unwrap_or(usize::MAX));
            self.input.consume(step);
            count -= step as u64;
            self.count(step as u64)?;
        }
        Ok(())
    }

    /// Reads a block.
    fn block(&mut self) -> Result<[u8; BLOCK_BYTES], TarError> {
        let mut block = [0; BLOCK_BYTES];
        self.input
            .read_exact(&mut block)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => TarError::Truncated,
                _ => TarError::Read(error),
            })?;
        self.count(BLOCK_BYTES as u64)?;
        Ok(block)
    }

    /// Reads the block of a header, `None` at the end of the archive: two blocks of zeros, or nothing
    /// more.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, TarError> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        if fill(&mut self.input)?.is_empty() {
            return Ok(None);
        }
        let block = self.block()?;
        if block != ZEROS {
            return Ok(Some(block));
        }
        if fill(&mut self.input)?.is_empty() || self.block()? == ZEROS {
            return Ok(None);
        }
        Err(TarError::LoneZeroBlock)
    }

    /// Reads what comes after the end of the archive, so that the digest of the stream is complete.
    fn drain(&mut self) -> Result<Option<TarEntry>, TarError> {
        loop {
            let count = fill(&mut self.input)?.len();
            if count == 0 {
                return Ok(None);
            }
            self.input.consume(count);
            self.count(count as u64)?;
        }
    }

    /// Reads the data of an extension header.
    fn extension(&mut self, raw: &RawHeader) -> Result<Vec<u8>, TarError> {
        if raw.size > EXTENSION_MAX_BYTES {
            return Err(TarError::LargeExtension { size: raw.size });
        }
        self.start_data(raw.size);
        let mut bytes = Vec::new();
        while self.data > 0 {
            let chunk = self.data(self.data)?;
            bytes.extend_from_slice(chunk);
            let count = chunk.len();
            self.consume(count)?;
        }
        Ok(bytes)
    }

    /// Reads a GNU long name, which ends with a NUL.
    fn long_name(&mut self, raw: &RawHeader) -> Result<Vec<u8>, TarError> {
        let mut bytes = self.extension(raw)?;
        let end = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        if bytes[end..].iter().any(|&byte| byte != 0) {
            return Err(TarError::NulInName);
        }
        bytes.truncate(end);
        Ok(bytes)
    }

    fn start_data(&mut self, size: u64) {
        const BLOCK: u64 = BLOCK_BYTES as u64;
        self.data = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    /// Makes an entry of its header and what the extensions before it say.
    fn entry(
        &mut self,
        raw: RawHeader,
        block: &[u8; BLOCK_BYTES],
        pending: Pending,
    ) -> Result<TarEntry, TarError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(TarError::TooManyEntries {
                limit: self.limits.entries,
            });
        }
        let is_old_sparse = raw.typeflag == b'S';
        let Resolved { mut entry, sparse } = resolve(raw, pending)?;
        if entry.kind == EntryKind::File {
            self.start_data(entry.size);
            match (sparse.map_place()?, is_old_sparse) {
                (None, false) => {}
                (None, true) => self.old_sparse(&mut entry, block)?,
                (Some(place), false) => self.pax_sparse(&mut entry, &sparse, place)?,
                (Some(_), true) => return Err(TarError::Sparse),
            }
        }
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(entry.size);
        check_quota(self.unpacked_bytes, self.limits.unpacked_bytes)?;
        Ok(entry)
    }

    fn old_sparse(
        &mut self,
        entry: &mut TarEntry,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<(), TarError> {
        let (mut regions, size, mut more) = sparse::old_map(block)?;
        while more {
            let block = self.block()?;
            more = sparse::old_map_more(&block, &mut regions)?;
        }
        self.set_regions(entry, regions, size)
    }

    fn pax_sparse(
        &mut self,
        entry: &mut TarEntry,
        records: &SparseRecords,
        place: MapPlace,
    ) -> Result<(), TarError> {
        let regions = match place {
            MapPlace::Here(regions) => regions,
            MapPlace::InData => self.map_in_data()?,
        };
        if let Some(name) = &records.name {
            entry.name.clone_from(name);
        }
        self.set_regions(entry, regions, records.size.ok_or(TarError::Sparse)?)
    }

    fn map_in_data(&mut self) -> Result<Vec<Region>, TarError> {
        let mut reader = MapReader::default();
        loop {
            self.data = self
                .data
                .checked_sub(BLOCK_BYTES as u64)
                .ok_or(TarError::Sparse)?;
            let block = self.block()?;
            if let Some(regions) = reader.take(&block)? {
                return Ok(regions);
            }
        }
    }

    fn set_regions(
        &self,
        entry: &mut TarEntry,
        regions: Vec<Region>,
        size: u64,
    ) -> Result<(), TarError> {
        if sparse::stored_bytes(&regions, size)? != self.data {
            return Err(TarError::Sparse);
        }
        (entry.regions, entry.size) = (regions, size);
        Ok(())
    }
}

impl<R: Read + Seek> TarReader<BufReader<R>> {
    /// Passes over the data of the current entry without reading it. Whether it is there is not known then.
    pub(crate) fn seek_past_data(&mut self) -> Result<(), TarError> {
        let step = self.data.saturating_add(self.padding);
        let distance = i64::try_from(step).map_err(|_too_far| TarError::Truncated)?;
        self.input.seek_relative(distance).map_err(TarError::Read)?;
        (self.data, self.padding) = (0, 0);
        self.count(step)
    }
}

/// An entry whose holes are not looked at yet.
struct Resolved {
    entry: TarEntry,
    sparse: SparseRecords,
}

/// Puts a header and the extensions before it together.
fn resolve(raw: RawHeader, pending: Pending) -> Result<Resolved, TarError> {
    let has_pax_size = pending
        .pax
        .as_ref()
        .is_some_and(|records| records.size.is_some());
    let mut records = pending.pax.unwrap_or_default();
    let name = one_of(records.path.take(), pending.long_name)?.unwrap_or(raw.name);
    let link = one_of(records.link.take(), pending.long_link)?.unwrap_or(raw.link);
    let size = records.size.unwrap_or(raw.size);
    let kind = kind_of(raw.typeflag, raw.device, name.ends_with(b"/"))?;
    let size = match kind {
        EntryKind::File => size,
        // Writers of old put the size of the file there, and no reader looks at it.
        EntryKind::HardLink if !has_pax_size => 0,
        _ if size == 0 && records.sparse.map_place()?.is_none() => 0,
        _ => return Err(TarError::DataOfNoFile { size }),
    };
    let id = |record: Option<u32>, raw: i64, field| match record {
        Some(id) => Ok(id),
        None => u32::try_from(raw).ok().ok_or(TarError::Number { field }),
    };
    let entry = TarEntry {
        name,
        link,
        kind,
        uid: id(records.uid, raw.uid, "uid")?,
        gid: id(records.gid, raw.gid, "gid")?,
        mode: Mode::new(raw.mode),
        mtime: records.mtime.unwrap_or(FileTime {
            seconds: raw.mtime,
            nanos: 0,
        }),
        xattrs: std::mem::take(&mut records.xattrs),
        size,
        regions: vec![Region {
            offset: 0,
            length: size,
        }],
    };
    Ok(Resolved {
        entry,
        sparse: records.sparse,
    })
}

/// Returns the kind of an entry. A slash at the end makes a directory of what has no type, as archives
/// of old have it; where the type says "file", it does so for GNU tar and not for Go.
fn kind_of(typeflag: u8, device: (u32, u32), has_slash: bool) -> Result<EntryKind, TarError> {
    let (major, minor) = device;
    Ok(match typeflag {
        0 if has_slash => EntryKind::Directory,
        b'0' | b'7' | b'S' if has_slash => return Err(TarError::FileWithSlash),
        b'0' | 0 | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice { major, minor },
        b'4' => EntryKind::BlockDevice { major, minor },
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => return Err(TarError::UnknownType { typeflag }),
    })
}

fn check_quota(bytes: u64, limit_bytes: u64) -> Result<(), TarError> {
    if bytes > limit_bytes {
        Err(TarError::TooLarge { limit_bytes })
    } else {
        Ok(())
    }
}

fn take_once<T>(place: &mut Option<T>, value: T) -> Result<(), TarError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TarError::Extension),
    }
}

fn one_of(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, TarError> {
    match (pax, gnu) {
        (Some(_), Some(_)) => Err(TarError::Extension),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

/// Returns what the buffer holds, reading on where it is empty; nothing at the end of the stream.
fn fill<B: BufRead>(input: &mut B) -> Result<&[u8], TarError> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(TarError::Read(error)),
        }
    }
    input.fill_buf().map_err(TarError::Read)
}
