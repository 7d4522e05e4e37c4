//! Attributes of objects that are there: by whichever thread, since no name is looked up.

use rootfs::{File, FileKind, FsError, IdStorage, Inode, OwnerRecord, Owners, RootPath};

use crate::change::Attributes;
use crate::xattr;

/// Gives a regular file that is written its attributes, by whichever thread: nothing else is touched, and `owners` gets
/// no record of it, since a file holds its own.
pub(crate) fn finish_file(
    owners: &mut Owners,
    file: File,
    real: &RootPath,
    attributes: &Attributes,
) -> Result<(), FsError> {
    let inode = Inode::from_file(file);
    set_plain_xattrs(&inode, attributes)?;
    let record = OwnerRecord {
        uid: attributes.uid,
        gid: attributes.gid,
        mode: attributes.mode,
        device: None,
    };
    owners.set(&inode, real, FileKind::File, &record)?;
    if let Some(value) = attributes.xattrs.get(xattr::CAPABILITY) {
        set_capability(&inode, value, owners.storage())?;
    }
    inode.set_mtime(attributes.mtime)
}

/// Sets the extended attributes that belong to an image, without capabilities.
pub(crate) fn set_plain_xattrs(inode: &Inode, attributes: &Attributes) -> Result<(), FsError> {
    let xattrs = attributes.xattrs.iter();
    let kept = xattrs.filter(|(name, _)| xattr::is_kept(name));
    for (name, value) in kept.filter(|(name, _)| *name != xattr::CAPABILITY) {
        inode.set_xattr(name, value)?;
    }
    Ok(())
}

/// Gives a file capabilities, or records them where they may not be given.
pub(crate) fn set_capability(inode: &Inode, value: &[u8], ids: IdStorage) -> Result<(), FsError> {
    let value = xattr::portable_capability(value.to_vec());
    match inode.set_xattr(xattr::CAPABILITY, &value) {
        // Without a user namespace of ours nobody may give capabilities; the record keeps them.
        Err(error) if error.is_not_permitted() && ids == IdStorage::Recorded => {
            inode.set_xattr(xattr::CAPABILITY_RECORD, &value)
        }
        done => done,
    }
}
