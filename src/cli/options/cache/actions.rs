//! `type=gha`: the attributes of a cache in the cache service of GitHub Actions.
//!
//! What they do not say the environment of a workflow's step does, as with buildx.

use std::time::Duration;

use remotecache::GhaCache;

use super::attribute::Attributes;
use super::{CachePlace, CacheUsageError};
use crate::env::Environment;

/// The attributes.
pub(super) const KEYS: [&str; 8] = [
    "scope",
    "version",
    "url",
    "url_v2",
    "token",
    "repository",
    "ghtoken",
    "timeout",
];

/// Why a cache of this type cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GhaUsageError {
    /// What is asked is not said, or malformed.
    #[error(transparent)]
    Settings(#[from] gha::SettingsError),
    /// `timeout` is no duration.
    #[error("`timeout={text}` of `type=gha` is no duration like `10m` or `90s`")]
    Timeout {
        /// The text.
        text: String,
    },
}

/// Returns the place that attributes name.
pub(super) fn place(
    attributes: &Attributes<'_>,
    env: &Environment,
) -> Result<CachePlace, CacheUsageError> {
    let text = |key: &str| attributes.get(key).map(str::to_owned);
    let timeout = attributes.get("timeout").map(duration).transpose();
    let given = gha::Attributes {
        scope: text("scope"),
        version: text("version"),
        url: text("url"),
        url_v2: text("url_v2"),
        token: text("token"),
        repository: text("repository"),
        ghtoken: text("ghtoken"),
        timeout: timeout?,
    };
    let settings = gha::Settings::choose(&given, &env.actions).map_err(GhaUsageError::from)?;
    Ok(CachePlace::Gha(Box::new(GhaCache::new(settings))))
}

fn duration(text: &str) -> Result<Duration, GhaUsageError> {
    let duration: Option<jiff::SignedDuration> = text.parse().ok();
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| GhaUsageError::Timeout {
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn options(to: &str, env: &Environment) -> Result<CacheOptions, String> {
        let arguments = CacheArguments {
            cache_to: vec![to.to_owned()],
            ..CacheArguments::default()
        };
        CacheOptions::new(&arguments, &BTreeMap::new(), env).map_err(|error| error.to_string())
    }

    fn workflow() -> Environment {
        Environment {
            actions: gha::Surroundings {
                runtime_token: Some("SECRET".to_owned()),
                results_url: Some("https://results.example/".to_owned()),
                ..gha::Surroundings::default()
            },
            ..Environment::default()
        }
    }

    #[test]
    fn a_cache_of_a_workflow_has_the_attributes_of_buildx() {
        let text = "type=gha,mode=max,scope=app,timeout=90s,ignore-error=true,version=2,url=https://a/,\
                    url_v2=https://b/,token=SECRET,repository=o/n,ghtoken=SECRET,compression=zstd";
        for text in ["type=gha", text] {
            let options = options(text, &workflow()).unwrap();
            let [CacheDestination::Place(to)] = options.to.as_slice() else {
                panic!("{options:?}");
            };
            assert!(matches!(to.place, CachePlace::Gha(_)));
            assert!(!format!("{options:?}").contains("SECRET"));
        }
    }

    #[test]
    fn cache_mounts_are_taken_from_a_workflow_or_not_as_it_is_said() {
        for (text, expected) in [
            ("type=gha", MountSelection::All),
            ("type=gha,mounts=none", MountSelection::None),
            ("type=gha,mounts=a", MountSelection::parse(["a"])),
        ] {
            let arguments = CacheArguments {
                cache_from: vec![text.to_owned()],
                ..CacheArguments::default()
            };
            let options = CacheOptions::new(&arguments, &BTreeMap::new(), &workflow()).unwrap();
            assert_eq!(options.from[0].mounts, expected, "{text}");
        }
    }

    #[test]
    fn t_g03_what_is_wrong_is_named_and_no_secret_is_shown() {
        for (text, expected) in [
            (
                "type=gha,timeout=soon",
                "`timeout=soon` of `type=gha` is no duration like `10m` or `90s`",
            ),
            (
                "type=gha,timeout=-1m",
                "`timeout=-1m` of `type=gha` is no duration like `10m` or `90s`",
            ),
            (
                "type=gha,token=SECRET,ghtoken=SECRET,alone",
                "`--cache-to type=gha,token=…,ghtoken=…,alone`: `alone` is no `key=value`",
            ),
            (
                "token=SECRET,a=b",
                "`--cache-to token=…,a=b` does not say its `type`: `registry`, `local`, `gha` and `inline` are known",
            ),
            (
                "type=s3,access_key_id=SECRET,secret_access_key=SECRET,region",
                "`--cache-to type=s3,access_key_id=…,secret_access_key=…,region`: `region` is no `key=value`",
            ),
            (
                "url_v2=https://me:SECRET@host/,url=https://host/?sig=SECRET,a=b",
                "`--cache-to url_v2=…,url=…,a=b` does not say its `type`: `registry`, `local`, `gha` and `inline` \
                 are known",
            ),
            (
                "a=b,\"token=SECRET,SECRET\",c=d",
                "`--cache-to a=b,\"token=…` does not say its `type`: `registry`, `local`, `gha` and `inline` are known",
            ),
            (
                "type=gha,\"token=SECRET,SECRET",
                "`--cache-to type=gha,\"token=…` is no list of `key=value`",
            ),
            (
                "type=gha,ref=a",
                "`--cache-to type=gha` has no attribute `ref`: `scope`, `version`, `url`, `url_v2`, `token`, \
                 `repository`, `ghtoken`, `timeout`, `mode`, `compression`, `compression-level`, \
                 `force-compression`, `oci-mediatypes`, `image-manifest`, `ignore-error`, `mounts` are known",
            ),
        ] {
            let found = options(text, &workflow()).map(drop);
            assert_eq!(found, Err(expected.to_owned()));
        }
        let found = options("type=gha", &Environment::default()).map(drop);
        assert!(found.unwrap_err().contains("`ACTIONS_RUNTIME_TOKEN`"));
    }
}
