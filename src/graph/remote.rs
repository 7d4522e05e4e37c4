//! Files that a server has: by HTTP, or in a git repository.

use oci::Digest;
use serde::Serialize;

/// A file that a server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpSource {
    /// Its URL, as the user wrote it.
    pub url: String,
    /// The digest that it must have. A file that is in the store already is not asked for again.
    pub checksum: Option<Digest>,
}

/// Files of a git repository that a server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitSource {
    /// The repository's URL as git takes it.
    pub remote: String,
    /// A branch, tag or commit; what the server's `HEAD` names when absent.
    pub reference: Option<String>,
    /// The commit that `reference` must be, or the start of its name.
    pub checksum: Option<String>,
    /// The directory in the repository whose files are meant; all when absent.
    pub subdirectory: Option<String>,
    /// Whether `.git` is one of the files. A subdirectory has none.
    pub keep_git_dir: bool,
    /// Whether the submodules' files are among them.
    pub submodules: bool,
    /// Which modification times the files have.
    pub times: GitTimes,
    /// Whether `checksum`, which is a whole commit, is asked for by itself, and not what `reference` names.
    pub fetch_by_commit: bool,
}

/// Which modification times files of a repository get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GitTimes {
    /// That of the checkout.
    Checkout,
    /// That of the commit.
    Commit,
}
