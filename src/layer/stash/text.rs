//! The fields of the lines of indexes and notes: tabs between them, and none in them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rootfs::{FileTime, Mode, RootPath};

use crate::change::Attributes;

/// Nanoseconds of a second.
const NANOS: u32 = 1_000_000_000;

/// Writes bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Reads what [`hex`] writes.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect()
}

/// Writes a time.
pub(super) fn time(time: FileTime) -> String {
    format!("{}.{}", time.seconds, time.nanos)
}

/// Reads what [`time`] writes.
pub(super) fn parse_time(text: &str) -> Option<FileTime> {
    let (seconds, nanos) = text.split_once('.')?;
    let time = FileTime {
        seconds: seconds.parse().ok()?,
        nanos: nanos.parse().ok()?,
    };
    (time.nanos < NANOS).then_some(time)
}

/// Writes a path.
pub(super) fn parse_path(text: &str) -> Option<RootPath> {
    RootPath::from_escaped(text).ok()
}

/// Writes what every object has, as three fields.
pub(super) fn attributes(attributes: &Attributes) -> String {
    let Attributes {
        uid,
        gid,
        mode,
        mtime,
        xattrs,
    } = attributes;
    let xattrs = xattrs
        .iter()
        .map(|(name, value)| format!("{}={}", hex(name), hex(value)));
    let xattrs: Vec<_> = xattrs.collect();
    format!("{uid}:{gid}:{mode}\t{}\t{}", time(*mtime), xattrs.join(","))
}

/// Reads what [`attributes`] writes.
pub(super) fn parse_attributes<'a>(
    fields: &mut impl Iterator<Item = &'a str>,
) -> Option<Attributes> {
    let mut owner = fields.next()?.split(':');
    let (uid, gid) = (owner.next()?.parse().ok()?, owner.next()?.parse().ok()?);
    let bits = u32::from_str_radix(owner.next()?, 8).ok()?;
    let mode = Mode::new(bits);
    let mtime = parse_time(fields.next()?)?;
    let xattrs = parse_xattrs(fields.next()?)?;
    let is_exact = owner.next().is_none() && mode.bits() == bits;
    is_exact.then_some(Attributes {
        uid,
        gid,
        mode,
        mtime,
        xattrs,
    })
}

fn parse_xattrs(text: &str) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((unhex(name)?, unhex(value)?))
    });
    pairs.collect()
}
