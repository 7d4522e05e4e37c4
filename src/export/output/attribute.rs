//! The fields of an `--output`, and the values that several attributes have.

use std::path::PathBuf;

use oci::{Platform, Timestamp};

use super::{Destination, OutputError};

/// How the key of an annotation begins. What follows is the user's, capital letters and all.
const ANNOTATION: &str = "annotation";

/// One `key=value`.
#[derive(Debug, Clone)]
pub(super) struct Attribute<'h> {
    /// The key, in small letters unless it is that of an annotation.
    pub(super) key: String,
    /// The value.
    pub(super) value: String,
    /// What platforms that are named take what they leave out from.
    pub(super) host: &'h Platform,
}

/// Reads all fields.
pub(super) fn parse<'h>(
    fields: &[String],
    text: &str,
    host: &'h Platform,
) -> Result<Vec<Attribute<'h>>, OutputError> {
    let read = |field: &String| {
        let (key, value) = field.split_once('=').ok_or_else(|| OutputError::Field {
            field: field.clone(),
            text: text.to_owned(),
        })?;
        let (key, small) = (key.trim(), key.trim().to_ascii_lowercase());
        let is_annotation = small.starts_with(ANNOTATION);
        Ok(Attribute {
            key: if is_annotation { key.to_owned() } else { small },
            value: value.to_owned(),
            host,
        })
    };
    fields.iter().map(read).collect()
}

/// Splits at commas; a field in double quotes may hold some.
pub(super) fn split(text: &str) -> Result<Vec<String>, OutputError> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match (c, quoted) {
            ('"', _) => quoted = !quoted,
            (',', false) => fields.push(String::new()),
            (c, _) => {
                if let Some(field) = fields.last_mut() {
                    field.push(c);
                }
            }
        }
    }
    if quoted {
        return Err(OutputError::Quote {
            text: text.to_owned(),
        });
    }
    Ok(fields)
}

impl Attribute<'_> {
    /// Tells whether it has this key.
    pub(super) fn is(&self, key: &str) -> bool {
        self.key == key
    }

    /// Reads what Go's `strconv.ParseBool` takes; nothing is true, as for BuildKit.
    pub(super) fn boolean(&self) -> Result<bool, OutputError> {
        match self.value.as_str() {
            "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    /// Reads a small number.
    pub(super) fn number(&self) -> Result<u8, OutputError> {
        let number = self.value.parse();
        number.map_err(|_not_a_number| self.wrong("a number"))
    }

    /// Reads whole seconds since 1970.
    pub(super) fn time(&self) -> Result<Timestamp, OutputError> {
        let time = Timestamp::parse_source_date_epoch(&self.value);
        time.map_err(|source| OutputError::Epoch {
            value: self.value.clone(),
            source,
        })
    }

    /// Reads a path, or `-`.
    pub(super) fn destination(&self) -> Destination {
        if self.value == "-" {
            Destination::Stdout
        } else {
            Destination::Path(PathBuf::from(&self.value))
        }
    }

    /// Says that it has a value that it cannot have.
    pub(super) fn wrong(&self, expected: &'static str) -> OutputError {
        OutputError::Value {
            key: self.key.clone(),
            value: self.value.clone(),
            expected,
        }
    }

    /// Says that it has a value that is not carried out yet.
    pub(super) fn unsupported(&self) -> OutputError {
        OutputError::UnsupportedValue {
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }

    /// Says that a kind of output does not have it.
    pub(super) fn unknown(&self, kind: &'static str, known: &[&[&'static str]]) -> OutputError {
        OutputError::UnknownKey {
            key: self.key.clone(),
            kind,
            known: known.concat(),
        }
    }
}
