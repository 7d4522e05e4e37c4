//! What docker's `config.json` says beside credentials: headers and proxies.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use crate::config::file::{ConfigError, Owner, parse_json, read};

/// Headers with this prefix are for registries; docker sends the others to its daemon alone.
const REGISTRY_HEADERS: &str = "x-meta-";

/// The key of the proxies that count where there is no daemon, and of those that docker takes for the local one.
const PROXY_KEYS: [&str; 2] = ["unix:///var/run/docker.sock", "default"];

/// The keys of proxies, and the variables that they become, in upper and in lower case.
const PROXIES: [(&str, [&str; 2]); 5] = [
    ("httpProxy", ["HTTP_PROXY", "http_proxy"]),
    ("httpsProxy", ["HTTPS_PROXY", "https_proxy"]),
    ("noProxy", ["NO_PROXY", "no_proxy"]),
    ("ftpProxy", ["FTP_PROXY", "ftp_proxy"]),
    ("allProxy", ["ALL_PROXY", "all_proxy"]),
];

/// What docker's file says. The values may be secret and are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DockerSettings {
    /// Headers for registries: those of `HttpHeaders` that begin with `X-Meta-`.
    pub headers: Vec<(String, String)>,
    /// Build arguments that are set unless they are given: `proxies`.
    pub build_args: Vec<(&'static str, String)>,
}

impl fmt::Debug for DockerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let build_args: Vec<_> = self.build_args.iter().map(|(name, _)| name).collect();
        f.debug_struct("DockerSettings")
            .field("headers", &headers)
            .field("build_args", &build_args)
            .finish()
    }
}

impl DockerSettings {
    /// Reads them; a file that is not there says nothing.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        match read(path, Owner::User)? {
            Some(text) if !text.trim().is_empty() => Self::parse(path, &text),
            _ => Ok(Self::default()),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let root = parse_json(path, text)?;
        let mut settings = Self::default();
        if let Some(Value::Object(headers)) = root.get("HttpHeaders") {
            for (name, value) in headers {
                if name.to_ascii_lowercase().starts_with(REGISTRY_HEADERS) {
                    let value = text_of(path, &format!("HttpHeaders.\"{name}\""), value)?;
                    settings.headers.push((name.clone(), value));
                }
            }
        }
        let proxies = root.get("proxies");
        let chosen = PROXY_KEYS.iter().find_map(|key| proxies?.get(key));
        for (key, variables) in PROXIES {
            let Some(value) = chosen.and_then(|chosen| chosen.get(key)) else {
                continue;
            };
            let value = text_of(path, &format!("proxies.*.{key}"), value)?;
            let set = variables.map(|variable| (variable, value.clone()));
            settings
                .build_args
                .extend(set.into_iter().filter(|(_, value)| !value.is_empty()));
        }
        Ok(settings)
    }
}

fn text_of(path: &Path, key: &str, value: &Value) -> Result<String, ConfigError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| ConfigError::Value {
        path: path.to_owned(),
        key: key.to_owned(),
        expected: "a text",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_become_build_arguments_in_both_cases() {
        let text = include_str!("examples/config.json");
        let settings = DockerSettings::parse(Path::new("config.json"), text).unwrap();
        let proxy = "http://user:hidden@proxy.example:3128".to_owned();
        let none = "localhost,.example".to_owned();
        assert_eq!(
            settings.build_args,
            [
                ("HTTP_PROXY", proxy.clone()),
                ("http_proxy", proxy),
                ("NO_PROXY", none.clone()),
                ("no_proxy", none),
            ]
        );
        assert!(!format!("{settings:?}").contains("hidden"));
    }

    #[test]
    fn the_local_daemons_proxies_go_before_the_default() {
        let text = r#"{"proxies": {"default": {"httpProxy": "http://a"},
            "unix:///var/run/docker.sock": {"httpProxy": "http://b"}}}"#;
        let settings = DockerSettings::parse(Path::new("config.json"), text).unwrap();
        assert_eq!(
            settings.build_args.first(),
            Some(&("HTTP_PROXY", "http://b".to_owned()))
        );
    }

    #[test]
    fn headers_for_registries_are_those_that_docker_passes_on() {
        let text = include_str!("examples/config.json");
        let settings = DockerSettings::parse(Path::new("config.json"), text).unwrap();
        let expected = ("X-Meta-Source".to_owned(), "ci".to_owned());
        assert_eq!(settings.headers, [expected]);
        let wrong = r#"{"HttpHeaders": {"X-Meta-A": 5}}"#;
        let error = DockerSettings::parse(Path::new("c"), wrong).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`c`: `HttpHeaders.\"X-Meta-A\"` is not a text"
        );
    }
}
