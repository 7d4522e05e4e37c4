//! F6: the `.dockerignore` file.
//!
//! ```text
//! PATH
//! patterns …
//! ```
//!
//! A path is matched as it is when its directories are walked from the top; and no pattern takes long.

use std::time::Duration;

use dockerfile::ignore::parse_ignore_file;
use graph::PatternSet;
use graph::pattern::{ParentState, clean_path};

use crate::clock::own_time;

/// The most that one file and one path may take of a processor.
const TIME_MAX: Duration = Duration::from_millis(50);
/// Files longer than this may take longer.
const INPUT_MAX_BYTES: usize = 4096;

/// Matches the path of the first line against the patterns of the others.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.len() > INPUT_MAX_BYTES {
        return;
    }
    let (path, patterns) = text.split_once('\n').unwrap_or(("a/b/c", text));
    let begun = own_time();
    let Ok(set) = parse_ignore_file(patterns) else {
        return;
    };
    let at_once = set.matches(path);
    let took = own_time().saturating_sub(begun);
    assert!(took <= TIME_MAX, "{took:?}");
    let path = clean_path(path);
    let is_inside =
        path != "." && path != ".." && !path.starts_with(['/']) && !path.starts_with("../");
    if is_inside {
        assert_eq!(at_once, walked(&set, &path), "{path:?} of {patterns:?}");
    }
}

fn walked(set: &PatternSet, path: &str) -> bool {
    let mut state = ParentState::default();
    let mut is_matched = false;
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    for end in ends {
        (is_matched, state) = set.match_with_parent(&path[..end], &state);
    }
    is_matched
}
