//! Archives made entry by entry, places to apply them to, and trees as text.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use rootfs::{IdStorage, Mode, Owners, Root, RootPath};
use tar::Header;
use tempfile::TempDir;

use crate::change::{Change, ChangeKind, Content, NodeKind};
use crate::header::{put_octal, put_text};
use crate::pax::push_record;
use crate::{Applied, ApplyError, ApplyOptions, Limits, apply, diff_upper};

/// How owners are held in the tests: as they are for root, recorded for everybody else.
pub(super) fn ids() -> IdStorage {
    if is_root() {
        IdStorage::Shifted {
            by: 0,
            count: 65536,
        }
    } else {
        IdStorage::Recorded
    }
}

/// Tells whether this process may give files away.
pub(super) fn is_root() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    root.set_owner(&RootPath::root(), 1, 1).is_ok()
}

pub(super) fn at(path: &str) -> RootPath {
    RootPath::strict(path).unwrap()
}

/// A directory for a layer, with something beside it that nobody may touch.
pub(super) struct Place {
    pub(super) dir: TempDir,
    pub(super) root: Arc<Root>,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["layer", "host"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("host/victim"), b"untouched").unwrap();
        let root = Arc::new(Root::open(&dir.path().join("layer")).unwrap());
        Self { dir, root }
    }

    pub(super) fn host(&self, path: &str) -> PathBuf {
        self.dir.path().join("host").join(path)
    }

    pub(super) fn inside(&self, path: &str) -> PathBuf {
        self.dir.path().join("layer").join(path)
    }

    pub(super) fn apply(&self, tar: &Tar) -> Result<Applied, ApplyError> {
        self.apply_with(tar, Limits::default())
    }

    pub(super) fn apply_with(&self, tar: &Tar, limits: Limits) -> Result<Applied, ApplyError> {
        apply(
            &mut tar.bytes().as_slice(),
            &self.root,
            &ApplyOptions { ids: ids(), limits },
        )
    }

    /// Returns the tree as one line per object.
    pub(super) fn tree(&self, applied: &Applied) -> Vec<String> {
        self.lines(Owners::new(ids(), applied.owners.clone()))
    }

    pub(super) fn lines(&self, owners: Owners) -> Vec<String> {
        let diff = diff_upper(Arc::clone(&self.root), owners).unwrap();
        diff.map(|change| line(&change.unwrap())).collect()
    }

    pub(super) fn assert_victim_untouched(&self) {
        assert_eq!(fs::read(self.host("victim")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(self.host("")).unwrap().count(), 1);
        let mut names: Vec<_> = fs::read_dir(self.dir.path()).unwrap().collect();
        assert_eq!(names.len(), 2, "{:?}", names.pop());
    }
}

/// Checks that an archive was refused, and why.
pub(super) fn assert_archive_error(error: &ApplyError, expected: &str) {
    let ApplyError::Archive { source, .. } = error else {
        panic!("another error: {error}");
    };
    assert_eq!(source.to_string(), expected);
}

/// Returns a change as text: kind and mode, owner, path, and what only its kind has.
pub(super) fn line(change: &Change) -> String {
    let node = match &change.kind {
        ChangeKind::Delete => return format!("x {}", change.path),
        ChangeKind::Put(node) => node,
    };
    let (letter, rest) = match &node.kind {
        NodeKind::Directory { opaque: false } => ('d', String::new()),
        NodeKind::Directory { opaque: true } => ('D', String::new()),
        NodeKind::File { content, .. } => ('f', format!(" = {}", text(content))),
        NodeKind::Symlink { target } => ('l', format!(" -> {}", target.escape_ascii())),
        NodeKind::HardLink { target } => ('h', format!(" => {target}")),
        NodeKind::CharDevice { major, minor } => ('c', format!(" {major},{minor}")),
        NodeKind::BlockDevice { major, minor } => ('b', format!(" {major},{minor}")),
        NodeKind::Fifo => ('p', String::new()),
    };
    let attributes = &node.attributes;
    let (uid, gid) = (attributes.uid, attributes.gid);
    let mode = if letter == 'l' {
        Mode::new(0o777)
    } else {
        attributes.mode
    };
    format!("{letter}{mode} {uid}:{gid} {}{rest}", change.path)
}

fn text(content: &Content) -> String {
    let mut bytes = Vec::new();
    match content {
        Content::Bytes(held) => bytes.extend_from_slice(held),
        Content::File { root, path, .. } => {
            root.open_file_nofollow(path)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
        }
    }
    bytes.escape_ascii().to_string()
}

/// An archive in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Tar {
    bytes: Vec<u8>,
}

/// What an entry says; everything else is usual.
#[derive(Debug, Clone, Copy)]
pub(super) struct Says<'a> {
    pub(super) typeflag: u8,
    pub(super) name: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) data: &'a [u8],
    pub(super) mode: u32,
    pub(super) owner: u32,
    /// The size in the header, where it is not that of the data.
    pub(super) size: Option<u64>,
    pub(super) device: (u32, u32),
}

pub(super) fn says(typeflag: u8, name: &[u8]) -> Says<'_> {
    Says {
        typeflag,
        name,
        link: b"",
        data: b"",
        mode: 0o644,
        owner: 0,
        size: None,
        device: (0, 0),
    }
}

impl Tar {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn file(self, name: &str, data: &str) -> Self {
        self.entry(Says {
            data: data.as_bytes(),
            ..says(b'0', name.as_bytes())
        })
    }

    pub(super) fn dir(self, name: &str) -> Self {
        self.entry(Says {
            mode: 0o755,
            ..says(b'5', name.as_bytes())
        })
    }

    pub(super) fn symlink(self, name: &str, link: &str) -> Self {
        self.entry(Says {
            mode: 0o777,
            link: link.as_bytes(),
            ..says(b'2', name.as_bytes())
        })
    }

    pub(super) fn link(self, name: &str, link: &str) -> Self {
        self.entry(Says {
            link: link.as_bytes(),
            ..says(b'1', name.as_bytes())
        })
    }

    pub(super) fn entry(mut self, says: Says<'_>) -> Self {
        let mut header = Header::new_ustar();
        let ustar = header.as_ustar_mut().unwrap();
        assert!(put_text(&mut ustar.name, says.name) && put_text(&mut ustar.linkname, says.link));
        put_octal(&mut ustar.mode, says.mode.into());
        put_octal(&mut ustar.uid, says.owner.into());
        put_octal(&mut ustar.gid, says.owner.into());
        put_octal(&mut ustar.size, says.size.unwrap_or(says.data.len() as u64));
        put_octal(&mut ustar.mtime, 1_700_000_000);
        put_octal(&mut ustar.dev_major, says.device.0.into());
        put_octal(&mut ustar.dev_minor, says.device.1.into());
        ustar.typeflag = [says.typeflag];
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.raw(says.data)
    }

    /// Adds bytes up to the next block.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// Adds a PAX header for the next entry.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.extension(b'x', records)
    }

    /// Adds a PAX header of a kind.
    pub(super) fn extension(self, typeflag: u8, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            push_record(&mut data, key.as_bytes(), value);
        }
        self.entry(Says {
            data: &data,
            ..says(typeflag, b"PaxHeaders/x")
        })
    }

    /// Adds a GNU long name or link for the next entry.
    pub(super) fn long(self, typeflag: u8, name: &str) -> Self {
        let data = format!("{name}\0");
        self.entry(Says {
            data: data.as_bytes(),
            ..says(typeflag, b"././@LongLink")
        })
    }

    /// Changes the header of the last entry, which has no data.
    pub(super) fn patch(mut self, change: impl FnOnce(&mut [u8; 512])) -> Self {
        let start = self.bytes.len() - 512;
        let mut block: [u8; 512] = self.bytes[start..].try_into().unwrap();
        change(&mut block);
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        put_octal(&mut block[148..155], sum);
        self.bytes[start..].copy_from_slice(&block);
        self
    }

    /// Returns the archive with its end.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.bytes.as_slice(), &[0; 1024]].concat()
    }

    /// Returns the archive without its end.
    pub(super) fn open_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the extended attributes of an object on disk.
pub(super) fn xattrs(root: &Root, path: &str) -> BTreeMap<String, Vec<u8>> {
    let found = root.inode(&at(path)).unwrap().xattrs().unwrap();
    found
        .into_iter()
        .map(|(name, value)| (String::from_utf8(name).unwrap(), value))
        .collect()
}
