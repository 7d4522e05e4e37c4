//! Docker's `config.json`, containers' `auth.json` and the old `~/.dockercfg`: what they say of credentials.
//!
//! Keys that mean nothing here are passed over. No value is part of an error.

use std::path::Path;

use serde_json::{Map, Value};

use super::TOKEN_USER;
use super::key::{candidates, normal};
use crate::config::file::{ConfigError, parse_json};
use crate::host::Login;

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// With `auths`, `credHelpers` and `credsStore`.
    Tables,
    /// With what is in `auths` alone.
    Legacy,
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AuthFile {
    /// Registry or part of one → who we are to it; in the order of the file.
    logins: Vec<(String, Login)>,
    /// Registry → helper.
    helpers: Vec<(String, String)>,
    /// The helper for all others.
    store: Option<String>,
}

impl AuthFile {
    /// Reads the text of a file.
    pub(crate) fn parse(path: &Path, text: &str, format: Format) -> Result<Self, ConfigError> {
        let walk = Walk { path };
        let root = parse_json(path, text)?;
        let root = walk.object("the file", Some(&root))?;
        let Some(root) = root else {
            return Ok(Self::default());
        };
        if format == Format::Legacy {
            return Ok(Self {
                logins: walk.logins(root)?,
                ..Self::default()
            });
        }
        let auths = walk.object("auths", root.get("auths"))?;
        let helpers = walk.object("credHelpers", root.get("credHelpers"))?;
        Ok(Self {
            logins: auths.map_or(Ok(Vec::new()), |auths| walk.logins(auths))?,
            helpers: helpers.map_or(Ok(Vec::new()), |helpers| walk.helpers(helpers))?,
            store: walk
                .text("credsStore", root.get("credsStore"))?
                .map(str::to_owned),
        })
    }

    /// Returns the helper that has the credentials for a registry.
    pub(crate) fn helper_for(&self, server: &str) -> Option<&str> {
        let own = self.helpers.iter().find(|(key, _)| key == server);
        own.map(|(_, helper)| &**helper).or(self.store.as_deref())
    }

    /// Returns who we are to a registry, for a repository.
    pub(crate) fn login_for(&self, server: &str, repository: &str) -> Option<&Login> {
        candidates(server, repository)
            .iter()
            .find_map(|candidate| self.logins.iter().find(|(key, _)| key == candidate))
            .map(|(_, login)| login)
    }
}

/// Looks at the values of a file.
struct Walk<'a> {
    path: &'a Path,
}

impl Walk<'_> {
    fn wrong(&self, key: &str, expected: &'static str) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            expected,
        }
    }

    fn object<'v>(
        &self,
        key: &str,
        value: Option<&'v Value>,
    ) -> Result<Option<&'v Map<String, Value>>, ConfigError> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    /// Returns a text that is not empty.
    fn text<'v>(
        &self,
        key: &str,
        value: Option<&'v Value>,
    ) -> Result<Option<&'v str>, ConfigError> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    fn helpers(&self, helpers: &Map<String, Value>) -> Result<Vec<(String, String)>, ConfigError> {
        let mut read = Vec::new();
        for (key, value) in helpers {
            let helper = self.text(&format!("credHelpers.\"{key}\""), Some(value))?;
            read.extend(helper.map(|helper| (normal(key), helper.to_owned())));
        }
        Ok(read)
    }

    fn logins(&self, auths: &Map<String, Value>) -> Result<Vec<(String, Login)>, ConfigError> {
        let mut read = Vec::new();
        for (key, value) in auths {
            let name = format!("auths.\"{key}\"");
            if let Some(entry) = self.object(&name, Some(value))? {
                let login = self.login(&name, entry)?;
                read.extend(login.map(|login| (normal(key), login)));
            }
        }
        Ok(read)
    }

    /// Reads an entry; an empty one says only that a helper has the rest.
    fn login(&self, name: &str, entry: &Map<String, Value>) -> Result<Option<Login>, ConfigError> {
        let text = |key: &str| self.text(&format!("{name}.{key}"), entry.get(key));
        if let Some(token) = text("registrytoken")? {
            return Ok(Some(Login::RegistryToken(token.to_owned())));
        }
        if let Some(token) = text("identitytoken")? {
            return Ok(Some(Login::IdentityToken(token.to_owned())));
        }
        let pair =
            match text("auth")? {
                Some(auth) => Some(pair(auth).ok_or_else(|| {
                    self.wrong(&format!("{name}.auth"), "base64 of `USER:PASSWORD`")
                })?),
                None => text("username")?
                    .map(str::to_owned)
                    .zip(text("password")?.map(str::to_owned)),
            };
        Ok(pair.map(|(user, password)| {
            if user == TOKEN_USER {
                Login::IdentityToken(password)
            } else {
                Login::Basic { user, password }
            }
        }))
    }
}

fn pair(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(fetch::unbase64(auth)?).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker fills up with NUL bytes.
    let password = password.trim_matches('\0');
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AuthFile, ConfigError> {
        AuthFile::parse(Path::new("config.json"), text, Format::Tables)
    }

    fn basic(user: &str, password: &str) -> Login {
        Login::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn every_way_to_write_credentials_is_read() {
        let file = read(include_str!("examples/config.json")).unwrap();
        let cases = [
            ("docker.io", basic("hub-user", "hub:pass")),
            ("plain.example", basic("me", "secret")),
            (
                "identity.example",
                Login::IdentityToken("refresh".to_owned()),
            ),
            (
                "token-user.example",
                Login::IdentityToken("refresh2".to_owned()),
            ),
            (
                "bearer.example",
                Login::RegistryToken("bearer-token".to_owned()),
            ),
            ("old.example:5000", basic("old", "pass")),
        ];
        for (server, expected) in cases {
            assert_eq!(file.login_for(server, "a"), Some(&expected), "{server}");
        }
        assert_eq!(file.login_for("empty.example", "a"), None);
        assert_eq!(file.login_for("none.example", "a"), None);
        assert_eq!(file.helper_for("gcr.io"), Some("gcloud"));
        assert_eq!(file.helper_for("docker.io"), Some("hub"));
        assert_eq!(file.helper_for("other.example"), Some("pass"));
    }

    #[test]
    fn the_most_special_entry_counts() {
        let file = read(include_str!("examples/auth.json")).unwrap();
        let cases = [
            ("team/app", basic("app", "1")),
            ("team/other", basic("team", "2")),
            ("team/app/deep", basic("app", "1")),
            ("teams/app", basic("all", "3")),
        ];
        for (repository, expected) in cases {
            let login = file.login_for("r.example", repository);
            assert_eq!(login, Some(&expected), "{repository}");
        }
        assert_eq!(file.login_for("docker.io", "library/busybox"), None);
        let private = file.login_for("docker.io", "me/private");
        assert_eq!(private, Some(&basic("me", "4")));
    }

    #[test]
    fn the_old_file_is_read() {
        let text = include_str!("examples/dockercfg");
        let file = AuthFile::parse(Path::new(".dockercfg"), text, Format::Legacy).unwrap();
        assert_eq!(
            file.login_for("docker.io", "a/b"),
            Some(&basic("legacy", "pass"))
        );
    }

    #[test]
    fn keys_that_mean_nothing_here_are_passed_over() {
        assert_eq!(
            read("{\"experimental\":\"true\"}").unwrap(),
            AuthFile::default()
        );
        assert_eq!(read("{\"auths\": null}").unwrap(), AuthFile::default());
    }

    #[test]
    fn what_is_malformed_is_named_and_not_repeated() {
        let cases = [
            ("{\n\"auths\": {\n", "`config.json`, line 3: no valid JSON"),
            ("[]", "`config.json`: `the file` is not an object"),
            (
                "{\"auths\": \"hidden\"}",
                "`config.json`: `auths` is not an object",
            ),
            (
                "{\"auths\": {\"r\": {\"password\": 1234, \"username\": \"u\"}}}",
                "`config.json`: `auths.\"r\".password` is not a text",
            ),
            (
                "{\"auths\": {\"r\": {\"auth\": \"hidden!\"}}}",
                "`config.json`: `auths.\"r\".auth` is not base64 of `USER:PASSWORD`",
            ),
            (
                "{\"auths\": {\"r\": {\"auth\": \"aGlkZGVu\"}}}",
                "`config.json`: `auths.\"r\".auth` is not base64 of `USER:PASSWORD`",
            ),
            (
                "{\"credsStore\": 5}",
                "`config.json`: `credsStore` is not a text",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_is_secret_cannot_be_shown() {
        let file = read(include_str!("examples/config.json")).unwrap();
        let shown = format!("{file:?}");
        for secret in ["hub:pass", "secret", "refresh", "bearer-token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
