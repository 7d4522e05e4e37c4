//! What a build was and how it ended: the last line of its file.

use std::collections::BTreeMap;
use std::time::Duration;

use oci::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BuildId, Explained};
use crate::account::Counts;

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It was built.
    Completed,
    /// Something was wrong.
    Error,
    /// Somebody ended it.
    Canceled,
}

impl Status {
    /// Returns the word that docker has for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Error => "Error",
            Self::Canceled => "Canceled",
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    /// What the build is called in lists.
    pub(crate) name: String,
    /// The build context, as errors name it.
    pub(crate) context: String,
    /// The Dockerfile, as errors name it.
    pub(crate) dockerfile: String,
    /// The stage that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// The platforms that were built for.
    pub(crate) platforms: Vec<String>,
    /// The names of the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// The build arguments, without those that name proxies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) build_args: BTreeMap<String, String>,
    /// The labels that were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether nothing of the cache counted.
    #[serde(default)]
    pub(crate) no_cache: bool,
}

/// An image that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenImage {
    /// The digest of its manifest or index.
    pub(crate) digest: String,
    /// What that is.
    pub(crate) media_type: String,
    /// Its size.
    pub(crate) size_bytes: u64,
}

/// What a build was, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What the line is: `build`.
    pub(crate) careen: String,
    /// The version of the format.
    pub(crate) version: u32,
    /// The build's name.
    pub(crate) id: BuildId,
    /// What was asked for.
    #[serde(flatten)]
    pub(crate) built: Built,
    /// When it began.
    pub(crate) created: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// How it ended.
    pub(crate) status: Status,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// How many steps there were.
    pub(crate) steps: Counts,
    /// How many warnings there were.
    pub(crate) warnings: usize,
    /// The images that were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) images: Vec<WrittenImage>,
    /// Whether not all is there that the steps printed.
    #[serde(default)]
    pub(crate) is_clipped: bool,
    /// Why steps ran that an earlier build had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) explained: Vec<Explained>,
}

impl Record {
    /// What the line is, in its first field.
    pub(super) const KIND: &str = "build";

    /// The version that is written and read.
    pub(super) const VERSION: u32 = 1;

    /// Makes that of a build of which nothing is known but what was asked for.
    pub(crate) fn new(id: BuildId, built: Built) -> Self {
        Self {
            careen: Self::KIND.to_owned(),
            version: Self::VERSION,
            id,
            built,
            created: String::new(),
            seconds: 0.0,
            status: Status::Completed,
            error: None,
            steps: Counts::default(),
            warnings: 0,
            images: Vec::new(),
            is_clipped: false,
            explained: Vec::new(),
        }
    }

    /// Returns when it began; none if the line does not say.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.created).ok()
    }

    /// Returns how long it took.
    pub(crate) fn took(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }

    /// Returns when it ended.
    pub(crate) fn completed(&self) -> Option<Timestamp> {
        self.created().map(|created| created.later_by(self.took()))
    }
}
