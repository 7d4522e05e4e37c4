//! Git repositories of one test.
#![expect(
    clippy::disallowed_methods,
    reason = "repositories are made by git, as those of users are"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository with files beside it, to be served over plain HTTP.
#[derive(Debug)]
pub struct GitRepository {
    directory: PathBuf,
}

impl GitRepository {
    /// Makes an empty repository in a directory that is not there yet.
    pub fn create(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("a directory can be made");
        let repository = Self {
            directory: directory.to_owned(),
        };
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    /// Writes a file and returns its path.
    pub fn file(&self, path: &str, content: &str) -> PathBuf {
        let path = self.directory.join(path);
        let above = path.parent().expect("a file is in a directory");
        std::fs::create_dir_all(above).expect("a directory can be made");
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Makes a commit of all files, ready to be served, and returns its name.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.publish();
        self.git(&["rev-parse", "HEAD"])
    }

    /// Makes what was done visible to those who fetch.
    pub fn publish(&self) {
        self.git(&["update-server-info"]);
    }

    /// Returns the directory that is to be served.
    pub fn served(&self) -> PathBuf {
        self.directory.join(".git")
    }

    /// Runs git in the repository and returns what it prints.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "protocol.allow=always"])
            .args(arguments)
            .current_dir(&self.directory)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "test")))
            .envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "t@e.com")))
            .envs(["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].map(|name| (name, "1600000000 +0000")))
            .output()
            .expect("git can be started");
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
