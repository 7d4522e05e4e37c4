//! `--ca` and `--proxy`, and what the environment and the configuration say in their place.
//!
//! Both are for careen's own connections and for those of commands, and leave no trace in keys and layers.

use std::collections::BTreeMap;

use fetch::{Authority, Certificates, ClientError, Url, UrlError};
use runtime::NetworkMode;
use solver::{Authorities, UsualNetwork};

use crate::args::GlobalArguments;
use crate::config::Config;
use crate::env::Environment;

/// What stands for this machine in the place of a file or a URL.
const SYSTEM: &str = "system";

/// What stands for no proxy.
const NONE: &str = "none";

/// Why something cannot be reached as the user says. A proxy may have a password in it and is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// The proxy is no URL.
    #[error("`--proxy`: a URL, `system` and `none` are known")]
    Proxy(#[from] UrlError),
    /// An authority cannot be used.
    #[error("cannot use what `--ca` names")]
    Authority(#[from] ClientError),
}

/// How servers are reached, beside what the environment says.
#[derive(Clone, Default)]
pub struct Reach {
    /// Whom the user trusts.
    pub authorities: Vec<Authority>,
    /// The proxies of commands, as build arguments; none where docker's configuration says it.
    pub of_commands: Option<Vec<(&'static str, String)>>,
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.of_commands.iter().flatten().map(|(name, _)| name);
        f.debug_struct("Reach")
            .field("authorities", &self.authorities)
            .field("of_commands", &names.collect::<Vec<_>>())
            .finish()
    }
}

/// Takes in what the command line says, or the environment, or the configuration.
///
/// # Errors
///
/// Fails on a proxy that is none. Files are not read yet.
pub(crate) fn settle(
    env: &mut Environment,
    global: &GlobalArguments,
    config: &Config,
) -> Result<(), ReachError> {
    env.reach.authorities = authorities(env, global, config);
    let proxy = global.proxy.as_deref().or(config.proxy.as_deref());
    let url = match proxy {
        None => return Ok(()),
        Some(SYSTEM) => None,
        Some(NONE) => {
            (env.http_proxy, env.https_proxy, env.no_proxy) = (None, None, None);
            None
        }
        Some(url) => Some(with_scheme(url)),
    };
    if let Some(url) = url {
        Url::parse(&url)?;
        (env.http_proxy, env.https_proxy) = (Some(url.clone()), Some(url));
    }
    let of_commands = [
        ("HTTP_PROXY", &env.http_proxy),
        ("HTTPS_PROXY", &env.https_proxy),
        ("NO_PROXY", &env.no_proxy),
    ];
    let said = of_commands.into_iter();
    let said = said.filter_map(|(name, value)| Some((name, value.clone()?)));
    env.reach.of_commands = Some(said.collect());
    Ok(())
}

/// Reads the certificates that commands are to trust.
///
/// # Errors
///
/// Fails on a file that cannot be read, or has none.
pub(crate) fn read(reach: &Reach) -> Result<Authorities, ReachError> {
    if reach.authorities.is_empty() {
        return Ok(Authorities::default());
    }
    Ok(Authorities {
        added: fetch::authority_texts(&reach.authorities)?,
        machine: fetch::certificate_texts(&Certificates::System)?,
    })
}

/// Says that commands will not reach their proxy, if that is so.
pub(super) fn warning(
    build_args: &BTreeMap<String, String>,
    network: UsualNetwork,
) -> Option<String> {
    let is_apart = match network {
        UsualNetwork::SandboxOrHost | UsualNetwork::Only(NetworkMode::Sandbox) => true,
        UsualNetwork::Only(NetworkMode::Host | NetworkMode::None) => false,
    };
    let is_here = |(name, value): (&String, &String)| {
        let is_proxy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
            .iter()
            .any(|proxy| name.eq_ignore_ascii_case(proxy));
        let url = Url::parse(&with_scheme(value));
        is_proxy && url.is_ok_and(|url| url.is_loopback())
    };
    (is_apart && build_args.iter().any(is_here)).then(|| {
        "the proxy is on this machine's loop-back, which commands do not reach from a network of their build's own: \
         `--network=host` gives them this machine's"
            .to_owned()
    })
}

/// As `HTTP_PROXY` is read (`fetch::Proxies`).
fn with_scheme(text: &str) -> String {
    if text.contains("://") {
        text.to_owned()
    } else {
        ["http://", text].concat()
    }
}

fn authorities(env: &Environment, global: &GlobalArguments, config: &Config) -> Vec<Authority> {
    let of_variable = || -> Option<Vec<String>> {
        let text = env.authorities.as_ref()?;
        let named = text.split(':').filter(|name| !name.is_empty());
        Some(named.map(str::to_owned).collect())
    };
    let given = (!global.authorities.is_empty()).then(|| global.authorities.clone());
    let given = given.or_else(of_variable).or_else(|| config.ca.clone());
    let named = given.unwrap_or_default().into_iter();
    named
        .map(|text| match text.as_str() {
            SYSTEM => Authority::System,
            path => Authority::File(env.current_directory.join(path)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            current_directory: "/here".into(),
            https_proxy: Some("http://old".to_owned()),
            no_proxy: Some("inside".to_owned()),
            ..Environment::default()
        }
    }

    fn settled(
        proxy: Option<&str>,
        configured: Option<&str>,
    ) -> Result<(Environment, Vec<String>), String> {
        let mut env = environment();
        let global = GlobalArguments {
            proxy: proxy.map(str::to_owned),
            ..GlobalArguments::default()
        };
        let config = Config {
            proxy: configured.map(str::to_owned),
            ..Config::default()
        };
        settle(&mut env, &global, &config).map_err(|error| error.to_string())?;
        let said = env.reach.of_commands.clone().unwrap_or_default();
        let said = said
            .into_iter()
            .map(|(name, value)| [name, "=", &value].concat());
        Ok((env, said.collect()))
    }

    #[test]
    fn a_proxy_is_for_careen_and_for_commands() {
        let of = |proxy, configured| {
            let (env, said) = settled(proxy, configured).unwrap();
            (env.http_proxy, env.https_proxy, said.join(" "))
        };
        let text = |text: &str| Some(text.to_owned());
        let old = text("http://old");
        let (p, q) = (text("http://p:1"), text("http://q"));
        let both = "HTTP_PROXY=http://p:1 HTTPS_PROXY=http://p:1 NO_PROXY=inside";
        assert_eq!(of(None, None), (None, old.clone(), String::new()));
        assert_eq!(
            of(Some("http://p:1"), Some("q")),
            (p.clone(), p, both.to_owned())
        );
        let configured = "HTTP_PROXY=http://q HTTPS_PROXY=http://q NO_PROXY=inside";
        assert_eq!(of(None, Some("q")), (q.clone(), q, configured.to_owned()));
        let passed = "HTTPS_PROXY=http://old NO_PROXY=inside";
        assert_eq!(of(Some("system"), None), (None, old, passed.to_owned()));
        assert_eq!(of(Some("none"), Some("q")), (None, None, String::new()));
        assert!(settled(None, None).unwrap().0.reach.of_commands.is_none());
        assert!(
            settled(Some("none"), None)
                .unwrap()
                .0
                .reach
                .of_commands
                .is_some()
        );
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_and_not_shown() {
        let error = settled(Some("ftp://me:hidden@p"), None).unwrap_err();
        assert_eq!(error, "`--proxy`: a URL, `system` and `none` are known");
        let (env, _) = settled(Some("http://me:hidden@p"), None).unwrap();
        assert!(!format!("{:?}", env.reach).contains("hidden"));
    }

    #[test]
    fn a_flag_goes_before_the_variable_and_that_before_the_configuration() {
        let of = |flags: &[&str], variable: Option<&str>| {
            let env = Environment {
                authorities: variable.map(str::to_owned),
                ..environment()
            };
            let global = GlobalArguments {
                authorities: flags.iter().map(|&flag| flag.to_owned()).collect(),
                ..GlobalArguments::default()
            };
            let config = Config {
                ca: Some(vec!["system".to_owned()]),
                ..Config::default()
            };
            authorities(&env, &global, &config)
        };
        let file = |path: &str| Authority::File(path.into());
        assert_eq!(of(&["/a", "b"], Some("c")), [file("/a"), file("/here/b")]);
        assert_eq!(
            of(&[], Some("c:system")),
            [file("/here/c"), Authority::System]
        );
        assert_eq!(of(&[], None), [Authority::System]);
    }

    #[test]
    fn a_proxy_out_of_reach_is_told() {
        let warned = |name: &str, value: &str, network| {
            warning(
                &BTreeMap::from([(name.to_owned(), value.to_owned())]),
                network,
            )
            .is_some()
        };
        let default = UsualNetwork::SandboxOrHost;
        for (name, value, network, expected) in [
            ("HTTP_PROXY", "http://127.0.0.1:3128", default, true),
            ("https_proxy", "localhost:3128", default, true),
            (
                "HTTP_PROXY",
                "http://[::1]:1",
                UsualNetwork::Only(NetworkMode::Sandbox),
                true,
            ),
            (
                "HTTP_PROXY",
                "http://localhost",
                UsualNetwork::Only(NetworkMode::Host),
                false,
            ),
            ("HTTP_PROXY", "http://proxy.example", default, false),
            ("NO_PROXY", "localhost", default, false),
        ] {
            assert_eq!(warned(name, value, network), expected, "{name}={value}");
        }
    }
}
