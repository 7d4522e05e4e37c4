//! `--shm-size`, `--ulimit`: what each process of a command may use.

use std::collections::BTreeMap;

use dockerfile::number::parse_bytes;
use dockerfile::suggest;
use graph::Limit;
use runtime::LimitedResource;

use crate::args::LegacyArguments;

/// Why a limit cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// A size is none.
    #[error("`{flag} {text}`: `{text}` is no size: `64m`, `1g`, `1048576` are")]
    Size {
        /// The flag.
        flag: &'static str,
        /// What was typed.
        text: String,
    },
    /// It is no `NAME=SOFT[:HARD]`.
    #[error("`--ulimit {text}` is not `NAME=SOFT[:HARD]`")]
    Form {
        /// What was typed.
        text: String,
    },
    /// There is no such resource.
    #[error("`{flag} {text}`: there is no resource `{name}`{}", did_you_mean(near.as_ref()))]
    Resource {
        /// The flag.
        flag: &'static str,
        /// What was typed.
        text: String,
        /// The name.
        name: String,
        /// What was perhaps meant.
        near: Option<String>,
    },
    /// A limit is no number.
    #[error("`--ulimit {text}`: `{value}` is no limit: a number is, or -1 for none")]
    Value {
        /// What was typed.
        text: String,
        /// The limit.
        value: String,
    },
    /// The soft limit is above the hard one.
    #[error("`--ulimit {text}`: the soft limit is above the hard limit")]
    Order {
        /// What was typed.
        text: String,
    },
}

fn did_you_mean(near: Option<&String>) -> String {
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Returns the size of `/dev/shm`; none for 0, with which other builders mean the usual one.
pub(super) fn shared_memory_bytes(text: Option<&str>) -> Result<Option<u64>, LimitError> {
    let Some(text) = text else { return Ok(None) };
    let size = size("--shm-size", text)?;
    Ok((size > 0).then_some(size))
}

/// Returns how much memory commands may be expected to need together: what the flag says, or else the configuration;
/// none for 0.
pub(super) fn memory_budget_bytes(
    flag: Option<&str>,
    configured: Option<&str>,
) -> Result<Option<u64>, LimitError> {
    let size = match (flag, configured) {
        (Some(text), _) => size("--memory-budget", text)?,
        (None, Some(text)) => size("memory-budget", text)?,
        (None, None) => 0,
    };
    Ok((size > 0).then_some(size))
}

fn size(flag: &'static str, text: &str) -> Result<u64, LimitError> {
    parse_bytes(text).ok_or_else(|| LimitError::Size {
        flag,
        text: text.to_owned(),
    })
}

/// Returns the limits in the order of their names; the last one of a name counts.
pub(super) fn limits(texts: &[String]) -> Result<Vec<Limit>, LimitError> {
    let mut limits = BTreeMap::new();
    for text in texts {
        let limit = limit(text)?;
        limits.insert(limit.resource.clone(), limit);
    }
    Ok(limits.into_values().collect())
}

fn limit(text: &str) -> Result<Limit, LimitError> {
    let form = || LimitError::Form {
        text: text.to_owned(),
    };
    let (name, values) = text.split_once('=').ok_or_else(form)?;
    let resource = LimitedResource::from_name(name).ok_or_else(|| LimitError::Resource {
        flag: "--ulimit",
        text: text.to_owned(),
        name: name.to_owned(),
        near: suggest::nearest(name, LimitedResource::names()).map(str::to_owned),
    })?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (value(text, soft)?, value(text, hard)?);
    let is_above = |hard: u64| soft.is_none_or(|soft| soft > hard);
    if hard.is_some_and(is_above) {
        let text = text.to_owned();
        return Err(LimitError::Order { text });
    }
    Ok(Limit {
        resource: resource.name().to_owned(),
        soft,
        hard,
    })
}

/// Reads a number, or -1 for no limit.
fn value(text: &str, value: &str) -> Result<Option<u64>, LimitError> {
    if value == "-1" {
        return Ok(None);
    }
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_number);
    number.map(Some).ok_or_else(|| LimitError::Value {
        text: text.to_owned(),
        value: value.to_owned(),
    })
}

/// Returns what is to be told of the arguments that change nothing.
pub(super) fn warnings(legacy: &LegacyArguments) -> Vec<String> {
    let mut warnings = Vec::new();
    if legacy.isolation.is_some() {
        warnings
            .push("`--isolation` changes nothing: there is one way to isolate commands".to_owned());
    }
    if !legacy.security_options.is_empty() {
        warnings.push(
            "`--security-opt` changes nothing: `RUN --security=insecure` lifts what it would lift"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_a_soft_and_a_hard_value() {
        for (text, soft, hard) in [
            ("nofile=1062", Some(1062), Some(1062)),
            ("nofile=10:20", Some(10), Some(20)),
            ("core=-1", None, None),
            ("core=0:-1", Some(0), None),
        ] {
            let found = limit(text).unwrap();
            assert_eq!((found.soft, found.hard), (soft, hard), "{text}");
        }
    }

    #[test]
    fn limits_are_told_by_name_and_the_last_counts() {
        let texts = ["nproc=5", "core=1", "nproc=7:9"].map(str::to_owned);
        let found = limits(&texts).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|limit| (limit.resource.as_str(), limit.soft))
            .collect();
        assert_eq!(found, [("core", Some(1)), ("nproc", Some(7))]);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (text, expected) in [
            ("nofile", "`--ulimit nofile` is not `NAME=SOFT[:HARD]`"),
            (
                "nofiles=1",
                "`--ulimit nofiles=1`: there is no resource `nofiles`; did you mean `nofile`?",
            ),
            ("as=1", "`--ulimit as=1`: there is no resource `as`"),
            (
                "nofile=many",
                "`--ulimit nofile=many`: `many` is no limit: a number is, or -1 for none",
            ),
            (
                "nofile=+1",
                "`--ulimit nofile=+1`: `+1` is no limit: a number is, or -1 for none",
            ),
            (
                "nofile=1:",
                "`--ulimit nofile=1:`: `` is no limit: a number is, or -1 for none",
            ),
            (
                "nofile=2:1",
                "`--ulimit nofile=2:1`: the soft limit is above the hard limit",
            ),
            (
                "nofile=-1:1",
                "`--ulimit nofile=-1:1`: the soft limit is above the hard limit",
            ),
        ] {
            assert_eq!(limit(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_flag_goes_before_the_configuration() {
        for (flag, configured, expected) in [
            (Some("1k"), Some("2k"), Some(1024)),
            (None, Some("2k"), Some(2048)),
            (Some("0"), Some("2k"), None),
            (None, None, None),
        ] {
            let found = memory_budget_bytes(flag, configured).unwrap();
            assert_eq!(found, expected, "{flag:?} {configured:?}");
        }
        assert_eq!(
            memory_budget_bytes(None, Some("much"))
                .unwrap_err()
                .to_string(),
            "`memory-budget much`: `much` is no size: `64m`, `1g`, `1048576` are"
        );
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        for (text, expected) in [
            (None, None),
            (Some("0"), None),
            (Some("134217728"), Some(134_217_728)),
            (Some("64m"), Some(64 << 20)),
            (Some("1.5GiB"), Some(3 << 29)),
        ] {
            assert_eq!(shared_memory_bytes(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(
            shared_memory_bytes(Some("-1")).unwrap_err().to_string(),
            "`--shm-size -1`: `-1` is no size: `64m`, `1g`, `1048576` are"
        );
    }

    #[test]
    fn what_changes_nothing_is_told() {
        let legacy = LegacyArguments {
            isolation: Some("default".to_owned()),
            rm: Some(true),
            ..LegacyArguments::default()
        };
        assert_eq!(
            warnings(&legacy),
            ["`--isolation` changes nothing: there is one way to isolate commands".to_owned()]
        );
        assert_eq!(warnings(&LegacyArguments::default()), Vec::<String>::new());
    }
}
