//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`.

use std::cmp::Ordering;

use crate::call::Called;
use crate::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";

/// Tells whether the first argument equals one of the others.
pub(crate) fn equal(arguments: &[Value]) -> Called {
    match arguments {
        [] => Err("wrong number of args for eq: want at least 1 got 0".to_owned()),
        [_] => Err("missing argument for comparison".to_owned()),
        [first, others @ ..] => {
            for other in others {
                if are_equal(first, other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
    }
}

/// Tells whether two differ.
pub(crate) fn not_equal(a: &Value, b: &Value) -> Called {
    are_equal(a, b).map(|equal| Value::Bool(!equal))
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Absent | Value::Null | Value::Nil(_) | Value::List(None) => true,
        Value::Map(map) => map.is_nil(),
        _ => false,
    }
}

fn are_equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        _ if is_nil(a) || is_nil(b) => Ok(is_nil(a) && is_nil(b)),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b) == Some(Ordering::Equal)),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::List(_) | Value::Map(_) | Value::Struct(_), _)
        | (_, Value::List(_) | Value::Map(_) | Value::Struct(_)) => {
            Err("non-comparable type".to_owned())
        }
        _ => Err(INCOMPATIBLE.to_owned()),
    }
}

/// Tells whether two are in an order.
pub(crate) fn ordered(name: &str, a: &Value, b: &Value) -> Called {
    let order = match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (
            Value::Int(_) | Value::Float(_) | Value::Text(_),
            Value::Int(_) | Value::Float(_) | Value::Text(_),
        ) => {
            return Err(INCOMPATIBLE.to_owned());
        }
        _ => return Err("invalid type for comparison".to_owned()),
    };
    Ok(Value::Bool(match name {
        "lt" => order == Some(Ordering::Less),
        "le" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        "gt" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }))
}
