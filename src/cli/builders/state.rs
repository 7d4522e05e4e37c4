//! The builders on disk.
//!
//! ```text
//! $XDG_CONFIG_HOME/careen/builders/     or $BUILDX_CONFIG/careen/
//! ├── lock                              held by who changes something
//! ├── current                           the builder that builds take; none is `default`
//! ├── <name>.json                       a builder: {"version": 1, "builder": {…}}
//! └── <name>.used                       empty; its time is that of the last build
//! ```
//!
//! A file takes its place when it is whole, so whoever reads needs no lock. What is damaged is an error that names it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Builder, BuilderName, NameError};
use crate::env::Environment;

/// The format that this program writes and reads.
const VERSION: u32 = 1;

/// No file of a builder is larger, in bytes.
const LIMIT_BYTES: u64 = 256 << 10;

/// More builders than this are not listed.
const BUILDERS_MAX: usize = 1000;

const SUFFIX: &str = "json";

/// Why the builders cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// Nothing says where they are.
    #[error(
        "no place for builders: neither `HOME` nor `XDG_CONFIG_HOME` nor `BUILDX_CONFIG` is set"
    )]
    NoPlace,
    /// Something cannot be done with a file.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file is too large.
    #[error("`{}` is larger than {LIMIT_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    /// There are too many.
    #[error("`{}` has more than {BUILDERS_MAX} builders", path.display())]
    TooMany { path: PathBuf },
    /// A file is no builder.
    #[error("`{}` is no builder", path.display())]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error("`{}` is of version {version}, and this program reads version {VERSION}", path.display())]
    Newer { path: PathBuf, version: u32 },
    /// What is named as current is no name.
    #[error("`{}` names no builder", path.display())]
    Current { path: PathBuf, source: NameError },
}

/// A file of a builder.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<B> {
    version: u32,
    builder: B,
}

/// The builders of this user.
#[derive(Debug, Clone)]
pub(crate) struct Builders {
    directory: PathBuf,
}

/// The right to change the builders, until it is dropped.
#[derive(Debug)]
pub(crate) struct Change<'b> {
    builders: &'b Builders,
    _lock: File,
}

impl Builders {
    /// Finds out where they are.
    ///
    /// # Errors
    ///
    /// Fails where nothing says it.
    pub(crate) fn find(env: &Environment) -> Result<Self, StateError> {
        let of_buildx = env.buildx.config.as_ref();
        let of_buildx = of_buildx.map(|directory| env.current_directory.join(directory));
        let own = || {
            env.config_directory()
                .map(|directory| directory.join("careen/builders"))
        };
        let directory = of_buildx.map(|directory| directory.join("careen"));
        let directory = directory.or_else(own).ok_or(StateError::NoPlace)?;
        Ok(Self { directory })
    }

    fn file(&self, name: &BuilderName) -> PathBuf {
        self.directory.join(format!("{name}.{SUFFIX}"))
    }

    fn mark(&self, name: &BuilderName) -> PathBuf {
        self.directory.join(format!("{name}.used"))
    }

    /// Returns the builder of this name that was made.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be read or is none.
    pub(crate) fn get(&self, name: &BuilderName) -> Result<Option<Builder>, StateError> {
        let path = self.file(name);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let malformed = |source| StateError::Malformed {
            path: path.clone(),
            source,
        };
        let kept: Kept<serde_json::Value> = serde_json::from_slice(&text).map_err(malformed)?;
        if kept.version != VERSION {
            let version = kept.version;
            return Err(StateError::Newer { path, version });
        }
        let builder: Builder = serde_json::from_value(kept.builder).map_err(malformed)?;
        Ok(Some(builder))
    }

    /// Returns the names of the builders that were made, sorted.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<BuilderName>, StateError> {
        let failed = failed("list", &self.directory);
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = PathBuf::from(entry.map_err(&failed)?.file_name());
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let is_builder = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            names.extend(
                stem.filter(|_| is_builder)
                    .and_then(|stem| BuilderName::parse(stem).ok()),
            );
        }
        if names.len() > BUILDERS_MAX {
            return Err(StateError::TooMany {
                path: self.directory.clone(),
            });
        }
        names.sort();
        Ok(names)
    }

    /// Returns the name of the builder that `use` took last, if it is not the one that is always there.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or has no name in it.
    pub(crate) fn current(&self) -> Result<Option<BuilderName>, StateError> {
        let path = self.directory.join("current");
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        let name = BuilderName::parse(&text);
        name.map(Some)
            .map_err(|source| StateError::Current { path, source })
    }

    /// Returns when a build took this builder last.
    pub(crate) fn last_use(&self, name: &BuilderName) -> Option<SystemTime> {
        fs::metadata(self.mark(name)).ok()?.modified().ok()
    }

    /// Notes that a build takes this builder now. A note that cannot be made is missed by nobody but `inspect`.
    pub(crate) fn note_use(&self, name: &BuilderName) {
        if let Err(error) = File::create(self.mark(name)) {
            tracing::debug!(%error, %name, "the use of a builder is not noted");
        }
    }

    /// Waits for the right to change them.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be made or locked.
    pub(crate) fn change(&self) -> Result<Change<'_>, StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(failed("make", &self.directory))?;
        let path = self.directory.join("lock");
        let mut options = File::options();
        let file = options.create(true).append(true).open(&path);
        let lock = file.map_err(failed("open", &path))?;
        lock.lock().map_err(failed("lock", &path))?;
        Ok(Change {
            builders: self,
            _lock: lock,
        })
    }
}

impl Change<'_> {
    /// Keeps a builder.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be written.
    pub(crate) fn put(&self, builder: &Builder) -> Result<(), StateError> {
        let kept = Kept {
            version: VERSION,
            builder,
        };
        let text = serde_json::to_string_pretty(&kept).expect("texts are valid JSON") + "\n";
        write(&self.builders.file(&builder.name), &text)
    }

    /// Forgets a builder; where builds took it, they take the one that is always there.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be removed.
    pub(crate) fn remove(&self, name: &BuilderName) -> Result<(), StateError> {
        if self.builders.current()?.as_ref() == Some(name) {
            self.take(&BuilderName::of_default())?;
        }
        remove(&self.builders.mark(name))?;
        remove(&self.builders.file(name))
    }

    /// Makes builds take this builder.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written.
    pub(crate) fn take(&self, name: &BuilderName) -> Result<(), StateError> {
        write(
            &self.builders.directory.join("current"),
            &format!("{name}\n"),
        )
    }
}

fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> StateError {
    move |source| StateError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Reads a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > LIMIT_BYTES {
        let path = path.to_owned();
        return Err(StateError::TooLarge { path });
    }
    Ok(Some(bytes))
}

fn write(path: &Path, text: &str) -> Result<(), StateError> {
    export::write_file(path, text.as_bytes()).map_err(failed("write", path))
}

fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", path)),
    }
}

#[cfg(test)]
mod tests;
