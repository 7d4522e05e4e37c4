//! The 512 bytes before each entry of a tar: numbers and names in both directions.
//!
//! What Go's `archive/tar` and GNU tar read differently is refused: an archive must not mean one thing
//! to a scanner and another one here.

use tar::Header;

use crate::tarread::TarError;

/// The unit of a tar.
pub(crate) const BLOCK_BYTES: usize = 512;

/// What a header says, before extension headers change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawHeader {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) typeflag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    pub(crate) device: (u32, u32),
}

/// Reads a header, having compared its checksum.
pub(crate) fn parse(block: &[u8; BLOCK_BYTES]) -> Result<RawHeader, TarError> {
    check_sum(block)?;
    let header = Header::from_byte_slice(block);
    let old = header.as_old();
    let short = text(&old.name);
    // GNU tar keeps other things where ustar has the prefix, and so does star.
    let is_star = block.ends_with(b"tar\0");
    let prefix = match header.as_ustar() {
        Some(ustar) if !is_star => text(&ustar.prefix),
        _ => &[],
    };
    let name = if prefix.is_empty() {
        short.to_vec()
    } else {
        [prefix, b"/", short].concat()
    };
    Ok(RawHeader {
        name,
        link: text(&old.linkname).to_vec(),
        typeflag: old.linkflag[0],
        mode: u32::try_from(number(&old.mode, "mode")? & 0o7777).unwrap_or(0),
        uid: number(&old.uid, "uid")?,
        gid: number(&old.gid, "gid")?,
        size: size(&old.size, "size")?,
        mtime: number(&old.mtime, "mtime")?,
        device: device(header)?,
    })
}

/// Returns the number of a device node; other entries have anything there.
fn device(header: &Header) -> Result<(u32, u32), TarError> {
    if !matches!(header.as_old().linkflag[0], b'3' | b'4') {
        return Ok((0, 0));
    }
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (&ustar.dev_major, &ustar.dev_minor),
        (None, Some(gnu)) => (&gnu.dev_major, &gnu.dev_minor),
        (None, None) => return Ok((0, 0)),
    };
    let part = |field: &[u8], what| {
        u32::try_from(number(field, what)?)
            .ok()
            .ok_or(TarError::Number { field: what })
    };
    Ok((part(major, "devmajor")?, part(minor, "devminor")?))
}

/// Compares the checksum, which old writers made of signed bytes (GNU tar manual, "Checksumming").
fn check_sum(block: &[u8; BLOCK_BYTES]) -> Result<(), TarError> {
    const FIELD: std::ops::Range<usize> = 148..156;
    let expected = number(&block[FIELD], "chksum")?;
    let in_field = |at: usize| FIELD.contains(&at);
    let bytes = || {
        block
            .iter()
            .enumerate()
            .map(|(at, &byte)| if in_field(at) { b' ' } else { byte })
    };
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    if expected == unsigned || expected == signed {
        Ok(())
    } else {
        Err(TarError::Checksum)
    }
}

/// Returns a name, which ends at the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

/// Reads a size.
pub(crate) fn size(field: &[u8], what: &'static str) -> Result<u64, TarError> {
    u64::try_from(number(field, what)?)
        .ok()
        .ok_or(TarError::Number { field: what })
}

/// Reads a number: octal digits, or big-endian bytes after a set upper bit (GNU tar manual,
/// "Extensions").
pub(crate) fn number(field: &[u8], what: &'static str) -> Result<i64, TarError> {
    let found = match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    };
    found.ok_or(TarError::Number { field: what })
}

fn binary(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    // The second bit is the sign of a two's complement number.
    let start = if first & 0x40 == 0 {
        i64::from(first & 0x3f)
    } else {
        i64::from(first | 0x80) - 256
    };
    rest.iter().try_fold(start, |sum, &byte| {
        sum.checked_mul(256)?.checked_add(i64::from(byte))
    })
}

fn octal(field: &[u8]) -> Option<i64> {
    let field = field.strip_prefix(&[0]).unwrap_or(field);
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0_i64, |sum, &byte| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// Writes a number as octal digits and a NUL, and tells whether it fits; else the field is 0.
pub(crate) fn put_octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    let bits = 3 * u32::try_from(digits).unwrap_or(u32::MAX);
    let fits = value.checked_shr(bits).unwrap_or(0) == 0;
    let mut rest = if fits { value } else { 0 };
    for place in field[..digits].iter_mut().rev() {
        *place = b'0' + (rest % 8) as u8;
        rest /= 8;
    }
    field[digits] = 0;
    fits
}

/// Writes the start of a name, and tells whether all of it fits.
pub(crate) fn put_text(field: &mut [u8], value: &[u8]) -> bool {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
    length == value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\x00000644\0", Some(0o644)),
            (b"00644\0zz", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"12 34\0\0\0", None),
            (b"0000648\0", None),
            (b"-000001\0", None),
            (b"\x80\0\0\0\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(
                number(field, "x").ok(),
                expected,
                "{}",
                field.escape_ascii()
            );
        }
        assert!(matches!(
            size(b"\xff\xff\xff\xff", "size"),
            Err(TarError::Number { field: "size" })
        ));
    }

    #[test]
    fn an_octal_number_is_written_if_it_fits() {
        let mut field = [9; 8];
        assert!(put_octal(&mut field, 0o755));
        assert_eq!(&field, b"0000755\0");
        assert!(put_octal(&mut field, 0o7_777_777));
        assert_eq!(&field, b"7777777\0");
        assert!(!put_octal(&mut field, 0o10_000_000));
        assert_eq!(&field, b"0000000\0");
    }

    #[test]
    fn a_checksum_of_signed_bytes_counts_too() {
        let mut header = Header::new_ustar();
        assert!(put_text(&mut header.as_old_mut().name, b"\xff\xfe"));
        header.set_cksum();
        let mut block = *header.as_bytes();
        assert_eq!(parse(&block).unwrap().name, b"\xff\xfe");
        let unsigned = number(&block[148..156], "chksum").unwrap();
        assert!(put_octal(
            &mut block[148..155],
            u64::try_from(unsigned - 512).unwrap()
        ));
        assert_eq!(parse(&block).unwrap().name, b"\xff\xfe");
        block[0] = b'a';
        assert!(matches!(parse(&block), Err(TarError::Checksum)));
    }
}
