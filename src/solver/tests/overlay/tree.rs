//! What a tree is, as text: one line for each object, whoever looks at it and however it came about.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;

use rootfs::{Entry, FileKind, FileTime, OWNER_XATTR, Owners, Root, RootPath};

/// Whether second names of an object are told from other objects that are like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// A second name of an object is a line that names the first.
    Told,
    /// Each name is a line with all that the object is.
    Alike,
}

/// Returns everything that a tree says.
pub(crate) fn facts(
    tree: &Root,
    owners: &Owners,
    names: Names,
) -> Result<Vec<String>, Box<dyn Error>> {
    let mut first: BTreeMap<(u64, u64), RootPath> = BTreeMap::new();
    let mut lines = Vec::new();
    for entry in tree.walk()? {
        let entry = entry?;
        let (path, metadata) = (&entry.path, &entry.metadata);
        if metadata.kind != FileKind::Directory && names == Names::Told {
            let inode = (metadata.dev, metadata.ino);
            if let Some(first) = first.get(&inode) {
                lines.push(format!("{path} is {first}"));
                continue;
            }
            first.insert(inode, path.clone());
        }
        lines.push(format!("{path} {}", object(&entry, owners)?));
    }
    Ok(lines)
}

fn object(entry: &Entry, owners: &Owners) -> Result<String, Box<dyn Error>> {
    let (kind, what) = match entry.metadata.kind {
        FileKind::Directory => ("directory", String::new()),
        FileKind::File => ("file", content(entry)?),
        FileKind::Symlink => ("link", entry.read_link()?.escape_ascii().to_string()),
        FileKind::Fifo => ("fifo", String::new()),
        other => return Err(format!("`{}` is a {other:?}", entry.path).into()),
    };
    let mut attributes = match entry.metadata.kind {
        FileKind::Directory | FileKind::File => entry.xattrs()?,
        _ => BTreeMap::new(),
    };
    let record = attributes.remove(OWNER_XATTR);
    attributes.retain(|name, _| !name.starts_with(b"user.overlay."));
    let owner = owners.read(&entry.path, &entry.metadata, record.as_deref())?;
    let mode = match entry.metadata.kind {
        FileKind::Symlink => String::new(),
        _ => owner.mode.to_string(),
    };
    let FileTime { seconds, nanos } = entry.metadata.mtime;
    Ok(format!(
        "{kind} {mode} {}:{} {seconds}.{nanos:09} {attributes:?} {what}",
        owner.uid, owner.gid
    ))
}

fn content(entry: &Entry) -> Result<String, Box<dyn Error>> {
    let mut bytes = Vec::new();
    entry.open_file()?.read_to_end(&mut bytes)?;
    let digest = oci::Digest::of(&bytes);
    Ok(format!("{} {digest}", bytes.len()))
}
