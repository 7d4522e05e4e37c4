//! Ranges of user and group ids: who may use which, and who writes them into a user namespace.
//!
//! `/etc/subuid` and `/etc/subgid` give a user ranges of ids beside the own one (subuid(5)). The
//! kernel lets an ordinary user map nothing but the own id, so `newuidmap` and `newgidmap`, which
//! are installed with the right to do more, check the tables and write the map ([`NewIdMap`]). A
//! caller that has the right itself writes it directly ([`DirectIdMap`]); `user_namespaces(7)`,
//! "Defining user and group ID mappings".

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::program::{Invocation, Program, ProgramError, ProgramNotFound, Running};

/// How long `newuidmap` and `newgidmap` may take. They ask the user database, which may be on a
/// network.
const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// Consecutive ids: `start` and the `count - 1` after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdRange {
    /// The first id.
    pub start: u32,
    /// How many there are; never 0.
    pub count: u32,
}

/// One line of `/proc/PID/uid_map`: ids inside a user namespace and what they are outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMapping {
    /// The first id inside the namespace.
    pub inside: u32,
    /// The id that it is in the parent namespace.
    pub outside: u32,
    /// How many consecutive ids the line maps.
    pub count: u32,
}

/// Which of the two kinds of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

/// Something that can write the id maps of a user namespace.
pub trait IdMapper: fmt::Debug {
    /// Writes both maps of the user namespace that process `pid` has just entered.
    ///
    /// # Errors
    ///
    /// Fails when the kernel or the helper refuses a map. A namespace whose maps could not be
    /// written is of no use; the process in it is to be ended.
    fn map(&self, pid: u32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), IdMapError>;
}

/// Why the maps of a user namespace could not be written.
#[derive(Debug, Error)]
pub enum IdMapError {
    /// `newuidmap` or `newgidmap` refused.
    #[error("map {kind} ids {}", listed(.mappings))]
    Helper {
        /// Whose map it was.
        kind: IdKind,
        /// The lines that were asked for.
        mappings: Vec<IdMapping>,
        /// What the helper said.
        source: ProgramError,
    },
    /// The kernel refused what was written to a file of `/proc`.
    #[error("write `{}` to `{}`", .content.trim_end(), .path.display())]
    Write {
        /// The file below `/proc`.
        path: PathBuf,
        /// What was written.
        content: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Maps through the programs `newuidmap` and `newgidmap` of the package `uidmap` (shadow).
#[derive(Debug, Clone)]
pub struct NewIdMap {
    newuidmap: Program,
    newgidmap: Program,
}

impl NewIdMap {
    /// Finds both programs in `search_path`, a list like that of `PATH`.
    ///
    /// # Errors
    ///
    /// Fails when either is missing.
    pub fn find(search_path: &OsStr) -> Result<Self, ProgramNotFound> {
        Ok(Self {
            newuidmap: Program::find("newuidmap", search_path)?,
            newgidmap: Program::find("newgidmap", search_path)?,
        })
    }
}

impl IdMapper for NewIdMap {
    fn map(&self, pid: u32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), IdMapError> {
        // Both at once: neither waits for what the other writes, and every build waits for both.
        let users = Helper::start(&self.newuidmap, IdKind::User, pid, uids)?;
        let groups = Helper::start(&self.newgidmap, IdKind::Group, pid, gids)?;
        users.finish()?;
        groups.finish()
    }
}

/// `newuidmap` or `newgidmap` at work.
struct Helper<'a> {
    kind: IdKind,
    mappings: &'a [IdMapping],
    arguments: Vec<OsString>,
    running: Running,
}

impl<'a> Helper<'a> {
    fn start(
        program: &Program,
        kind: IdKind,
        pid: u32,
        mappings: &'a [IdMapping],
    ) -> Result<Self, IdMapError> {
        let fields = mappings
            .iter()
            .flat_map(|line| [line.inside, line.outside, line.count]);
        let arguments: Vec<OsString> = std::iter::once(pid)
            .chain(fields)
            .map(|number| number.to_string().into())
            .collect();
        match program.start(&Invocation::of(&arguments, HELPER_LIMIT)) {
            Ok(running) => Ok(Self {
                kind,
                mappings,
                arguments,
                running,
            }),
            Err(source) => Err(refused(kind, mappings, source)),
        }
    }

    fn finish(self) -> Result<(), IdMapError> {
        let invocation = Invocation::of(&self.arguments, HELPER_LIMIT);
        match self.running.succeed(&invocation) {
            Ok(_) => Ok(()),
            Err(source) => Err(refused(self.kind, self.mappings, source)),
        }
    }
}

fn refused(kind: IdKind, mappings: &[IdMapping], source: ProgramError) -> IdMapError {
    IdMapError::Helper {
        kind,
        mappings: mappings.to_vec(),
        source,
    }
}

/// Maps by writing to `/proc` ourselves.
///
/// The kernel allows it to whoever has `CAP_SETUID` and `CAP_SETGID` in the parent namespace, and
/// to everybody for one line that maps the own id alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectIdMap {
    /// Leaves `setgroups` allowed in the namespace. Needs `CAP_SETGID`.
    AllowSetgroups,
    /// Forbids `setgroups` in the namespace for good, without which an unprivileged group map is
    /// refused (`user_namespaces(7)`, "The /proc/pid/setgroups file").
    DenySetgroups,
}

impl IdMapper for DirectIdMap {
    fn map(&self, pid: u32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), IdMapError> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        if *self == Self::DenySetgroups {
            write(directory.join("setgroups"), "deny".to_owned())?;
        }
        write(directory.join("uid_map"), map_text(uids))?;
        write(directory.join("gid_map"), map_text(gids))
    }
}

fn write(path: PathBuf, content: String) -> Result<(), IdMapError> {
    // One write: the kernel takes a map only as a whole, and only once.
    match std::fs::write(&path, &content) {
        Ok(()) => Ok(()),
        Err(source) => Err(IdMapError::Write {
            path,
            content,
            source,
        }),
    }
}

/// Returns `mappings` in the form of `/proc/PID/uid_map`.
pub fn map_text(mappings: &[IdMapping]) -> String {
    mappings
        .iter()
        .map(|line| format!("{} {} {}\n", line.inside, line.outside, line.count))
        .collect::<Vec<_>>()
        .concat()
}

/// Reads the form of `/proc/PID/uid_map`; a line that is not three numbers is passed over.
pub fn parse_map(text: &str) -> Vec<IdMapping> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let mapping = IdMapping {
                inside: numbers.next()?.ok()?,
                outside: numbers.next()?.ok()?,
                count: numbers.next()?.ok()?,
            };
            numbers.next().is_none().then_some(mapping)
        })
        .collect()
}

/// Returns the ranges that the text of `/etc/subuid` or `/etc/subgid` gives to a user.
///
/// A line is `user:start:count`, with the user's name or number. Lines of another form are passed
/// over, as the helpers do; so is a line without ids, and one that goes beyond the largest id. Ids
/// named twice are returned once: the kernel refuses a map that has an id twice.
pub fn subordinate_ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<IdRange> {
    let number = uid.to_string();
    let mut ranges: Vec<IdRange> = Vec::new();
    for line in text.lines() {
        let mut fields = line.trim().splitn(3, ':');
        let (Some(user), Some(start), Some(count)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if user != number && Some(user) != name {
            continue;
        }
        if let Some(range) = parse_range(start, count)
            && !ranges.iter().any(|other| overlap(*other, range))
        {
            ranges.push(range);
        }
    }
    ranges
}

fn parse_range(start: &str, count: &str) -> Option<IdRange> {
    let range = IdRange {
        start: start.parse().ok()?,
        count: count.parse().ok()?,
    };
    // The largest number is no id: it is what the kernel returns for "none".
    let end = range.start.checked_add(range.count)?;
    (range.count > 0 && end < u32::MAX).then_some(range)
}

fn overlap(one: IdRange, other: IdRange) -> bool {
    one.start < other.start + other.count && other.start < one.start + one.count
}

fn listed(mappings: &[IdMapping]) -> String {
    let lines: Vec<_> = mappings
        .iter()
        .map(|line| format!("{} to {} ({})", line.inside, line.outside, line.count))
        .collect();
    lines.join(", ")
}

impl fmt::Display for IdKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write_script;
    use std::path::Path;

    fn ranges(text: &str) -> Vec<(u32, u32)> {
        subordinate_ranges(text, Some("ana"), 1000)
            .into_iter()
            .map(|range| (range.start, range.count))
            .collect()
    }

    #[test]
    fn subordinate_ranges_are_those_of_the_name_and_of_the_number() {
        let cases: &[(&str, &[(u32, u32)])] = &[
            ("", &[]),
            ("ana:100000:65536\n", &[(100_000, 65_536)]),
            ("1000:100000:65536", &[(100_000, 65_536)]),
            ("bob:100000:65536\nana:165536:65536\n", &[(165_536, 65_536)]),
            (
                "ana:100000:10\n1000:300000:20\n",
                &[(100_000, 10), (300_000, 20)],
            ),
            ("ana:100000:10\nana:100005:10\n", &[(100_000, 10)]),
            (
                "ana:100000:10\nana:100010:10\n",
                &[(100_000, 10), (100_010, 10)],
            ),
            ("anabel:100000:10\n", &[]),
            ("# ana:1:1\nana\nana:1\nana:x:1\nana:1:x\nana:1:1:1\n", &[]),
            ("ana:100000:0\n", &[]),
            ("ana:4294967290:10\n", &[]),
            ("ana:4294967290:5\n", &[]),
            ("ana:4294967290:4\n", &[(4_294_967_290, 4)]),
            ("  ana:100000:10  \r\n", &[(100_000, 10)]),
        ];
        for (text, expected) in cases {
            assert_eq!(ranges(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_user_without_a_name_has_the_ranges_of_the_number() {
        let found = subordinate_ranges(":1:1\n1000:5:6\n", None, 1000);
        assert_eq!(found, [IdRange { start: 5, count: 6 }]);
    }

    #[test]
    fn map_text_and_parse_map_are_inverse() {
        let mappings = [
            IdMapping {
                inside: 0,
                outside: 1001,
                count: 1,
            },
            IdMapping {
                inside: 1,
                outside: 100_000,
                count: 65_536,
            },
        ];
        assert_eq!(map_text(&mappings), "0 1001 1\n1 100000 65536\n");
        assert_eq!(parse_map(&map_text(&mappings)), mappings);
        let whole = [IdMapping {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        }];
        assert_eq!(parse_map("         0          0 4294967295\n"), whole);
        assert_eq!(parse_map("1 2\n1 2 3 4\nx y z\n"), []);
    }

    fn script(directory: &Path, name: &str, body: &str) {
        write_script(&directory.join(name), body);
    }

    #[test]
    fn helpers_are_given_the_process_and_the_lines() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        for name in ["newuidmap", "newgidmap"] {
            script(
                directory.path(),
                name,
                &format!("echo {name} \"$@\" >>{}", log.display()),
            );
        }
        let mapper = NewIdMap::find(directory.path().as_os_str()).unwrap();
        let uids = [
            IdMapping {
                inside: 0,
                outside: 1001,
                count: 1,
            },
            IdMapping {
                inside: 1,
                outside: 100_000,
                count: 65_536,
            },
        ];
        let gids = [IdMapping {
            inside: 0,
            outside: 1002,
            count: 1,
        }];
        mapper.map(42, &uids, &gids).unwrap();
        let logged = std::fs::read_to_string(log).unwrap();
        // The two run side by side: either may be the first.
        let logged: std::collections::BTreeSet<&str> = logged.lines().collect();
        let expected = [
            "newgidmap 42 0 1002 1",
            "newuidmap 42 0 1001 1 1 100000 65536",
        ];
        assert_eq!(logged, expected.into());
    }

    #[test]
    fn a_helper_that_refuses_is_quoted() {
        let directory = tempfile::tempdir().unwrap();
        script(
            directory.path(),
            "newuidmap",
            "echo 'uid range not allowed' >&2; exit 1",
        );
        script(directory.path(), "newgidmap", "exit 0");
        let mapper = NewIdMap::find(directory.path().as_os_str()).unwrap();
        let line = IdMapping {
            inside: 0,
            outside: 7,
            count: 1,
        };
        let error = mapper.map(42, &[line], &[line]).unwrap_err();
        assert_eq!(error.to_string(), "map user ids 0 to 7 (1)");
        let IdMapError::Helper {
            kind: IdKind::User,
            source,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert!(
            source
                .to_string()
                .ends_with("exit status: 1, saying `uid range not allowed`")
        );
    }

    #[test]
    fn a_missing_helper_is_named() {
        let directory = tempfile::tempdir().unwrap();
        script(directory.path(), "newuidmap", "exit 0");
        let error = NewIdMap::find(directory.path().as_os_str()).unwrap_err();
        assert_eq!(error.name, "newgidmap");
    }

    #[test]
    fn a_direct_map_of_a_process_that_is_gone_names_the_file() {
        let error = DirectIdMap::AllowSetgroups
            .map(
                u32::MAX,
                &[IdMapping {
                    inside: 0,
                    outside: 0,
                    count: 1,
                }],
                &[],
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "write `0 0 1` to `/proc/4294967295/uid_map`"
        );
    }
}
