//! A path with the symlinks on it followed, whoever knows what is where: a directory, an index of a layer, several of
//! them upon each other.

use std::collections::VecDeque;

use crate::path::{PathError, RootPath};

/// How many symlinks one path may go through, as in the kernel (`MAXSYMLINKS`).
const SYMLINK_LIMIT: usize = 40;

/// What is at a path without symlinks, for a path that goes on there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A directory, or nothing.
    Open,
    /// A symlink, with its target.
    Link(Vec<u8>),
    /// Something that nothing can be in.
    Blocked,
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum FollowError<E> {
    /// It cannot be told what is on the way.
    #[error("look at what is on the way")]
    Look(#[source] E),
    /// Something is on the way that nothing can be in.
    #[error("`{path}` is in the way")]
    Blocked {
        /// Where it is.
        path: RootPath,
    },
    /// It goes through more than 40 symlinks.
    #[error("the path goes through more than {SYMLINK_LIMIT} symlinks")]
    TooManyLinks,
    /// What it leads to is no path below a root: it is too long.
    #[error("the path leads to one that cannot be used")]
    Path(#[from] PathError),
}

/// Returns the path that a path leads to: without symlinks, the last component's included. What does not exist is
/// appended as it stands, so that the path can be made. `look` is asked about paths on which there are no symlinks.
///
/// # Errors
///
/// Fails after 40 symlinks, where something else is on the way, where the real path is too long, and where `look` does.
pub fn follow<L, E>(path: &RootPath, look: L) -> Result<RootPath, FollowError<E>>
where
    L: Fn(&RootPath) -> Result<Way, E>,
{
    let mut pending: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    let mut real = RootPath::root();
    let mut links = 0;
    while let Some(component) = pending.pop_front() {
        let next = match component.as_slice() {
            b"" | b"." => continue,
            b".." => {
                real = real.parent().unwrap_or_default();
                continue;
            }
            name => real.child(name)?,
        };
        match look(&next).map_err(FollowError::Look)? {
            Way::Blocked if !pending.is_empty() => return Err(FollowError::Blocked { path: next }),
            Way::Open | Way::Blocked => real = next,
            Way::Link(_) if links == SYMLINK_LIMIT => return Err(FollowError::TooManyLinks),
            Way::Link(target) => {
                links += 1;
                for component in target.split(|&byte| byte == b'/').rev() {
                    pending.push_front(component.to_vec());
                }
                if target.first() == Some(&b'/') {
                    real = RootPath::root();
                }
            }
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What there is: two directories, links into and out of them, a loop, and a file.
    fn look(path: &RootPath) -> Result<Way, &'static str> {
        Ok(match path.to_string().trim_start_matches('/') {
            "dir/up" => Way::Link(b"../other".to_vec()),
            "dir/top" => Way::Link(b"/other".to_vec()),
            "out" => Way::Link(b"../../dir/./up".to_vec()),
            "loop" => Way::Link(b"loop".to_vec()),
            "file" => Way::Blocked,
            "to-file" => Way::Link(b"file/below".to_vec()),
            "unknown" => return Err("nobody knows"),
            _ => Way::Open,
        })
    }

    fn followed(path: &str) -> Result<RootPath, FollowError<&'static str>> {
        follow(&RootPath::lexical(path).unwrap(), look)
    }

    #[test]
    fn links_are_followed_and_what_is_not_there_is_appended() {
        let cases = [
            ("", ""),
            ("dir/new/name", "dir/new/name"),
            ("dir/up", "other"),
            ("dir/up/name", "other/name"),
            ("dir/top/name", "other/name"),
            ("out/name", "other/name"),
            ("file", "file"),
        ];
        for (path, expected) in cases {
            let expected = RootPath::lexical(expected).unwrap();
            assert_eq!(followed(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_says_why() {
        let file = RootPath::lexical(b"file").unwrap();
        for path in ["file/below", "to-file"] {
            let error = followed(path).unwrap_err();
            assert!(matches!(error, FollowError::Blocked { path } if path == file));
        }
        let error = followed("loop").unwrap_err();
        assert!(matches!(error, FollowError::TooManyLinks));
        let error = followed("unknown/name").unwrap_err();
        assert!(matches!(error, FollowError::Look("nobody knows")));
    }

    #[test]
    fn a_path_may_go_through_forty_links_and_no_more() {
        // The link `n` leads to `n-1`, and so on down to `0`, which is none.
        let chain = |path: &RootPath| {
            let name = path.file_name().unwrap_or_default();
            let number: u32 = str::from_utf8(name).unwrap().parse().unwrap();
            let next = number.checked_sub(1).map(|next| next.to_string());
            Ok::<_, &'static str>(next.map_or(Way::Open, |next| Way::Link(next.into_bytes())))
        };
        let zero = RootPath::lexical(b"0").unwrap();
        assert_eq!(
            follow(&RootPath::lexical(b"40").unwrap(), chain).unwrap(),
            zero
        );
        let error = follow(&RootPath::lexical(b"41").unwrap(), chain).unwrap_err();
        assert!(matches!(error, FollowError::TooManyLinks));
    }
}
