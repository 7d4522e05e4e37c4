//! `--from`: emulators out of a package, a directory or an image, into a directory of the user's.
//!
//! What is taken is a regular file of an emulator's name that is a program of this processor and needs no library; of a
//! package and an image, nothing else is written anywhere, and nothing of them is run.

mod unfinished;

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use layer::{
    ArchiveError, ArchiveReader, Change, ChangeKind, Content, FillError, Limits, NodeKind,
    decompressor,
};
use solver::event::StepId;
use solver::{StepError, Tree};
use vendor_shim::emulation::{self, Architecture};

use self::unfinished::Unfinished;
use super::deb::{self, DebError};
use crate::command::located::Finder;
use crate::report::{Kind, Report};

/// No emulator is larger, in bytes.
const EMULATOR_LIMIT_BYTES: u64 = 256 << 20;

/// How much of one is copied at once, in bytes.
const COPY_BYTES: usize = 256 << 10;

/// Where in a directory emulators are looked for.
const PLACES: [&str; 4] = ["", "usr/bin", "usr/local/bin", "bin"];

/// Why no emulators are taken from there.
#[derive(Debug, thiserror::Error)]
pub(super) enum SupplyError {
    /// Nothing says where they go.
    #[error("no place for emulators: neither `HOME` nor `XDG_DATA_HOME` is set")]
    NoPlace,
    /// What they are taken from cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file is no package.
    #[error("cannot take emulators from `{}`", path.display())]
    Deb { path: PathBuf, source: DebError },
    /// The files of the package are malformed.
    #[error("cannot take emulators from `{}`", path.display())]
    Archive { path: PathBuf, source: ArchiveError },
    /// The user's directory cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// An emulator is too large to be one.
    #[error("`{name}` is larger than {EMULATOR_LIMIT_BYTES} bytes, which is no emulator's size")]
    TooLarge { name: String },
    /// There are none.
    #[error("`{from}` has no emulator of {wanted}{}", passed_over(.unusable))]
    Nothing {
        from: String,
        wanted: String,
        unusable: Vec<String>,
    },
}

fn passed_over(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(
            ": {} is not of this processor, or needs libraries",
            names.join(", ")
        ),
    }
}

/// A file that is to become an emulator, and where it is.
type New<'a> = (&'a File, &'a Path);

/// Emulators on their way into the user's directory.
#[derive(Debug)]
pub(super) struct Supply<'a> {
    wanted: &'a [Architecture],
    directory: PathBuf,
    taken: Vec<Architecture>,
    unusable: Vec<String>,
}

impl<'a> Supply<'a> {
    /// Takes the emulators of these architectures, and away what was left unfinished where they go.
    pub(super) fn new(
        wanted: &'a [Architecture],
        directory: Option<PathBuf>,
    ) -> Result<Self, SupplyError> {
        let directory = directory.ok_or(SupplyError::NoPlace)?;
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&directory);
        made.map_err(|source| unwritten(&directory, source))?;
        unfinished::remove_abandoned(&directory);
        Ok(Self {
            wanted,
            directory,
            taken: Vec::new(),
            unusable: Vec::new(),
        })
    }

    /// Takes those of a directory of this machine, or of a package that lies on it.
    pub(super) fn take_path(&mut self, path: &Path) -> Result<(), SupplyError> {
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return self.take_directory(path);
        }
        let failed = |source| SupplyError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let data = deb::data(BufReader::new(file)).map_err(|source| SupplyError::Deb {
            path: path.to_owned(),
            source,
        })?;
        self.take_archive(decompressor(data).map_err(failed)?, path)
    }

    fn take_directory(&mut self, path: &Path) -> Result<(), SupplyError> {
        for place in PLACES {
            for architecture in self.wanted {
                self.take_named(&path.join(place), *architecture)?;
            }
        }
        Ok(())
    }

    fn take_named(
        &mut self,
        directory: &Path,
        architecture: Architecture,
    ) -> Result<(), SupplyError> {
        for name in architecture.emulator_names() {
            let at = directory.join(&name);
            if fs::metadata(&at).is_ok_and(|metadata| metadata.is_file()) {
                let file =
                    File::open(&at).map_err(|source| SupplyError::Read { path: at, source })?;
                self.put(architecture, &name, |new| copy(file, new, &name))?;
            }
        }
        Ok(())
    }

    fn take_archive(&mut self, tar: impl Read, path: &Path) -> Result<(), SupplyError> {
        let failed = |source| SupplyError::Archive {
            path: path.to_owned(),
            source,
        };
        let mut archive = ArchiveReader::new(tar, Limits::default());
        while let Some(file) = archive.next_file().map_err(failed)? {
            let name = file.name.rsplit(|byte| *byte == b'/').next();
            if let Some((architecture, name)) = name.and_then(|name| self.emulator(name)) {
                self.put(architecture, &name, |new| copy(file, new, &name))?;
            }
        }
        Ok(())
    }

    /// Takes those of an image.
    pub(super) fn take_image(
        &mut self,
        finder: &Finder<'_>,
        text: &str,
    ) -> Result<(), Box<Report>> {
        let of_step = |error: StepError| Report::new(Kind::User, &error);
        let found = finder.image(text, None)?;
        let stack = solver::stack_of(finder.workshop, &found.source).map_err(of_step)?;
        let tree = Tree::open(finder.workshop, StepId("binfmt".to_owned()), &stack);
        let tree = tree.map_err(|error| Report::new(Kind::User, &error))?;
        let changes = tree
            .changes()
            .map_err(|error| Report::new(Kind::User, &error))?;
        for change in changes {
            let change = change.map_err(|error| Report::new(Kind::User, &error))?;
            if let Some((architecture, name, size, content)) = self.emulator_of(change) {
                let fill = |new: New<'_>| fill(new, &name, size, &content);
                self.put(architecture, &name, fill)
                    .map_err(|error| refused(&error))?;
            }
        }
        Ok(())
    }

    fn emulator_of(&self, change: Change) -> Option<(Architecture, String, u64, Content)> {
        let (architecture, name) = self.emulator(change.path.file_name()?)?;
        let ChangeKind::Put(node) = change.kind else {
            return None;
        };
        match node.kind {
            NodeKind::File { size, content } => Some((architecture, name, size, content)),
            _ => None,
        }
    }

    /// Tells whose emulator a file is by its name, if it is wanted.
    fn emulator(&self, name: &[u8]) -> Option<(Architecture, String)> {
        let name = str::from_utf8(name).ok()?;
        let is_its = |architecture: &&Architecture| {
            architecture
                .emulator_names()
                .iter()
                .any(|known| known == name)
        };
        let architecture = self.wanted.iter().find(is_its)?;
        Some((*architecture, name.to_owned()))
    }

    /// Puts an emulator into the directory, unless it is of no use or one is there of this supply.
    fn put(
        &mut self,
        architecture: Architecture,
        name: &str,
        fill: impl FnOnce(New<'_>) -> Result<(), SupplyError>,
    ) -> Result<(), SupplyError> {
        if self.taken.contains(&architecture) {
            return Ok(());
        }
        let [new_name, _] = architecture.emulator_names();
        let path = self.directory.join(&new_name);
        let unfinished = Unfinished::create(&self.directory, &new_name);
        let unfinished = unfinished.map_err(|source| unwritten(&path, source))?;
        fill((unfinished.file(), unfinished.path()))?;
        let is_usable = settle(unfinished, &path);
        if is_usable.map_err(|source| unwritten(&path, source))? {
            self.taken.push(architecture);
        } else {
            self.unusable.push(name.to_owned());
        }
        Ok(())
    }

    /// Tells whether all that was asked for is there: of `all`, one is enough.
    pub(super) fn finish(self, from: &str, is_all: bool) -> Result<(), SupplyError> {
        let missing = self.wanted.iter().filter(|one| !self.taken.contains(one));
        let missing: Vec<_> = missing.map(|one| one.name()).collect();
        if missing.is_empty() || is_all && !self.taken.is_empty() {
            return Ok(());
        }
        Err(SupplyError::Nothing {
            from: from.to_owned(),
            wanted: missing.join(", "),
            unusable: self.unusable,
        })
    }
}

/// Reports that there is nothing to be had.
pub(super) fn refused(error: &SupplyError) -> Box<Report> {
    let kind = match error {
        SupplyError::NoPlace | SupplyError::Write { .. } => Kind::Host,
        _ => Kind::User,
    };
    Box::new(Report::new(kind, error))
}

/// Puts an emulator into its place if it is of use; returns whether it is.
fn settle(unfinished: Unfinished, path: &Path) -> io::Result<bool> {
    unfinished.file().sync_all()?;
    let is_usable = emulation::is_usable(unfinished.path())?;
    if is_usable {
        unfinished.place(path)?;
    }
    Ok(is_usable)
}

/// Copies an emulator as far as one goes.
fn copy(from: impl Read, (mut new, at): New<'_>, name: &str) -> Result<(), SupplyError> {
    let mut from = BufReader::with_capacity(COPY_BYTES, from.take(EMULATOR_LIMIT_BYTES + 1));
    let mut copied_bytes = 0;
    loop {
        let bytes = match from.fill_buf() {
            Ok([]) => return check_size(copied_bytes, name),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(unread(name, source)),
        };
        let written = new.write_all(bytes);
        written.map_err(|source| unwritten(at, source))?;
        let count = bytes.len();
        copied_bytes += count as u64;
        from.consume(count);
    }
}

/// Fills a file with what a tree has.
fn fill(
    (new, at): New<'_>,
    name: &str,
    size_bytes: u64,
    content: &Content,
) -> Result<(), SupplyError> {
    check_size(size_bytes, name)?;
    layer::fill(new, size_bytes, content).map_err(|error| match error {
        FillError::Write(source) => unwritten(at, io::Error::other(source)),
        FillError::Content(source) => unread(name, io::Error::other(source)),
    })
}

fn unread(name: &str, source: io::Error) -> SupplyError {
    let path = name.into();
    SupplyError::Read { path, source }
}

fn unwritten(path: &Path, source: io::Error) -> SupplyError {
    let path = path.to_owned();
    SupplyError::Write { path, source }
}

fn check_size(size_bytes: u64, name: &str) -> Result<(), SupplyError> {
    if size_bytes > EMULATOR_LIMIT_BYTES {
        let name = name.to_owned();
        return Err(SupplyError::TooLarge { name });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
