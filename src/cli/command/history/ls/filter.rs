//! `--filter` of `history ls`: `status=error`, `duration>30s`, `startedAt<24h`.

use std::cmp::Ordering;
use std::time::Duration;

use oci::Timestamp;

use crate::history::{Record, Status};

/// Why a filter cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterError {
    /// There is no comparison in it.
    #[error("`--filter {text}`: `=`, `!=`, `<`, `<=`, `>` or `>=` is missing")]
    NoComparison { text: String },
    /// It is about something that there is not.
    #[error(
        "`--filter {text}`: `ref`, `repository` and `status` are compared with `=` and `!=`, `startedAt`, \
         `completedAt` and `duration` with `<`, `<=`, `>` and `>=`"
    )]
    Unknown { text: String },
    /// There is no such status.
    #[error("`--filter {text}`: `completed`, `error` and `canceled` are known")]
    Status { text: String },
    /// What is compared with is no duration, and no time.
    #[error(
        "`--filter {text}`: `{value}` is no duration like `90s` and no time like `2026-01-02T03:04:05Z`"
    )]
    Value { text: String, value: String },
}

/// Which builds are shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    wanted: Wanted,
    comparison: Comparison,
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Ref(String),
    Repository(String),
    Status(Status),
    Started(Timestamp),
    Completed(Timestamp),
    Duration(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
}

/// How comparisons are written; those of two characters are looked for first.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("!=", Comparison::IsNot),
    ("<=", Comparison::LessOrIs),
    (">=", Comparison::MoreOrIs),
    ("=", Comparison::Is),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

impl Comparison {
    fn is_of_texts(self) -> bool {
        matches!(self, Self::Is | Self::IsNot)
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Is => order.is_eq(),
            Self::IsNot => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrIs => order.is_le(),
            Self::More => order.is_gt(),
            Self::MoreOrIs => order.is_ge(),
        }
    }
}

impl Filter {
    /// Reads a filter. A duration in the place of a time is counted back from now.
    pub(super) fn parse(text: &str, now: Timestamp) -> Result<Self, FilterError> {
        let found = COMPARISONS.iter().filter_map(|(sign, comparison)| {
            let (name, value) = text.split_once(sign)?;
            Some((name.trim(), value.trim(), *comparison))
        });
        // Of two that begin at the same place the longer one comes first in the table.
        let found = found.min_by_key(|(name, _, _)| name.len());
        let (name, value, comparison) = found.ok_or_else(|| FilterError::NoComparison {
            text: text.to_owned(),
        })?;
        let wrong = || FilterError::Value {
            text: text.to_owned(),
            value: value.to_owned(),
        };
        let wanted = match (name, comparison.is_of_texts()) {
            ("ref", true) => Wanted::Ref(value.to_owned()),
            ("repository", true) => Wanted::Repository(value.to_owned()),
            ("status", true) => Wanted::Status(status(text, value)?),
            ("startedAt", false) => Wanted::Started(time(value, now).ok_or_else(wrong)?),
            ("completedAt", false) => Wanted::Completed(time(value, now).ok_or_else(wrong)?),
            ("duration", false) => Wanted::Duration(duration(value).ok_or_else(wrong)?),
            _ => {
                let text = text.to_owned();
                return Err(FilterError::Unknown { text });
            }
        };
        Ok(Self { wanted, comparison })
    }

    /// Tells whether a build is shown. One that does not say what is asked for is not.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let same = |is: bool| if is { Ordering::Equal } else { Ordering::Less };
        let order = match &self.wanted {
            Wanted::Ref(text) => Some(same(record.id.is_meant(text))),
            Wanted::Repository(text) => Some(record.built.context.cmp(text)),
            Wanted::Status(status) => Some(same(record.status == *status)),
            Wanted::Started(time) => record.created().map(|created| created.cmp(time)),
            Wanted::Completed(time) => record.completed().map(|completed| completed.cmp(time)),
            Wanted::Duration(duration) => Some(record.took().cmp(duration)),
        };
        order.is_some_and(|order| self.comparison.holds(order))
    }
}

fn status(text: &str, value: &str) -> Result<Status, FilterError> {
    match value.to_ascii_lowercase().as_str() {
        "completed" | "success" => Ok(Status::Completed),
        "error" => Ok(Status::Error),
        "canceled" => Ok(Status::Canceled),
        _ => Err(FilterError::Status {
            text: text.to_owned(),
        }),
    }
}

fn time(value: &str, now: Timestamp) -> Option<Timestamp> {
    let time = Timestamp::parse(value).ok();
    time.or_else(|| duration(value).map(|age| now.earlier_by(age)))
}

fn duration(value: &str) -> Option<Duration> {
    let duration: jiff::SignedDuration = value.parse().ok()?;
    Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests;
