//! How two configurations differ: the fields by their paths.

use oci::ImageConfig;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Compared, Scope};

/// A field that differs. What one has not is nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ConfigChange {
    /// The path of the field: `config.Env`.
    pub(super) field: String,
    /// What one says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) one: Option<Value>,
    /// What the other says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<Value>,
}

/// Compares two configurations but for the layers.
pub(super) fn compare(configs: [&ImageConfig; 2], scope: Scope) -> Vec<ConfigChange> {
    let [one, other] = configs.map(|config| value(config, scope));
    let mut changes = Vec::new();
    fields("", (&one, &other), &mut changes);
    changes
}

fn value(config: &ImageConfig, scope: Scope) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&config.to_bytes()) else {
        return Map::new();
    };
    fields.remove("rootfs");
    if scope.history == Compared::No {
        fields.remove("history");
    }
    if scope.times == Compared::No {
        fields.remove("created");
        let history = fields.get_mut("history").and_then(Value::as_array_mut);
        for entry in history.into_iter().flatten() {
            entry.as_object_mut().map(|entry| entry.remove("created"));
        }
    }
    fields
}

/// Objects are compared field by field, everything else as a whole.
fn fields(
    prefix: &str,
    (one, other): (&Map<String, Value>, &Map<String, Value>),
    changes: &mut Vec<ConfigChange>,
) {
    let only_there = other.keys().filter(|name| !one.contains_key(*name));
    for name in one.keys().chain(only_there) {
        let field = match prefix {
            "" => name.clone(),
            _ => format!("{prefix}.{name}"),
        };
        match (one.get(name), other.get(name)) {
            (Some(Value::Object(one)), Some(Value::Object(other))) => {
                fields(&field, (one, other), changes);
            }
            (one, other) if one == other => {}
            (one, other) => changes.push(ConfigChange {
                field,
                one: one.cloned(),
                other: other.cloned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ImageConfig {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},{text}}}"#
        );
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    fn compared(one: &str, other: &str, scope: Scope) -> Vec<String> {
        let changes = compare([&config(one), &config(other)], scope);
        let shown = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        changes
            .iter()
            .map(|change| {
                let (one, other) = (shown(&change.one), shown(&change.other));
                format!("{} {one} {other}", change.field)
            })
            .collect()
    }

    const ALL: Scope = Scope {
        times: Compared::Yes,
        history: Compared::Yes,
    };

    #[test]
    fn each_field_that_differs_is_named_by_its_path() {
        let one = r#""config":{"User":"a","Labels":{"x":"1","y":"2"},"Cmd":["a"]}"#;
        let other = r#""config":{"Labels":{"x":"1","y":"3"},"Cmd":["a","b"]}"#;
        assert_eq!(
            compared(one, other, ALL),
            [
                r#"config.User "a" -"#,
                r#"config.Cmd ["a"] ["a","b"]"#,
                r#"config.Labels.y "2" "3""#
            ]
        );
        assert_eq!(compared(one, one, ALL), Vec::<String>::new());
    }

    #[test]
    fn times_and_history_can_be_passed_over() {
        let one = r#""created":"2020-01-01T00:00:00Z","history":[{"created":"2020-01-01T00:00:00Z","created_by":"x"}]"#;
        let other = r#""created":"2021-01-01T00:00:00Z","history":[{"created":"2021-01-01T00:00:00Z","created_by":"x"}]"#;
        assert_eq!(compared(one, other, ALL).len(), 2);
        let times = Compared::No;
        assert_eq!(
            compared(one, other, Scope { times, ..ALL }),
            Vec::<String>::new()
        );
        let more = r#""created":"2020-01-01T00:00:00Z""#;
        let history = Compared::No;
        assert_eq!(
            compared(one, more, Scope { history, ..ALL }),
            Vec::<String>::new()
        );
    }
}
