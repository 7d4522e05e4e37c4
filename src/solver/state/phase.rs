//! The phases of a vertex, what is done in them, and which verdict leads where.
#![warn(clippy::wildcard_enum_match_arm)]

use graph::{CacheKey, KeyInput, VertexId};

/// Where a vertex is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Its key is not known, and nothing is under way.
    Unkeyed,
    /// A copy whose definition is being looked up.
    Aliasing {
        /// The key of the definition.
        definition: CacheKey,
    },
    /// A copy that needs the files it copies from.
    NeedsContent {
        /// The key of the definition, if the source has a key.
        definition: Option<CacheKey>,
    },
    /// A copy whose content is being digested.
    Checking {
        /// The key of the definition, if the source has a key.
        definition: Option<CacheKey>,
    },
    /// Its key is known; nobody needed more.
    Keyed {
        /// The key.
        key: CacheKey,
        /// The key of the definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
    /// Its key is being looked up.
    LookingUp {
        /// The key.
        key: CacheKey,
        /// The key of the definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
    /// The cache has its result, which stands on that of input 0.
    Hit {
        /// The key.
        key: CacheKey,
    },
    /// The cache has no result.
    Missed {
        /// The key; none for a directory of the user's, which has no key of its own.
        key: Option<CacheKey>,
        /// The key of the definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
    /// It is being made.
    Running {
        /// The key.
        key: Option<CacheKey>,
    },
    /// It has a result.
    Done {
        /// The key.
        key: Option<CacheKey>,
    },
    /// Its action failed.
    Failed,
    /// Something that it needs failed, or the job was cancelled.
    Cancelled,
}

impl Phase {
    /// Tells whether it is a copy that the cache does not know, and that needs what it copies from.
    pub(super) fn waits_for_content(&self) -> bool {
        matches!(
            self,
            Self::NeedsContent {
                definition: Some(_)
            } | Self::Checking {
                definition: Some(_)
            }
        )
    }

    /// Returns the phase that a verdict leads to. A verdict that does not fit is a failure.
    pub(super) fn next(self, verdict: Verdict) -> Self {
        match (self, verdict) {
            (Self::Aliasing { .. }, Verdict::AliasFound(key)) => Self::Hit { key },
            (Self::Aliasing { definition }, Verdict::AliasUnknown) => Self::NeedsContent {
                definition: Some(definition),
            },
            (Self::Checking { definition }, Verdict::Checked(key)) => {
                Self::Keyed { key, definition }
            }
            (Self::LookingUp { key, .. }, Verdict::Hit) => Self::Hit { key },
            (Self::LookingUp { .. }, Verdict::HitAs(key)) => Self::Hit { key },
            (Self::LookingUp { key, definition }, Verdict::Miss) => Self::Missed {
                key: Some(key),
                definition,
            },
            // It is looked up once more, now that it is known what it has to have stood on.
            (Self::Running { .. }, Verdict::StoodElsewhere) => Self::Unkeyed,
            (Self::Running { key }, Verdict::Finished) => Self::Done { key },
            (Self::Running { .. }, Verdict::FinishedAs(key)) => Self::Done { key: Some(key) },
            (_, _) => Self::Failed,
        }
    }

    /// Returns the key, as soon as it is known.
    pub(crate) fn key(&self) -> Option<&CacheKey> {
        match self {
            Self::Keyed { key, .. } | Self::LookingUp { key, .. } | Self::Hit { key } => Some(key),
            Self::Missed { key, .. } | Self::Running { key } | Self::Done { key } => key.as_ref(),
            Self::Unkeyed
            | Self::Aliasing { .. }
            | Self::NeedsContent { .. }
            | Self::Checking { .. }
            | Self::Failed
            | Self::Cancelled => None,
        }
    }

    /// Returns the keys that the vertex is known by, of its result and of its definition, if it is not certain yet what
    /// they lead to: with other keys of its inputs it may be found in the cache.
    pub(super) fn open_keys(&self) -> Option<[Option<Former>; 2]> {
        let result = |key: &CacheKey| Some(Former::Result(key.clone()));
        let definition =
            |key: &Option<CacheKey>| key.as_ref().map(|key| Former::Definition(key.clone()));
        match self {
            Self::NeedsContent { definition: key } => Some([definition(key), None]),
            Self::Keyed {
                key,
                definition: other,
            } => Some([result(key), definition(other)]),
            Self::Missed {
                key,
                definition: other,
            } => Some([key.as_ref().and_then(result), definition(other)]),
            Self::Unkeyed
            | Self::Aliasing { .. }
            | Self::Checking { .. }
            | Self::LookingUp { .. }
            | Self::Hit { .. }
            | Self::Running { .. }
            | Self::Done { .. }
            | Self::Failed
            | Self::Cancelled => None,
        }
    }

    /// Returns the keys, of its result and of its definition, that lead to a result which goes by another.
    pub(super) fn keys_given_up(&self, verdict: &Verdict) -> [Option<Former>; 2] {
        let result = |key: &CacheKey| Some(Former::Result(key.clone()));
        let definition = |key: &CacheKey| Some(Former::Definition(key.clone()));
        match (self, verdict) {
            (Self::Aliasing { definition: key }, Verdict::AliasFound(_)) => [None, definition(key)],
            (
                Self::LookingUp {
                    key,
                    definition: other,
                },
                Verdict::HitAs(_),
            ) => [result(key), other.as_ref().and_then(definition)],
            (Self::Running { key: Some(key) }, Verdict::FinishedAs(_)) => [result(key), None],
            (_, _) => [None, None],
        }
    }

    /// Tells whether an action is under way for the vertex.
    pub(super) fn is_outstanding(&self) -> bool {
        match self {
            Self::Aliasing { .. }
            | Self::Checking { .. }
            | Self::LookingUp { .. }
            | Self::Running { .. } => true,
            Self::Unkeyed
            | Self::NeedsContent { .. }
            | Self::Keyed { .. }
            | Self::Hit { .. }
            | Self::Missed { .. }
            | Self::Done { .. }
            | Self::Failed
            | Self::Cancelled => false,
        }
    }

    /// Tells whether nothing happens to the vertex any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed | Self::Cancelled)
    }
}

/// A key that a vertex had before those of its inputs, or its own result, turned out to stand for other ones. It is
/// recorded beside the new one, so that the next build finds the result by either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Former {
    /// The key of the result.
    Result(CacheKey),
    /// The key of the definition of a copy.
    Definition(CacheKey),
}

/// How much of a vertex is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// Its key.
    Key,
    /// Its result.
    Result,
}

/// Whether results of earlier builds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// They do.
    Yes,
    /// Everything is made again (`--no-cache`).
    No,
}

/// Work that somebody else is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the cache which content this definition led to.
    FindAlias {
        /// The vertex.
        vertex: VertexId,
        /// The key of its definition.
        definition: CacheKey,
    },
    /// Digest what the copy would copy.
    Check {
        /// The vertex.
        vertex: VertexId,
        /// What the inputs that have a key give to the content key.
        inputs: Vec<KeyInput>,
    },
    /// Ask the cache for a result.
    LookUp {
        /// The vertex.
        vertex: VertexId,
        /// Its key.
        key: CacheKey,
        /// The key of its definition, to be recorded with a hit.
        definition: Option<CacheKey>,
    },
    /// Put a result of the cache onto that of input 0.
    Take {
        /// The vertex.
        vertex: VertexId,
    },
    /// Make the result.
    Run {
        /// The vertex.
        vertex: VertexId,
        /// Its key.
        key: Option<CacheKey>,
        /// The key of its definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
}

impl Action {
    /// Returns the vertex that the action is for.
    pub fn vertex(&self) -> VertexId {
        match self {
            Self::FindAlias { vertex, .. }
            | Self::Check { vertex, .. }
            | Self::LookUp { vertex, .. }
            | Self::Take { vertex }
            | Self::Run { vertex, .. } => *vertex,
        }
    }
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The definition led to this content key, and its result is there.
    AliasFound(CacheKey),
    /// The cache does not know the definition.
    AliasUnknown,
    /// The content key of a copy.
    Checked(CacheKey),
    /// The cache has the result.
    Hit,
    /// The cache has the result, and it is that of another key: what stands on it is found by that one.
    HitAs(CacheKey),
    /// The cache does not have the result.
    Miss,
    /// The result is there.
    Finished,
    /// The result is there, and it is the same as that of another key.
    FinishedAs(CacheKey),
    /// What the cache has stood on another result than input 0 came out as.
    StoodElsewhere,
    /// The action failed.
    Failed,
}
