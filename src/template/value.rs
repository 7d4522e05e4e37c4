//! The data of a template: what Go's values are to `text/template`.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// What a map has no entry for. It prints as `<no value>`.
    Absent,
    /// JSON's `null`: an interface of Go's that holds nothing. It prints as `<no value>`.
    Null,
    /// A pointer of Go's to nothing, of the named type. It prints as `<nil>`.
    Nil(&'static str),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A list; none is Go's nil slice, which is `null` in JSON.
    List(Option<Rc<[Self]>>),
    /// A map, whose keys are data.
    Map(Rc<Map>),
    /// A struct, whose fields are declared.
    Struct(Rc<Struct>),
}

/// What Go's `index` gives for a key that a map does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// Nothing: the map holds anything.
    Nothing,
    /// The empty text: the map holds texts, such as labels.
    EmptyText,
}

/// A map.
#[derive(Clone, Debug)]
pub struct Map {
    entries: Option<BTreeMap<String, Value>>,
    zero: Zero,
}

impl Map {
    /// Makes a map of anything.
    pub fn new(entries: BTreeMap<String, Value>) -> Self {
        Self {
            entries: Some(entries),
            zero: Zero::Nothing,
        }
    }

    /// Makes a map of texts; an empty one is Go's nil map, which is `null` in JSON.
    pub fn of_texts(entries: &BTreeMap<String, String>) -> Self {
        let values = entries
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()));
        Self {
            entries: (!entries.is_empty()).then(|| values.collect()),
            zero: Zero::EmptyText,
        }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.as_ref()?.get(key)
    }

    /// Returns what `index` gives for a key that is not there.
    pub(crate) fn zero(&self) -> Value {
        match self.zero {
            Zero::Nothing => Value::Null,
            Zero::EmptyText => Value::from(""),
        }
    }

    /// Tells whether it is Go's nil map.
    pub(crate) fn is_nil(&self) -> bool {
        self.entries.is_none()
    }

    /// Returns the entries in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.entries.iter().flatten()
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, BTreeMap::len)
    }
}

/// What is computed when a template asks for it; an error is its text.
type Method = Rc<dyn Fn(&[Value]) -> Result<Value, String>>;

/// What is behind a name of a struct.
#[derive(Clone)]
pub(crate) enum Member {
    /// A value.
    Field(Value),
    /// Something to be computed, from arguments.
    Method(Method),
}

#[derive(Clone)]
struct Field {
    name: &'static str,
    /// Its key in JSON; none is in no JSON.
    key: Option<&'static str>,
    /// Whether JSON leaves it out when it is empty (Go's `omitempty`).
    omits_empty: bool,
    member: Member,
}

/// A struct: names that are declared, with a place in JSON.
#[derive(Clone)]
pub struct Struct {
    type_name: &'static str,
    fields: Vec<Field>,
}

impl Struct {
    /// Makes a struct without fields; errors name it as given.
    pub fn new(type_name: &'static str) -> Self {
        Self {
            type_name,
            fields: Vec::new(),
        }
    }

    fn with(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Adds a field that has this key in JSON.
    #[must_use]
    pub fn field<V: Into<Value>>(self, name: &'static str, key: &'static str, value: V) -> Self {
        self.with(Field {
            name,
            key: Some(key),
            omits_empty: false,
            member: Member::Field(value.into()),
        })
    }

    /// Adds a field that JSON has only when it is not empty.
    #[must_use]
    pub fn optional<V: Into<Value>>(self, name: &'static str, key: &'static str, value: V) -> Self {
        self.with(Field {
            name,
            key: Some(key),
            omits_empty: true,
            member: Member::Field(value.into()),
        })
    }

    /// Adds a method, which may take arguments and is in no JSON.
    #[must_use]
    pub fn method<M>(self, name: &'static str, method: M) -> Self
    where
        M: Fn(&[Value]) -> Result<Value, String> + 'static,
    {
        self.with(Field {
            name,
            key: None,
            omits_empty: false,
            member: Member::Method(Rc::new(method)),
        })
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        let found = self.fields.iter().find(|field| field.name == name);
        found.map(|field| &field.member)
    }

    /// Returns the values of the fields, in their order.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.fields.iter().filter_map(|field| match &field.member {
            Member::Field(value) => Some((field.name, value)),
            Member::Method(_) => None,
        })
    }

    fn to_json(&self) -> Json {
        let shown = |field: &Field| match (&field.member, field.key) {
            (Member::Field(value), Some(key)) if !(field.omits_empty && value.is_empty()) => {
                Some((key.to_owned(), value.to_json()))
            }
            _ => None,
        };
        Json::Object(self.fields.iter().filter_map(shown).collect())
    }
}

impl fmt::Debug for Struct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.type_name);
        for (name, value) in self.values() {
            shown.field(name, value);
        }
        shown.finish_non_exhaustive()
    }
}

impl Value {
    /// Makes a list.
    pub fn list<I>(items: I) -> Self
    where
        I: IntoIterator<Item: Into<Self>>,
    {
        Self::List(Some(items.into_iter().map(Into::into).collect()))
    }

    /// Makes a list that is Go's nil slice when it has nothing in it.
    pub fn list_or_nil<I>(items: I) -> Self
    where
        I: IntoIterator<Item: Into<Self>>,
    {
        let items: Rc<[Self]> = items.into_iter().map(Into::into).collect();
        Self::List((!items.is_empty()).then_some(items))
    }

    /// Makes a map of texts, such as labels.
    pub fn texts(entries: &BTreeMap<String, String>) -> Self {
        Self::Map(Rc::new(Map::of_texts(entries)))
    }

    /// Returns it as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Absent | Self::Null | Self::Nil(_) | Self::List(None) => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            // Go writes 1.0 as 1.
            Self::Float(value) => match value.to_string().parse::<i64>() {
                Ok(whole) => Json::from(whole),
                Err(_has_a_fraction) => Json::from(*value),
            },
            Self::Text(text) => Json::String(text.to_string()),
            Self::List(Some(items)) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) if map.is_nil() => Json::Null,
            Self::Map(map) => {
                let entries = map.entries();
                Json::Object(
                    entries
                        .map(|(key, value)| (key.clone(), value.to_json()))
                        .collect(),
                )
            }
            Self::Struct(value) => value.to_json(),
        }
    }

    /// Tells whether it is what Go calls empty: what `if` takes for false, and what `omitempty` leaves out.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Absent | Self::Null | Self::Nil(_) => true,
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Float(value) => *value == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.as_ref().is_none_or(|items| items.is_empty()),
            Self::Map(map) => map.len() == 0,
            Self::Struct(_) => false,
        }
    }

    /// Returns what Go calls its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Absent | Self::Null => "nil",
            Self::Nil(name) => name,
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(map) if map.zero == Zero::EmptyText => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Struct(value) => value.type_name(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.as_str().into())
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Self {
        Self::Struct(Rc::new(value))
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(Rc::new(value))
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().unwrap_or(f64::INFINITY)),
            },
            Json::String(text) => text.into(),
            Json::Array(items) => Self::list(items),
            Json::Object(entries) => {
                let entries = entries.into_iter().map(|(key, value)| (key, value.into()));
                Self::Map(Rc::new(Map::new(entries.collect())))
            }
        }
    }
}
