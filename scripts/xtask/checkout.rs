//! The checkout as text.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::rust_text;

/// What lies in a checkout and is not part of the project.
const NOT_OURS: [&str; 2] = [".git", "target"];

/// Every text file of the checkout, by its path from the top.
#[derive(Debug, Default)]
pub(crate) struct Checkout {
    /// Where the checkout lies.
    pub(crate) root: PathBuf,
    files: BTreeMap<String, String>,
}

impl Checkout {
    /// Reads all files below `root` that are UTF-8.
    ///
    /// # Errors
    ///
    /// Fails when a directory or a file cannot be read.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut checkout = Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
        };
        checkout.read_directory(root, "")?;
        Ok(checkout)
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                self.read_directory(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file()
                && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
            {
                self.files.insert(path, text);
            }
        }
        Ok(())
    }

    /// Returns a file's text, and the empty text for one that is not there.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    /// Tells whether there is a file, or a directory with files in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        self.files
            .keys()
            .any(|file| file == path || file.starts_with(&below))
    }

    /// Returns every file, in the order of their paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Returns every file whose name ends so.
    pub(crate) fn files_with_extension(
        &self,
        extension: &str,
    ) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| {
            path.rsplit_once('.')
                .is_some_and(|(_, end)| end == extension)
        })
    }

    /// Returns every Rust file that is part of a program, without the tests at its end.
    pub(crate) fn product_sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files_with_extension("rs")
            .filter(|(path, _)| !rust_text::is_test_file(path))
            .map(|(path, text)| (path, rust_text::without_tests(text)))
    }
}

#[cfg(test)]
impl Checkout {
    /// Returns a checkout of these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self {
            root: PathBuf::from("/home/ana/careen"),
            files: files.collect(),
        }
    }
}
