//! Lists of manifests that are being put together: [`ListStore`].
//!
//! `careen manifest create` and `annotate` work on a list step by step, before it is pushed as an index. There is one
//! file a list, named by the digest of the list's name. It is written whole, and changed by one process at a time.

use std::path::PathBuf;
use std::sync::Arc;

use oci::{Digest, Reference};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::claim::{ClaimError, ClaimName, Claims};
use crate::file::{self, FileError};
use crate::layout::{Layout, parent};
use crate::limits::LIST_LIMIT_BYTES;
use crate::scratch::replace_synced;
use crate::sealed;

/// A list cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be claimed.
    #[error("change the list `{name}`")]
    Claim {
        /// The list.
        name: String,
        /// What failed.
        #[source]
        source: ClaimError,
    },
    /// It cannot be read.
    #[error("read the list `{name}`")]
    Read {
        /// The list.
        name: String,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// It was changed by something else than careen, or is of another version.
    #[error("the list `{name}` in `{}` is damaged", path.display())]
    Damaged {
        /// The list.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// It is no JSON.
    #[error("write the list `{name}`")]
    Value {
        /// The list.
        name: String,
        /// What failed.
        #[source]
        source: serde_json::Error,
    },
    /// It would be too large to be read.
    #[error("the list `{name}` would have {size_bytes} bytes, more than {LIST_LIMIT_BYTES}")]
    TooLarge {
        /// The list.
        name: String,
        /// Its size.
        size_bytes: u64,
    },
    /// It cannot be written or removed.
    #[error("write the list `{name}`")]
    Write {
        /// The list.
        name: String,
        /// What failed.
        #[source]
        source: FileError,
    },
}

#[derive(Serialize)]
struct Written<'a, T> {
    name: &'a Reference,
    list: &'a T,
}

#[derive(Deserialize)]
struct Read<T> {
    name: Reference,
    list: T,
}

/// The lists of a store; a cheap handle.
#[derive(Clone, Debug)]
pub struct ListStore {
    layout: Arc<Layout>,
}

impl ListStore {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Reads a list; `None` when there is none of that name.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read, or is damaged.
    pub fn get<T: DeserializeOwned>(&self, name: &Reference) -> Result<Option<T>, ListError> {
        let path = self.path(name);
        let bytes =
            file::read_limited(&path, LIST_LIMIT_BYTES).map_err(|source| ListError::Read {
                name: name.familiar(),
                source,
            })?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        match sealed::open::<Read<T>>(&bytes) {
            Some(read) if read.name == *name => Ok(Some(read.list)),
            _ => Err(ListError::Damaged {
                name: name.familiar(),
                path,
            }),
        }
    }

    /// Changes a list while nobody else does: what the function gives takes the place of what it is given. Where it
    /// fails, nothing is changed.
    ///
    /// # Errors
    ///
    /// Fails when the list cannot be read or written, and as the function does.
    pub fn change<T, E, C>(&self, name: &Reference, change: C) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<ListError>,
        C: FnOnce(Option<T>) -> Result<T, E>,
    {
        let key = key(name);
        let claims = Claims::new(Arc::clone(&self.layout));
        let claim = claims
            .exclusive(ClaimName::Key(&key))
            .map_err(|source| ListError::Claim {
                name: name.familiar(),
                source,
            })?;
        let list = change(self.get(name)?)?;
        self.put(name, &list)?;
        drop(claim);
        Ok(list)
    }

    fn put<T: Serialize>(&self, name: &Reference, list: &T) -> Result<(), ListError> {
        let document =
            sealed::seal(&Written { name, list }).map_err(|source| ListError::Value {
                name: name.familiar(),
                source,
            })?;
        let size_bytes = document.len() as u64;
        if size_bytes > LIST_LIMIT_BYTES {
            return Err(ListError::TooLarge {
                name: name.familiar(),
                size_bytes,
            });
        }
        self.write(&self.path(name), &document)
            .map_err(|source| ListError::Write {
                name: name.familiar(),
                source,
            })
    }

    /// Removes a list; tells whether there was one.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be removed.
    pub fn remove(&self, name: &Reference) -> Result<bool, ListError> {
        let failed = |source| ListError::Write {
            name: name.familiar(),
            source,
        };
        let path = self.path(name);
        let found = path.symlink_metadata().is_ok();
        file::remove_file(&path).map_err(failed)?;
        Ok(found)
    }

    fn path(&self, name: &Reference) -> PathBuf {
        self.layout.lists().join(key(name).encoded())
    }

    fn write(&self, path: &std::path::Path, document: &[u8]) -> Result<(), FileError> {
        // A store that was made before there were lists has no place for them.
        file::create_dir(parent(path))?;
        replace_synced(&self.layout, path, document)
    }
}

/// Tells whether a document is a whole list, of the name that its file has.
pub(crate) fn is_list(name: &str, document: &[u8]) -> bool {
    sealed::open::<Read<IgnoredAny>>(document).is_some_and(|read| key(&read.name).encoded() == name)
}

fn key(name: &Reference) -> Digest {
    Digest::of(format!("list\0{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{Fixture, names};

    fn name(text: &str) -> Reference {
        Reference::parse_docker_ref(text).unwrap()
    }

    fn add(fixture: &Fixture, to: &str, item: &str) -> Vec<String> {
        let lists = fixture.store.lists();
        let added = |list: Option<Vec<String>>| {
            let mut list = list.unwrap_or_default();
            list.push(item.to_owned());
            Ok::<_, ListError>(list)
        };
        lists.change(&name(to), added).unwrap()
    }

    #[test]
    fn a_list_is_kept_changed_and_removed() {
        let fixture = Fixture::new();
        assert_eq!(
            fixture
                .store
                .lists()
                .get::<Vec<String>>(&name("app"))
                .unwrap(),
            None
        );
        assert_eq!(add(&fixture, "app", "a"), ["a"]);
        assert_eq!(add(&fixture, "app", "b"), ["a", "b"]);
        assert_eq!(add(&fixture, "other", "c"), ["c"]);
        let again = fixture.again();
        assert_eq!(
            again.lists().get(&name("app:latest")).unwrap(),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert!(again.lists().remove(&name("app")).unwrap());
        assert!(!again.lists().remove(&name("app")).unwrap());
        assert_eq!(names(&fixture.path("lists")).len(), 1);
    }

    #[test]
    fn a_change_that_fails_changes_nothing_and_damage_is_no_list() {
        let fixture = Fixture::new();
        add(&fixture, "app", "a");
        let lists = fixture.store.lists();
        let refused = lists.change(&name("app"), |_: Option<Vec<String>>| {
            Err::<Vec<String>, _>(ListError::TooLarge {
                name: "app".to_owned(),
                size_bytes: 1,
            })
        });
        assert_eq!(
            refused.unwrap_err().to_string(),
            "the list `app` would have 1 bytes, more than 4194304"
        );
        assert_eq!(lists.get(&name("app")).unwrap(), Some(vec!["a".to_owned()]));
        let path = fixture.path("lists").join(key(&name("app")).encoded());
        fs::write(&path, "{}").unwrap();
        let error = lists.get::<Vec<String>>(&name("app")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the list `app:latest` in `{}` is damaged", path.display())
        );
    }
}
