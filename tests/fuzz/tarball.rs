//! Archives that get past their check sums, so that what is behind them is tried.

use tar::{EntryType, Header};

use crate::bytes::Bytes;

const BLOCK: usize = 512;
/// Where a header has its check sum.
const SUM: std::ops::Range<usize> = 148..156;

/// Names are put together of these; [`HERE`] stands for the directory that the layer is not to leave.
const COMPONENTS: [&str; 16] = [
    "a",
    "b",
    "c",
    "..",
    ".",
    "",
    "canary",
    "room",
    ".wh.a",
    ".wh..wh..opq",
    ".wh.",
    ".wh..",
    "canaries",
    "inner",
    HERE,
    "x",
];
pub(crate) const HERE: &str = "HERE";

const KINDS: [EntryType; 10] = [
    EntryType::Regular,
    EntryType::Directory,
    EntryType::Symlink,
    EntryType::Link,
    EntryType::Directory,
    EntryType::Symlink,
    EntryType::Regular,
    EntryType::Fifo,
    EntryType::Char,
    EntryType::Block,
];

/// Sets the check sum of every block that says of itself that it is a header.
pub(crate) fn with_sums(data: &[u8]) -> Vec<u8> {
    let mut tar = data.to_vec();
    for block in tar.chunks_exact_mut(BLOCK) {
        if block[257..262] == *b"ustar" {
            set_sum(block);
        }
    }
    tar
}

fn set_sum(block: &mut [u8]) {
    block[SUM].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Makes an archive out of decisions, with names that are tempting. `here` takes the place of [`HERE`].
pub(crate) fn made(bytes: &mut Bytes<'_>, here: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    while !bytes.is_empty() {
        let kind = bytes.one_of(&KINDS);
        if kind == EntryType::Block && bytes.byte() % 2 == 0 {
            // Between two archives: see `apply`.
            break;
        }
        entry(&mut tar, kind, bytes, here);
    }
    tar.extend([0; 2 * BLOCK]);
    tar
}

fn entry(tar: &mut Vec<u8>, kind: EntryType, bytes: &mut Bytes<'_>, here: &str) {
    let path = name(bytes, here);
    let target = match kind {
        EntryType::Symlink | EntryType::Link => name(bytes, here),
        _ => String::new(),
    };
    let content: &[u8] = match kind {
        EntryType::Regular => &b"written"[..usize::from(bytes.byte()) % 8 % 7],
        _ => b"",
    };
    let choices = bytes.byte();
    for (kind, long) in [(b'L', &path), (b'K', &target)] {
        if long.len() >= 100 {
            block(
                tar,
                EntryType::new(kind),
                ("././@LongLink", ""),
                long.len() + 1,
                0,
            );
            data(tar, format!("{long}\0").as_bytes());
        }
    }
    if choices & 0x80 != 0 {
        let attribute =
            bytes.one_of(&["user.a", "user.overlay.opaque", "trusted.overlay.redirect"]);
        let record = record(&format!("SCHILY.xattr.{attribute}=y"));
        block(tar, EntryType::XHeader, ("x", ""), record.len(), 0);
        data(tar, record.as_bytes());
    }
    let mode = [0o644, 0o755, 0o4777, 0][usize::from(choices % 4)];
    block(
        tar,
        kind,
        (path.as_str(), target.as_str()),
        content.len(),
        mode,
    );
    data(tar, content);
}

/// Returns a PAX record, which begins with its own length.
fn record(text: &str) -> String {
    let length = text.len() + 4;
    let length = if length < 100 { length } else { length + 1 };
    format!("{length} {text}\n")
}

fn block(tar: &mut Vec<u8>, kind: EntryType, (path, target): (&str, &str), size: usize, mode: u32) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    let old = header.as_old_mut();
    put(&mut old.name, path);
    put(&mut old.linkname, target);
    header.set_cksum();
    tar.extend(header.as_bytes());
}

fn put(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

fn data(tar: &mut Vec<u8>, content: &[u8]) {
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

fn name(bytes: &mut Bytes<'_>, here: &str) -> String {
    let shape = bytes.byte();
    let components: Vec<_> = (0..=shape % 5)
        .map(|_| bytes.one_of(&COMPONENTS))
        .map(|component| if component == HERE { here } else { component })
        .collect();
    let start = if shape & 0x80 == 0 { "" } else { "/" };
    let end = if shape & 0x40 == 0 { "" } else { "/" };
    format!("{start}{}{end}", components.join("/"))
}
