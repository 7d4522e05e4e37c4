//! F10: `USER`, and the tables of users and groups that an image has.
//!
//! ```text
//! USER ␀ /etc/passwd ␀ /etc/group
//! ```
//!
//! Nobody is root whom neither the word nor an entry with that very name calls so; ids are what `chown` takes.

use rootfs::{ResolvedUser, UserTables, resolve_user_in, resolve_user_without_tables};

const ID_MAX: u32 = i32::MAX.cast_unsigned();

/// Looks a user up.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let Ok(user) = std::str::from_utf8(part()) else {
        return;
    };
    let tables = UserTables {
        passwd: part().to_vec(),
        group: part().to_vec(),
    };
    if let Ok(found) = resolve_user_without_tables(user) {
        is_possible(&found);
    }
    let Ok(found) = resolve_user_in(&tables, user) else {
        return;
    };
    is_possible(&found);
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let is_root = is_called_root(name) || has_entry(&tables.passwd, name, found.uid);
    assert!(found.uid != 0 || is_root, "{user:?} is root");
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !name.is_empty() && is_number(name) {
        assert_eq!(name.parse(), Ok(found.uid));
    }
    if !group.is_empty() {
        let is_named = is_called_root(group) || has_entry(&tables.group, group, found.gid);
        assert!(found.gid != 0 || is_named, "{group:?} is root's group");
    }
}

fn is_possible(found: &ResolvedUser) {
    assert!(found.uid <= ID_MAX && found.gid <= ID_MAX);
    assert!(found.groups.iter().all(|group| *group <= ID_MAX));
    assert_eq!(found.groups.first(), Some(&found.gid));
    let mut groups = found.groups.clone();
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(groups.len(), found.groups.len(), "a group twice");
}

/// Tells whether a word means 0 without a table.
fn is_called_root(word: &str) -> bool {
    word.is_empty() || word == "root" || word.parse::<u32>().is_ok_and(|id| id == 0)
}

/// Tells whether a line of a table gives an id to a name.
fn has_entry(table: &[u8], name: &str, id: u32) -> bool {
    let mut lines = table.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.any(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let is_name = fields.next() == Some(name.as_bytes());
        let field = fields
            .nth(1)
            .and_then(|field| std::str::from_utf8(field).ok());
        is_name && field.and_then(|field| field.parse().ok()) == Some(id)
    })
}
