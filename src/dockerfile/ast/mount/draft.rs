//! A mount while its options are read, one after the other.

use super::{
    BindMount, CacheMount, CacheSharing, Mount, MountError, SecretMount, SshMount, TmpfsMount,
};
use crate::ast::Word;
use crate::number;
use crate::source::{Span, Spanned};
use crate::suggest;

pub(super) const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl Kind {
    const NAMES: [(&'static str, Self); 5] = [
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("tmpfs", Self::Tmpfs),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

const SHARING: [(&str, CacheSharing); 3] = [
    ("shared", CacheSharing::Shared),
    ("private", CacheSharing::Private),
    ("locked", CacheSharing::Locked),
];

/// A value with the key that set it, for a later complaint.
type Set<T> = Option<(T, Spanned<String>)>;

#[derive(Debug, Default)]
pub(super) struct Draft {
    kind: Kind,
    from: Option<Word>,
    source: Option<String>,
    target: Option<String>,
    id: Option<String>,
    env: Option<String>,
    read_only: Option<bool>,
    required: bool,
    size_bytes: Option<u64>,
    sharing: Set<CacheSharing>,
    mode: Set<u32>,
    uid: Set<u32>,
    gid: Set<u32>,
}

impl Draft {
    /// Takes an option without a value.
    pub(super) fn set_bare(&mut self, key: &Spanned<String>) -> Result<(), MountError> {
        match key.value.as_str() {
            "readonly" | "ro" => self.read_only = Some(true),
            "readwrite" | "rw" => self.read_only = Some(false),
            "required" => {
                self.only_for(key, &[Kind::Secret, Kind::Ssh])?;
                self.required = true;
            }
            other if KEYS.contains(&other) => {
                return Err(MountError::NoValue {
                    key: key.value.clone(),
                    span: key.span,
                });
            }
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// Takes an option with its value.
    pub(super) fn set(&mut self, key: &Spanned<String>, value: &Word) -> Result<(), MountError> {
        let text = || Some(value.value.clone());
        match key.value.as_str() {
            "type" => self.kind = choice(key, value, &Kind::NAMES)?,
            "from" => self.from = Some(value.clone()),
            "source" | "src" => self.source = text(),
            "target" | "dst" | "destination" => self.target = text(),
            "readonly" | "ro" => self.read_only = Some(boolean(key, value)?),
            "readwrite" | "rw" => self.read_only = Some(!boolean(key, value)?),
            "id" => self.id = text(),
            "env" => self.env = text(),
            "sharing" => self.sharing = Some((choice(key, value, &SHARING)?, key.clone())),
            "required" => self.set_required(key, value)?,
            "size" => self.set_size(key, value)?,
            "mode" => self.mode = Some((integer(key, value, 8)?, key.clone())),
            "uid" => self.uid = Some((integer(key, value, 10)?, key.clone())),
            "gid" => self.gid = Some((integer(key, value, 10)?, key.clone())),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    fn set_required(&mut self, key: &Spanned<String>, value: &Word) -> Result<(), MountError> {
        self.only_for(key, &[Kind::Secret, Kind::Ssh])?;
        self.required = boolean(key, value)?;
        Ok(())
    }

    fn set_size(&mut self, key: &Spanned<String>, value: &Word) -> Result<(), MountError> {
        self.only_for(key, &[Kind::Tmpfs])?;
        let size = number::parse_bytes(&value.value);
        self.size_bytes =
            Some(size.ok_or_else(|| bad(key, value, "a size such as `64m` or `1g`"))?);
        Ok(())
    }

    fn only_for(&self, key: &Spanned<String>, kinds: &[Kind]) -> Result<(), MountError> {
        if kinds.contains(&self.kind) {
            Ok(())
        } else {
            Err(self.not_for_type(key))
        }
    }

    fn not_for_type(&self, key: &Spanned<String>) -> MountError {
        MountError::NotForType {
            key: key.value.clone(),
            kind: self.kind.name(),
            span: key.span,
        }
    }

    /// Checks what only the whole tells and returns the mount; `span` is that of the whole.
    pub(super) fn finish(self, span: Span) -> Result<Mount, MountError> {
        self.check_ownership()?;
        self.check_sharing()?;
        match self.kind {
            Kind::Bind => Ok(Mount::Bind(self.into_bind())),
            Kind::Cache => Ok(Mount::Cache(self.into_cache())),
            Kind::Tmpfs => Ok(Mount::Tmpfs(self.into_tmpfs())),
            Kind::Secret => self.into_secret(span).map(Mount::Secret),
            Kind::Ssh => Ok(Mount::Ssh(self.into_ssh())),
        }
    }

    fn check_ownership(&self) -> Result<(), MountError> {
        if !matches!(self.kind, Kind::Bind | Kind::Tmpfs) {
            return Ok(());
        }
        match [&self.mode, &self.uid, &self.gid]
            .into_iter()
            .flatten()
            .next()
        {
            Some((_, key)) => Err(self.not_for_type(key)),
            None => Ok(()),
        }
    }

    fn check_sharing(&self) -> Result<(), MountError> {
        match &self.sharing {
            Some((_, key)) if self.kind != Kind::Cache => Err(self.not_for_type(key)),
            _ => Ok(()),
        }
    }

    fn into_bind(self) -> BindMount {
        BindMount {
            from: given(self.from.map(|word| word.value)),
            source: given(self.source),
            target: self.target.unwrap_or_default(),
            read_only: self.read_only.unwrap_or(true),
        }
    }

    fn into_cache(self) -> CacheMount {
        CacheMount {
            id: given(self.id),
            from: given(self.from.map(|word| word.value)),
            source: given(self.source),
            target: self.target.unwrap_or_default(),
            sharing: self.sharing.map(|(sharing, _)| sharing).unwrap_or_default(),
            read_only: self.read_only.unwrap_or(false),
            mode: self.mode.map(|(mode, _)| mode),
            uid: self.uid.map(|(uid, _)| uid),
            gid: self.gid.map(|(gid, _)| gid),
        }
    }

    fn into_tmpfs(self) -> TmpfsMount {
        TmpfsMount {
            target: self.target.unwrap_or_default(),
            size_bytes: self.size_bytes,
            read_only: self.read_only.unwrap_or(false),
        }
    }

    fn into_secret(self, span: Span) -> Result<SecretMount, MountError> {
        if let Some(from) = self.from.filter(|from| !from.value.is_empty()) {
            let kind = Kind::Secret.name();
            return Err(MountError::NotForType {
                key: "from".to_owned(),
                kind,
                span: from.span,
            });
        }
        let (id, source, target) = (given(self.id), given(self.source), given(self.target));
        match (&id, &source, &target) {
            (None, None, None) => return Err(MountError::NamelessSecret { span }),
            (Some(_), Some(_), _) => return Err(MountError::SecretNamedTwice { span }),
            _ => {}
        }
        Ok(SecretMount {
            id,
            source,
            target,
            env: given(self.env),
            required: self.required,
            mode: self.mode.map(|(mode, _)| mode),
            uid: self.uid.map(|(uid, _)| uid),
            gid: self.gid.map(|(gid, _)| gid),
        })
    }

    fn into_ssh(self) -> SshMount {
        SshMount {
            id: given(self.id),
            target: given(self.target),
            required: self.required,
            mode: self.mode.map(|(mode, _)| mode),
            uid: self.uid.map(|(uid, _)| uid),
            gid: self.gid.map(|(gid, _)| gid),
        }
    }
}

/// An empty value counts as none, as in BuildKit: `id=$UNSET`.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

fn unknown(key: &Spanned<String>) -> MountError {
    MountError::UnknownKey {
        key: key.value.clone(),
        span: key.span,
    }
}

fn bad(key: &Spanned<String>, value: &Word, expected: &'static str) -> MountError {
    MountError::Value {
        key: key.value.clone(),
        value: value.value.clone(),
        expected,
        near: None,
        span: value.span,
    }
}

fn choice<T: Copy>(
    key: &Spanned<String>,
    value: &Word,
    names: &[(&'static str, T)],
) -> Result<T, MountError> {
    let wanted = value.value.to_lowercase();
    let found = names.iter().find(|(name, _)| *name == wanted);
    found
        .map(|(_, choice)| *choice)
        .ok_or_else(|| MountError::Value {
            key: key.value.clone(),
            value: value.value.clone(),
            expected: "no such value",
            near: suggest::nearest(&wanted, names.iter().map(|(name, _)| *name)).map(str::to_owned),
            span: value.span,
        })
}

fn boolean(key: &Spanned<String>, value: &Word) -> Result<bool, MountError> {
    number::parse_bool(&value.value).ok_or_else(|| bad(key, value, "`true` or `false`"))
}

fn integer(key: &Spanned<String>, value: &Word, radix: u32) -> Result<u32, MountError> {
    let expected = if radix == 8 {
        "an octal number"
    } else {
        "a number"
    };
    number::parse_u32(&value.value, radix).ok_or_else(|| bad(key, value, expected))
}
