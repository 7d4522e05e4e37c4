//! The files of a commit → the directory of a snapshot.
//!
//! `git` writes into a directory beside the snapshot. Then modes and times are made what they are everywhere, whatever
//! the umask, and the files that are meant are moved to their place; nothing of a repository is followed on the way:
//! a subdirectory behind a symbolic link is none.

use std::path::{Path, PathBuf};

use rootfs::{FileKind, FileTime, Mode, Root, RootPath, write_all};
use store::ActiveSnapshot;
use vendor_shim::git::{Depth, ObjectFormat, Session};

use super::RemoteError;
use super::git::Resolved;

/// The directory, beside the snapshot, that is the home of `git`.
const HOME: &str = "home";

/// The file of certificates in it.
const CERTIFICATES: &str = "ca.crt";

/// The directory, beside the snapshot, that `git` checks out into.
const TREE: &str = "tree";

/// What the repository calls its own directory, and those of its submodules.
const GIT_DIR: &[u8] = b".git";

/// The file that lists submodules.
const SUBMODULES: &str = ".gitmodules";

/// Makes a home for `git` beside a snapshot.
pub(super) fn make_home(active: &ActiveSnapshot) -> Result<PathBuf, RemoteError> {
    active.work().mkdir(&component(HOME))?;
    Ok(active.work().shown().join(HOME))
}

/// Writes a file of certificates into that home.
pub(super) fn keep_certificates(
    active: &ActiveSnapshot,
    texts: &str,
) -> Result<PathBuf, RemoteError> {
    let home = active.work().open_dir_nofollow(&component(HOME))?;
    let file = home.create_file(&component(CERTIFICATES))?;
    write_all(&file, texts.as_bytes())?;
    Ok(active.work().shown().join(HOME).join(CERTIFICATES))
}

/// Which files are checked out, and how.
pub(super) struct Files<'a> {
    pub(super) git: &'a Session<'a>,
    pub(super) remote: &'a str,
    pub(super) repository: &'a Path,
    pub(super) format: ObjectFormat,
    pub(super) resolved: &'a Resolved,
    pub(super) submodules: bool,
    pub(super) keeps_git_dir: bool,
    pub(super) subdirectory: Option<&'a str>,
    /// The modification time of every file, in seconds since 1970.
    pub(super) time: i64,
}

impl Files<'_> {
    /// Fills a snapshot.
    pub(super) fn check_out(&self, active: &ActiveSnapshot) -> Result<(), RemoteError> {
        let work = active.work();
        let place = component(TREE);
        work.mkdir(&place)?;
        let directory = work.shown().join(TREE);
        self.write(&directory)?;
        let tree = work.open_dir_nofollow(&place)?;
        if !self.keeps_git_dir {
            remove_git_dirs(&tree)?;
        }
        let meant = self.meant(&tree)?;
        normalise(&meant, self.time)?;
        for name in meant.names()? {
            let name = RootPath::strict(&name).map_err(rootfs::FsError::from)?;
            meant.rename_into(&name, active.fs(), &name)?;
        }
        set_time(active.fs(), &RootPath::root(), self.time)
    }

    /// Lets `git` write all files of the commit into an empty directory.
    fn write(&self, directory: &Path) -> Result<(), RemoteError> {
        let Self {
            git,
            repository,
            format,
            resolved,
            ..
        } = self;
        let commit = &resolved.commit;
        if self.keeps_git_dir {
            let name = resolved.name.as_deref().filter(|name| *name != "HEAD");
            git.create_copy(directory, (repository, commit), name, *format)?;
        } else {
            git.create_beside(directory, repository, *format)?;
        }
        git.check_out(directory, commit)?;
        if self.submodules && has_submodules(directory)? {
            self.update_submodules(directory)?;
        }
        if self.keeps_git_dir {
            git.reset_index(directory)?;
        }
        Ok(())
    }

    fn update_submodules(&self, directory: &Path) -> Result<(), RemoteError> {
        match self.git.update_submodules(directory, Depth::One) {
            Err(error) if error.is_refused_by_server() => {
                Ok(self.git.update_submodules(directory, Depth::All)?)
            }
            updated => Ok(updated?),
        }
    }

    /// Returns the directory whose files are meant.
    fn meant(&self, tree: &Root) -> Result<Root, RemoteError> {
        let Some(text) = self.subdirectory else {
            return Ok(tree.try_clone()?);
        };
        let missing = || RemoteError::NoDirectory {
            remote: self.remote.to_owned(),
            path: text.to_owned(),
        };
        let named: Vec<_> = text
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        let path = RootPath::strict(named.join("/")).map_err(|_is_no_path| missing())?;
        // One step after the other: none of them may be a link.
        for step in path.ancestors().chain([path.clone()]) {
            let found = tree.metadata(&step)?;
            if !step.is_root() && !found.is_some_and(|found| found.kind == FileKind::Directory) {
                return Err(missing());
            }
        }
        Ok(tree.open_dir_nofollow(&path)?)
    }
}

fn has_submodules(directory: &Path) -> Result<bool, RemoteError> {
    let found = Root::open(directory)?.metadata(&component(SUBMODULES))?;
    Ok(found.is_some_and(|found| found.kind == FileKind::File))
}

/// Removes what makes directories repositories: that of the tree, and those of submodules. No commit can have files
/// of this name.
fn remove_git_dirs(tree: &Root) -> Result<(), RemoteError> {
    let mut found = Vec::new();
    let mut walk = tree.walk()?;
    while let Some(entry) = walk.next() {
        let entry = entry?;
        if entry.path.file_name() == Some(GIT_DIR) {
            if entry.metadata.kind == FileKind::Directory {
                walk.skip_directory();
            }
            found.push(entry.path);
        }
    }
    for path in found {
        tree.remove_all(&path)?;
    }
    Ok(())
}

/// Gives every file the mode that git knows of it, and one time.
fn normalise(tree: &Root, time: i64) -> Result<(), RemoteError> {
    let mut paths = Vec::new();
    for entry in tree.walk()? {
        let entry = entry?;
        let mode = match entry.metadata.kind {
            FileKind::Directory => Some(0o755),
            FileKind::File => Some(file_mode(entry.metadata.mode.bits())),
            _ => None,
        };
        if let Some(mode) = mode {
            tree.set_mode(&entry.path, Mode::new(mode))?;
        }
        paths.push(entry.path);
    }
    // A directory's time changes with what is in it, so those below come first.
    for path in paths.iter().rev() {
        set_time(tree, path, time)?;
    }
    Ok(())
}

/// A file is executable or not; git's own are read-only.
const fn file_mode(bits: u32) -> u32 {
    if bits & 0o100 != 0 {
        0o755
    } else if bits & 0o200 != 0 {
        0o644
    } else {
        0o444
    }
}

fn set_time(tree: &Root, path: &RootPath, seconds: i64) -> Result<(), RemoteError> {
    Ok(tree.set_times(path, FileTime { seconds, nanos: 0 })?)
}

fn component(name: &str) -> RootPath {
    RootPath::strict(name).expect("the name is one component")
}
