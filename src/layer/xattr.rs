//! Which extended attributes belong to an image.
//!
//! | Name | read from a tree | read from a layer |
//! | --- | --- | --- |
//! | `security.capability` | kept, as version 2 | kept, as version 2 |
//! | `user.overlay.*`, `trusted.overlay.*` | left out: overlayfs' own | refused: they would redirect |
//! | `user.careen.*` | left out: our own | refused: they would forge an owner |
//! | other `user.*` | kept | kept |
//! | everything else (`trusted.*`, `security.selinux`, ACLs) | left out | left out, as by rootless peers |

use std::collections::BTreeMap;

use rootfs::{FsError, Inode};

/// overlayfs' mark of a directory that hides what is below, in a user namespace.
const OPAQUE: &[u8] = b"user.overlay.opaque";

/// The same mark where the store lies in `fuse-overlayfs`, which takes the other one for its own and shows it to nobody.
const KEPT_OPAQUE: &[u8] = b"user.careen.opaque";

/// The value of both marks.
const OPAQUE_VALUE: &[u8] = b"y";

/// The marks of a directory that hides what is below, in the order in which they are looked for.
const OPAQUE_MARKS: [&[u8]; 2] = [OPAQUE, KEPT_OPAQUE];

/// A file's capabilities.
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// A file's capabilities where this process may not set them.
pub(crate) const CAPABILITY_RECORD: &[u8] = b"user.careen.capability";

const OWN_PREFIX: &[u8] = b"user.careen.";
const OVERLAY_PREFIXES: [&[u8]; 2] = [b"user.overlay.", b"trusted.overlay."];

/// The revision in the upper byte of the first word of `security.capability` (linux/capability.h).
const REVISION_2: u8 = 2;
const REVISION_3: u8 = 3;
/// The length of a value of revision 2, and of what a value of revision 3 has before its root id.
const CAPABILITY_BYTES: usize = 20;

/// Marks a directory as one that hides what is below.
pub(crate) fn mark_opaque(directory: &Inode) -> Result<(), FsError> {
    directory.set_xattr(OPAQUE, OPAQUE_VALUE)?;
    if directory.xattr(OPAQUE)?.is_none() {
        directory.set_xattr(KEPT_OPAQUE, OPAQUE_VALUE)?;
    }
    Ok(())
}

/// Tells whether a directory hides what is below.
pub(crate) fn is_opaque(directory: &Inode) -> Result<bool, FsError> {
    for mark in OPAQUE_MARKS {
        if let Some(value) = directory.xattr(mark)? {
            return Ok(value == OPAQUE_VALUE);
        }
    }
    Ok(false)
}

/// Tells whether a directory with these attributes hides what is below.
pub(crate) fn has_opaque(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
    let mut found = OPAQUE_MARKS.iter().filter_map(|mark| xattrs.get(*mark));
    found.next().is_some_and(|value| value == OPAQUE_VALUE)
}

/// Tells whether a layer must not have an attribute.
pub(crate) fn is_forbidden(name: &[u8]) -> bool {
    name.starts_with(OWN_PREFIX) || is_overlay(name)
}

fn is_overlay(name: &[u8]) -> bool {
    // `trusted.overlay` alone is no attribute of overlayfs.
    OVERLAY_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Tells whether an attribute belongs to an image.
pub(crate) fn is_kept(name: &[u8]) -> bool {
    !is_forbidden(name) && (name == CAPABILITY || name.starts_with(b"user."))
}

/// Tells whether an attribute goes with an inode that is copied on disk: the image's, and our records. What a directory
/// hides depends on where it is.
pub(crate) fn belongs_to_inode(name: &[u8]) -> bool {
    is_kept(name) || name.starts_with(OWN_PREFIX) && name != KEPT_OPAQUE
}

/// Returns the attributes of an object in a tree that belong to the image.
pub(crate) fn of_image(mut xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let recorded = xattrs.remove(CAPABILITY_RECORD);
    xattrs.retain(|name, _| is_kept(name));
    let real = xattrs.remove(CAPABILITY);
    if let Some(value) = real.or(recorded) {
        xattrs.insert(CAPABILITY.to_vec(), portable_capability(value));
    }
    xattrs
}

/// Returns a value of `security.capability` that says nothing of the user namespace that it was set
/// in: a file that a nested namespace gave capabilities reads as revision 3, with the id of its root.
pub(crate) fn portable_capability(mut value: Vec<u8>) -> Vec<u8> {
    if value.len() == CAPABILITY_BYTES + 4 && value[3] == REVISION_3 {
        value.truncate(CAPABILITY_BYTES);
        value[3] = REVISION_2;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cap_net_raw+ep`.
    const V2: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_namespaced_capability_becomes_version_2() {
        let mut v3 = V2.to_vec();
        v3[3] = 3;
        v3.extend([1, 0, 0, 0]);
        assert_eq!(portable_capability(v3), V2);
        assert_eq!(portable_capability(V2.to_vec()), V2);
        assert_eq!(portable_capability(vec![3]), [3]);
    }

    #[test]
    fn attributes_that_are_not_the_images_are_left_out() {
        let names: [&[u8]; 9] = [
            b"security.capability",
            b"security.selinux",
            b"system.posix_acl_access",
            b"trusted.x",
            b"user.careen.owner",
            b"user.mime_type",
            b"user.overlay.opaque",
            b"user.overlay.overlay.opaque",
            b"user.overlayed",
        ];
        let all = names.map(|name| (name.to_vec(), V2.to_vec()));
        let kept: Vec<_> = of_image(BTreeMap::from(all)).into_keys().collect();
        assert_eq!(
            kept,
            [
                &b"security.capability"[..],
                b"user.mime_type",
                b"user.overlayed"
            ]
        );
    }

    #[test]
    fn the_mark_of_a_hiding_directory_may_be_the_other_one() {
        let directory = tempfile::tempdir().unwrap();
        let root = rootfs::Root::open(directory.path()).unwrap();
        let inode = root.inode(&rootfs::RootPath::root()).unwrap();
        let looks = || {
            (
                is_opaque(&inode).unwrap(),
                has_opaque(&inode.xattrs().unwrap()),
            )
        };
        assert_eq!(looks(), (false, false));
        inode.set_xattr(KEPT_OPAQUE, OPAQUE_VALUE).unwrap();
        assert_eq!(looks(), (true, true));
        inode.set_xattr(OPAQUE, b"x").unwrap();
        assert_eq!(looks(), (false, false));
        mark_opaque(&inode).unwrap();
        assert_eq!(looks(), (true, true));
        assert!(!belongs_to_inode(KEPT_OPAQUE) && belongs_to_inode(CAPABILITY_RECORD));
    }

    #[test]
    fn a_recorded_capability_counts_where_there_is_no_real_one() {
        let recorded = BTreeMap::from([(CAPABILITY_RECORD.to_vec(), V2.to_vec())]);
        assert_eq!(
            of_image(recorded),
            BTreeMap::from([(CAPABILITY.to_vec(), V2.to_vec())])
        );
    }
}
