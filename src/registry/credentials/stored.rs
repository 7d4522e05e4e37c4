//! Keeps and forgets logins: in the helper that a file names, or else in the file itself.
//!
//! A file is replaced as a whole by one with mode 0600; what else it says stays, in its order.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize as _;
use serde_json::{Map, Value, json};
use vendor_shim::credential_helper::{CredentialHelpers, HelperCredentials, HelperError};

use super::auth_file::{AuthFile, Format};
use super::key::normal;
use super::{docker_file, helper_server};
use crate::config::file::{ConfigError, Owner, parse_json, read};
use crate::config::{ConfigPlaces, Overrides};

/// Links to the file that are followed; more are a loop.
const LINKS_MAX: usize = 8;

/// Why a login cannot be kept or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Nothing says where the user's files are.
    #[error("no place for credentials: neither `HOME` nor `DOCKER_CONFIG` is set")]
    NoPlace,
    /// The file cannot be used as it is.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The helper failed.
    #[error("use the credential helper that `{}` names", path.display())]
    Helper {
        /// The file that names it.
        path: PathBuf,
        /// What the helper said.
        source: HelperError,
    },
}

/// Where a login was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A helper of this name has it.
    InHelper(String),
    /// It stands in this file, for everybody to read who may read the file.
    InFile(PathBuf),
}

/// The place where logins are kept.
#[derive(Debug)]
pub struct StoredLogins {
    path: PathBuf,
    helpers: Arc<dyn CredentialHelpers>,
}

impl StoredLogins {
    /// Finds the place: the file that was given or that `REGISTRY_AUTH_FILE` names, or else docker's.
    ///
    /// # Errors
    ///
    /// Fails when nothing says where the user's files are.
    pub fn find(
        places: &ConfigPlaces,
        overrides: &Overrides,
        helpers: Arc<dyn CredentialHelpers>,
    ) -> Result<Self, StoredError> {
        let given = overrides.auth_file.as_ref();
        let given = given.or(places.registry_auth_file.as_ref()).cloned();
        let path = given
            .or_else(|| docker_file(places))
            .ok_or(StoredError::NoPlace)?;
        Ok(Self { path, helpers })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a login for a registry (`docker.io`, `registry.example:5000`) or a part of one.
    ///
    /// # Errors
    ///
    /// Fails when the file is malformed or cannot be written, or its helper fails.
    pub fn keep(&self, server: &str, user: &str, password: &str) -> Result<Kept, StoredError> {
        let mut root = self.root()?;
        let helper = self.file(&root)?.helper_for(server).map(str::to_owned);
        let entry = match &helper {
            Some(helper) => {
                let credentials = HelperCredentials {
                    user: user.to_owned(),
                    secret: password.to_owned(),
                };
                self.helpers
                    .store(helper, helper_server(server), &credentials)
                    .map_err(|source| self.helper_error(source))?;
                // Docker's mark for what a helper has.
                json!({})
            }
            None => json!({ "auth": fetch::base64(format!("{user}:{password}").as_bytes()) }),
        };
        let auths = self.auths(&mut root)?;
        auths.retain(|key, _| normal(key) != server);
        auths.insert(helper_server(server).to_owned(), entry);
        self.write(&root)?;
        Ok(match helper {
            Some(helper) => Kept::InHelper(helper),
            None => Kept::InFile(self.path.clone()),
        })
    }

    /// Forgets what is kept for a registry or a part of one; tells whether there was anything.
    ///
    /// # Errors
    ///
    /// Fails when the file is malformed or cannot be written, or its helper fails.
    pub fn forget(&self, server: &str) -> Result<bool, StoredError> {
        let mut root = self.root()?;
        let helper = self.file(&root)?.helper_for(server).map(str::to_owned);
        let was_in_helper = match &helper {
            Some(helper) => self.forget_in(helper, server)?,
            None => false,
        };
        let auths = self.auths(&mut root)?;
        let before = auths.len();
        auths.retain(|key, _| normal(key) != server);
        let was_in_file = auths.len() < before;
        if was_in_file {
            self.write(&root)?;
        }
        Ok(was_in_helper || was_in_file)
    }

    /// Forgets everything that the file tells of; returns what that was.
    ///
    /// # Errors
    ///
    /// Fails when the file is malformed or cannot be written, or its helper fails.
    pub fn forget_all(&self) -> Result<Vec<String>, StoredError> {
        let mut root = self.root()?;
        let auths = self.auths(&mut root)?;
        let mut servers: Vec<String> = auths.keys().map(|key| normal(key)).collect();
        servers.dedup();
        for server in &servers {
            self.forget(server)?;
        }
        Ok(servers)
    }

    fn forget_in(&self, helper: &str, server: &str) -> Result<bool, StoredError> {
        let server = helper_server(server);
        let known = self.helpers.get(helper, server);
        if known.map_err(|source| self.helper_error(source))?.is_none() {
            return Ok(false);
        }
        let erased = self.helpers.erase(helper, server);
        erased.map_err(|source| self.helper_error(source))?;
        Ok(true)
    }

    fn helper_error(&self, source: HelperError) -> StoredError {
        StoredError::Helper {
            path: self.path.clone(),
            source,
        }
    }

    fn root(&self) -> Result<Value, StoredError> {
        match read(&self.path, Owner::User)? {
            Some(text) if !text.trim().is_empty() => Ok(parse_json(&self.path, &text)?),
            _ => Ok(json!({})),
        }
    }

    fn file(&self, root: &Value) -> Result<AuthFile, StoredError> {
        let file = AuthFile::parse(&self.path, &root.to_string(), Format::Tables)?;
        Ok(file)
    }

    /// Returns the table of logins, which is made if there is none.
    fn auths<'v>(&self, root: &'v mut Value) -> Result<&'v mut Map<String, Value>, StoredError> {
        let wrong = || ConfigError::Value {
            path: self.path.clone(),
            key: "auths".to_owned(),
            expected: "an object",
        };
        let root = root.as_object_mut().ok_or_else(wrong)?;
        let auths = root.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        Ok(auths.as_object_mut().ok_or_else(wrong)?)
    }

    fn write(&self, root: &Value) -> Result<(), StoredError> {
        replace(&self.path, root).map_err(|source| StoredError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// Replaces a file, or the one that it links to, by one that its owner alone may read.
fn replace(path: &Path, root: &Value) -> io::Result<()> {
    let path = linked(path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = directory.join(format!(".{name}.careen-{}", std::process::id()));
    let written = write_private(&fresh, root).and_then(|()| fs::rename(&fresh, &path));
    if written.is_err() {
        // It may not even have been made; the first error is the one to tell.
        drop(fs::remove_file(&fresh));
    }
    written
}

fn write_private(path: &Path, root: &Value) -> io::Result<()> {
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    root.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, indent,
    ))?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&text)?;
    file.sync_all()
}

/// Follows links from a file: people keep their configuration elsewhere and link to it.
fn linked(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("its links lead nowhere"))
}

#[cfg(test)]
mod tests;
