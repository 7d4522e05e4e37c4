//! `--filter`: which items are meant, in buildx' words.
//!
//! ```text
//! FILTER = FIELD | FIELD OP VALUE | until=AGE
//! OP     = "=" | "==" | "!=" | "~="
//! ```
//!
//! A field alone asks whether it is so. `~=` asks whether the value is contained, as `id=` does: an id is seldom typed to
//! its end.

use std::fmt;

use crate::usage::Item;

/// One thing that is asked of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    field: Field,
    op: Op,
    value: String,
}

/// Why a filter is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// There is no such field.
    #[error("there is no filter `{name}` here; there are {}", known())]
    Field {
        /// What was asked for.
        name: String,
    },
    /// It says nothing about the field.
    #[error("the filter `{name}` needs a value")]
    NoValue {
        /// The field.
        name: &'static str,
    },
    /// There is no such type.
    #[error(
        "there is no type `{value}`; there are `regular`, `internal`, `frontend`, `source.local`, \
         `source.git.checkout`, `exec.cachemount`"
    )]
    Type {
        /// What was asked for.
        value: String,
    },
    /// The value is no truth value.
    #[error("the filter `{name}` is `true` or `false`, not `{value}`")]
    Bool {
        /// The field.
        name: &'static str,
        /// What was asked for.
        value: String,
    },
    /// Patterns are not understood.
    #[error(
        "`{value}` is a pattern: `~=` looks for a text that is contained, and knows no patterns"
    )]
    Pattern {
        /// What was asked for.
        value: String,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Op {
    Is,
    IsNot,
    Contains,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Id,
    Parents,
    Description,
    Type,
    InUse,
    Mutable,
    Immutable,
    Shared,
    Private,
}

/// The fields by their names.
const FIELDS: [(&str, Field); 9] = [
    ("id", Field::Id),
    ("parents", Field::Parents),
    ("description", Field::Description),
    ("type", Field::Type),
    ("inuse", Field::InUse),
    ("mutable", Field::Mutable),
    ("immutable", Field::Immutable),
    ("shared", Field::Shared),
    ("private", Field::Private),
];

/// BuildKit's types; of some there is nothing here.
const TYPES: [&str; 6] = [
    "regular",
    "internal",
    "frontend",
    "source.local",
    "source.git.checkout",
    "exec.cachemount",
];

fn known() -> String {
    let fields = FIELDS.iter().map(|(name, _)| format!("`{name}`"));
    let fields: Vec<_> = fields
        .chain(["`until`".to_owned(), "`unused-for`".to_owned()])
        .collect();
    fields.join(", ")
}

impl Filter {
    /// Reads a filter that is not about time.
    ///
    /// # Errors
    ///
    /// Fails when there is no such field, or the value does not suit it.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let (name, op, value) = split(text);
        let name = name.trim();
        let found = FIELDS.iter().find(|(known, _)| *known == name);
        let (name, field) = *found.ok_or_else(|| FilterError::Field {
            name: name.to_owned(),
        })?;
        let value = match value {
            Some(value) => value.trim().to_owned(),
            None if field.is_flag() => "true".to_owned(),
            None => return Err(FilterError::NoValue { name }),
        };
        field.check(name, &value)?;
        let op = match (field, op) {
            (Field::Id, Op::Is) => Op::Contains,
            _ => op,
        };
        if op == Op::Contains && value.contains(['*', '^', '$', '[', '(', '|', '\\', '?', '+']) {
            return Err(FilterError::Pattern { value });
        }
        Ok(Self { field, op, value })
    }

    /// Tells whether an item is meant.
    pub fn fits(&self, item: &Item) -> bool {
        let found = self.field.of(item);
        match self.op {
            Op::Is => found == self.value,
            Op::IsNot => found != self.value,
            Op::Contains => found.contains(&self.value),
        }
    }
}

/// As BuildKit writes it.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FIELDS.iter().find(|(_, field)| *field == self.field);
        let op = match self.op {
            Op::Is => "==",
            Op::IsNot => "!=",
            Op::Contains => "~=",
        };
        write!(f, "{}{op}{}", name.map_or("", |(name, _)| name), self.value)
    }
}

/// Takes a filter apart at its first operator.
fn split(text: &str) -> (&str, Op, Option<&str>) {
    let Some((name, value)) = text.split_once('=') else {
        return (text, Op::Is, None);
    };
    if let Some(name) = name.strip_suffix('!') {
        return (name, Op::IsNot, Some(value));
    }
    if let Some(name) = name.strip_suffix('~') {
        return (name, Op::Contains, Some(value));
    }
    (name, Op::Is, Some(value.strip_prefix('=').unwrap_or(value)))
}

impl Field {
    fn is_flag(self) -> bool {
        !matches!(
            self,
            Self::Id | Self::Parents | Self::Description | Self::Type
        )
    }

    fn check(self, name: &'static str, value: &str) -> Result<(), FilterError> {
        let value = || value.to_owned();
        if self == Self::Type && !TYPES.contains(&value().as_str()) {
            return Err(FilterError::Type { value: value() });
        }
        if self.is_flag() && !["true", "false"].contains(&value().as_str()) {
            return Err(FilterError::Bool {
                name,
                value: value(),
            });
        }
        Ok(())
    }

    fn of(self, item: &Item) -> String {
        match self {
            Self::Id => item.id.to_string(),
            Self::Parents => item
                .parent
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            Self::Description => item.description.clone(),
            Self::Type => item.kind.as_str().to_owned(),
            Self::InUse => item.is_in_use.to_string(),
            Self::Mutable => item.is_mutable.to_string(),
            Self::Immutable => (!item.is_mutable).to_string(),
            Self::Shared => item.is_shared.to_string(),
            Self::Private => (!item.is_shared).to_string(),
        }
    }
}
