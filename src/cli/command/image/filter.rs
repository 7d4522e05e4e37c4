//! `--filter`: which images are meant.

use std::time::Duration;

use graph::pattern::{BadPattern, glob_match};
use oci::{Reference, Timestamp};
use store::ContentStore;

use super::details::Details;
use super::error::ImageError;
use super::now;
use crate::report::{Kind, Report};

/// What `--filter` asks for; several of one name are alternatives, apart from labels.
#[derive(Debug, Default)]
pub(super) struct Filters {
    is_dangling: Option<bool>,
    labels: Vec<Label>,
    before: Vec<String>,
    since: Vec<String>,
    until: Option<Timestamp>,
    patterns: Vec<String>,
}

/// A label that images have, or have not.
#[derive(Debug, PartialEq, Eq)]
struct Label {
    name: String,
    value: Option<String>,
    is_there: bool,
}

/// Why a filter is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    /// It is not of the form.
    #[error("`--filter {text}` is no `NAME=VALUE`")]
    Form { text: String },
    /// There is no such filter.
    #[error("`--filter {text}`: there is no filter `{name}` here; there are {known}")]
    Name {
        text: String,
        name: String,
        known: &'static str,
    },
    /// The value is no truth value.
    #[error("`--filter {text}`: `true` or `false` is expected")]
    Bool { text: String },
    /// The value is no time.
    #[error(
        "`--filter {text}`: a time is a date (`2006-01-02T15:04:05Z`), seconds since 1970, or an age (`24h`)"
    )]
    Time { text: String },
    /// The pattern is malformed.
    #[error("`--filter {text}` has no pattern")]
    Pattern { text: String, source: BadPattern },
}

impl From<FilterError> for Box<Report> {
    fn from(error: FilterError) -> Self {
        Self::new(Report::new(Kind::Usage, &error))
    }
}

const OF_LIST: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];
const OF_PRUNE: [&str; 4] = ["dangling", "label", "label!", "until"];

impl Filters {
    /// Reads the filters of `image ls`.
    pub(super) fn of_list(texts: &[String]) -> Result<Self, FilterError> {
        Self::read(
            texts,
            &OF_LIST,
            "`before`, `dangling`, `label`, `reference`, `since`, `until`",
        )
    }

    /// Reads the filters of `image prune`.
    pub(super) fn of_prune(texts: &[String]) -> Result<Self, FilterError> {
        Self::read(texts, &OF_PRUNE, "`dangling`, `label`, `label!`, `until`")
    }

    fn read(texts: &[String], allowed: &[&str], known: &'static str) -> Result<Self, FilterError> {
        let mut filters = Self::default();
        for text in texts {
            let form = || FilterError::Form { text: text.clone() };
            let (name, value) = text.split_once('=').ok_or_else(form)?;
            let name = name.trim().to_lowercase();
            if !allowed.contains(&name.as_str()) {
                return Err(FilterError::Name {
                    text: text.clone(),
                    name,
                    known,
                });
            }
            filters.add(&name, value.trim(), text)?;
        }
        Ok(filters)
    }

    fn add(&mut self, name: &str, value: &str, text: &str) -> Result<(), FilterError> {
        let text = || text.to_owned();
        match name {
            "dangling" => {
                let is_dangling = match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(FilterError::Bool { text: text() }),
                };
                self.is_dangling = Some(is_dangling);
            }
            "label" | "label!" => self.labels.push(Label::new(value, name == "label")),
            "before" => self.before.push(value.to_owned()),
            "since" => self.since.push(value.to_owned()),
            "until" => {
                let time = time(value).ok_or_else(|| FilterError::Time { text: text() })?;
                self.until = Some(time);
            }
            _ => {
                glob_match(value, "").map_err(|source| FilterError::Pattern {
                    text: text(),
                    source,
                })?;
                self.patterns.push(value.to_owned());
            }
        }
        Ok(())
    }

    /// Tells whether only images without a name are meant, only others, or both.
    pub(super) fn is_dangling(&self) -> Option<bool> {
        self.is_dangling
    }

    /// Keeps the images that are meant.
    pub(super) fn apply(
        &self,
        content: &ContentStore,
        images: &mut Vec<Details>,
    ) -> Result<(), ImageError> {
        let created = |texts: &[String]| -> Result<Vec<Timestamp>, ImageError> {
            let found = texts.iter().map(|text| Ok(content.find(text)?.image));
            let images = found.collect::<Result<Vec<_>, ImageError>>()?.into_iter();
            Ok(images
                .filter_map(|image| Details::read(content, image).created())
                .collect())
        };
        let (before, since) = (created(&self.before)?, created(&self.since)?);
        images.retain(|image| {
            let created = image.created();
            self.is_dangling
                .is_none_or(|dangling| dangling == image.image.names.is_empty())
                && self.labels.iter().all(|label| label.fits(image))
                && before
                    .iter()
                    .all(|time| created.is_some_and(|created| created < *time))
                && since
                    .iter()
                    .all(|time| created.is_some_and(|created| created > *time))
                && self
                    .until
                    .is_none_or(|time| created.is_some_and(|created| created < time))
        });
        Ok(())
    }

    /// Tells whether a name is meant.
    pub(super) fn fits_name(&self, name: Option<&Reference>) -> bool {
        let fits = |name: &Reference| {
            self.patterns
                .iter()
                .any(|pattern| fits_pattern(pattern, name))
        };
        self.patterns.is_empty() || name.is_some_and(fits)
    }
}

/// Tells whether a pattern fits a name, with its tag or without it.
pub(super) fn fits_pattern(pattern: &str, name: &Reference) -> bool {
    let fits = |text: &str| glob_match(pattern, text).unwrap_or(false);
    fits(&name.familiar()) || fits(&name.familiar_name())
}

impl Label {
    fn new(text: &str, is_there: bool) -> Self {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        Self {
            name: name.to_owned(),
            value,
            is_there,
        }
    }

    fn fits(&self, image: &Details) -> bool {
        let config = image.best(None).and_then(|image| image.config.as_ref());
        let found = config.and_then(|config| config.config.labels.get(&self.name));
        let has = match &self.value {
            Some(value) => found == Some(value),
            None => found.is_some(),
        };
        has == self.is_there
    }
}

/// Reads a point in time: a date, seconds since 1970, or how long ago it is.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_unix_seconds(seconds).ok();
    }
    if let Ok(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let age: jiff::SignedDuration = text.parse().ok()?;
    Some(now().earlier_by(Duration::try_from(age).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(filters: Result<Filters, FilterError>) -> String {
        filters.unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let list = |text: &str| refusal(Filters::of_list(&[text.to_owned()]));
        assert_eq!(list("dangling"), "`--filter dangling` is no `NAME=VALUE`");
        assert_eq!(
            list("dangling=x"),
            "`--filter dangling=x`: `true` or `false` is expected"
        );
        assert_eq!(
            list("until=x"),
            "`--filter until=x`: a time is a date (`2006-01-02T15:04:05Z`), seconds since 1970, or an age (`24h`)"
        );
        assert_eq!(list("reference=["), "`--filter reference=[` has no pattern");
        assert_eq!(
            list("size=1"),
            "`--filter size=1`: there is no filter `size` here; there are `before`, `dangling`, `label`, \
             `reference`, `since`, `until`"
        );
        assert_eq!(
            refusal(Filters::of_prune(&["since=x".to_owned()])),
            "`--filter since=x`: there is no filter `since` here; there are `dangling`, `label`, `label!`, `until`"
        );
    }

    #[test]
    fn a_name_fits_a_pattern_with_its_tag_or_without() {
        let name = Reference::parse_docker_ref("example.org/team/app:1.2").unwrap();
        for (pattern, expected) in [
            ("example.org/team/app", true),
            ("example.org/team/app:1.*", true),
            ("example.org/*/app", true),
            ("*/app", false),
            ("app", false),
            ("example.org/team/app:2", false),
        ] {
            assert_eq!(fits_pattern(pattern, &name), expected, "{pattern}");
        }
        assert!(fits_pattern(
            "al*",
            &Reference::parse_docker_ref("alpine").unwrap()
        ));
    }

    #[test]
    fn a_time_is_a_date_a_number_or_an_age() {
        assert_eq!(time("0"), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(time("1970-01-01T00:00:00Z"), Some(Timestamp::UNIX_EPOCH));
        let hour_ago = time("1h0m").unwrap().seconds();
        assert!(
            (3599..=3602).contains(&(now().seconds() - hour_ago)),
            "{hour_ago}"
        );
        assert_eq!(time("yesterday"), None);
        assert_eq!(time("-1h"), None);
    }
}
