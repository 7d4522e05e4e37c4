//! POSIX access control lists, as attributes hold them (`linux/posix_acl_xattr.h`): a version, then entries of a tag, three
//! bits of permission, and an id.

/// `ACL_USER_OBJ`, `ACL_USER`, `ACL_GROUP_OBJ`, `ACL_GROUP`, `ACL_MASK` and `ACL_OTHER`.
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

/// `POSIX_ACL_XATTR_VERSION`.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;

/// The permissions of a mode that a list does not speak of.
const OTHER_BITS: u32 = 0o7000;

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

/// Tells whether a list is well-formed and names a user or group other than 0, which the kernel would refuse.
pub(super) fn names_others(list: &[u8]) -> bool {
    let is_named = |entry: &Entry| matches!(entry.tag, USER | GROUP) && entry.id != 0;
    entries(list).is_some_and(|entries| entries.iter().any(is_named))
}

/// Returns the mode of a file with this list that had another one.
pub(super) fn mode(list: &[u8], before: u32) -> u32 {
    let entries = entries(list).unwrap_or_default();
    let of = |tag: u16| {
        let mut found = entries.iter().filter(|entry| entry.tag == tag);
        found.next().map(|entry| u32::from(entry.permissions & 7))
    };
    let class = |found: Option<u32>, shift: u32| match found {
        Some(bits) => bits << shift,
        None => before & 7 << shift,
    };
    before & OTHER_BITS
        | class(of(OWNER), 6)
        | class(of(MASK).or_else(|| of(OWNING_GROUP)), 3)
        | class(of(OTHERS), 0)
}

/// Returns what a file inherits of the list that its directory hands down, if it is made with this mode: its own list, and
/// its mode. Each gives what both do, and the mask of the process counts for nothing (acl(5), "Object creation and default
/// ACLs").
pub(in crate::notify) fn inherited(list: &[u8], mode: u32) -> (Vec<u8>, u32) {
    let mut entries = entries(list).unwrap_or_default();
    let has_mask = entries.iter().any(|entry| entry.tag == MASK);
    for entry in &mut entries {
        let shift = match entry.tag {
            OWNER => 6,
            MASK => 3,
            OWNING_GROUP if !has_mask => 3,
            OTHERS => 0,
            _ => continue,
        };
        let class = u16::try_from(mode >> shift & 7).unwrap_or_default();
        entry.permissions &= class;
    }
    let list = bytes(&entries);
    let mode = self::mode(&list, mode);
    (list, mode)
}

fn bytes(entries: &[Entry]) -> Vec<u8> {
    let mut list = VERSION.to_le_bytes().to_vec();
    for Entry {
        tag,
        permissions,
        id,
    } in entries
    {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

fn entries(list: &[u8]) -> Option<Vec<Entry>> {
    let (version, rest) = list.split_first_chunk::<HEADER_BYTES>()?;
    let (entries, []) = rest.as_chunks::<ENTRY_BYTES>() else {
        return None;
    };
    let read = |bytes: &[u8; ENTRY_BYTES]| {
        let [a, b, c, d, id @ ..] = *bytes;
        Entry {
            tag: u16::from_le_bytes([a, b]),
            permissions: u16::from_le_bytes([c, d]),
            id: u32::from_le_bytes(id),
        }
    };
    (u32::from_le_bytes(*version) == VERSION).then(|| entries.iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: u32 = u32::MAX;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |&(tag, permissions, id): &(u16, u16, u32)| Entry {
            tag,
            permissions,
            id,
        };
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        bytes(&entries)
    }

    #[test]
    fn what_is_inherited_gives_no_more_than_the_mode_that_was_asked_for() {
        let default = [
            (OWNER, 7, NONE),
            (USER, 7, 7),
            (OWNING_GROUP, 5, NONE),
            (MASK, 7, NONE),
            (OTHERS, 4, NONE),
        ];
        let (found, mode) = inherited(&list(&default), 0o2640);
        let expected = [
            (OWNER, 6, NONE),
            (USER, 7, 7),
            (OWNING_GROUP, 5, NONE),
            (MASK, 4, NONE),
            (OTHERS, 0, NONE),
        ];
        assert_eq!((found, mode), (list(&expected), 0o2640));
        let (_, mode) = inherited(&list(&default), 0o777);
        assert_eq!(mode, 0o774);
        let without_mask = [(OWNER, 7, NONE), (OWNING_GROUP, 5, NONE), (OTHERS, 7, NONE)];
        let (_, mode) = inherited(&list(&without_mask), 0o666);
        assert_eq!(mode, 0o646);
    }

    #[test]
    fn lists_that_name_somebody_are_told_apart() {
        let plain = [(OWNER, 6, NONE), (OWNING_GROUP, 4, NONE), (OTHERS, 0, NONE)];
        assert!(!names_others(&list(&plain)));
        assert!(!names_others(&list(&[(USER, 6, 0)])));
        assert!(names_others(&list(&[(USER, 6, 7)])));
        assert!(names_others(&list(&[(GROUP, 6, 999)])));
        let mut cut = list(&[(GROUP, 6, 999)]);
        cut.pop();
        assert!(!names_others(&cut));
        assert!(!names_others(&[1, 0, 0, 0, 2, 0, 6, 0, 7, 0, 0, 0]));
        assert!(!names_others(b""));
    }

    #[test]
    fn the_mask_is_the_group_of_the_mode() {
        let entries = [
            (OWNER, 7, NONE),
            (OWNING_GROUP, 5, NONE),
            (GROUP, 6, 4),
            (MASK, 6, NONE),
            (OTHERS, 1, NONE),
        ];
        assert_eq!(mode(&list(&entries), 0o2000), 0o2761);
        assert_eq!(mode(&list(&entries[..2]), 0o444), 0o754);
        assert_eq!(mode(b"", 0o640), 0o640);
    }
}
