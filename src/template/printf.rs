//! `printf`: the verbs and flags of Go's `fmt`.

use crate::limits::WIDTH_MAX;
use crate::print::{self, Look, exponent_text};
use crate::value::Value;

/// `%[flags][width][.precision]verb`
#[derive(Clone, Copy, Debug, Default)]
struct Directive {
    is_left: bool,
    has_sign: bool,
    is_alternate: bool,
    has_space: bool,
    has_zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats arguments by the first one.
pub(crate) fn format(arguments: &[Value]) -> Result<String, String> {
    let Some((Value::Text(form), values)) = arguments.split_first() else {
        return Err(match arguments.first() {
            None => "wrong number of args for printf: want at least 1 got 0".to_owned(),
            Some(other) => {
                format!(
                    "wrong type for value; expected string; got {}",
                    other.type_name()
                )
            }
        });
    };
    let mut text = String::new();
    let mut left = values.iter();
    let mut characters = form.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let directive = Directive::parse(&mut characters, &mut left)?;
        match characters.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) => match left.next() {
                Some(value) => text.push_str(&directive.padded(value, verb)),
                None => text.extend(["%!", verb.to_string().as_str(), "(MISSING)"]),
            },
        }
    }
    let extra: Vec<_> = left
        .map(|value| format!("{}={}", value.type_name(), print::plain(value)))
        .collect();
    if !extra.is_empty() {
        text.extend(["%!(EXTRA ", extra.join(", ").as_str(), ")"]);
    }
    Ok(text)
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads digits, or the argument that a star stands for.
fn number(
    characters: &mut Characters<'_>,
    left: &mut std::slice::Iter<'_, Value>,
) -> Result<Option<i64>, String> {
    if characters.next_if_eq(&'*').is_some() {
        return match left.next() {
            Some(Value::Int(number)) => Ok(Some(*number)),
            _ => Err("a `*` without a whole number for it".to_owned()),
        };
    }
    let mut found = None;
    while let Some(digit) = characters.peek().and_then(|c| c.to_digit(10)) {
        characters.next();
        let value = found.unwrap_or(0) * 10 + i64::from(digit);
        check_width(value)?;
        found = Some(value);
    }
    Ok(found)
}

fn check_width(value: i64) -> Result<usize, String> {
    let width = usize::try_from(value.unsigned_abs()).unwrap_or(usize::MAX);
    if width > WIDTH_MAX {
        return Err(format!("a width of more than {WIDTH_MAX}"));
    }
    Ok(width)
}

impl Directive {
    fn parse(
        characters: &mut Characters<'_>,
        left: &mut std::slice::Iter<'_, Value>,
    ) -> Result<Self, String> {
        let mut directive = Self::default();
        while let Some(flag) = characters.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => directive.is_left = true,
                '+' => directive.has_sign = true,
                '#' => directive.is_alternate = true,
                ' ' => directive.has_space = true,
                _ => directive.has_zeros = true,
            }
        }
        if let Some(width) = number(characters, left)? {
            directive.is_left |= width < 0;
            directive.width = check_width(width)?;
        }
        if characters.next_if_eq(&'.').is_some() {
            let precision = number(characters, left)?.unwrap_or(0);
            directive.precision = Some(check_width(precision.max(0))?);
        }
        Ok(directive)
    }

    /// Returns a value in its width.
    fn padded(self, value: &Value, verb: char) -> String {
        let text = self.formatted(value, verb);
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.is_left {
            return text + &" ".repeat(missing);
        }
        let is_number = matches!(value, Value::Int(_) | Value::Float(_));
        if !self.has_zeros
            || (is_number && self.precision.is_some() && matches!(value, Value::Int(_)))
        {
            return " ".repeat(missing) + &text;
        }
        // The sign stays in front of the zeros.
        let (sign, digits) = match text.strip_prefix(['-', '+', ' ']) {
            Some(digits) if is_number => text.split_at(text.len() - digits.len()),
            _ => ("", text.as_str()),
        };
        format!("{sign}{}{digits}", "0".repeat(missing))
    }

    fn formatted(self, value: &Value, verb: char) -> String {
        let formatted = match (value, verb) {
            (_, 'T') => Some(value.type_name().to_owned()),
            (_, 'v') if self.is_alternate => None,
            (Value::Int(number), 'v') => Some(self.whole(*number, 'd')),
            (_, 'v') => {
                let look = if self.has_sign {
                    Look::Named
                } else {
                    Look::Plain
                };
                Some(print::with_look(value, look))
            }
            (Value::Bool(value), 't') => Some(value.to_string()),
            (Value::Text(text), _) => self.text(text, verb),
            (Value::Int(number), 'd' | 'x' | 'X' | 'o' | 'b') => Some(self.whole(*number, verb)),
            (Value::Int(number), 'c' | 'q' | 'U') => Some(character(*number, verb)),
            (Value::Float(number), 'f' | 'F' | 'e' | 'E' | 'g' | 'G') => {
                Some(self.float(*number, verb))
            }
            (Value::List(Some(items)), _) => {
                let texts: Vec<_> = items
                    .iter()
                    .map(|item| self.formatted(item, verb))
                    .collect();
                Some(format!("[{}]", texts.join(" ")))
            }
            (Value::List(None), _) => Some("[]".to_owned()),
            (Value::Struct(value), _) => {
                let fields = value.values().map(|(_, value)| self.formatted(value, verb));
                Some(format!("{{{}}}", fields.collect::<Vec<_>>().join(" ")))
            }
            (Value::Map(map), _) => {
                let entry = |(key, value): (&String, &Value)| {
                    let key = self.formatted(&key.into(), verb);
                    format!("{key}:{}", self.formatted(value, verb))
                };
                let entries: Vec<_> = map.entries().map(entry).collect();
                Some(format!("map[{}]", entries.join(" ")))
            }
            (Value::Absent | Value::Null | Value::Nil(_), _) => return format!("%!{verb}(<nil>)"),
            _ => None,
        };
        formatted
            .unwrap_or_else(|| format!("%!{verb}({}={})", value.type_name(), print::plain(value)))
    }

    fn text(self, text: &str, verb: char) -> Option<String> {
        let cut = |text: &str| match self.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text.to_owned(),
        };
        let hexadecimal = |upper: bool| -> String {
            let digit = |byte: u8| {
                if upper {
                    format!("{byte:02X}")
                } else {
                    format!("{byte:02x}")
                }
            };
            text.bytes().map(digit).collect()
        };
        match verb {
            's' => Some(cut(text)),
            'q' => Some(quoted(&cut(text))),
            'x' => Some(hexadecimal(false)),
            'X' => Some(hexadecimal(true)),
            _ => None,
        }
    }

    fn whole(self, number: i64, verb: char) -> String {
        let magnitude = number.unsigned_abs();
        let (prefix, digits) = match verb {
            'x' => ("0x", format!("{magnitude:x}")),
            'X' => ("0X", format!("{magnitude:X}")),
            'o' => ("0", format!("{magnitude:o}")),
            'b' => ("0b", format!("{magnitude:b}")),
            _ => ("", magnitude.to_string()),
        };
        let prefix = if self.is_alternate { prefix } else { "" };
        let least = self.precision.unwrap_or(0);
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        format!("{}{prefix}{zeros}{digits}", self.sign(number < 0))
    }

    fn sign(self, is_negative: bool) -> &'static str {
        match (is_negative, self.has_sign, self.has_space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    fn float(self, number: f64, verb: char) -> String {
        let magnitude = number.abs();
        let digits = match verb.to_ascii_lowercase() {
            'f' => format!("{magnitude:.*}", self.precision.unwrap_or(6)),
            'e' => {
                let text = format!("{magnitude:.*e}", self.precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                format!(
                    "{mantissa}{}",
                    exponent_text(exponent.parse().unwrap_or_default())
                )
            }
            _ => match self.precision {
                Some(precision) => general(magnitude, precision),
                None => print::general(magnitude),
            },
        };
        let digits = if verb.is_ascii_uppercase() {
            digits.to_uppercase()
        } else {
            digits
        };
        format!("{}{digits}", self.sign(number.is_sign_negative()))
    }
}

/// Returns a number of so many digits as `%g` has it, without zeros at its end.
fn general(magnitude: f64, precision: usize) -> String {
    let digits = precision.max(1);
    let text = format!("{magnitude:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let limit = i32::try_from(digits).unwrap_or(i32::MAX);
    let short = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= limit {
        return format!("{}{}", short(mantissa), exponent_text(exponent));
    }
    let behind = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    short(&format!("{magnitude:.behind$}"))
}

fn character(number: i64, verb: char) -> String {
    let c = u32::try_from(number)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}');
    match verb {
        'c' => c.to_string(),
        'U' => format!("U+{:04X}", u32::from(c)),
        _ => format!("'{}'", c.escape_default()),
    }
}

/// Returns a text in Go's double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0b' => quoted.push_str("\\v"),
            '\x0c' => quoted.push_str("\\f"),
            _ if c.is_control() => {
                let code = u32::from(c);
                let escape = if code < 0x80 {
                    format!("\\x{code:02x}")
                } else {
                    format!("\\u{code:04x}")
                };
                quoted.push_str(&escape);
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
