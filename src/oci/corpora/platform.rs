//! Operations of the table `platform`.

use serde_json::{Map, Value, json};

use super::{Answer, Case};
use crate::platform::Platform;

pub(super) fn check(case: &Case) -> Result<(), String> {
    let pair = || Ok::<_, String>((parse(case, "platform")?, parse(case, "candidate")?));
    let answer = match case.op() {
        "parse" => answer_parse(case),
        "format_all" => Ok(json!(from_parts(case.input("platform")).format_all())),
        "match_exact" => parse(case, "platform")
            .map(|platform| json!(platform.is_same(&from_parts(case.input("candidate"))))),
        "match_only" => pair().map(|(platform, other)| json!(platform.can_run(&other))),
        "match_strict" => pair().map(|(platform, other)| json!(platform.is_same(&other))),
        "match_os" => pair().map(|(platform, other)| json!(platform.has_same_os(&other))),
        "order" => order(case, Platform::preference),
        "order_os" => order(case, Platform::os_preference),
        _ => return case.unknown(),
    };
    case.compare(answer)
}

/// The Go tests, where these cases are from, are taken to run on this machine.
fn host() -> Platform {
    Platform::new("linux", "amd64")
}

fn parse_text(text: &str) -> Result<Platform, String> {
    Platform::parse(text, &host()).map_err(|error| error.to_string())
}

fn parse(case: &Case, key: &str) -> Result<Platform, String> {
    parse_text(case.text(key))
}

fn answer_parse(case: &Case) -> Answer {
    let host = parse(case, "default")?;
    let platform =
        Platform::parse(case.text("platform"), &host).map_err(|error| error.to_string())?;
    let mut parts = to_parts(&platform);
    parts.insert("formatted".to_owned(), json!(platform.format_all()));
    // The case names every part that is not empty, so one that it does not name has to be empty.
    let expected = case.expected().and_then(Value::as_object);
    let is_surplus = |key: &str| expected.is_some_and(|expected| !expected.contains_key(key));
    match parts
        .iter()
        .find(|(key, value)| is_surplus(key) && !super::is_empty(value))
    {
        Some((key, value)) => Err(format!("{key} is {value}")),
        None => Ok(Value::Object(parts)),
    }
}

fn to_parts(platform: &Platform) -> Map<String, Value> {
    let parts = json!({
        "os": platform.os,
        "architecture": platform.architecture,
        "variant": platform.variant,
        "os_version": platform.os_version,
        "os_features": platform.os_features,
    });
    parts.as_object().cloned().unwrap_or_default()
}

fn from_parts(parts: &Value) -> Platform {
    let text = |key: &str| parts[key].as_str().map(str::to_owned);
    let features = parts["os_features"].as_array().into_iter().flatten();
    Platform {
        architecture: text("architecture").unwrap_or_default(),
        os: text("os").unwrap_or_default(),
        os_version: text("os_version"),
        os_features: features
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        variant: text("variant"),
    }
}

fn order<K: Ord>(case: &Case, key: fn(&Platform, &Platform) -> K) -> Answer {
    let platform = parse(case, "platform")?;
    let texts = case
        .input("candidates")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let mut candidates = texts.map(parse_text).collect::<Result<Vec<_>, _>>()?;
    candidates.sort_by_key(|candidate| key(&platform, candidate));
    Ok(candidates.iter().map(Platform::format_all).collect())
}
