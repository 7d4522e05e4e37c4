//! `RUN --mount=…`: the fields as written, and their meaning once variables are expanded.
//!
//! ```text
//! "type=cache,target=$DIR"  ── MountFlag::parse ──►  fields with spans   (in the AST)
//! MountFlag                 ── resolve(expand)  ──►  Mount::Cache { … }  (when the step is lowered)
//! ```

use crate::ast::Word;
use crate::csv;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};
use crate::suggest;
use crate::words::ExpandError;

mod draft;

use draft::Draft;

/// One `--mount=` of a `RUN`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// The whole value, a line of CSV.
    pub text: Word,
    /// Its fields, in order.
    pub fields: Vec<MountField>,
}

impl MountFlag {
    /// Tells whether it says where what is mounted is from.
    pub(crate) fn names_a_source(&self) -> bool {
        self.fields.iter().any(|field| field.key.value == "from")
    }
}

/// One `key=value` or bare `key` of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountField {
    /// The key in lower case.
    pub key: Spanned<String>,
    /// What follows `=`, if there is one.
    pub value: Option<Word>,
}

/// What a `--mount` asks for, with every variable expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// `type=bind`, the default.
    Bind(BindMount),
    /// `type=cache`
    Cache(CacheMount),
    /// `type=tmpfs`
    Tmpfs(TmpfsMount),
    /// `type=secret`
    Secret(SecretMount),
    /// `type=ssh`
    Ssh(SshMount),
}

/// `type=bind`: files of the context, a stage or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// The stage, named context or image; the build context when absent. Never expanded.
    pub from: Option<String>,
    /// The path in it; its root when absent.
    pub source: Option<String>,
    /// Where it appears; relative to the working directory, empty when not given.
    pub target: String,
    /// Whether writing is refused. What is written to a writable one is discarded.
    pub read_only: bool,
}

/// `type=cache`: a directory that outlives the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMount {
    /// The cache's name; the cleaned target when absent.
    pub id: Option<String>,
    /// Where the content of a new cache comes from. Never expanded.
    pub from: Option<String>,
    /// The path in `from`.
    pub source: Option<String>,
    /// Where it appears; relative to the working directory, empty when not given.
    pub target: String,
    /// Who may use it at the same time.
    pub sharing: CacheSharing,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Permission bits of a new directory; 0755 when absent.
    pub mode: Option<u32>,
    /// Owner of a new directory; 0 when absent.
    pub uid: Option<u32>,
    /// Group of a new directory; 0 when absent.
    pub gid: Option<u32>,
}

/// What happens when two steps want one cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheSharing {
    /// Both use it.
    #[default]
    Shared,
    /// The second gets a new one.
    Private,
    /// The second waits.
    Locked,
}

/// `type=tmpfs`: memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmpfsMount {
    /// Where it appears; relative to the working directory, empty when not given.
    pub target: String,
    /// Its limit in bytes.
    pub size_bytes: Option<u64>,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// `type=secret`. One of `id`, `source` and `target` is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMount {
    /// The secret's name; else `source`, else the last component of `target`.
    pub id: Option<String>,
    /// Another spelling of `id`.
    pub source: Option<String>,
    /// The file; `/run/secrets/<id>` when absent and no `env` is given.
    pub target: Option<String>,
    /// The environment variable.
    pub env: Option<String>,
    /// Whether the build fails without the secret.
    pub required: bool,
    /// Permission bits of the file; 0400 when absent.
    pub mode: Option<u32>,
    /// Owner of the file; 0 when absent.
    pub uid: Option<u32>,
    /// Group of the file; 0 when absent.
    pub gid: Option<u32>,
}

/// `type=ssh`: the agent's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshMount {
    /// The agent's name; `default` when absent.
    pub id: Option<String>,
    /// The socket; `/run/buildkit/ssh_agent.N` when absent.
    pub target: Option<String>,
    /// Whether the build fails without the agent.
    pub required: bool,
    /// Permission bits of the socket; 0600 when absent.
    pub mode: Option<u32>,
    /// Owner of the socket; 0 when absent.
    pub uid: Option<u32>,
    /// Group of the socket; 0 when absent.
    pub gid: Option<u32>,
}

/// Says why a `--mount` is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// The value is no line of CSV.
    #[error("`--mount={text}` is not a list of key=value pairs")]
    Csv {
        /// The value.
        text: String,
        /// Where it stands.
        span: Span,
        /// What is wrong with it.
        source: csv::CsvError,
    },
    /// A key that needs a value has none.
    #[error("mount option `{key}` has no value")]
    NoValue {
        /// The key.
        key: String,
        /// Where it stands.
        span: Span,
    },
    /// There is no such key.
    #[error("unknown mount option: `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        span: Span,
    },
    /// The key does not go with the type.
    #[error("mount option `{key}` cannot be used with type={kind}")]
    NotForType {
        /// The key.
        key: String,
        /// The type in force where the key stands.
        kind: &'static str,
        /// Where it stands.
        span: Span,
    },
    /// The value is none of those that the key can have.
    #[error("mount option `{key}` cannot be `{value}`")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What the value should be.
        expected: &'static str,
        /// The closest of the possible values.
        near: Option<String>,
        /// Where it stands.
        span: Span,
    },
    /// `from` holds a variable.
    #[error("mount option `from` cannot hold a variable")]
    VariableInFrom {
        /// Where it stands.
        span: Span,
    },
    /// A secret has neither id nor source nor target.
    #[error("secret mount has no `id`, `source` or `target`")]
    NamelessSecret {
        /// Where the mount stands.
        span: Span,
    },
    /// A secret has an id and a source.
    #[error("secret mount has both `id` and `source`")]
    SecretNamedTwice {
        /// Where the mount stands.
        span: Span,
    },
    /// A value cannot be expanded.
    #[error("cannot expand mount option `{key}`")]
    Expand {
        /// The key.
        key: String,
        /// Where it stands.
        span: Span,
        /// What is wrong with it.
        source: ExpandError,
    },
}

impl MountError {
    /// Returns the place of what is wrong.
    pub const fn span(&self) -> Span {
        match self {
            Self::Csv { span, .. }
            | Self::NoValue { span, .. }
            | Self::UnknownKey { span, .. }
            | Self::NotForType { span, .. }
            | Self::Value { span, .. }
            | Self::VariableInFrom { span }
            | Self::NamelessSecret { span }
            | Self::SecretNamedTwice { span }
            | Self::Expand { span, .. } => *span,
        }
    }

    /// Returns the diagnostic for it.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.to_string(), self.span()).with_help(self.help());
        match self {
            Self::Csv { source, .. } => diagnostic.with_label(source.to_string()),
            Self::Value { expected, .. } => diagnostic.with_label(*expected),
            Self::Expand { source, .. } => diagnostic.with_label(source.to_string()),
            _ => diagnostic,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NoValue { key, .. } => Some(format!("write `{key}=…`")),
            Self::UnknownKey { key, .. } => suggest::did_you_mean(key, draft::KEYS.iter().copied()),
            Self::Value {
                near: Some(near), ..
            } => Some(format!("did you mean `{near}`?")),
            Self::VariableInFrom { .. } => {
                Some("give the image a name with `FROM image AS name` and use that".to_owned())
            }
            Self::NamelessSecret { .. } => Some("write `type=secret,id=NAME`".to_owned()),
            Self::SecretNamedTwice { .. } => Some("leave one of them out".to_owned()),
            Self::Expand { source, .. } => source.help(),
            _ => None,
        }
    }
}

impl MountFlag {
    /// Reads the fields of `text`.
    ///
    /// # Errors
    ///
    /// Fails when it is no line of CSV, or when `from` holds a variable: that is known before anything is
    /// expanded, since it decides which stages are needed.
    pub fn parse(text: Word) -> Result<Self, MountError> {
        let fields = csv::fields(&text.value).map_err(|source| MountError::Csv {
            text: text.value.clone(),
            span: text.span,
            source,
        })?;
        let fields: Vec<_> = fields
            .into_iter()
            .map(|field| mount_field(&text, &field))
            .collect();
        let flag = Self { text, fields };
        match flag.from() {
            Some(from) if has_variable(&from.value) => {
                Err(MountError::VariableInFrom { span: from.span })
            }
            _ => Ok(flag),
        }
    }

    /// Returns the value of `from`, which is never expanded.
    pub fn from(&self) -> Option<&Word> {
        self.fields
            .iter()
            .rev()
            .find(|field| field.key.value == "from")?
            .value
            .as_ref()
    }

    /// Returns what the mount asks for.
    ///
    /// `expand` is called with every value but that of `from`.
    ///
    /// # Errors
    ///
    /// Fails when an option is unknown, has a value it cannot have or does not go with the type, and when
    /// `expand` fails.
    pub fn resolve(
        &self,
        expand: &mut dyn FnMut(&Word) -> Result<String, ExpandError>,
    ) -> Result<Mount, MountError> {
        let mut draft = Draft::default();
        for field in &self.fields {
            match &field.value {
                None => draft.set_bare(&field.key)?,
                Some(value) => {
                    let expanded = expanded_value(field, value, expand)?;
                    draft.set(&field.key, &Spanned::new(expanded, value.span))?;
                }
            }
        }
        draft.finish(self.text.span)
    }
}

/// Tells whether `text` holds a `$` with something behind it.
fn has_variable(text: &str) -> bool {
    text.find('$').is_some_and(|at| at + 1 < text.len())
}

fn expanded_value(
    field: &MountField,
    value: &Word,
    expand: &mut dyn FnMut(&Word) -> Result<String, ExpandError>,
) -> Result<String, MountError> {
    if field.key.value == "from" {
        return Ok(value.value.clone());
    }
    expand(value).map_err(|source| MountError::Expand {
        key: field.key.value.clone(),
        span: value.span,
        source,
    })
}

fn mount_field(text: &Word, field: &csv::Field) -> MountField {
    let part = |start: usize, end: usize| sub_span(text, field.start + start, field.start + end);
    // Quoted fields lose their quotes, so offsets in them do not map back: they share one span.
    let whole = part(0, field.raw_len);
    let exact = field.raw_len == field.value.len();
    match field.value.split_once('=') {
        None => MountField {
            key: Spanned::new(field.value.to_lowercase(), whole),
            value: None,
        },
        Some((key, value)) => {
            let value_start = key.len() + 1;
            let key_span = if exact { part(0, key.len()) } else { whole };
            let value_span = if exact {
                part(value_start, field.value.len())
            } else {
                whole
            };
            MountField {
                key: Spanned::new(key.to_lowercase(), key_span),
                value: Some(Spanned::new(value.to_owned(), value_span)),
            }
        }
    }
}

/// Returns the place of a part of `text`, or that of all of it when the text is not as in the file.
fn sub_span(text: &Word, start: usize, end: usize) -> Span {
    if text.span.len() == text.value.len() {
        Span::new(text.span.start + start, text.span.start + end)
    } else {
        text.span
    }
}
