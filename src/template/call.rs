//! What the functions do.

use serde_json::ser::{PrettyFormatter, Serializer};

use crate::compare;
use crate::escape;
use crate::limits::{OUTPUT_MAX_BYTES, WIDTH_MAX};
use crate::print;
use crate::printf;
use crate::template::JsonStyle;
use crate::value::Value;

/// What a function gives; an error is its text.
pub(crate) type Called = Result<Value, String>;

/// Tells whether a function only changes how a value looks, so that the title of its column stays as it is.
pub(crate) fn is_for_looks(name: &str) -> bool {
    matches!(
        name,
        "join" | "json" | "lower" | "pad" | "split" | "title" | "truncate" | "upper"
    )
}

/// Calls a function; `and` and `or` are not here, since they do not evaluate all of their arguments.
pub(crate) fn call(name: &str, arguments: &[Value], json_style: JsonStyle) -> Called {
    let result = match name {
        "eq" => compare::equal(arguments),
        "ne" => two(name, arguments).and_then(|(a, b)| compare::not_equal(a, b)),
        "lt" | "le" | "gt" | "ge" => {
            two(name, arguments).and_then(|(a, b)| compare::ordered(name, a, b))
        }
        "not" => one(name, arguments).map(|value| value.is_empty().into()),
        "len" => one(name, arguments).and_then(length),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(print::spaced(arguments).into()),
        "println" => Ok(print::line(arguments).into()),
        "printf" => printf::format(arguments).map(Value::from),
        "html" => Ok(escape::html(&print::as_text(arguments)).into()),
        "js" => Ok(escape::js(&print::as_text(arguments)).into()),
        "urlquery" => Ok(escape::url_query(&print::as_text(arguments)).into()),
        "json" => one(name, arguments).map(|value| json(value, json_style).into()),
        "join" => two(name, arguments).and_then(|(list, separator)| join(list, separator)),
        "split" => two(name, arguments).and_then(|(text, separator)| split(text, separator)),
        "lower" => one(name, arguments)
            .and_then(text)
            .map(|text| text.to_lowercase().into()),
        "upper" => one(name, arguments)
            .and_then(text)
            .map(|text| text.to_uppercase().into()),
        "title" => one(name, arguments)
            .and_then(text)
            .map(|text| title(text).into()),
        "truncate" => two(name, arguments).and_then(|(text, length)| truncate(text, length)),
        "pad" => pad(arguments),
        _ => Err(format!("function {name:?} not defined")),
    };
    match result {
        Ok(Value::Text(text)) if text.len() > OUTPUT_MAX_BYTES => {
            Err(format!("{name} gives more than {OUTPUT_MAX_BYTES} bytes"))
        }
        Err(message) if message.starts_with("wrong number of args") => Err(message),
        result => result.map_err(|message| format!("error calling {name}: {message}")),
    }
}

fn wrong_count(name: &str, want: &str, got: usize) -> String {
    format!("wrong number of args for {name}: want {want} got {got}")
}

fn one<'a>(name: &str, arguments: &'a [Value]) -> Result<&'a Value, String> {
    match arguments {
        [one] => Ok(one),
        _ => Err(wrong_count(name, "1", arguments.len())),
    }
}

fn two<'a>(name: &str, arguments: &'a [Value]) -> Result<(&'a Value, &'a Value), String> {
    match arguments {
        [one, two] => Ok((one, two)),
        _ => Err(wrong_count(name, "2", arguments.len())),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        // A key that is not there is the empty text to whoever wants a text.
        Value::Absent => Ok(""),
        other => Err(format!(
            "wrong type for value; expected string; got {}",
            other.type_name()
        )),
    }
}

fn whole(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(format!(
            "wrong type for value; expected int; got {}",
            other.type_name()
        )),
    }
}

fn length(value: &Value) -> Called {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.as_ref().map_or(0, |items| items.len()),
        Value::Map(map) => map.len(),
        Value::Absent | Value::Null => return Err("len of untyped nil".to_owned()),
        Value::Nil(_) => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(arguments: &[Value]) -> Called {
    let Some((value, keys)) = arguments.split_first() else {
        return Err(wrong_count("index", "at least 1", 0));
    };
    let mut value = value.clone();
    for key in keys {
        value = index_one(&value, key)?;
    }
    Ok(value)
}

fn index_one(value: &Value, key: &Value) -> Called {
    match value {
        Value::Map(map) => {
            let Value::Text(key) = key else {
                return Err(format!(
                    "value has type {}; should be string",
                    key.type_name()
                ));
            };
            Ok(map.get(key).cloned().unwrap_or_else(|| map.zero()))
        }
        Value::List(items) => {
            let items = items.as_deref().unwrap_or_default();
            let at = position(key, items.len())?;
            items
                .get(at)
                .cloned()
                .ok_or_else(|| format!("index out of range: {at}"))
        }
        Value::Text(text) => {
            let at = position(key, text.len())?;
            let byte = text.as_bytes().get(at);
            byte.map(|&byte| Value::Int(i64::from(byte)))
                .ok_or_else(|| format!("index out of range: {at}"))
        }
        Value::Absent | Value::Null => Err("index of untyped nil".to_owned()),
        Value::Nil(_) => Err("index of nil pointer".to_owned()),
        other => Err(format!("can't index item of type {}", other.type_name())),
    }
}

/// Returns a place in something of a length; the end is one.
fn position(key: &Value, length: usize) -> Result<usize, String> {
    let Value::Int(number) = key else {
        return Err(format!(
            "cannot index slice/array with type {}",
            key.type_name()
        ));
    };
    let at = usize::try_from(*number).ok().filter(|at| *at <= length);
    at.ok_or_else(|| format!("index out of range: {number}"))
}

fn slice(arguments: &[Value]) -> Called {
    let Some((value, places)) = arguments.split_first() else {
        return Err(wrong_count("slice", "at least 1", 0));
    };
    if places.len() > 3 {
        return Err(format!("too many slice indexes: {}", places.len()));
    }
    let length = match value {
        Value::Text(_) if places.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) => text.len(),
        Value::List(items) => items.as_ref().map_or(0, |items| items.len()),
        Value::Absent | Value::Null => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let start = places
        .first()
        .map_or(Ok(0), |place| position(place, length))?;
    let end = places
        .get(1)
        .map_or(Ok(length), |place| position(place, length))?;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match value {
        Value::Text(text) => {
            let bytes = text.as_bytes().get(start..end).unwrap_or_default();
            Ok(String::from_utf8_lossy(bytes).into_owned().into())
        }
        Value::List(Some(items)) => Ok(Value::list(
            items.get(start..end).unwrap_or_default().to_vec(),
        )),
        other => Ok(other.clone()),
    }
}

fn json(value: &Value, style: JsonStyle) -> String {
    let json = value.to_json();
    match style {
        JsonStyle::Compact => json.to_string(),
        JsonStyle::Indented => indented(&json, "  "),
    }
}

/// Returns JSON on lines of its own, as Go's `MarshalIndent` has it with this indent.
#[expect(
    clippy::missing_panics_doc,
    reason = "a JSON value is always written to memory"
)]
pub fn indented(json: &serde_json::Value, indent: &str) -> String {
    let mut bytes = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent.as_bytes()));
    serde::Serialize::serialize(json, &mut serializer).expect("a JSON value is written to memory");
    String::from_utf8(bytes).expect("JSON is text")
}

fn join(list: &Value, separator: &Value) -> Called {
    let items = match list {
        Value::List(items) => items.as_deref().unwrap_or_default(),
        Value::Absent | Value::Null => &[],
        other => {
            let found = other.type_name();
            return Err(format!(
                "wrong type for value; expected []string; got {found}"
            ));
        }
    };
    let texts: Vec<_> = items.iter().map(print::plain).collect();
    Ok(texts.join(text(separator)?).into())
}

fn split(value: &Value, separator: &Value) -> Called {
    let (value, separator) = (text(value)?, text(separator)?);
    if separator.is_empty() {
        return Ok(Value::list(value.chars().map(String::from)));
    }
    Ok(Value::list(value.split(separator)))
}

/// Begins each word with a capital.
fn title(text: &str) -> String {
    let mut before = ' ';
    let mut titled = String::new();
    for c in text.chars() {
        let continues = before.is_alphanumeric() || before == '_' || before == '\'';
        if continues {
            titled.push(c);
        } else {
            titled.extend(c.to_uppercase());
        }
        before = c;
    }
    titled
}

fn truncate(value: &Value, length: &Value) -> Called {
    let (value, length) = (text(value)?, whole(length)?);
    let length = usize::try_from(length).unwrap_or(0);
    Ok(value.chars().take(length).collect::<String>().into())
}

/// Puts so many spaces before and behind a text that is not empty.
fn pad(arguments: &[Value]) -> Called {
    let [value, before, behind] = arguments else {
        return Err(wrong_count("pad", "3", arguments.len()));
    };
    let value = text(value)?;
    let width = |value| -> Result<usize, String> {
        let width = usize::try_from(whole(value)?).unwrap_or(0);
        if width > WIDTH_MAX {
            return Err(format!("a width of {width}, more than {WIDTH_MAX}"));
        }
        Ok(width)
    };
    let (before, behind) = (width(before)?, width(behind)?);
    if value.is_empty() {
        return Ok(Value::from(""));
    }
    Ok(format!("{:before$}{value}{:behind$}", "", "").into())
}
