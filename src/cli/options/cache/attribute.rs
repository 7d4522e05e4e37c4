//! The attributes of one `--cache-from` or `--cache-to`.

use solver::stash::MountSelection;

use super::{CacheUsageError, Compression, Mode, csv, go_bool};

/// The attributes, in the order in which they were given; of two with one key the later counts.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    pub(super) flag: &'static str,
    text: &'a str,
    given: Vec<(String, String)>,
}

impl<'a> Attributes<'a> {
    /// Reads them. A text without `=` is a reference.
    pub(super) fn parse(flag: &'static str, text: &'a str) -> Result<Self, CacheUsageError> {
        let fields = csv::fields(text).map_err(|source| CacheUsageError::List {
            flag,
            text: concealed(text),
            source,
        })?;
        let given = |pairs: &[(&str, &str)]| {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        if let [only] = fields.as_slice()
            && !only.value.contains('=')
        {
            let given = given(&[("type", "registry"), ("ref", &only.value)]);
            return Ok(Self { flag, text, given });
        }
        let pairs = fields.iter().map(|field| {
            let pair = field.value.split_once('=');
            let (key, value) = pair.ok_or_else(|| CacheUsageError::Field {
                flag,
                text: concealed(text),
                field: field.value.clone(),
            })?;
            Ok((key.trim().to_lowercase(), value.to_owned()))
        });
        let given: Vec<_> = pairs.collect::<Result<_, CacheUsageError>>()?;
        let attributes = Self { flag, text, given };
        match attributes.get("type") {
            Some(_) => Ok(attributes),
            None => Err(CacheUsageError::NoKind {
                flag,
                text: concealed(attributes.text),
            }),
        }
    }

    /// Returns the value of an attribute; none if it is empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let last = self.given.iter().rev().find(|(name, _)| name == key);
        last.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Returns the type.
    pub(super) fn kind(&self) -> &str {
        self.get("type").unwrap_or_default()
    }

    pub(super) fn unknown_kind(&self) -> CacheUsageError {
        CacheUsageError::Kind {
            flag: self.flag,
            kind: self.kind().to_owned(),
        }
    }

    /// Checks that there is nothing but these and the type.
    pub(super) fn check(&self, known: &[&'static str]) -> Result<(), CacheUsageError> {
        let is_unknown =
            |(key, _): &&(String, String)| key != "type" && !known.contains(&key.as_str());
        match self.given.iter().find(is_unknown) {
            None => Ok(()),
            Some((key, _)) => Err(CacheUsageError::Key {
                flag: self.flag,
                kind: self.kind().to_owned(),
                key: key.clone(),
                known: known
                    .iter()
                    .map(|key| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    pub(super) fn required(&self, key: &'static str) -> Result<&str, CacheUsageError> {
        self.get(key).ok_or_else(|| CacheUsageError::Missing {
            flag: self.flag,
            kind: self.kind().to_owned(),
            key,
        })
    }

    pub(super) fn boolean(
        &self,
        key: &'static str,
        default: bool,
    ) -> Result<bool, CacheUsageError> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        go_bool(text).ok_or_else(|| self.wrong(key, text, "`true` or `false`"))
    }

    /// Returns one of two things: what a truth value means, the first without one.
    pub(super) fn switch<T>(&self, key: &'static str, off: T, on: T) -> Result<T, CacheUsageError> {
        Ok(if self.boolean(key, false)? { on } else { off })
    }

    pub(super) fn mode(&self) -> Result<Mode, CacheUsageError> {
        match self.get("mode") {
            None | Some("min") => Ok(Mode::Min),
            Some("max") => Ok(Mode::Max),
            Some(text) => Err(self.wrong("mode", text, "`min` or `max`")),
        }
    }

    /// Returns the cache mounts that are meant. Several are one value with commas, or several values.
    pub(super) fn mounts(&self, default: MountSelection) -> MountSelection {
        let given = self.given.iter().filter(|(key, _)| key == "mounts");
        let values: Vec<_> = given.map(|(_, value)| value.as_str()).collect();
        if values.is_empty() {
            return default;
        }
        MountSelection::parse(values)
    }

    /// Returns the compression that is asked for, if one is.
    pub(super) fn compression(&self) -> Result<Option<Compression>, CacheUsageError> {
        let kind = match self.get("compression") {
            None => None,
            Some("gzip") => Some(Compression::GZIP),
            Some("zstd") => Some(Compression::ZSTD),
            Some("uncompressed") => Some(Compression::Uncompressed),
            Some(text) => {
                let expected = "`gzip`, `zstd` or `uncompressed`";
                return Err(self.wrong("compression", text, expected));
            }
        };
        let Some(text) = self.get("compression-level") else {
            return Ok(kind);
        };
        let expected = "1 to 9 for gzip, 1 to 22 for zstd";
        let wrong = || self.wrong("compression-level", text, expected);
        let level: u8 = text.parse().ok().ok_or_else(wrong)?;
        match kind.unwrap_or_default() {
            Compression::Gzip { .. } if (1..=9).contains(&level) => {
                Ok(Some(Compression::Gzip { level }))
            }
            Compression::Zstd { .. } if (1..=22).contains(&level) => {
                Ok(Some(Compression::Zstd { level }))
            }
            _ => Err(wrong()),
        }
    }

    fn wrong(&self, key: &'static str, value: &str, expected: &'static str) -> CacheUsageError {
        CacheUsageError::Value {
            flag: self.flag,
            key,
            value: value.to_owned(),
            expected,
        }
    }
}

/// What the names of attributes have whose values are secret: `ghtoken`, `secret_access_key`.
const SECRET_WORDS: [&str; 4] = ["token", "secret", "key", "password"];

/// Returns a text as messages show it: without what is secret. It may be no list, so that where a secret field begins
/// with a quote nobody knows where it ends, and nothing after it is shown.
fn concealed(text: &str) -> String {
    let mut shown = Vec::new();
    for field in text.split(',') {
        match field.split_once('=') {
            Some((key, value)) if is_secret(key, value) => {
                shown.push(format!("{key}=…"));
                if field.contains('"') {
                    break;
                }
            }
            _ => shown.push(field.to_owned()),
        }
    }
    shown.join(",")
}

/// Tells whether a value is not to be shown: by its name, or since it is a URL with a user or with a query, which may
/// be a signature.
fn is_secret(key: &str, value: &str) -> bool {
    let key = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
        || (value.contains("://") && value.contains(['@', '?']))
}
