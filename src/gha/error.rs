//! Why the cache service did not give or take something.

use std::error::Error;
use std::io;
use std::time::Duration;

use fetch::FetchError;

/// The cache service did not give or take something.
#[derive(Debug, thiserror::Error)]
#[error("{asked} at `{host}`")]
pub struct GhaError {
    /// What was to be done, with the name of what it was about: "store the blob `sha256:…`".
    pub asked: String,
    /// The host of the service, with its port.
    pub host: String,
    /// What went wrong.
    #[source]
    pub failure: Failure,
}

/// What went wrong with the cache service. None of it has a token or a signed URL in it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server could not be reached, or broke off.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A server answered with an error.
    #[error(
        "`{host}` answered {status}{}{}",
        before(" ", reason),
        before(": ", message)
    )]
    Refused {
        /// The host that answered: the service, or the store to which it led.
        host: String,
        /// The status code.
        status: u16,
        /// What it means, where it is a known one.
        reason: &'static str,
        /// What the server says about it.
        message: String,
    },
    /// The token lets the job read and not write, as that of a pull request from a fork.
    #[error(
        "the token of this job may read caches and not write them{}",
        before(": ", message)
    )]
    ReadOnly {
        /// What the service says about it, if it was asked.
        message: String,
    },
    /// The entry is not there.
    #[error("the entry is not there, or no longer")]
    Missing,
    /// Somebody else stores an entry with this key, or did and went away.
    #[error("another job has the key `{key}`{}", before(": ", message))]
    Taken {
        /// The key.
        key: String,
        /// What the service says about it.
        message: String,
    },
    /// The answer is not what the protocol says.
    #[error("the service sent {what}")]
    Malformed {
        /// What came.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// A document has become too large.
    #[error("the index would have {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// How large it would be.
        size_bytes: u64,
        /// How large it may be.
        limit_bytes: u64,
    },
    /// What came has another size.
    #[error("the entry has {found_bytes} bytes where {expected_bytes} are expected")]
    WrongSize {
        /// How many were announced.
        expected_bytes: u64,
        /// How many there are.
        found_bytes: u64,
    },
    /// What is to be stored cannot be read, or is not what its digest says.
    #[error("read what is to be stored")]
    Content(#[source] io::Error),
    /// All of it took longer than the user allows.
    #[error("not done after {} s (`timeout`)", limit.as_secs())]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl GhaError {
    /// Tells whether the entry is not there: entries go away when nobody reads them for a week.
    pub fn is_missing(&self) -> bool {
        matches!(self.failure, Failure::Missing)
    }

    /// Tells whether the job may read and not write.
    pub fn is_read_only(&self) -> bool {
        matches!(self.failure, Failure::ReadOnly { .. })
    }

    /// Tells whether the service does not take the token.
    pub fn is_unauthorized(&self) -> bool {
        matches!(
            self.failure,
            Failure::Refused {
                status: 401 | 403,
                ..
            }
        )
    }

    /// Tells whether the job was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.failure, Failure::Cancelled)
    }

    /// Returns what the cache service has to do with an error: the nearest of its causes that is the service's.
    pub fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        fetch::nearest_cause(error)
    }
}

impl From<GhaError> for io::Error {
    fn from(error: GhaError) -> Self {
        Self::other(error)
    }
}

impl Failure {
    pub(crate) fn malformed<E: Into<Box<dyn Error + Send + Sync>>>(
        what: &'static str,
        source: E,
    ) -> Self {
        Self::Malformed {
            what,
            source: Some(source.into()),
        }
    }

    /// Tells whether a server does not let us in, or does not know what it is asked for: a signed URL has expired.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 401 | 403 | 404 | 410,
                ..
            }
        )
    }
}

/// Returns a text behind another one, where there is any.
fn before(between: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{between}{text}")
    }
}
