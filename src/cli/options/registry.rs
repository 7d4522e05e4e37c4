//! How registries are reached: files, variables and arguments come down to one configuration.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fetch::{Certificates, Proxies, RetryPolicy};
use registry::{ConfigPlaces, Login, LookupError, Overrides, RegistryConfig, SecretText, Verify};
use vendor_shim::credential_helper::{CredentialHelpers, SystemCredentialHelpers};

use crate::args::RegistryArguments;
use crate::env::Environment;
use crate::report;

/// The pause between attempts where the user says how many there are and not when: buildah's.
const PAUSE: Duration = Duration::from_secs(2);

/// The variable with a file of credentials in it. It is taken out of what other processes see.
pub(crate) const AUTH_VARIABLE: &str = "DOCKER_AUTH_CONFIG";

/// How careen calls itself to servers.
const USER_AGENT: &str = concat!("careen/", env!("CARGO_PKG_VERSION"));

/// Where podman keeps root's logins outside of a session.
const ROOT_AUTH_FILE: &str = "/run/containers/0/auth.json";

/// Where the machine's configuration is.
const SYSTEM: &str = "/etc";

/// Why the arguments about registries cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum RegistryUsageError {
    /// `--creds` has no user.
    #[error("`--creds` is not of the form USER[:PASSWORD]")]
    Creds,
    /// `--tls-verify` with a word that it does not know.
    #[error("`--tls-verify={text}`: `true` and `false` are known")]
    TlsVerify {
        /// The text.
        text: String,
    },
    /// Docker's configuration cannot be used.
    #[error("cannot take the proxies of docker's configuration")]
    Settings(#[source] LookupError),
    /// `--retry-delay` is no duration.
    #[error("`--retry-delay {text}` is no duration like `2s` or `500ms`")]
    RetryDelay {
        /// The text.
        text: String,
        /// Why; none if it is negative.
        source: Option<jiff::Error>,
    },
}

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Which servers are asked, and as whom.
    pub config: Arc<RegistryConfig>,
    /// How often a request is tried again; the client's own measure if none.
    pub retry: Option<u32>,
    /// How long is waited before that; the client's own measure if none.
    pub retry_delay: Option<Duration>,
}

impl RegistryOptions {
    /// Works them out. `named` are the registries that the command line itself names (`docker.io`,
    /// `registry.example:5000`): they alone get what `--creds` and the pair in `--cert-dir` say.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be understood. Files are not read yet.
    pub fn new(
        arguments: &RegistryArguments,
        env: &Environment,
        named: Vec<String>,
    ) -> Result<Self, RegistryUsageError> {
        let overrides = overrides(arguments, env, named)?;
        let delay = arguments.retry_delay.as_deref();
        Ok(Self {
            config: Arc::new(RegistryConfig::new(places(env), overrides, helpers(env))),
            retry: arguments.retry,
            retry_delay: delay.map(duration).transpose()?,
        })
    }

    /// Returns what a client of registries is made of; `stop` says whether the job was cancelled.
    pub fn client(
        &self,
        env: &Environment,
        stop: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> registry::RegistryOptions {
        let hosts: Arc<RegistryConfig> = Arc::clone(&self.config);
        let certificates = env.certificates.clone();
        registry::RegistryOptions {
            hosts,
            retry: self.retry_policy(),
            proxies: Proxies {
                http: env.http_proxy.clone(),
                https: env.https_proxy.clone(),
                no_proxy: env.no_proxy.clone(),
            },
            certificates: certificates
                .map_or(Certificates::System, Certificates::File)
                .and(&env.reach.authorities),
            user_agent: USER_AGENT.to_owned(),
            token_shown: None,
            stop,
        }
    }

    /// Returns how often and after what pauses something is tried again. A pause that is given does not grow, as
    /// buildah has it.
    pub fn retry_policy(&self) -> RetryPolicy {
        let patient = RetryPolicy::patient(fetch::random_jitter());
        let policy = match (self.retry, self.retry_delay) {
            (Some(times), pause) => RetryPolicy::steady(times, pause.unwrap_or(PAUSE)),
            (None, Some(pause)) => RetryPolicy {
                first_pause: pause,
                growth: 1,
                ..patient
            },
            (None, None) => patient,
        };
        RetryPolicy {
            told: Some(Arc::new(report::print_pause)),
            ..policy
        }
    }
}

/// Returns what the arguments say about configuration.
pub(crate) fn overrides(
    arguments: &RegistryArguments,
    env: &Environment,
    named: Vec<String>,
) -> Result<Overrides, RegistryUsageError> {
    let here = |path: &PathBuf| env.current_directory.join(path);
    Ok(Overrides {
        auth_file: arguments.authfile.as_ref().map(here),
        login: arguments.creds.as_deref().map(creds).transpose()?,
        certificates: arguments.cert_dir.as_ref().map(here),
        verify: arguments.tls_verify.as_deref().map(verify).transpose()?,
        named,
    })
}

/// Returns where the configuration files are.
pub(crate) fn places(env: &Environment) -> ConfigPlaces {
    let here = |path: &PathBuf| env.current_directory.join(path);
    let text = env.variable(OsStr::new(AUTH_VARIABLE));
    let text = text.map(|text| String::from_utf8_lossy(text.expose()).into_owned());
    ConfigPlaces {
        home: env.home.clone(),
        config_home: env.config_directory(),
        runtime_directory: env.runtime_directory.clone(),
        root_auth_file: Some(ROOT_AUTH_FILE.into()),
        system: SYSTEM.into(),
        docker_config: env.docker_config.as_ref().map(here),
        docker_auth_config: text.filter(|text| !text.is_empty()).map(SecretText::new),
        registry_auth_file: env.registry_auth_file.as_ref().map(here),
        registries_conf: env.registries_conf.as_ref().map(here),
    }
}

/// Returns the credential helpers of the user, with the user's environment.
pub(crate) fn helpers(env: &Environment) -> Arc<dyn CredentialHelpers> {
    let environment = env.all.clone();
    Arc::new(SystemCredentialHelpers::new(&env.search_path, environment))
}

/// Returns the build arguments that `--proxy` adds to those that are given, or else docker's configuration with its
/// `proxies`. One that is
/// given in upper case is given in lower case as well, since a command has both from it.
pub(super) fn proxy_args(
    env: &Environment,
    given: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, RegistryUsageError> {
    let is_given = |name: &str| given.keys().any(|key| key.eq_ignore_ascii_case(name));
    let said = match &env.reach.of_commands {
        Some(said) => said.clone(),
        None => docker_proxies(env)?,
    };
    let added = said.into_iter();
    let added = added.filter(|(name, _)| !is_given(name));
    Ok(added
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

fn docker_proxies(env: &Environment) -> Result<Vec<(&'static str, String)>, RegistryUsageError> {
    let config = RegistryConfig::new(places(env), Overrides::default(), helpers(env));
    let settings = config.docker_settings();
    Ok(settings.map_err(RegistryUsageError::Settings)?.build_args)
}

fn creds(text: &str) -> Result<Login, RegistryUsageError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    if user.is_empty() {
        return Err(RegistryUsageError::Creds);
    }
    Ok(Login::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

fn verify(text: &str) -> Result<Verify, RegistryUsageError> {
    match super::policy::go_bool(text) {
        Some(true) => Ok(Verify::Always),
        Some(false) => Ok(Verify::Never),
        None => Err(RegistryUsageError::TlsVerify {
            text: text.to_owned(),
        }),
    }
}

fn duration(text: &str) -> Result<Duration, RegistryUsageError> {
    let wrong = |source| RegistryUsageError::RetryDelay {
        text: text.to_owned(),
        source,
    };
    let duration: jiff::SignedDuration = text.parse().map_err(|error| wrong(Some(error)))?;
    Duration::try_from(duration).map_err(|_negative| wrong(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood() {
        let env = Environment {
            current_directory: "/here".into(),
            ..Environment::default()
        };
        let arguments = RegistryArguments {
            authfile: Some("auth.json".into()),
            creds: Some("me:a:b".to_owned()),
            cert_dir: Some("/certs".into()),
            tls_verify: Some("false".to_owned()),
            retry: Some(5),
            retry_delay: Some("1500ms".to_owned()),
        };
        let named = vec!["r.example".to_owned()];
        let understood = overrides(&arguments, &env, named.clone()).unwrap();
        assert_eq!(understood.auth_file, Some("/here/auth.json".into()));
        assert_eq!(understood.certificates, Some("/certs".into()));
        assert_eq!(understood.verify, Some(Verify::Never));
        assert_eq!(understood.named, named);
        let login = Login::Basic {
            user: "me".to_owned(),
            password: "a:b".to_owned(),
        };
        assert_eq!(understood.login, Some(login));
        let options = RegistryOptions::new(&arguments, &env, named).unwrap();
        assert_eq!(options.retry, Some(5));
        assert_eq!(options.retry_delay, Some(Duration::from_millis(1500)));
        let policy = options.retry_policy();
        assert_eq!((policy.attempts, policy.growth), (6, 1));
        assert_eq!(policy.first_pause, Duration::from_millis(1500));
        let usual = RegistryOptions::new(&RegistryArguments::default(), &env, Vec::new());
        assert_eq!(
            usual.unwrap().retry_policy().patience,
            Duration::from_mins(1)
        );
        let shown = format!("{arguments:?} {options:?}");
        assert!(!shown.contains("a:b"), "{shown}");
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        type Change = fn(&mut RegistryArguments);
        let cases: [(Change, &str); 4] = [
            (
                |a| a.creds = Some(":hidden".to_owned()),
                "`--creds` is not of the form USER[:PASSWORD]",
            ),
            (
                |a| a.tls_verify = Some("maybe".to_owned()),
                "`--tls-verify=maybe`: `true` and `false` are known",
            ),
            (
                |a| a.retry_delay = Some("soon".to_owned()),
                "`--retry-delay soon` is no duration like `2s` or `500ms`",
            ),
            (
                |a| a.retry_delay = Some("-2s".to_owned()),
                "`--retry-delay -2s` is no duration like `2s` or `500ms`",
            ),
        ];
        for (change, expected) in cases {
            let mut arguments = RegistryArguments::default();
            change(&mut arguments);
            let options = RegistryOptions::new(&arguments, &Environment::default(), Vec::new());
            assert_eq!(options.unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_variable_with_credentials_is_read_where_secrets_are() {
        let mut env = Environment::default();
        env.all
            .push((AUTH_VARIABLE.into(), "{\"auths\": {}}".into()));
        env.hide(&[AUTH_VARIABLE.to_owned()].into());
        let places = places(&env);
        let text = places.docker_auth_config.unwrap();
        assert_eq!(text.expose(), "{\"auths\": {}}");
    }

    #[test]
    fn attempts_and_pauses_are_those_that_were_asked_for() {
        let policy = |retry, delay: Option<&str>| {
            let arguments = RegistryArguments {
                retry,
                retry_delay: delay.map(str::to_owned),
                ..RegistryArguments::default()
            };
            let env = Environment::default();
            let options = RegistryOptions::new(&arguments, &env, Vec::new());
            let policy = options.unwrap().retry_policy();
            (policy.attempts, policy.first_pause, policy.growth)
        };
        let seconds = Duration::from_secs;
        assert_eq!(policy(Some(3), None), (4, seconds(2), 1));
        assert_eq!(policy(Some(0), Some("5s")), (1, seconds(5), 1));
        assert_eq!(policy(None, Some("7s")), (u32::MAX, seconds(7), 1));
        assert_eq!(policy(None, None).0, u32::MAX);
    }
}
