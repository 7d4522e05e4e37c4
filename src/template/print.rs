//! Values as Go's `fmt` prints them.

use crate::value::Value;

/// How a value looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// `%v`
    Plain,
    /// `%+v`: structs with the names of their fields.
    Named,
}

/// Returns what `{{value}}` prints.
pub(crate) fn action(value: &Value) -> String {
    match value {
        Value::Absent | Value::Null => "<no value>".to_owned(),
        other => plain(other),
    }
}

/// Returns what `%v` prints.
pub(crate) fn plain(value: &Value) -> String {
    let mut text = String::new();
    push(&mut text, value, Look::Plain);
    text
}

/// Returns what the verb of a look prints.
pub(crate) fn with_look(value: &Value, look: Look) -> String {
    let mut text = String::new();
    push(&mut text, value, look);
    text
}

fn push(text: &mut String, value: &Value, look: Look) {
    match value {
        Value::Absent | Value::Null | Value::Nil(_) => text.push_str("<nil>"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => text.push_str(&number.to_string()),
        Value::Float(number) => text.push_str(&general(*number)),
        Value::Text(value) => text.push_str(value),
        Value::List(items) => {
            text.push('[');
            for (at, item) in items.iter().flat_map(|items| items.iter()).enumerate() {
                separate(text, at);
                push(text, item, look);
            }
            text.push(']');
        }
        Value::Map(map) => {
            text.push_str("map[");
            for (at, (key, value)) in map.entries().enumerate() {
                separate(text, at);
                text.push_str(key);
                text.push(':');
                push(text, value, look);
            }
            text.push(']');
        }
        Value::Struct(value) => {
            text.push('{');
            for (at, (name, value)) in value.values().enumerate() {
                separate(text, at);
                if look == Look::Named {
                    text.push_str(name);
                    text.push(':');
                }
                push(text, value, look);
            }
            text.push('}');
        }
    }
}

fn separate(text: &mut String, at: usize) {
    if at > 0 {
        text.push(' ');
    }
}

/// Returns what Go's `Sprint` prints: a space between two of which neither is a text.
pub(crate) fn spaced(values: &[Value]) -> String {
    let mut text = String::new();
    let mut is_after_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !is_after_text {
            text.push(' ');
        }
        text.push_str(&plain(value));
        is_after_text = is_text;
    }
    text
}

/// Returns what Go's `Sprintln` prints: a space between any two.
pub(crate) fn line(values: &[Value]) -> String {
    let texts: Vec<_> = values.iter().map(plain).collect();
    texts.join(" ") + "\n"
}

/// Returns the text that the escaping functions escape.
pub(crate) fn as_text(values: &[Value]) -> String {
    match values {
        [Value::Text(text)] => text.to_string(),
        [one] => action(one),
        many => spaced(many),
    }
}

/// Returns a number as `%v` has it: as few digits as tell it from others, with an exponent where that is below -4 or
/// above 5.
pub(crate) fn general(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    format!("{mantissa}{}", exponent_text(exponent))
}

/// Returns an exponent as Go writes it: a sign and two digits at least.
pub(crate) fn exponent_text(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.unsigned_abs())
}
