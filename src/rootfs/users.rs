//! `USER` as BuildKit reads it: in `/etc/passwd` and `/etc/group` of the image.
//!
//! The tables come from an image, so they are looked up inside its root, must be regular files of at
//! most [`TABLE_LIMIT_BYTES`], and opening them cannot block. A line with a malformed number is no
//! entry: read as 0, as C's `atoi` would, it would name root.
//!
//! | `USER` | user | group | supplementary groups |
//! | --- | --- | --- | --- |
//! | *(empty)* | 0 | 0 | none |
//! | `name` | the entry's; none is an error | the entry's | those that list the name |
//! | `7` | 7 | the entry's, 0 without one | those that list the entry's name |
//! | `…:group` | as above | the entry's; none is an error | none |
//! | `…:7` | as above | 7 | none |
//!
//! A name of digits is always a number, also where a user is called so.

use crate::error::FsError;
use crate::path::RootPath;
use crate::root::Root;

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
pub const TABLE_LIMIT_BYTES: u64 = 10 * 1024 * 1024;

/// The highest id that can be named, as in BuildKit; 4294967295 would mean "no change" to `chown`.
const ID_LIMIT: u32 = i32::MAX.cast_unsigned();

/// Who a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// The user's id in the image.
    pub uid: u32,
    /// The group's id in the image.
    pub gid: u32,
    /// The groups of the process, the one above first and each once: a process whose own group is not
    /// among them escapes "group may not" permissions (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// The home directory of the user's entry, if it has one.
    pub home: Option<Vec<u8>>,
}

/// A `USER` that cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No entry has the name.
    #[error("no user `{}` in /etc/passwd of the image", name.escape_debug())]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// No entry has the name.
    #[error("no group `{}` in /etc/group of the image", name.escape_debug())]
    UnknownGroup {
        /// The name.
        name: String,
    },
    /// A number is no id.
    #[error("`{text}` is no id: ids are 0 to {ID_LIMIT}")]
    Range {
        /// The number.
        text: String,
    },
    /// A table cannot be read.
    #[error("read `/{path}` of the image")]
    Table {
        /// Which table.
        path: &'static str,
        /// Why not.
        #[source]
        source: FsError,
    },
}

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PasswdEntry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

/// A user or group as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written<'a> {
    Id(u32),
    Name(&'a str),
}

/// The tables of an image; one that is not there is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserTables {
    /// The bytes of [`PASSWD`].
    pub passwd: Vec<u8>,
    /// The bytes of [`GROUP`].
    pub group: Vec<u8>,
}

/// What reads a table by its path.
type ReadTable<'a> = &'a dyn Fn(&'static str) -> Result<Vec<u8>, UserError>;

/// Where an image has its users.
pub const PASSWD: &str = "etc/passwd";

/// Where an image has its groups.
pub const GROUP: &str = "etc/group";

/// The name that is known without a table, as in an image from scratch.
const ROOT: &str = "root";

/// Finds out who `user`, written as in `USER`, is in the image at `root`.
///
/// `root` is 0 where the image does not say otherwise.
///
/// # Errors
///
/// Fails where a name is unknown, a number is out of range, or a table is there and is no regular
/// file of at most [`TABLE_LIMIT_BYTES`].
pub fn resolve_user(root: &Root, user: &str) -> Result<ResolvedUser, UserError> {
    resolve(&|path| read_table(root, path), user)
}

/// Returns the highest id that the image at `root` has a user or a group of; 0 where it has none.
///
/// # Errors
///
/// Fails where a table is there and is no regular file of at most [`TABLE_LIMIT_BYTES`].
pub fn highest_id(root: &Root) -> Result<u32, UserError> {
    let (passwd, group) = (read_table(root, PASSWD)?, read_table(root, GROUP)?);
    let users = entries(&passwd).flat_map(|entry| [entry.uid, entry.gid]);
    let groups = groups(&group).map(|(_, gid, _)| gid);
    Ok(users.chain(groups).max().unwrap_or_default())
}

/// As [`resolve_user`], in an image that has no files: only numbers and `root` are known.
///
/// # Errors
///
/// As [`resolve_user`].
pub fn resolve_user_without_tables(user: &str) -> Result<ResolvedUser, UserError> {
    resolve(&|_| Ok(Vec::new()), user)
}

/// As [`resolve_user`], in tables that were read before.
///
/// # Errors
///
/// As [`resolve_user`].
pub fn resolve_user_in(tables: &UserTables, user: &str) -> Result<ResolvedUser, UserError> {
    let table = |path| match path {
        PASSWD => tables.passwd.clone(),
        _ => tables.group.clone(),
    };
    resolve(&|path| Ok(table(path)), user)
}

fn resolve(read: ReadTable<'_>, user: &str) -> Result<ResolvedUser, UserError> {
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let passwd = read(PASSWD)?;
    let wanted = if user.is_empty() {
        Written::Id(0)
    } else {
        written(user)?
    };
    let entry = entries(&passwd).find(|entry| match wanted {
        Written::Id(id) => entry.uid == id,
        Written::Name(name) => entry.name == name.as_bytes(),
    });
    let uid = match (wanted, &entry) {
        (_, Some(entry)) => entry.uid,
        (Written::Id(id), None) => id,
        (Written::Name(ROOT), None) => 0,
        (Written::Name(name), None) => {
            return Err(UserError::UnknownUser {
                name: name.to_owned(),
            });
        }
    };
    let (gid, groups) = match group.filter(|group| !group.is_empty()) {
        Some(group) => (resolve_group(read, group)?, Vec::new()),
        None => match &entry {
            Some(entry) => (entry.gid, groups_of(&read(GROUP)?, entry.name)),
            None => (0, Vec::new()),
        },
    };
    let home = entry
        .map(|entry| entry.home.to_vec())
        .filter(|home| !home.is_empty());
    Ok(ResolvedUser {
        uid,
        gid,
        groups: with_own(gid, groups),
        home,
    })
}

/// Finds out which group is meant.
fn resolve_group(read: ReadTable<'_>, group: &str) -> Result<u32, UserError> {
    let name = match written(group)? {
        Written::Id(id) => return Ok(id),
        Written::Name(name) => name,
    };
    let table = read(GROUP)?;
    let mut found = groups(&table).filter(|(other, ..)| *other == name.as_bytes());
    match found.next() {
        Some((_, gid, _)) => Ok(gid),
        None if name == ROOT => Ok(0),
        None => Err(UserError::UnknownGroup {
            name: name.to_owned(),
        }),
    }
}

/// Tells a number from a name. What has a sign counts as a number out of range.
fn written(text: &str) -> Result<Written<'_>, UserError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Written::Name(text));
    }
    let id = text.parse().ok().filter(|&id| id <= ID_LIMIT);
    id.map(Written::Id).ok_or_else(|| UserError::Range {
        text: text.to_owned(),
    })
}

fn with_own(gid: u32, groups: Vec<u32>) -> Vec<u32> {
    let mut all = vec![gid];
    for group in groups {
        if !all.contains(&group) {
            all.push(group);
        }
    }
    all
}

/// Reads a table; one that is not there is empty.
fn read_table(root: &Root, path: &'static str) -> Result<Vec<u8>, UserError> {
    let read = RootPath::strict(path)
        .map_err(FsError::from)
        .and_then(|path| root.read_to_end_limited(&path, TABLE_LIMIT_BYTES));
    read.map(Option::unwrap_or_default)
        .map_err(|source| UserError::Table { path, source })
}

fn lines(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii)
}

fn entries(table: &[u8]) -> impl Iterator<Item = PasswdEntry<'_>> {
    lines(table).filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        Some(PasswdEntry {
            name,
            uid,
            gid,
            home: fields.nth(1).unwrap_or_default(),
        })
    })
}

/// Returns name, id and members of each group.
fn groups(table: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    lines(table).filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?;
        let gid = number(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn groups_of(table: &[u8], user: &[u8]) -> Vec<u32> {
    let lists = |members: &[u8]| members.split(|&byte| byte == b',').any(|name| name == user);
    groups(table)
        .filter(|(_, _, members)| lists(members))
        .map(|(_, gid, _)| gid)
        .collect()
}

fn number(field: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(field).ok()?;
    text.parse().ok().filter(|&id| id <= ID_LIMIT)
}
