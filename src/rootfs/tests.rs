//! Tests of what happens on disk. Each works in a directory of its own, beside which is a victim that
//! nothing may touch.

mod ops;
mod owner;
mod root;
mod users;
mod walk;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Root, RootPath};

/// A root with something beside it.
struct Place {
    dir: TempDir,
    root: Root,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::create_dir(dir.path().join("host")).unwrap();
        fs::write(dir.path().join("host/victim"), b"untouched").unwrap();
        let root = Root::open(&dir.path().join("root")).unwrap();
        Self { dir, root }
    }

    fn host(&self, path: &str) -> PathBuf {
        self.dir.path().join("host").join(path)
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn symlink(&self, target: &str, path: &str) {
        self.root.symlink(target.as_bytes(), &at(path)).unwrap();
    }

    fn mkdir(&self, path: &str) {
        fs::create_dir_all(self.inside(path)).unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.inside(path), text).unwrap();
    }

    fn assert_victim_untouched(&self) {
        assert_eq!(fs::read(self.host("victim")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(self.host("")).unwrap().count(), 1);
    }
}

fn at(path: &str) -> RootPath {
    RootPath::strict(path).unwrap()
}

fn errno(error: &crate::FsError) -> i32 {
    error.raw_os_error().unwrap_or(0)
}
