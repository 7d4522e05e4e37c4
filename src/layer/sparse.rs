//! Files with holes in a tar: GNU's old form and its PAX forms 0.0, 0.1 and 1.0 (GNU tar manual,
//! "Storing Sparse Files").

use tar::Header;

use crate::header::{self, BLOCK_BYTES};
use crate::limits::SPARSE_REGIONS_MAX;
use crate::pax::decimal;
use crate::tarread::TarError;

/// Bytes of a file that are stored; what lies between regions is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The `GNU.sparse.` records of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SparseRecords {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) name: Option<Vec<u8>>,
    /// The size of the whole file.
    pub(crate) size: Option<u64>,
    /// Offsets and lengths in turn.
    map: Vec<u64>,
}

/// Where the map of a file with holes is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MapPlace {
    /// It was in the records.
    Here(Vec<Region>),
    /// It comes before the data.
    InData,
}

impl SparseRecords {
    /// Keeps a record, whose key comes without its prefix; `None` where the value is wrong.
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"name" if value.contains(&0) || value.is_empty() => return None,
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"map" => {
                let numbers = value.split(|&byte| byte == b',').map(decimal);
                self.map = numbers.collect::<Option<_>>()?;
            }
            b"offset" if self.map.len().is_multiple_of(2) => self.map.push(decimal(value)?),
            b"numbytes" if !self.map.len().is_multiple_of(2) => self.map.push(decimal(value)?),
            b"numblocks" => {}
            _ => return None,
        }
        Some(())
    }

    /// Returns where the map is, `None` where the entry has no holes.
    pub(crate) fn map_place(&self) -> Result<Option<MapPlace>, TarError> {
        match (self.major, self.minor) {
            (Some(1), Some(0)) if self.map.is_empty() => Ok(Some(MapPlace::InData)),
            (None, None) | (Some(0), Some(0 | 1)) if !self.map.is_empty() => {
                pairs(&self.map).map(|regions| Some(MapPlace::Here(regions)))
            }
            (None, None) if *self == Self::default() => Ok(None),
            _ => Err(TarError::Sparse),
        }
    }
}

fn pairs(numbers: &[u64]) -> Result<Vec<Region>, TarError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TarError::Sparse);
    }
    Ok(pairs
        .iter()
        .map(|&[offset, length]| Region { offset, length })
        .collect())
}

/// Checks that regions are in order, apart from each other and inside the file, and returns how many
/// bytes they are together.
pub(crate) fn stored_bytes(regions: &[Region], size: u64) -> Result<u64, TarError> {
    let mut end = 0;
    let mut stored = 0_u64;
    for region in regions {
        let next = region
            .offset
            .checked_add(region.length)
            .ok_or(TarError::Sparse)?;
        if region.offset < end || next > size {
            return Err(TarError::Sparse);
        }
        end = next;
        stored = stored.checked_add(region.length).ok_or(TarError::Sparse)?;
    }
    Ok(stored)
}

/// Reads the map in a header of GNU's old form, and tells whether more blocks of it follow.
pub(crate) fn old_map(block: &[u8; BLOCK_BYTES]) -> Result<(Vec<Region>, u64, bool), TarError> {
    let header = Header::from_byte_slice(block);
    let gnu = header.as_gnu().ok_or(TarError::Sparse)?;
    let size = header::size(&gnu.realsize, "realsize")?;
    let mut regions = Vec::new();
    for entry in &gnu.sparse {
        push_old(&mut regions, &entry.offset, &entry.numbytes)?;
    }
    Ok((regions, size, gnu.isextended[0] != 0))
}

/// Reads a further block of a map of GNU's old form, and tells whether more follow.
pub(crate) fn old_map_more(
    block: &[u8; BLOCK_BYTES],
    regions: &mut Vec<Region>,
) -> Result<bool, TarError> {
    /// 21 times an offset and a length of 12 bytes each, then the mark.
    const MARK: usize = 504;
    let (pairs, _) = block[..MARK].as_chunks::<24>();
    for pair in pairs {
        push_old(regions, &pair[..12], &pair[12..])?;
    }
    if regions.len() > SPARSE_REGIONS_MAX {
        return Err(TarError::TooManyRegions);
    }
    Ok(block[MARK] != 0)
}

fn push_old(regions: &mut Vec<Region>, offset: &[u8], length: &[u8]) -> Result<(), TarError> {
    // An unused entry is empty.
    if offset.first() == Some(&0) {
        return Ok(());
    }
    let (offset, length) = (
        header::size(offset, "offset")?,
        header::size(length, "numbytes")?,
    );
    regions.push(Region { offset, length });
    Ok(())
}

/// Reads the map of form 1.0 out of the data of its file: decimal numbers with a newline each, the
/// number of regions and then their offsets and lengths, filled up to whole blocks.
#[derive(Debug, Default)]
pub(crate) struct MapReader {
    expected: Option<u64>,
    numbers: Vec<u64>,
    digits: Vec<u8>,
}

impl MapReader {
    /// Takes a block, and returns the regions once they are complete.
    pub(crate) fn take(&mut self, block: &[u8]) -> Result<Option<Vec<Region>>, TarError> {
        /// As many digits as a number of 64 bits has.
        const DIGITS_MAX: usize = 20;
        for &byte in block {
            if byte != b'\n' {
                self.digits.push(byte);
                if self.digits.len() > DIGITS_MAX {
                    return Err(TarError::Sparse);
                }
                continue;
            }
            let number = decimal(&self.digits).ok_or(TarError::Sparse)?;
            self.digits.clear();
            if self.is_complete(number)? {
                return pairs(&self.numbers).map(Some);
            }
        }
        Ok(None)
    }

    /// Takes a number, and tells whether it was the last.
    fn is_complete(&mut self, number: u64) -> Result<bool, TarError> {
        let Some(expected) = self.expected else {
            let allowed = usize::try_from(number).is_ok_and(|count| count <= SPARSE_REGIONS_MAX);
            if !allowed {
                return Err(TarError::TooManyRegions);
            }
            self.expected = Some(number * 2);
            return Ok(number == 0);
        };
        self.numbers.push(number);
        Ok(u64::try_from(self.numbers.len()).is_ok_and(|count| count == expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(offset: u64, length: u64) -> Region {
        Region { offset, length }
    }

    #[test]
    fn regions_are_in_order_and_inside_the_file() {
        assert_eq!(
            stored_bytes(&[region(0, 2), region(2, 3), region(10, 0)], 10).unwrap(),
            5
        );
        for wrong in [
            &[region(0, 11)][..],
            &[region(3, 2), region(4, 1)],
            &[region(3, 2), region(0, 1)],
            &[region(u64::MAX, 2)],
        ] {
            assert!(
                matches!(stored_bytes(wrong, 10), Err(TarError::Sparse)),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn the_forms_of_the_records_are_told_apart() {
        let records = |pairs: &[(&[u8], &[u8])]| {
            let mut records = SparseRecords::default();
            for (key, value) in pairs {
                records.take(key, value).unwrap();
            }
            records
        };
        let form_0_0 = records(&[
            (b"size", b"9"),
            (b"numblocks", b"2"),
            (b"offset", b"1"),
            (b"numbytes", b"2"),
            (b"offset", b"5"),
            (b"numbytes", b"3"),
        ]);
        let form_0_1 = records(&[(b"map", b"1,2,5,3"), (b"size", b"9"), (b"name", b"f")]);
        let both = MapPlace::Here(vec![region(1, 2), region(5, 3)]);
        assert_eq!(form_0_0.map_place().unwrap(), Some(both.clone()));
        assert_eq!(form_0_1.map_place().unwrap(), Some(both));
        let form_1_0 = records(&[(b"major", b"1"), (b"minor", b"0"), (b"realsize", b"9")]);
        assert_eq!(form_1_0.map_place().unwrap(), Some(MapPlace::InData));
        assert_eq!(SparseRecords::default().map_place().unwrap(), None);

        for wrong in [
            records(&[(b"major", b"2"), (b"minor", b"0")]),
            records(&[(b"major", b"1"), (b"minor", b"0"), (b"map", b"1,2")]),
            records(&[(b"map", b"1,2,3")]),
            records(&[(b"offset", b"1")]),
            records(&[(b"size", b"1")]),
        ] {
            assert!(
                matches!(wrong.map_place(), Err(TarError::Sparse)),
                "{wrong:?}"
            );
        }
        let mut twice = records(&[(b"offset", b"1")]);
        assert_eq!(twice.take(b"offset", b"2"), None);
        assert_eq!(twice.take(b"unknown", b"2"), None);
        assert_eq!(twice.take(b"map", b"1,,2"), None);
    }

    #[test]
    fn a_map_in_the_data_is_read_over_blocks() {
        let mut reader = MapReader::default();
        assert_eq!(reader.take(b"2\n10\n1").unwrap(), None);
        let found = reader.take(b"1\n50\n7\n\0\0").unwrap();
        assert_eq!(found, Some(vec![region(10, 11), region(50, 7)]));
        let found = MapReader::default().take(b"2\n0\n11\n50\n7\n\0\0").unwrap();
        assert_eq!(found, Some(vec![region(0, 11), region(50, 7)]));
        assert_eq!(
            MapReader::default().take(b"0\n\0").unwrap(),
            Some(Vec::new())
        );
        for wrong in [&b"1\nx\n"[..], b"\n", b"1\n-1\n", b"123456789012345678901"] {
            assert!(
                MapReader::default().take(wrong).is_err(),
                "{}",
                wrong.escape_ascii()
            );
        }
    }

    #[test]
    fn one_region_more_than_the_limit_is_refused() {
        assert_eq!(MapReader::default().take(b"1000000\n").unwrap(), None);
        let found = MapReader::default().take(b"1000001\n");
        assert!(matches!(found, Err(TarError::TooManyRegions)));
        assert_eq!(
            TarError::TooManyRegions.to_string(),
            "a sparse file has more than 1000000 regions"
        );
    }

    #[test]
    fn one_region_more_than_the_limit_is_refused_in_the_old_form() {
        let mut block = [b'0'; BLOCK_BYTES];
        let mut regions = vec![region(0, 0); SPARSE_REGIONS_MAX - 21];
        old_map_more(&block, &mut regions).unwrap();
        assert_eq!(regions.len(), SPARSE_REGIONS_MAX);
        // Only the first entry of the block says something.
        block[24] = 0;
        (1..21).for_each(|entry| block[entry * 24] = 0);
        let found = old_map_more(&block, &mut regions);
        assert!(matches!(found, Err(TarError::TooManyRegions)));
    }
}
