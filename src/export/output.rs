//! The `--output` grammar: `PATH`, `-`, or comma-separated `key=value` with `type=`.

use std::path::PathBuf;

use layer::Compression;

/// What an `--output` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// The kind of output.
    pub kind: OutputKind,
    /// Where it goes.
    pub destination: Destination,
    /// Whether the output is an archive; a directory if not.
    pub archive: bool,
    /// How new layers are compressed.
    pub compression: Compression,
    /// Whether times of files later than `SOURCE_DATE_EPOCH` become it.
    pub rewrite_timestamp: bool,
    /// Names beside those of `--tag`.
    pub names: Vec<String>,
}

/// The kinds of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// An OCI image layout.
    Oci,
    /// Nothing: the results stay in the cache.
    CacheOnly,
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file or directory.
    Path(PathBuf),
    /// Standard output.
    Stdout,
}

/// Why an `--output` cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A field is no `key=value`.
    #[error("`{field}` in `--output {text}` is no `key=value`")]
    Field {
        /// The field.
        field: String,
        /// The whole text.
        text: String,
    },
    /// The kind is known to others, and not carried out yet.
    #[error("`--output type={kind}` is not supported yet: `oci` and `cacheonly` are")]
    Unsupported {
        /// The kind.
        kind: String,
    },
    /// The kind is not known.
    #[error("`--output type={kind}` is not known: `oci` and `cacheonly` are")]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// The attribute is not carried out yet, or not known.
    #[error("the attribute `{key}` of `--output type={kind}` is not supported")]
    UnknownKey {
        /// The attribute.
        key: String,
        /// The kind.
        kind: String,
    },
    /// The attribute has a value that it cannot have.
    #[error("`{key}={value}` in `--output`: the value must be {expected}")]
    Value {
        /// The attribute.
        key: String,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// There is no destination.
    #[error("`--output type=oci` needs a destination")]
    NoDestination,
    /// A directory cannot go to standard output.
    #[error("`--output type=oci,tar=false` needs a directory as its destination")]
    DirectoryToStdout,
}

impl OutputSpec {
    /// Reads the value of an `--output`.
    ///
    /// # Errors
    ///
    /// Fails on what is not known and on what is not supported yet, by name.
    pub fn parse(text: &str) -> Result<Self, OutputError> {
        let fields = split_csv(text);
        let is_path = fields.len() == 1 && !text.contains('=');
        if is_path {
            let kind = if text == "-" { "tar" } else { "local" };
            return Err(OutputError::Unsupported {
                kind: kind.to_owned(),
            });
        }
        let mut pairs = Vec::new();
        for field in &fields {
            let pair = field.split_once('=').ok_or_else(|| OutputError::Field {
                field: field.clone(),
                text: text.to_owned(),
            })?;
            pairs.push((pair.0.trim().to_ascii_lowercase(), pair.1.to_owned()));
        }
        let kind = pairs
            .iter()
            .find(|(key, _)| key == "type")
            .map_or("", |(_, value)| value);
        let mut spec = Self::new(output_kind(kind)?);
        let mut level = None;
        for (key, value) in &pairs {
            spec.set(kind, key, value, &mut level)?;
        }
        spec.compression = with_level(spec.compression, level)?;
        spec.check()?;
        Ok(spec)
    }

    fn new(kind: OutputKind) -> Self {
        Self {
            kind,
            destination: Destination::Stdout,
            archive: true,
            compression: Compression::default(),
            rewrite_timestamp: false,
            names: Vec::new(),
        }
    }

    fn set(
        &mut self,
        kind: &str,
        key: &str,
        value: &str,
        level: &mut Option<u8>,
    ) -> Result<(), OutputError> {
        match key {
            "type" => {}
            "dest" if value == "-" => self.destination = Destination::Stdout,
            "dest" => self.destination = Destination::Path(PathBuf::from(value)),
            "tar" => self.archive = boolean(key, value)?,
            "name" => self.names.extend(value.split(',').map(str::to_owned)),
            "compression" => self.compression = compression(value)?,
            "compression-level" => *level = Some(number(key, value)?),
            "rewrite-timestamp" => self.rewrite_timestamp = boolean(key, value)?,
            // What careen writes anyway.
            "oci-mediatypes" if boolean(key, value)? => {}
            _ => {
                return Err(OutputError::UnknownKey {
                    key: key.to_owned(),
                    kind: kind.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), OutputError> {
        let to_stdout = self.destination == Destination::Stdout;
        if self.kind == OutputKind::Oci && to_stdout && !self.archive {
            return Err(OutputError::DirectoryToStdout);
        }
        Ok(())
    }
}

fn output_kind(kind: &str) -> Result<OutputKind, OutputError> {
    match kind {
        "oci" => Ok(OutputKind::Oci),
        "cacheonly" => Ok(OutputKind::CacheOnly),
        "docker" | "image" | "registry" | "local" | "tar" => Err(OutputError::Unsupported {
            kind: kind.to_owned(),
        }),
        _ => Err(OutputError::UnknownKind {
            kind: kind.to_owned(),
        }),
    }
}

fn compression(value: &str) -> Result<Compression, OutputError> {
    match value {
        "gzip" => Ok(Compression::default()),
        "zstd" => Ok(Compression::ZSTD),
        "uncompressed" => Ok(Compression::Uncompressed),
        _ => Err(OutputError::Value {
            key: "compression".to_owned(),
            value: value.to_owned(),
            expected: "`gzip`, `zstd` or `uncompressed`",
        }),
    }
}

fn with_level(compression: Compression, level: Option<u8>) -> Result<Compression, OutputError> {
    let Some(level) = level else {
        return Ok(compression);
    };
    match compression {
        Compression::Gzip { .. } if (1..=9).contains(&level) => Ok(Compression::Gzip { level }),
        Compression::Zstd { .. } if (1..=22).contains(&level) => Ok(Compression::Zstd { level }),
        _ => Err(OutputError::Value {
            key: "compression-level".to_owned(),
            value: level.to_string(),
            expected: "1 to 9 for gzip, 1 to 22 for zstd",
        }),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, OutputError> {
    // What Go's strconv.ParseBool takes.
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(OutputError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: "`true` or `false`",
        }),
    }
}

fn number(key: &str, value: &str) -> Result<u8, OutputError> {
    value.parse().map_err(|_not_a_number| OutputError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        expected: "a number",
    })
}

/// Splits at commas; a field in double quotes may hold some.
fn split_csv(text: &str) -> Vec<String> {
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
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_and_a_directory_are_understood() {
        let spec = OutputSpec::parse("type=oci,dest=out.tar").unwrap();
        assert_eq!(
            spec.destination,
            Destination::Path(PathBuf::from("out.tar"))
        );
        assert!(spec.archive);
        let spec = OutputSpec::parse("type=oci,dest=out,tar=false,rewrite-timestamp=true").unwrap();
        assert!(!spec.archive && spec.rewrite_timestamp);
        assert_eq!(
            OutputSpec::parse("type=oci,dest=-").unwrap().destination,
            Destination::Stdout
        );
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (text, message) in [
            (
                "out",
                "`--output type=local` is not supported yet: `oci` and `cacheonly` are",
            ),
            (
                "-",
                "`--output type=tar` is not supported yet: `oci` and `cacheonly` are",
            ),
            (
                "type=image",
                "`--output type=image` is not supported yet: `oci` and `cacheonly` are",
            ),
            (
                "type=x",
                "`--output type=x` is not known: `oci` and `cacheonly` are",
            ),
            (
                "type=oci,push=true",
                "the attribute `push` of `--output type=oci` is not supported",
            ),
            (
                "type=oci,tar=maybe",
                "`tar=maybe` in `--output`: the value must be `true` or `false`",
            ),
            (
                "type=oci,dest",
                "`dest` in `--output type=oci,dest` is no `key=value`",
            ),
            (
                "type=oci,tar=false",
                "`--output type=oci,tar=false` needs a directory as its destination",
            ),
        ] {
            assert_eq!(
                OutputSpec::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
    }

    #[test]
    fn a_quoted_field_may_hold_commas() {
        let spec = OutputSpec::parse("type=oci,dest=x,\"name=a:1,b:2\"").unwrap();
        assert_eq!(spec.names, ["a:1", "b:2"]);
    }
}
