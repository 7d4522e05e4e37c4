//! Which service is asked, as whom, and for what: what the user says, else what the workflow's environment says.

use std::fmt;
use std::time::Duration;

use fetch::{Url, UrlError};

use crate::key;
use crate::limits::{SCOPE_MAX_CHARS, TIMEOUT};
use crate::token::Token;

/// The scope where the user names none: the word that BuildKit has.
const SCOPE: &str = "buildkit";

/// Where GitHub answers questions that are not the cache service's.
const API: &str = "https://api.github.com";

/// What the user says of a cache: the attributes of `type=gha`.
#[derive(Clone, Default)]
pub struct Attributes {
    /// `scope`: the name of the cache.
    pub scope: Option<String>,
    /// `version`: which protocol is spoken, `1` or `2`.
    pub version: Option<String>,
    /// `url`: the service of the first protocol.
    pub url: Option<String>,
    /// `url_v2`: the service of the second protocol.
    pub url_v2: Option<String>,
    /// `token`: the job's token. It is secret.
    pub token: Option<String>,
    /// `repository`: the repository on GitHub, `owner/name`.
    pub repository: Option<String>,
    /// `ghtoken`: a token for GitHub's API. It is secret.
    pub ghtoken: Option<String>,
    /// `timeout`: how long an import or an export may take.
    pub timeout: Option<Duration>,
}

/// What the environment of a workflow's step says.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// `ACTIONS_RUNTIME_TOKEN`. It is secret.
    pub runtime_token: Option<String>,
    /// `ACTIONS_RESULTS_URL`: the service of the second protocol.
    pub results_url: Option<String>,
    /// `ACTIONS_CACHE_URL`: the service of the first protocol.
    pub cache_url: Option<String>,
    /// `ACTIONS_CACHE_SERVICE_V2`: whether the second protocol is spoken.
    pub service_v2: Option<String>,
    /// `GITHUB_REPOSITORY`: the repository of the workflow.
    pub repository: Option<String>,
    /// `GITHUB_API_URL`: GitHub's API.
    pub api_url: Option<String>,
}

/// Why a cache of this kind cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nobody says who we are.
    #[error(
        "`type=gha` needs the token of a workflow's job: `ACTIONS_RUNTIME_TOKEN`, which the action \
         `crazy-max/ghaction-github-runtime` exports, or `token=`"
    )]
    NoToken,
    /// Nobody says whom to ask.
    #[error(
        "`type=gha` needs the URL of the cache service: `ACTIONS_RESULTS_URL` or `ACTIONS_CACHE_URL`, which the action \
         `crazy-max/ghaction-github-runtime` exports, or `url_v2=` or `url=`"
    )]
    NoUrl,
    /// What should be a URL is none.
    #[error("`{name}` of `type=gha` is no URL")]
    Url {
        /// The name of the attribute or the variable.
        name: &'static str,
        /// What is wrong with it.
        source: UrlError,
    },
    /// There is no such protocol.
    #[error("`version={text}` of `type=gha`: `1` and `2` are known")]
    Version {
        /// What was given.
        text: String,
    },
    /// The scope does not fit into a key.
    #[error("`scope` of `type=gha` has more than {SCOPE_MAX_CHARS} characters")]
    Scope,
    /// The repository is none.
    #[error("`repository={text}` of `type=gha` is not like `owner/name`")]
    Repository {
        /// What was given.
        text: String,
    },
    /// A token for GitHub's API, and no repository.
    #[error("`ghtoken` of `type=gha` needs `repository=owner/name`")]
    NoRepository,
}

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `_apis/artifactcache`.
    One,
    /// `twirp/github.actions.results.api.v1.CacheService`.
    Two,
}

/// Which service is asked, as whom, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) version: Version,
    pub(crate) url: Url,
    pub(crate) token: Token,
    pub(crate) scope: String,
    pub(crate) listing: Option<Listing>,
    pub(crate) timeout: Duration,
}

/// Where and as whom it is asked which entries there are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) api: Url,
    pub(crate) repository: String,
    pub(crate) token: String,
}

impl Settings {
    /// Chooses what is asked.
    ///
    /// # Errors
    ///
    /// Fails when neither the user nor the environment names a token and a service, and when something is malformed.
    pub fn choose(
        attributes: &Attributes,
        surroundings: &Surroundings,
    ) -> Result<Self, SettingsError> {
        let token = given(attributes.token.as_ref()).or(given(surroundings.runtime_token.as_ref()));
        let token = token.ok_or(SettingsError::NoToken)?;
        let version = version(attributes, surroundings)?;
        let scope = given(attributes.scope.as_ref()).unwrap_or(SCOPE).to_owned();
        if key::encoded(&scope).len() > SCOPE_MAX_CHARS {
            return Err(SettingsError::Scope);
        }
        Ok(Self {
            version,
            url: service_url(version, attributes, surroundings)?,
            token: Token::new(token.to_owned()),
            scope,
            listing: listing(attributes, surroundings)?,
            timeout: attributes.timeout.unwrap_or(TIMEOUT),
        })
    }

    /// Returns the name of the cache.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Tells whether the job may write, as far as its token says.
    pub fn may_write(&self) -> bool {
        self.token.written().is_some()
    }
}

/// A service that speaks the second protocol is asked by it, and `url` is then not looked at, as with buildx; where nobody
/// says which one it is, the URL does.
fn version(attributes: &Attributes, surroundings: &Surroundings) -> Result<Version, SettingsError> {
    match given(attributes.version.as_ref()) {
        Some("1") => return Ok(Version::One),
        Some("2") => return Ok(Version::Two),
        Some(text) => {
            let text = text.to_owned();
            return Err(SettingsError::Version { text });
        }
        None => {}
    }
    let names_two = given(attributes.url_v2.as_ref()).is_some();
    let names_one = given(attributes.url.as_ref()).is_some();
    let says_two = given(surroundings.service_v2.as_ref()).is_some_and(is_true);
    let has_one = given(surroundings.cache_url.as_ref()).is_some();
    let is_two = names_two || says_two || !names_one && !has_one;
    Ok(if is_two { Version::Two } else { Version::One })
}

fn service_url(
    version: Version,
    attributes: &Attributes,
    surroundings: &Surroundings,
) -> Result<Url, SettingsError> {
    let results = ("ACTIONS_RESULTS_URL", surroundings.results_url.as_ref());
    let candidates = match version {
        Version::Two => [("url_v2", attributes.url_v2.as_ref()), results, results],
        Version::One => [
            ("url", attributes.url.as_ref()),
            ("ACTIONS_CACHE_URL", surroundings.cache_url.as_ref()),
            results,
        ],
    };
    let named = candidates
        .into_iter()
        .find_map(|(name, url)| Some((name, given(url)?)));
    let (name, url) = named.ok_or(SettingsError::NoUrl)?;
    parsed(name, url)
}

fn listing(
    attributes: &Attributes,
    surroundings: &Surroundings,
) -> Result<Option<Listing>, SettingsError> {
    let Some(token) = given(attributes.ghtoken.as_ref()) else {
        return Ok(None);
    };
    let repository =
        given(attributes.repository.as_ref()).or(given(surroundings.repository.as_ref()));
    let repository = repository.ok_or(SettingsError::NoRepository)?;
    if !is_repository(repository) {
        let text = repository.to_owned();
        return Err(SettingsError::Repository { text });
    }
    let api = given(surroundings.api_url.as_ref()).unwrap_or(API);
    Ok(Some(Listing {
        api: parsed("GITHUB_API_URL", api)?,
        repository: repository.to_owned(),
        token: token.to_owned(),
    }))
}

fn is_repository(text: &str) -> bool {
    let is_name = |name: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !matches!(name, "" | "." | "..") && name.bytes().all(is_plain)
    };
    let parts = text.split_once('/');
    parts.is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

fn parsed(name: &'static str, text: &str) -> Result<Url, SettingsError> {
    Url::parse(text)
        .map(|url| url.without_user())
        .map_err(|source| SettingsError::Url { name, source })
}

/// Returns a text that is there and not empty: an action that exports a variable that is not there makes it empty.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// Reads a truth value as Go's `strconv.ParseBool` does.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("api", &self.api)
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributes")
            .field("scope", &self.scope)
            .field("url", &self.url)
            .field("url_v2", &self.url_v2)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("results_url", &self.results_url)
            .field("cache_url", &self.cache_url)
            .finish_non_exhaustive()
    }
}
