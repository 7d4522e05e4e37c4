//! F11: words that may be git repositories, and the names of contexts.
//!
//! A URL that is written anew means the same part. One may begin with a dash: git is given it behind a `--`.

use dockerfile::giturl::{Fragment, parse_git_url};
use dockerfile::stage::context_name;

use crate::taken;

/// Reads a word as the URL of a repository and as the name of a context.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    taken(context_name(text));
    let Ok(Some(url)) = parse_git_url(text) else {
        return;
    };
    taken(url.source());
    taken(url.with_fragment(Fragment::Reference));
    // What stands for another character is not written so again.
    let named = [&url.reference, &url.subdirectory];
    if named.into_iter().flatten().any(|name| name.contains('%')) {
        return;
    }
    let written = url.with_fragment(Fragment::ReferenceAndSubdirectory);
    let again = parse_git_url(&written)
        .expect("there is no query in it")
        .expect("it is a URL still");
    assert_eq!(url.remote, again.remote, "{text:?}");
    // What a query calls a reference may have a colon, which begins a directory in a fragment.
    if url
        .reference
        .as_ref()
        .is_none_or(|name| !name.contains(':'))
    {
        assert_eq!(url.reference, again.reference, "{text:?}");
    }
}
