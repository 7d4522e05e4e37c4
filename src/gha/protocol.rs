//! What both protocols do: find an entry, take a key, store under it.

use fetch::Url;

use crate::error::Failure;
use crate::part::Content;
use crate::session::Session;
use crate::settings::Version;
use crate::{v1, v2};

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'k> {
    /// The entry with this key.
    Exactly(&'k str),
    /// The newest entry whose key begins so.
    Newest(&'k str),
}

/// An entry that is there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) key: String,
    /// Where its content is, for some minutes and without a token. It is secret.
    pub(crate) url: Url,
}

/// A key that is ours, until its content is there.
#[derive(Debug)]
pub(crate) struct Reserved {
    key: String,
    place: Place,
}

/// Where the content of a new entry goes.
#[derive(Debug)]
enum Place {
    /// The number of the entry.
    One(u64),
    /// A signed URL. It is secret.
    Two(Url),
}

impl Wanted<'_> {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Exactly(key) | Self::Newest(key) => key,
        }
    }

    /// Tells whether a key is one that is looked for. A service may look for what begins so whatever is asked.
    fn is(&self, key: &str) -> bool {
        match self {
            Self::Exactly(wanted) => key == *wanted,
            Self::Newest(wanted) => key.starts_with(wanted),
        }
    }
}

impl Session {
    /// Looks for an entry; none if it is not there.
    pub(crate) fn find(&self, wanted: Wanted<'_>) -> Result<Option<Found>, Failure> {
        let found = match self.settings.version {
            Version::One => v1::find(self, wanted)?,
            Version::Two => v2::find(self, wanted)?,
        };
        Ok(found.filter(|found| wanted.is(&found.key)))
    }

    /// Takes a key that nobody has.
    pub(crate) fn reserve(&self, key: &str, size_bytes: u64) -> Result<Reserved, Failure> {
        let place = match self.settings.version {
            Version::One => Place::One(v1::reserve(self, key, size_bytes)?),
            Version::Two => Place::Two(v2::reserve(self, key)?),
        };
        let key = key.to_owned();
        Ok(Reserved { key, place })
    }

    /// Stores the content of a new entry, which is there from then on.
    pub(crate) fn store(
        &self,
        reserved: &Reserved,
        content: &mut Content<'_>,
    ) -> Result<(), Failure> {
        match &reserved.place {
            Place::One(number) => v1::store(self, *number, content),
            Place::Two(url) => v2::store(self, &reserved.key, url, content),
        }
    }
}
