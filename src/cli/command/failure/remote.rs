//! What servers have could not be fetched.

use fetch::FetchError;
use solver::remote::RemoteError;

use crate::report::{Kind, Report};

/// Reports what could not be fetched.
pub(crate) fn of(failure: &RemoteError) -> Report {
    let mut report = Report::new(kind(failure), failure);
    report.help = help(failure).map(str::to_owned);
    report
}

const fn kind(failure: &RemoteError) -> Kind {
    match failure {
        RemoteError::NoGit { .. } | RemoteError::Client(_) => Kind::Host,
        _ => Kind::User,
    }
}

const fn help(failure: &RemoteError) -> Option<&'static str> {
    match failure {
        RemoteError::NoGit { .. } => Some("apt-get install --no-install-recommends git"),
        RemoteError::Fetch(FetchError::Tls { .. }) => {
            Some("`--ca FILE` names the certificates that are trusted besides")
        }
        RemoteError::NoReference { .. } => {
            Some("`git ls-remote URL` lists the branches and tags that there are")
        }
        _ => None,
    }
}

/// Returns the word of the instruction that is wrong.
pub(super) fn wrong_word(failure: &RemoteError) -> Option<String> {
    match failure {
        RemoteError::Checksum { expected, .. } => Some(expected.to_string()),
        RemoteError::WrongCommit { expected, .. } => Some(expected.clone()),
        RemoteError::NoReference { reference, .. } => {
            // `?branch=v1` is the reference `refs/heads/v1`.
            let short = ["refs/heads/", "refs/tags/"]
                .iter()
                .find_map(|prefix| reference.strip_prefix(prefix));
            Some(short.unwrap_or(reference).to_owned())
        }
        RemoteError::NoDirectory { path, .. } => Some(path.clone()),
        RemoteError::NoCommit { commit, .. } => Some(commit.clone()),
        RemoteError::Fetch(FetchError::Host { url }) => Some(url.host().to_owned()),
        _ => None,
    }
}

/// Returns what is said beside the place.
pub(super) const fn label(failure: &RemoteError) -> &'static str {
    match failure {
        RemoteError::Checksum { .. } => "the file is another one",
        RemoteError::WrongCommit { .. } => "another commit is there",
        RemoteError::NoReference { .. } => "no such branch or tag",
        RemoteError::NoDirectory { .. } => "no such directory",
        RemoteError::NoCommit { .. } => "no such commit",
        RemoteError::Fetch(FetchError::Host { .. }) => "no such host",
        RemoteError::Fetch(FetchError::Status { .. }) => "not there",
        _ => "not fetched",
    }
}
