//! PAX records: `LENGTH KEY=VALUE\n`, where the length counts the whole record (pax, "pax Extended
//! Header").
//!
//! Values may hold any byte, a newline too: a record is read by its length and by nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rootfs::FileTime;

use crate::limits::{EXTENSION_MAX_BYTES, PAX_RECORDS_MAX, XATTR_MAX_BYTES};
use crate::sparse::SparseRecords;
use crate::tarread::TarError;

/// How the keys of extended attributes start.
pub(crate) const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// The records of one extension header that mean something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PaxRecords {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mtime: Option<FileTime>,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) sparse: SparseRecords,
}

/// Reads the records of an extension header. Of several with one key the last counts.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<PaxRecords, TarError> {
    let mut records = PaxRecords::default();
    let mut count = 0;
    while !bytes.is_empty() {
        count += 1;
        if count > PAX_RECORDS_MAX {
            return Err(TarError::TooManyRecords);
        }
        let (key, value, rest) = split_record(bytes).ok_or(TarError::MalformedRecord)?;
        take(&mut records, key, value)?;
        bytes = rest;
    }
    Ok(records)
}

/// Checks a global extension header, which applies to all entries after it. Nothing in it is used, so
/// what would change where entries are is refused.
pub(crate) fn check_global(bytes: &[u8]) -> Result<(), TarError> {
    let records = parse(bytes)?;
    let moves = records.path.is_some() || records.link.is_some() || records.size.is_some();
    if moves || records.sparse != SparseRecords::default() {
        return Err(TarError::GlobalRecord);
    }
    Ok(())
}

/// Returns key and value of the first record, and what comes after it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(8).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    let record = bytes.get(..length)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, &bytes[length..]))
}

/// Keeps a record that means something here.
fn take(records: &mut PaxRecords, key: &[u8], value: &[u8]) -> Result<(), TarError> {
    let wrong = || TarError::RecordValue { key: key.to_vec() };
    match key {
        // To some readers it takes the key back, to others the name is empty.
        b"path" | b"linkpath" if value.is_empty() => return Err(wrong()),
        b"path" => records.path = Some(name(value)?),
        b"linkpath" => records.link = Some(name(value)?),
        b"size" => records.size = Some(decimal(value).ok_or_else(wrong)?),
        b"uid" => records.uid = Some(id(value).ok_or_else(wrong)?),
        b"gid" => records.gid = Some(id(value).ok_or_else(wrong)?),
        b"mtime" => records.mtime = Some(time(value).ok_or_else(wrong)?),
        _ if key.starts_with(b"GNU.sparse.") => {
            records
                .sparse
                .take(&key[b"GNU.sparse.".len()..], value)
                .ok_or_else(wrong)?;
        }
        _ => {
            if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                take_xattr(records, name, value)?;
            }
            // atime, ctime, comment, uname, gname, and what others made up: nothing is done with it.
        }
    }
    Ok(())
}

fn take_xattr(records: &mut PaxRecords, name: &[u8], value: &[u8]) -> Result<(), TarError> {
    if value.len() > XATTR_MAX_BYTES {
        return Err(TarError::LargeXattr {
            name: name.to_vec(),
        });
    }
    if name.is_empty() {
        return Err(TarError::MalformedRecord);
    }
    records.xattrs.insert(name.to_vec(), value.to_vec());
    Ok(())
}

/// Returns a name, in which a NUL would mean its end to some and not to others.
fn name(value: &[u8]) -> Result<Vec<u8>, TarError> {
    if value.contains(&0) {
        Err(TarError::NulInName)
    } else {
        Ok(value.to_vec())
    }
}

fn id(value: &[u8]) -> Option<u32> {
    decimal(value).and_then(|number| u32::try_from(number).ok())
}

/// Reads decimal digits and nothing else.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, &byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Reads seconds with an optional sign and fraction; digits after the ninth are cut off.
fn time(text: &[u8]) -> Option<FileTime> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = dot.map_or((text, &b""[..]), |at| (&text[..at], &text[at + 1..]));
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanos = digits.fold(0, |sum, &digit| sum * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanos) {
        (false, _) => FileTime { seconds, nanos },
        (true, 0) => FileTime {
            seconds: -seconds,
            nanos,
        },
        (true, _) => FileTime {
            seconds: -seconds - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

/// Writes a time as [`time`] reads it.
pub(crate) fn time_text(time: FileTime) -> String {
    let (sign, seconds, nanos) = match (time.seconds < 0, time.nanos) {
        (false, nanos) => ("", time.seconds.unsigned_abs(), nanos),
        (true, 0) => ("-", time.seconds.unsigned_abs(), 0),
        (true, nanos) => ("-", time.seconds.unsigned_abs() - 1, 1_000_000_000 - nanos),
    };
    let mut text = format!("{sign}{seconds}");
    if nanos != 0 {
        // Writing to a string does not fail.
        let _ok = write!(text, ".{nanos:09}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

/// Adds a record.
pub(crate) fn push_record(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The blank, the equals sign and the newline.
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    bytes.extend_from_slice(format!("{length} ").as_bytes());
    bytes.extend_from_slice(key);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
}

/// Tells whether records are too many bytes to be read back.
pub(crate) fn is_too_large(bytes: &[u8]) -> bool {
    u64::try_from(bytes.len()).is_ok_and(|length| length > EXTENSION_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in pairs {
            push_record(&mut bytes, key, value);
        }
        bytes
    }

    #[test]
    fn the_length_of_a_record_counts_its_own_digits() {
        assert_eq!(records(&[(b"path", b"a")]), b"9 path=a\n");
        for length in [0, 1, 3, 4, 90, 91, 92, 93, 990, 991, 992, 993] {
            let value = vec![b'v'; length];
            let bytes = records(&[(b"a", &value)]);
            let (key, found, rest) = split_record(&bytes).unwrap();
            assert_eq!(
                (key, found, rest),
                (&b"a"[..], &value[..], &b""[..]),
                "{length}"
            );
        }
    }

    #[test]
    fn values_hold_any_byte() {
        let value = b"a\n13 path=evil\n\0\xff=";
        let bytes = records(&[(b"SCHILY.xattr.user.x", value), (b"path", b"new\nline\xff")]);
        let found = parse(&bytes).unwrap();
        assert_eq!(
            found.xattrs,
            BTreeMap::from([(b"user.x".to_vec(), value.to_vec())])
        );
        assert_eq!(found.path, Some(b"new\nline\xff".to_vec()));
    }

    #[test]
    fn the_last_record_of_a_key_counts() {
        let bytes = records(&[(b"size", b"1"), (b"path", b"a"), (b"size", b"2")]);
        let found = parse(&bytes).unwrap();
        assert_eq!((found.size, found.path), (Some(2), Some(b"a".to_vec())));
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [
            &b"8 path=a\n"[..],
            b"11 path=a\n",
            b"09 path=a",
            b"x path=a\n",
            b" path=a\n",
            b"+9 path=a\n",
            b"3 \n",
            b"5 =a\n",
            b"7 path\n",
            b"99999999999999999999 path=a\n",
        ] {
            let found = parse(bytes);
            assert!(
                matches!(found, Err(TarError::MalformedRecord)),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn values_of_the_wrong_form_are_refused() {
        for (key, value) in [
            (&b"size"[..], &b"-1"[..]),
            (b"size", b""),
            (b"path", b""),
            (b"linkpath", b""),
            (b"size", b"0x10"),
            (b"size", b"18446744073709551616"),
            (b"uid", b"4294967296"),
            (b"gid", b" 1"),
            (b"mtime", b"1.x"),
            (b"mtime", b"."),
        ] {
            let found = parse(&records(&[(key, value)]));
            let Err(TarError::RecordValue { key: named }) = found else {
                panic!("{} was taken", value.escape_ascii());
            };
            assert_eq!(named, key);
        }
        let nul = parse(&records(&[(b"path", b"a\0b")]));
        assert!(matches!(nul, Err(TarError::NulInName)));
    }

    #[test]
    fn one_record_more_than_the_limit_is_refused() {
        let bytes = b"6 a=b\n".repeat(PAX_RECORDS_MAX);
        assert_eq!(parse(&bytes).unwrap(), PaxRecords::default());
        let more = b"6 a=b\n".repeat(PAX_RECORDS_MAX + 1);
        assert!(matches!(parse(&more), Err(TarError::TooManyRecords)));
    }

    #[test]
    fn an_attribute_one_byte_over_the_limit_is_refused() {
        let value = vec![0; XATTR_MAX_BYTES];
        let key = b"SCHILY.xattr.user.big";
        assert_eq!(
            parse(&records(&[(key, &value)])).unwrap().xattrs[&b"user.big"[..]],
            value
        );
        let found = parse(&records(&[(key, &vec![0; XATTR_MAX_BYTES + 1])]));
        assert!(matches!(found, Err(TarError::LargeXattr { name }) if name == b"user.big"));
    }

    #[test]
    fn times_come_back() {
        for (seconds, nanos, text) in [
            (0, 0, "0"),
            (5, 0, "5"),
            (5, 500_000_000, "5.5"),
            (1, 1, "1.000000001"),
            (-5, 0, "-5"),
            (-2, 500_000_000, "-1.5"),
            (-1, 999_999_999, "-0.000000001"),
            (i64::MAX, 0, "9223372036854775807"),
        ] {
            let point = FileTime { seconds, nanos };
            assert_eq!(time_text(point), text);
            assert_eq!(time(text.as_bytes()), Some(point));
        }
        assert_eq!(
            time(b"1.1234567899"),
            Some(FileTime {
                seconds: 1,
                nanos: 123_456_789
            })
        );
    }

    #[test]
    fn a_global_header_must_not_move_entries() {
        check_global(&records(&[(b"comment", b"0123abcd"), (b"mtime", b"1")])).unwrap();
        for key in [&b"path"[..], b"linkpath", b"size", b"GNU.sparse.realsize"] {
            let found = check_global(&records(&[(key, b"1")]));
            assert!(
                matches!(found, Err(TarError::GlobalRecord)),
                "{}",
                key.escape_ascii()
            );
        }
    }
}
